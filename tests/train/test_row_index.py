"""Rows of training stay on disk: what is counted of them by any number of workers, and read by any number, is
the same, and a killed count or run goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.render import render
from medxiaohe.train.loop import resume, row_index
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.loop.row_index import COLUMNS, Reading, StoredSamples
from medxiaohe.train.loop.rows import Rows
from medxiaohe.train.sft import sft
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")


class Killed(BaseException):
    pass


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Texts of many lengths and alphabets, one longer than what is read at once, and every third an image."""
    from PIL import Image

    found = []
    for number in range(24):
        question: list[Any] = [f"Is {number} red? Größe µ 发热 " + "Look closely.\n" * (number % 7)]
        if number == 5:
            question.append("Röntgen " * 9_000)
        if number % 3 == 0:
            Image.effect_noise((40 + number, 40), 20).save(tmp_path / f"{number}.png")
            question.insert(0, ImageRef(str(tmp_path / f"{number}.png")))
        messages = (Message("user", tuple(question)), Message("assistant", ("yes" if number % 2 else "no",)))
        found.append(Sample(f"r/{number}", messages, source=f"s{number * number % 5}"))
    return found


@pytest.fixture
def mixture(tmp_path: Path, samples: list[Sample]) -> Path:
    folder = tmp_path / "mixture"
    io.write_jsonl(folder / "instructions.jsonl", samples)
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


def columns(rows: Rows) -> dict[str, list[int]]:
    return {name: list(getattr(rows.index, name)) for name in COLUMNS}


@pytest.mark.slow
def test_workers_count_what_this_process_counts_and_a_killed_count_goes_on(
    mixture: Path, samples: list[Sample], tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, processor = mixture / "instructions.jsonl", checkpoint.processor(str(tiny_vlm))
    reading = Reading(str(tiny_vlm), 4096)
    whole = Rows(file, processor, reading, "count")
    assert [whole.index.sources[code] for code in whole.index.source] == [row.source for row in samples]
    assert whole.index.with_images == 8 and (whole.first_with(True), whole.first_with(False)) == (0, 1)
    assert whole.index.total_tokens == sum(whole.tokens) and max(whole.tokens) == 4096

    monkeypatch.setattr(row_index, "SHARD_BYTES", 1 << 10)
    counted, real = [], row_index.rows_of

    def killed(sample: Sample, *rest: Any) -> Any:
        counted.append(sample.id)
        if len(counted) == 15:
            raise Killed
        return real(sample, *rest)

    with monkeypatch.context() as context, pytest.raises(Killed):
        context.setattr(row_index, "rows_of", killed)
        Rows(file, processor, reading, "count", work=tmp_path / "work")
    done = list((tmp_path / "work" / "rows").glob("[0-9]*/MANIFEST.json"))
    before = {place: place.stat().st_mtime_ns for place in done}
    assert done
    shared = Rows(file, processor, reading, "count", work=tmp_path / "work", workers=2)
    assert columns(shared) == columns(whole) and shared.index.sources == whole.index.sources
    assert {place: place.stat().st_mtime_ns for place in done} == before, "nothing is counted twice"


def test_a_row_is_the_same_from_any_process(mixture: Path, samples: list[Sample], tiny_vlm: Path) -> None:
    """Forked workers share an open file; each reads at places of its own."""
    processor = checkpoint.processor(str(tiny_vlm))
    rows = Rows(mixture / "instructions.jsonl", processor, Reading(str(tiny_vlm), 4096), "count")
    numbers = list(range(len(samples))) * 5
    loader = torch.utils.data.DataLoader(
        numbers, batch_size=1, num_workers=2, collate_fn=lambda some: rows.row(some[0]).tokens
    )
    wanted = [render(sample.messages, processor).tokens[:4096] for sample in samples]
    assert list(loader) == wanted * 5
    stored = StoredSamples(mixture / "instructions.jsonl")
    assert [stored.at(place) for place in rows.index.place] == samples


def test_a_row_that_cannot_be_rendered_is_named_by_its_line_and_id(
    mixture: Path, samples: list[Sample], tiny_vlm: Path
) -> None:
    file = mixture / "instructions.jsonl"
    Path(samples[9].images[0].uri).unlink()
    processor = checkpoint.processor(str(tiny_vlm))
    with pytest.raises(DataError, match=r"row 10 \(r/9\): no such image"):
        Rows(file, processor, Reading(str(tiny_vlm), 4096), "count")
    file.write_bytes(b'{"id": 3\n' + file.read_bytes())
    with pytest.raises(DataError, match=r"instructions.jsonl: the line at byte \d+: not JSON"):
        Rows(file, processor, Reading(str(tiny_vlm), 4096), "count")


def test_a_run_resumed_with_other_numbers_of_workers_is_bit_identical(
    mixture: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(name: str, workers: int, kill_after: int = 0) -> str:
        settings = FitSettings(
            model=str(tiny_vlm), parts=Parts(language="lora", lora_r=4), per_device_train_batch_size=3,
            save_steps=1, max_steps=6, max_length=600, learning_rate=3e-3, dataloader_num_workers=workers,
        )  # fmt: skip
        real = resume._save

        def save(trainer: Any, *rest: Any) -> None:
            real(trainer, *rest)
            if trainer.state.global_step == kill_after:
                raise Killed

        with monkeypatch.context() as context, io.publish(tmp_path / name) as draft:
            context.setattr(resume, "_save", save)
            sft(settings, draft, data=mixture)
        return io.sha256(tmp_path / name / "model" / "model.safetensors")

    whole = train("whole", 0)
    for step, workers in ((2, 2), (4, 1)):
        with pytest.raises(Killed):
            train("killed", workers, kill_after=step)
    assert train("killed", 0) == whole
