"""Two processes train together, as copies (DDP) or one model shared out (FSDP2), on batches with and without images; a killed
run goes on to the same bits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from test_resume import outcome

from medxiaohe import io
from medxiaohe.types import ImageRef, Message, Sample

pytest.importorskip("trl")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third row is text alone, so some batches are."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("mixture")
    rows = []
    for number in range(20):
        question: list[Any] = [f"Is number {number} red? " + "Look closely. " * (number % 7)]
        if number % 3 == 0:
            Image.effect_noise((40, 40), 20 + number).save(folder / f"{number}.png")
            question.insert(0, ImageRef(str(folder / f"{number}.png")))
        messages = (Message("user", tuple(question)), Message("assistant", ("yes" if number % 2 else "no",)))
        rows.append(Sample(f"r/{number}", messages, source="held_out", target="yes"))
    with io.publish(folder / "mix", record=lambda: {"summary": {}}) as draft:
        io.write_jsonl(draft / "instructions.jsonl", rows)
        io.write_json(draft / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    return folder / "mix"


def run(out: Path, settings: Path, mixture: Path, num: int = 2, crash_at: int = 0) -> Path:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(num), "--standalone"]
    command += ["-m", "medxiaohe", "train", "sft", "--out", str(out), "--with", str(settings), "--input", f"data={mixture}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CRASH_AT": str(crash_at)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert (done.returncode == 0) == (crash_at == 0), done.stderr[-3000:]
    return out / "train_sft" / "1"


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_resume_to_the_same_bits(sharding: str, mixture: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    values = {
        "model": str(tiny_vlm), "max_steps": 6, "per_device_train_batch_size": 2, "save_steps": 1, "sharding": sharding,
        "learning_rate": 0.003, "parts": {"language": "full", "vision": True}, "augment": {"rotate": 10},
    }  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps(values))
    whole = run(tmp_path / "whole", tmp_path / "settings.json", mixture)
    killed = run(tmp_path / "killed", tmp_path / "settings.json", mixture, crash_at=12)  # while a checkpoint is published
    assert not killed.exists() and list(killed.parent.glob(".1.work/*/0000000[1-5]"))
    assert outcome(run(tmp_path / "killed", tmp_path / "settings.json", mixture)) == outcome(whole)

    (tmp_path / "one.json").write_text(json.dumps({**values, "sharding": "none", "gradient_accumulation_steps": 2}))
    one = run(tmp_path / "one", tmp_path / "one.json", mixture, num=1)
    losses = [[row["loss"] for row in io.read_jsonl(folder / "metrics.jsonl")] for folder in (whole, one)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3), "two processes see what one sees with two batches a step"
