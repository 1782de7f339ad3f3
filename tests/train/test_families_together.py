"""Two processes train every family together, as copies (DDP) or one model shared out (FSDP2): what comes out
is what one process makes of the same batches."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_families
from test_families_train import mixture, texts
from tiny_families import Family

from medxiaohe import io
from medxiaohe.recipe.settings import build
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.sft import sft

pytest.importorskip("trl")
pytestmark = [pytest.mark.slow, pytest.mark.long]
__all__ = ["mixture", "texts"]  # fixtures
ROOT = Path(__file__).parent.parent.parent
SETTINGS: dict[str, Any] = {
    "parts": {"language": "full", "projector": True, "vision": True}, "max_steps": 2, "max_length": 1024,
    "per_device_train_batch_size": 1, "learning_rate": 0.1, "warmup_steps": 0, "optim": "sgd",
}  # fmt: skip


EVALUATED: dict[str, Any] = {
    "eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True, "learning_rate": 40.0,
}  # fmt: skip


def validation(folder: Path, mixture: Path) -> Path:
    """A corpus whose validation split has a row of text and two with images."""
    rows = [replace(row, split="validation") for row in io.read_samples(mixture / "instructions.jsonl")]
    io.write_jsonl(folder / "samples.jsonl", rows[:3])
    return folder


@pytest.fixture(scope="module")
def together(
    families_folder: Path, mixture: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """A folder with what two processes made of each family, by how they share the model; made once."""
    arguments = (families_folder, mixture, texts, tmp_path_factory)
    return functools.cache(lambda sharding: trained(sharding, *arguments))


def trained(
    sharding: str, families_folder: Path, mixture: Path, texts: Path, factory: pytest.TempPathFactory
) -> Path:
    out = factory.mktemp(sharding)
    jobs = []
    for name in tiny_families.NAMES:
        if not tiny_families.missing(name):
            model = str(tiny_families.build(name, families_folder))
            data = str(texts if name in tiny_families.TEXT_ONLY else mixture)
            settings = {**SETTINGS, "model": model, "sharding": sharding}
            jobs.append({"settings": settings, "data": data, "out": str(out / name)})
    # and the tiny LLaVA once more, with a validation split of three rows, which two processes cannot halve
    held = validation(out / "held", mixture)
    settings = {**jobs[0]["settings"], **EVALUATED}
    jobs.append({**jobs[0], "settings": settings, "validation": str(held), "out": str(out / "evaluated")})
    (out / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    command = [*launch, str(ROOT / "tests" / "families_driver.py"), str(out / "jobs.json")]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with open(out / "log.txt", "w", encoding="utf-8") as log:
        subprocess.run(command, env=env, stdout=log, stderr=log, timeout=900, check=False)
    return out


def test_two_processes_make_of_a_family_what_one_makes_of_the_same_batches(
    family: Family,
    together: Callable[[str], Path],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    data = Path(request.getfixturevalue("texts" if family.is_blind else "mixture"))
    # a step of two processes has two batches of the plan
    values = {**SETTINGS, "model": str(family.folder), "gradient_accumulation_steps": 2}
    sft(build(FitSettings, values, "with"), tmp_path / "o", data=data)
    alone = [row["loss"] for row in io.read_jsonl(tmp_path / "o" / "metrics.jsonl")]
    assert apart(family.folder, tmp_path / "o", "") > 1e-3, "it moves"
    for sharding in ("none", "fsdp"):
        made = together(sharding) / family.name
        error = made / "error.txt" if (made / "error.txt").is_file() else made.parent / "log.txt"
        assert (made / "model").is_dir(), error.read_text()[-3000:]
        losses = [row["loss"] for row in io.read_jsonl(made / "metrics.jsonl")]
        assert losses == pytest.approx(alone, rel=1e-4), sharding
        assert apart(made, tmp_path / "o") < 1e-5, sharding


def test_two_processes_evaluate_as_one_and_return_to_the_same_weights(
    together: Callable[[str], Path], families_folder: Path, mixture: Path, tmp_path: Path
) -> None:
    model = str(tiny_families.build("starter", families_folder))
    values = {**SETTINGS, **EVALUATED, "model": model, "gradient_accumulation_steps": 2}
    held = validation(tmp_path / "held", mixture)
    found = sft(build(FitSettings, values, "with"), tmp_path / "o", data=mixture, validation=held)
    alone = [row["eval_loss"] for row in io.read_jsonl(tmp_path / "o" / "metrics.jsonl")]
    assert len(alone) == 2 and found["best_step"] == 1, "a rate that spoils the second step"
    for sharding in ("none", "fsdp"):
        made = together(sharding) / "evaluated"
        losses = [row["eval_loss"] for row in io.read_jsonl(made / "metrics.jsonl")]
        assert losses == pytest.approx(alone, rel=1e-2), sharding
        assert apart(made, tmp_path / "o") < 1e-4, sharding


def apart(a: Path, b: Path, inner: str = "model") -> float:
    """The largest difference between the weights of two checkpoints."""
    from safetensors.torch import load_file

    first = load_file(a / inner / "model.safetensors")
    second = load_file(b / "model" / "model.safetensors")
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)
