"""The examples run, and print what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medxiaohe.recipe import load
from medxiaohe.types import Message, Trace

ROOT = Path(__file__).parent.parent.parent
PRINTS = {
    "link_text.py": "'left lower lobe' is lower lobe of left lung (my:4), below lung, anatomy",
    "custom_task.py": "mean 0.50, 95% interval [0.10, 0.90], 4 items",
    "own_reader.py": "('my:1',) Most often Streptococcus pneumoniae.",
    "make_own_data.py": "120 rows of 60 patients",
    "docstrings.py": "json/decoder:",
    "own_workflow.py": "Scurvy after 3 requests",
    "rl_loop.py": "after: reward",
    "make_traces.py": "\n",
}
NEEDS_A_FOLDER = ("verify_trace.py",)  # run by tests/traces


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (ROOT / "examples").glob("*.py") if p.name not in NEEDS_A_FOLDER),
    ids=lambda p: p.name,
)
def test_an_example_runs_and_prints_what_it_promises(path: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, cwd=tmp_path, env=env, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert PRINTS[path.name] in done.stdout
    if path.name == "rl_loop.py":
        before, after = (
            float(re.findall(rf"{when}: reward (\S+)", done.stdout)[0]) for when in ("before", "after")
        )
        assert after >= before + 0.25, done.stdout


def test_the_task_of_the_readme_scores_its_gold_answer() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(blocks[0], names)
    task = names["dosing"]()
    (item,) = task.samples("test")
    replies = {"1000 mg": (1.0, "judged"), "900": (0.0, "judged"), "a lot": (0.0, "unparsed")}
    for reply, expected in replies.items():
        trace = Trace(item.prompt, (*item.prompt.messages, Message("assistant", (reply,))))
        score = task.scorers[0](item, trace)
        assert (score.value, score.status) == expected


def test_three_edited_lines_make_the_quickstart_read_ones_own_file(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"text": "A page."}\n')
    mine = f"- {{reader: chat_jsonl, path: {tmp_path}/mine.jsonl}}"
    recipe, count = re.subn(r"- \{reader: .*\}", mine, (ROOT / "recipes/quickstart.yaml").read_text())
    assert count == 1
    recipe = recipe.replace("name: quickstart", "name: mine").replace(
        "out: out/quickstart", f"out: {tmp_path}/out"
    )
    (tmp_path / "mine.yaml").write_text(recipe)
    loaded = load.load(tmp_path / "mine.yaml")
    assert loaded.name == "mine" and loaded.stages[1].settings.sources[0].reader == "chat_jsonl"
