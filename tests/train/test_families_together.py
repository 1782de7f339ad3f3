"""Two processes train every family together, as copies (DDP) or one model shared out (FSDP2): what comes out
is what one process makes of the same batches."""

import json
import os
import subprocess
import sys
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
pytestmark = pytest.mark.slow
__all__ = ["mixture", "texts"]  # fixtures
ROOT = Path(__file__).parent.parent.parent
SETTINGS: dict[str, Any] = {
    "parts": {"language": "full", "projector": True, "vision": True}, "max_steps": 2, "max_length": 1024,
    "per_device_train_batch_size": 1, "learning_rate": 0.1, "warmup_steps": 0, "optim": "sgd",
}  # fmt: skip


@pytest.fixture(scope="module", params=["none", "fsdp"])
def together(
    request: pytest.FixtureRequest,
    families_folder: Path,
    mixture: Path,
    texts: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with what two processes made of each family."""
    out = tmp_path_factory.mktemp(request.param)
    jobs = []
    for name in tiny_families.NAMES:
        if not tiny_families.missing(name):
            model = str(tiny_families.build(name, families_folder))
            data = str(texts if name in tiny_families.TEXT_ONLY else mixture)
            settings = {**SETTINGS, "model": model, "sharding": request.param}
            jobs.append({"settings": settings, "data": data, "out": str(out / name)})
    (out / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--standalone"]
    command = [*launch, str(ROOT / "tests" / "families_driver.py"), str(out / "jobs.json")]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with open(out / "log.txt", "w", encoding="utf-8") as log:
        subprocess.run(command, env=env, stdout=log, stderr=log, timeout=900, check=False)
    return out


def test_two_processes_make_of_a_family_what_one_makes_of_the_same_batches(
    family: Family, together: Path, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    made = together / family.name
    error = made / "error.txt"
    assert (made / "model").is_dir(), (error if error.is_file() else together / "log.txt").read_text()[-3000:]
    data = Path(request.getfixturevalue("texts" if family.is_blind else "mixture"))
    # a step of two processes has two batches of the plan
    values = {**SETTINGS, "model": str(family.folder), "gradient_accumulation_steps": 2}
    sft(build(FitSettings, values, "with"), tmp_path / "o", data=data)
    losses = [
        [row["loss"] for row in io.read_jsonl(place / "metrics.jsonl")] for place in (made, tmp_path / "o")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert apart(made, tmp_path / "o") < 1e-5 < apart(family.folder, tmp_path / "o", "")


def apart(a: Path, b: Path, inner: str = "model") -> float:
    """The largest difference between the weights of two checkpoints."""
    from safetensors.torch import load_file

    first = load_file(a / inner / "model.safetensors")
    second = load_file(b / "model" / "model.safetensors")
    assert first.keys() == second.keys()
    return max(float((first[name].float() - second[name].float()).abs().max()) for name in first)
