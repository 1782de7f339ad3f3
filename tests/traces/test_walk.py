"""The two-minute walk of docs/traces.md, run as it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "traces.md").read_text()


def commands() -> list[str]:
    block = PAGE.partition("## Two minutes")[2].split("```")[1]
    return [line.partition("   #")[0] for line in block.strip().splitlines()[1:]]


def test_the_commands_of_the_walk_do_what_the_page_says(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = []
    for command in commands():
        words = command.replace("examples/", f"{ROOT}/examples/").replace("python ", f"{sys.executable} ", 1)
        words = words.replace("medxiaohe ", f"{sys.executable} -m medxiaohe ", 1)
        done.append(subprocess.run(words, shell=True, cwd=tmp_path, env=env, capture_output=True, text=True))
    codes = [one.returncode for one in done]
    assert codes == [0] * 9 + [1, 1], [one.stderr for one in done]
    bad = "trace 0, source/0: its opening is not what was sealed"
    assert bad in done[9].stdout and bad in done[10].stdout and f"bad: {bad}" in PAGE
    assert "0 closed" in done[2].stdout.splitlines()[1] and "15 closed" in done[7].stdout.splitlines()[1]
    assert "no claim" in (tmp_path / "trace.html").read_text()
