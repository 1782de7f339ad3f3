"""Two processes train together, as copies (DDP) or one model shared out (FSDP2), on batches with and without
images; a killed run goes on to the same bits."""

from __future__ import annotations

import json
import os
import shutil
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
ROOT = Path(__file__).parent.parent.parent


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


def run(out: Path, settings: Path, mixture: Path, num: int = 2, crash_at: int = 0, verb: str = "sft") -> Path:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(num), "--standalone"]
    command += [
        "-m",
        "medxiaohe",
        "train",
        verb,
        "--out",
        str(out),
        "--with",
        str(settings),
        "--input",
        f"data={mixture}",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CRASH_AT": str(crash_at)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    assert (done.returncode == 0) == (crash_at == 0), done.stderr[-3000:]
    return out / f"train_{verb}" / "1"


def kill_with_checkpoint(out: Path, settings: Path, data: Path, first: int, verb: str = "sft") -> None:
    """Kill a run at a durable step that leaves a checkpoint and no result.

    Notes of progress are durable steps too and are written by the clock, so the step differs from run to run.
    """
    for crash_at in range(first, first + 30, 3):
        shutil.rmtree(out, ignore_errors=True)
        killed = run(out, settings, data, crash_at=crash_at, verb=verb)
        if not killed.exists() and list(killed.parent.glob(".1.work/*/0000000[1-5]")):
            return
    raise AssertionError(f"no kill from step {first} on left a checkpoint")


@pytest.mark.long
@pytest.mark.parametrize("sharding", ["none", pytest.param("fsdp", marks=pytest.mark.long)])
def test_two_processes_resume_to_the_same_bits(
    sharding: str, mixture: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    values = {
        "model": str(tiny_vlm), "max_steps": 6, "per_device_train_batch_size": 2, "save_steps": 1,
        "sharding": sharding,
        "learning_rate": 0.003, "parts": {"language": "full", "vision": True}, "augment": {"rotate": 10},
    }  # fmt: skip
    (tmp_path / "settings.json").write_text(json.dumps(values))
    whole = run(tmp_path / "whole", tmp_path / "settings.json", mixture)
    kill_with_checkpoint(tmp_path / "killed", tmp_path / "settings.json", mixture, 40)
    assert outcome(run(tmp_path / "killed", tmp_path / "settings.json", mixture)) == outcome(whole)

    (tmp_path / "one.json").write_text(
        json.dumps({**values, "sharding": "none", "gradient_accumulation_steps": 2})
    )
    one = run(tmp_path / "one", tmp_path / "one.json", mixture, num=1)
    losses = [[row["loss"] for row in io.read_jsonl(folder / "metrics.jsonl")] for folder in (whole, one)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3), (
        "two processes see what one sees with two batches a step"
    )


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts, pairs and passages; half of the prompts have an image."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("prompts")
    rows, pairs = [], []
    for number in range(16):
        question: list[Any] = [f"Is number {number} red? " + "Look closely. " * (number % 7)]
        if number % 2 == 0:
            Image.effect_noise((40, 40), 20 + number).save(folder / f"{number}.png")
            question.insert(0, ImageRef(str(folder / f"{number}.png")))
        ask, said = Message("user", tuple(question)), "yes" if number % 4 else "no"
        rows.append(
            Sample(f"r/{number}", (ask, Message("assistant", (said,))), source="held_out", target=said)
        )
        pairs.append({"messages": [io.to_json(ask)], "chosen": said, "rejected": "perhaps"})
    with io.publish(folder / "mix", record=lambda: {"summary": {}}) as draft:
        io.write_jsonl(draft / "prompts.jsonl", rows)
        io.write_jsonl(draft / "pairs.jsonl", pairs)
        io.write_json(draft / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}})
    io.write_jsonl(
        folder / "passages.jsonl", [{"id": f"p{i}", "text": f"Number {i} is red."} for i in range(5)]
    )
    return folder


REWARDED = {"max_steps": 5, "num_generations": 2, "num_iterations": 2, "max_completion_length": 4}
VERBS: dict[str, dict[str, Any]] = {"rl": REWARDED, "agentic": REWARDED, "dpo": {"max_steps": 5}}


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS)
def test_reinforcement_and_preferences_run_in_two_processes_and_resume(
    verb: str, prompts: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    """All processes see one schedule and what all of them found; batches mix rows with and without images."""
    values = {
        "model": str(tiny_vlm), "per_device_train_batch_size": 4, "save_steps": 1, "learning_rate": 0.01,
        "parts": {"language": "full", "projector": True}, **VERBS[verb],
    }  # fmt: skip
    if verb == "agentic":
        values["retriever"] = {"path": str(prompts / "passages.jsonl")}
    (tmp_path / "settings.json").write_text(json.dumps(values))
    whole = run(tmp_path / "whole", tmp_path / "settings.json", prompts / "mix", verb=verb)
    kill_with_checkpoint(tmp_path / "killed", tmp_path / "settings.json", prompts / "mix", 12, verb)
    assert outcome(
        run(tmp_path / "killed", tmp_path / "settings.json", prompts / "mix", verb=verb)
    ) == outcome(whole)
    if verb != "dpo":
        written = list(io.read_jsonl(whole / "rollouts.jsonl"))
        assert len(written) == 24, "three generations of two processes with four answers each"
        groups = [[row["sample"] for row in written[i : i + 2]] for i in range(0, 24, 2)]
        assert all(len(set(group)) == 1 for group in groups) and len({group[0] for group in groups[:4]}) == 4
