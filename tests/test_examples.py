"""The examples run, and print what they say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRINTS = {
    "link_text.py": "'left lower lobe' is lower lobe of left lung (my:4), below lung, anatomy",
    "custom_task.py": "mean 0.50, 95% interval [0.15, 0.85], 4 items",
    "own_reader.py": "('my:1',) Most often Streptococcus pneumoniae.",
}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs_and_prints_what_it_promises(path: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert PRINTS[path.name] in done.stdout
