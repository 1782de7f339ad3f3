"""The loss of the validation split while a model is trained: exact, never of the test split, and a run that
was killed stops and ends where one that was not does."""

from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.pages.sections.artefacts import Run, StageFolder
from medxiaohe.pages.sections.training_section import training_section
from medxiaohe.train.cpt import cpt
from medxiaohe.train.loop import resume, validation
from medxiaohe.train.loop.checks import token_nats
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows
from medxiaohe.train.loop.validation import ValidationSettings
from medxiaohe.train.sft import sft
from medxiaohe.types import ImageRef, Message, Sample, Split

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
FULL = Parts(language="full", projector=True)
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def talk(split: Split, number: int, picture: ImageRef, answer: str) -> Sample:
    seen = (picture,) if number % 2 else ()
    ask = Message("user", (*seen, f"Is number {number} even? " + "Look closely. " * (number % 3)))
    return Sample(f"{split}/{number}", (ask, Message("assistant", (answer,))), source="held_out", split=split)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, pictures: tuple[ImageRef, ...]) -> Path:
    folder = tmp_path_factory.mktemp("mixture")
    rows = [talk("train", i, pictures[i % 3], "yes") for i in range(8)]
    io.write_jsonl(folder / "instructions.jsonl", rows)
    io.write_jsonl(folder / "documents.jsonl", [Sample("d/1", (Message("document", ("The lung.",)),))])
    io.write_json(folder / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, pictures: tuple[ImageRef, ...]) -> Path:
    """A corpus of all splits; a row of each has what a lookup of the wrong split would show: another
    answer."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [talk(split, i, pictures[i % 3], f"{split} {i}") for i in range(5) for split in SPLITS]
    page = Sample("d/2", (Message("document", ("The liver and the heart.",)),), split="validation")
    io.write_jsonl(folder / "samples.jsonl", [*rows, page])
    return folder


def settings(model: Path, **more: Any) -> FitSettings:
    given = {"max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "per_device_train_batch_size": 2}
    return FitSettings(**{"model": str(model), "parts": FULL, **given, **more})  # type: ignore[arg-type]


def curve(folder: Path) -> dict[int, float]:
    rows = io.read_jsonl(folder / "metrics.jsonl")
    return {row["step"]: row["eval_loss"] for row in rows if "eval_loss" in row}


def exact(model: Path, corpus: Path, work: Path) -> float:
    """Mean over the tokens of the answers of the validation split, each row alone."""
    loaded = checkpoint.load(str(model))
    held = [row for row in io.read_samples(corpus / "samples.jsonl") if row.split == "validation"]
    io.write_jsonl(work / "held.jsonl", [row for row in held if not row.is_document])
    rows = Rows(work / "held.jsonl", loaded.processor, Reading(str(model), 512), "render")
    with torch.no_grad():
        nats = torch.cat([token_nats(loaded.model, rows.batch([[number]])) for number in range(len(rows))])
    return float(nats.double().mean())


def test_the_loss_is_that_of_each_answer_of_the_validation_split(
    data: Path, corpus: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    found = sft(settings(tiny_vlm), tmp_path / "o", data=data, validation=corpus)
    losses = curve(tmp_path / "o")
    assert list(losses) == [2, 4]
    assert losses[4] == pytest.approx(exact(tmp_path / "o" / "model", corpus, tmp_path), abs=1e-4)
    assert found["eval_loss_last"] == round(losses[4], 4) and found["eval_loss_best"] == min(
        round(loss, 4) for loss in losses.values()
    )
    section = page(tmp_path / "o", found)
    assert "sft: validation loss, nats per token by step" in section
    assert f"at step {found['best_step']}" in section
    # what is measured changes nothing of what is trained
    plain = settings(tiny_vlm, eval_strategy="no")
    sft(plain, tmp_path / "plain", data=data)
    files = [tmp_path / name / "model" / "model.safetensors" for name in ("o", "plain")]
    assert io.sha256(files[0]) == io.sha256(files[1])


def test_documents_are_evaluated_once_an_epoch_and_at_the_end(
    data: Path, corpus: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    asked = settings(tiny_vlm, eval_strategy="epoch", max_steps=0, num_train_epochs=3.0)
    cpt(asked, tmp_path / "o", data=data, validation=corpus)
    assert list(curve(tmp_path / "o")) == [1, 2, 3]


def page(folder: Path, summary: dict[str, Any]) -> str:
    """The section about training of the page of a run with this stage."""
    stage = StageFolder("sft", folder, {"summary": summary})
    return str(training_section(Run(stage, stage, stage, stage, None, (stage,), (), {})))


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


STOPS: dict[str, Any] = dict(
    # a rate that spoils the model: the validation loss rises after its first evaluations
    learning_rate=0.05, projector_learning_rate=0.05, warmup_steps=0, eval_steps=1, max_steps=12,
    save_steps=1,
    early_stopping_patience=3, load_best_model_at_end=True,
)  # fmt: skip


@pytest.mark.slow
def test_training_stops_when_the_loss_rises_and_ends_with_the_best_weights_however_often_it_is_killed(
    data: Path, corpus: Path, tiny_vlm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = settings(tiny_vlm, **STOPS)

    def train(out: Path) -> Any:
        with io.publish(out) as draft:
            return sft(asked, draft, data=data, validation=corpus)

    found = train(tmp_path / "whole")
    losses = curve(tmp_path / "whole")
    assert 4 <= found["steps"] < 12 and "has not fallen in 3 evaluations" in found["stopped"]
    assert found["best_step"] == found["steps"] - 3 == min(losses, key=losses.__getitem__)
    assert "stopped before its last step: the validation loss has not fallen" in page(
        tmp_path / "whole", found
    )
    best = exact(tmp_path / "whole" / "model", corpus, tmp_path)
    assert best == pytest.approx(min(losses.values()), abs=1e-4)

    real, calls = resume._save, [0]

    def save(trainer: Any, *more: Any) -> None:
        real(trainer, *more)
        calls[0] += 1
        # after the best weights were found, and after the run had stopped
        if trainer.state.global_step in (found["best_step"] + 1, found["steps"]) and calls[0] < 9:
            raise Killed

    with monkeypatch.context() as context:
        context.setattr(resume, "_save", save)
        for _ in range(2):
            with pytest.raises(Killed):
                train(tmp_path / "killed")
            calls[0] = 0
    assert train(tmp_path / "killed") == found
    for file in ("metrics.jsonl", "model/model.safetensors"):
        assert io.sha256(tmp_path / "whole" / file) == io.sha256(tmp_path / "killed" / file), file


def test_rows_of_no_validation_split_are_refused(
    data: Path, corpus: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    rows = [row for row in io.read_samples(corpus / "samples.jsonl") if row.split != "validation"]
    io.write_jsonl(tmp_path / "samples.jsonl", rows)
    with pytest.raises(DataError, match="no answered conversations of the split validation"):
        sft(settings(tiny_vlm), tmp_path / "o", data=data, validation=tmp_path)
    with pytest.raises(ConfigError, match="nothing evaluates it: set eval_strategy"):
        sft(settings(tiny_vlm, eval_strategy="no"), tmp_path / "o", data=data, validation=corpus)
    with pytest.raises(DataError, match=r"has no samples\.jsonl: needs\.validation is a stage of data\.read"):
        sft(settings(tiny_vlm), tmp_path / "o", data=data, validation=data)


def history(*losses: float) -> list[dict[str, float]]:
    return [{"step": 10 * i, "eval_loss": loss} for i, loss in enumerate(losses, 1)]


def test_patience_counts_evaluations_without_a_loss_that_is_lower_by_the_threshold() -> None:
    assert validation.waited(history(3, 2, 1), 0) == 0
    assert validation.waited(history(3, 2, 2, 2.5), 0) == 2
    assert validation.waited(history(3, 2.9, 2.8), 0.5) == 2, "neither is lower than 3 by half a nat"
    assert validation.waited(history(3, float("nan"), 2), 0) == 0
    assert validation.best(history(3, 2, 2, 5)) == (20, 2) and validation.best([{"loss": 1.0}]) is None
    asked = ValidationSettings(early_stopping_patience=2)
    assert not validation.stopped(history(3, 2, 4), asked)
    assert "at step 20" in validation.stopped(history(3, 2, 4, 2), asked)


def test_a_corpus_holds_out_patients_for_validation_and_for_test() -> None:
    from medxiaohe.data.read import Source, _split

    source = Source(reader="chat_jsonl", path="x", hold_out=0.2, hold_out_validation=0.1)
    rows = [Sample(f"r/{i}", (), patient_id=f"p{i // 3}") for i in range(3000)]
    found = {row.id: _split(row, source) for row in rows}
    shares = {split: sum(one == split for one in found.values()) / len(found) for split in SPLITS}
    assert shares["test"] == pytest.approx(0.2, abs=0.04) and shares["validation"] == pytest.approx(
        0.1, abs=0.04
    )
    assert all(len({found[f"r/{3 * p + i}"] for i in range(3)}) == 1 for p in range(1000))
    # whoever was held out for the test stays there when validation rows are asked for as well
    before = Source(reader="chat_jsonl", path="x", hold_out=0.2)
    assert all(found[row.id] == "test" for row in rows if _split(row, before) == "test")
    with pytest.raises(ConfigError, match="below 1 with hold_out_validation"):
        Source(reader="chat_jsonl", path="x", hold_out=0.6, hold_out_validation=0.5)
