"""Read the state of a run folder: which stages are finished, and which runs now."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe.recipe import run


@dataclass(frozen=True)
class State:
    """A run folder.

    Attributes:
        stages: names of the recipe's stages, in order.
        done: folders of those that are finished.
        running: the stage that runs now; "" where none does.
        started: when it began, in seconds since 1970.
        process: the number of the process that holds the folder; 0 where none does.
        minutes: how long stages take on two quiet cores.
    """

    stages: list[str]
    done: Mapping[str, Path]
    running: str
    started: float
    process: int
    minutes: Mapping[str, float]


def state(out: Path) -> State:
    """Read the state of a run folder: what is finished, and what runs now.

    Args:
        out: the run folder.

    Returns:
        The state.

    Raises:
        DataError: there is no such folder.
    """
    done = run.finished(out)
    rows: list[dict[str, Any]] = []
    path = out / "log.jsonl"
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError):  # a line that a kill cut short
            continue
    plan: dict[str, Any] = next((row for row in reversed(rows) if isinstance(row.get("stages"), list)), {})
    begun: dict[str, Any] = next((row for row in reversed(rows) if "stage" in row), {})
    running = holder(out)
    now = str(begun.get("stage", "")) if running and "seconds" not in begun else ""
    names = [str(name) for name in plan.get("stages", [])] or sorted(done)
    minutes = {name: float(value) for name, value in dict(plan.get("minutes", {})).items()}
    return State(names, done, now, float(begun.get("started", 0.0)) if now else 0.0, running, minutes)


def holder(folder: Path) -> int:
    """Return the process that runs in a folder.

    Returns:
        Its number; 0 where none does, -1 where the number is not known yet.
    """
    try:
        handle = os.open(folder / ".lock", os.O_RDONLY)
    except OSError:
        return 0
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return 0
    except BlockingIOError:
        text = os.read(handle, 100).decode(errors="replace")
        return int(text) if text.isdigit() else -1
    finally:
        os.close(handle)
