"""kill -9 at every durable write, then resume: the bytes on disk are those of a run that was never killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import engine
import pytest


def kills(folder: Path, *arguments: str, start: str = "", preload: str = "") -> int:
    """Kill a command at every durable step in turn, with its run folders below `folder`; returns how many
    kills."""
    folder.mkdir()
    driver = Path(__file__).parent.parent / "crash_driver.py"
    command = [sys.executable, str(driver), str(folder), start, *arguments]
    env = {
        "PYTHONPATH": str(driver.parent.parent),
        "MEDXIAOHE_CODE": "any",
        "PRELOAD": preload,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=1500)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(json.loads(done.stdout.splitlines()[-1])["kills"])


def assert_all_like(folder: Path, reference: Path, num: int) -> None:
    expected = engine.files(reference)
    for n in range(1, num + 1):
        assert engine.files(folder / str(n)) == expected, f"killed at step {n}"
        assert not engine.drafts(folder / str(n)), f"killed at step {n}"


def test_a_run_killed_at_any_write_resumes_to_identical_bytes(tmp_path: Path) -> None:
    recipe = str(engine.recipe(tmp_path))
    assert engine.medxiaohe("run", recipe, "--out", tmp_path / "whole").returncode == 0
    num = kills(tmp_path / "killed", "run", recipe, "--out", "@")
    assert num > 20
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)


@pytest.mark.long
def test_replacing_finished_stages_killed_at_any_write_resumes_to_identical_bytes(tmp_path: Path) -> None:
    recipe = str(engine.recipe(tmp_path))
    engine.medxiaohe("run", recipe, "--out", tmp_path / "before")
    change = ("--set", "words.case=upper", "--accept-change")
    assert engine.medxiaohe("run", recipe, "--out", tmp_path / "whole", *change).returncode == 0
    num = kills(tmp_path / "killed", "run", recipe, *change, "--out", "@", start=str(tmp_path / "before"))
    assert num > 20
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)


@pytest.mark.long
def test_the_data_stages_killed_at_any_write_resume_to_identical_bytes(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    recipe = str(engine.data_recipe(tmp_path))
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    num = kills(tmp_path / "killed", "run", recipe, "--out", "@")
    assert num > 40
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)


@pytest.mark.long
def test_a_training_stage_killed_at_any_write_resumes_to_identical_weights(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trl")
    parts = {"language": "lora", "lora_r": 2, "projector": False}
    train = {"model": str(tiny_vlm), "max_steps": 2, "per_device_train_batch_size": 2, "parts": parts}
    stages = {
        "lessons": {"uses": f"{engine.STAGES}:lessons"},
        "sft": {"uses": "train.sft", "needs": {"data": "lessons"}, "with": train},
    }
    recipe = str(engine.recipe(tmp_path, **stages))
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    num = kills(
        tmp_path / "killed", "run", recipe, "--out", "@", preload="torch,transformers,trl,peft,datasets"
    )
    assert num > 10 and (tmp_path / "whole" / "sft" / "1" / "model" / "model.safetensors").is_file()
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)
