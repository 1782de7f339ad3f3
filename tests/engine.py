"""Helpers of the engine tests: a recipe of the stages in stages_for_tests.py, the command as a process, bytes
on disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

STAGES = Path(__file__).parent / "stages_for_tests.py"
TEXT = "fever cough fever\nrash cough fever\n"


def recipe(folder: Path, **stages: Any) -> Path:
    """Write recipe.yaml and its input into `folder`; keyword arguments replace whole stages."""
    (folder / "input.txt").write_text(TEXT)
    standard = {
        "words": {"uses": f"{STAGES}:words", "with": {"sources": [{"path": str(folder / "input.txt")}]}},
        "top": {"uses": f"{STAGES}:top", "needs": {"words": "words"}, "with": {"most": "${most}"}},
        "join": {"uses": f"{STAGES}:join", "needs": {"top": "top", "words": "words"}},
    }
    path = folder / "recipe.yaml"
    raw = {"name": "tiny", "out": str(folder / "out"), "params": {"most": 2}, "stages": stages or standard}
    path.write_text(yaml.safe_dump(raw, sort_keys=False))
    return path


def medxiaohe(*args: Any, seconds: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in its own process, as a user runs it."""
    root = str(Path(__file__).parent.parent)
    variables = {**os.environ, "PYTHONPATH": root, **env}
    command = [sys.executable, "-m", "medxiaohe", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env=variables, timeout=seconds)


def peak_mib(*args: Any, seconds: float = 300) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run `python ARGS` in its own process; also its highest resident memory in MiB, without that of parents.

    ru_maxrss of a child begins at the memory of the process it was forked from, so VmHWM is read instead.
    """
    watched = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try:\n"
        "    if sys.argv[0] == '-m':\n"
        "        sys.argv = sys.argv[1:]\n"
        "        runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
        "    else:\n"
        "        runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally:\n"
        "    lines = open('/proc/self/status').read().splitlines()\n"
        "    print('peak', next(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    root = str(Path(__file__).parent.parent)
    command = [sys.executable, "-c", watched, *map(str, args)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, timeout=seconds
    )
    return done, int(done.stdout.rsplit("peak ", 1)[1]) / 1024


def files(out: Path) -> dict[str, bytes]:
    """Every file below a run folder but those that may differ: when it ran, and who holds it."""
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}
    return {name: data for name, data in found.items() if name not in ("log.jsonl", "progress.html", ".lock")}


def drafts(out: Path) -> list[str]:
    return [str(p) for p in out.rglob(".*") if p.name != ".lock"]


def data_recipe(folder: Path) -> Path:
    """The real stages from vocabulary to mixture, on eight rows."""
    topics = ["pneumonia", "asthma", "influenza", "tuberculosis"]
    rows = [f"{topic}\tdisease" for topic in topics]
    (folder / "mine.tsv").write_text(
        "id\tname\tkind\n" + "".join(f"my:{i}\t{row}\n" for i, row in enumerate(rows))
    )
    with open(folder / "mine.jsonl", "w") as file:
        for i in range(8):
            question = f"What should be asked about {topics[i % 4]} of a patient in case {i}?"
            answer = f"When the {topics[i % 4]} began, and whether it is the first time in case {i}."
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            file.write(
                json.dumps({"id": f"c{i}", "messages": turns, "source": "mine", "license": "CC0-1.0"}) + "\n"
            )
    sources = [{"reader": "chat_jsonl", "path": str(folder / "mine.jsonl")}]
    stages = {
        "tree": {
            "uses": "entity.build",
            "with": {"vocabularies": [{"reader": "tsv", "path": str(folder / "mine.tsv")}]},
        },
        "corpus": {"uses": "data.read", "needs": {"tree": "tree"}, "with": {"sources": sources}},
        "curated": {"uses": "data.curate", "needs": {"corpus": "corpus", "tree": "tree"}},
        "mixture": {
            "uses": "data.mixture",
            "needs": {"data": "curated", "tree": "tree"},
            "with": {"instructions": 6},
        },
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return path
