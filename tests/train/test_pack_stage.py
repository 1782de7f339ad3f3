"""train.pack says before training which rows share a sequence and how full the sequences are."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.train.pack import PackSettings, pack
from medxiaohe.types import Message, Sample


def mixture(folder: Path, num: int) -> Path:
    dice = random.Random(0)
    rows = [
        Sample(
            f"d/{n}",
            (
                Message(
                    "document",
                    (" ".join(dice.choice(("lung", "heart", "fever")) for _ in range(dice.randint(3, 40))),),
                ),
            ),
        )
        for n in range(num)
    ]
    io.write_jsonl(folder / "documents.jsonl", rows)
    io.write_jsonl(folder / "instructions.jsonl", [])
    return folder


def test_sequences_hold_every_row_once_and_are_at_least_99_percent_full(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    data, out = mixture(tmp_path / "mixture", 1500), tmp_path / "out"
    out.mkdir()
    summary = pack(PackSettings(model=str(tiny_vlm), max_length=512), out, data=data)
    plan = list(io.read_jsonl(out / "documents.plan.jsonl"))
    assert sorted(row for sequence in plan for row in sequence["rows"]) == list(range(1500))
    assert max(sequence["tokens"] for sequence in plan) <= 512
    assert summary["fill"] == summary["documents"]["fill"] >= 0.99 > summary["documents"]["fill_unpacked"]
    assert summary["documents"]["tokens"] == sum(sequence["tokens"] for sequence in plan)
    again = tmp_path / "again"
    again.mkdir()
    pack(PackSettings(model=str(tiny_vlm), max_length=512), again, data=data)
    assert (again / "documents.plan.jsonl").read_bytes() == (out / "documents.plan.jsonl").read_bytes()


def test_the_plan_is_the_one_that_training_follows(tiny_vlm: Path, tmp_path: Path) -> None:
    from medxiaohe.models.checkpoint import load
    from medxiaohe.train.loop import batch_plan
    from medxiaohe.train.loop.row_index import Reading
    from medxiaohe.train.loop.rows import Rows

    data, out = mixture(tmp_path / "mixture", 50), tmp_path / "out"
    out.mkdir()
    pack(PackSettings(model=str(tiny_vlm), max_length=256, seed=3), out, data=data)
    reading = Reading(str(tiny_vlm), 256)
    lengths = Rows(data / "documents.jsonl", load(str(tiny_vlm)).processor, reading, "render").tokens
    trained = batch_plan.plan(lengths, 4, batch_plan.batches_of_an_epoch(lengths, 4, 3, 256), 3, 256)
    assert [sequence for batch in trained for sequence in batch] == [
        row["rows"] for row in io.read_jsonl(out / "documents.plan.jsonl")
    ]


def test_an_empty_mixture_is_an_error(tiny_vlm: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither documents nor instructions"):
        pack(PackSettings(model=str(tiny_vlm)), tmp_path, data=tmp_path)
