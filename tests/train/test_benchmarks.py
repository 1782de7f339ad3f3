"""Benchmarks of training run at toy size, with the parts they have at full size."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io

pytest.importorskip("trl")
BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


def figures(script: str, folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(BENCHMARKS / script), *arguments, "--json", str(folder / "found.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = io.read_json(folder / "found.json")
    return found


@pytest.mark.long
@pytest.mark.slow
def test_the_benchmark_of_gpus_measures_every_arm_on_a_cpu_and_claims_no_mfu(tmp_path: Path) -> None:
    pytest.importorskip("torchvision")
    found = figures("gpu.py", tmp_path, "--size", "toy", "--minutes", "0.02")
    assert found["device"] == "cpu" and found["exact"] == {"logits": 0.0, "losses": 0.0}
    assert set(found["sft"]) == {"lora", "full", "packed", "mixed"}
    for arm in found["sft"].values():
        assert "refused" in arm or (arm["steps"] >= 2 and arm["tokens_per_second"] > 0 and arm["mfu"] is None)
    assert found["grpo"]["steps"] >= 2 and found["grpo"]["sampled_tokens_per_second"] > 0


@pytest.mark.long
def test_the_benchmark_of_data_loading_measures_its_four_parts(tmp_path: Path) -> None:
    sizes = ("--images", "40", "--texts", "200", "--longest", "2000", "--files", "4", "--batches", "6")
    found = figures("data_loading.py", tmp_path, *sizes)
    assert (
        found["images, workers 2"]["result"]["tokens"] == found["images, workers 1"]["result"]["tokens"] > 0
    )
    assert found["texts, 200"]["peak"] > 0 and found["load, two workers against one"] > 0
    assert found["plan, 2000, packed to 2048"]["result"]["fill"] > 0.9
