"""`tasks`: list tasks as a table; with --check, read and count their items and compare them with known
fingerprints."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass

from medxiaohe import plugins
from medxiaohe import tasks as tasks_of
from medxiaohe.cli.evals import allow_task_files
from medxiaohe.cli.summary import table
from medxiaohe.errors import MedError
from medxiaohe.progress import track
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.types import Task

MODALITIES = ("image", "text")


@dataclass(frozen=True)
class Row:
    """What the table says of a task.

    Attributes:
        items: of the split test (else of the last there is); None where they were not read or are not here.
        data: here, not here, or not checked; changed where the items are others than the known ones.
    """

    task: str
    modality: str
    language: str
    scorer: str
    access: str
    license: str
    items: int | None = None
    data: str = "not checked"
    why: str = ""


def tasks(args: argparse.Namespace) -> int:
    """Print a table of tasks, one row each; with `--check` read their items (`tasks`).

    Args:
        args: `names` (all if empty), `check`, `allow_code`, `json`.

    Returns:
        exit code 0, also if the data of a task is not present.

    Raises:
        ConfigError: no such task.
    """
    allow_task_files(args.names, allow_code=getattr(args, "allow_code", False))
    names = args.names or plugins.available("tasks")
    rows = [_row(name, check=args.check) for name in (track(names, "tasks") if args.check else names)]
    if args.json:
        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
        return 0
    head = ("task", "modality", "language", "first scorer", "access", "n", "data", "licence")
    cells = [
        (
            row.task, row.modality, row.language, row.scorer, row.access,
            "-" if row.items is None else f"{row.items:,}", row.data, row.license,
        )
        for row in rows
    ]  # fmt: skip
    print(table([head, *cells], right=(5,)))
    if not args.check:
        print("\nn: medxiaohe tasks --check reads the items")
    for why in sorted({row.why for row in rows if row.why}):
        print(f"not here: {why}")
    return 0


def _row(name: str, *, check: bool) -> Row:
    task: Task = plugins.load("tasks", name)()
    first = task.scorers[0]
    row = Row(
        name,
        next((modality for modality in MODALITIES if modality in task.tags), "-"),
        next((item for item in ("chinese", "english") if item in task.tags), "-"),
        getattr(first, "__name__", type(first).__name__)
        + (" (judge)" if isinstance(first, JudgedScorer) else ""),
        task.access,
        task.license,
    )
    return _checked(row, task) if check else row


def _checked(row: Row, task: Task) -> Row:
    """Add the number of items, and whether their fingerprint is the known one."""
    split = "test" if "test" in task.splits else task.splits[-1]
    try:
        items = list(task.samples(split))
    except MedError as error:
        return Row(**{**asdict(row), "data": "not here", "why": str(error)[:200]})
    expected = task.fingerprints.get(split)
    same = expected is None or expected == tasks_of.fingerprint(items)
    return Row(**{**asdict(row), "items": len(items), "data": "here" if same else "here, changed"})
