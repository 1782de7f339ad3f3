"""Decontaminate new rows against the test splits that the old rows were compared with: a contamination record
that is handed on must be true of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from medxiaohe import io
from medxiaohe.data.curate import Against
from medxiaohe.data.duplicates import contamination_record
from medxiaohe.data.duplicates.decontamination import Match, TestItems
from medxiaohe.data.duplicates.near_images import Lens
from medxiaohe.tasks import make, named


def test_items(against: Sequence[Against], tree: Path | None, corpus: Path | None) -> TestItems | None:
    """Load the items of the test splits of tasks.

    Args:
        against: the tasks with their options.
        tree: folder of the entity tree, for tasks that need one.
        corpus: folder of a corpus, for tasks that need one.

    Returns:
        The items, indexed for comparison; None when no task is named.

    Raises:
        ConfigError: there is no such task, or its options are wrong.
    """
    if not against:
        return None
    tasks = [(entry, make(entry.task, tree, entry.options, corpus)) for entry in against]
    items = [named(sample, task) for _, task in tasks for sample in task.samples("test")]
    return TestItems(items, Lens(), {task.name for entry, task in tasks if not entry.words})


def report(
    out: Path, corpus: Path | None, items: TestItems | None, matches: Sequence[Match]
) -> dict[str, int]:
    """Write contamination.json of old and new rows together.

    Args:
        out: folder for the record.
        corpus: folder of the old rows; None: they come from no stage.
        items: the test items that the new rows were compared with; None: with none.
        matches: of the new rows.

    Returns:
        Task -> number of items, of the tasks that both old and new rows were compared with; {} where the old
        rows have no record, and then none is written.
    """
    if corpus is None or not (corpus / contamination_record.FILE).is_file():
        return {}
    old, checked = io.read_json(corpus / contamination_record.FILE), items.checked if items else {}
    both = {task: n for task, n in old["checked"].items() if task in checked}
    io.write_json(
        out / contamination_record.FILE,
        {"checked": both, "matches": [*old["matches"], *map(asdict, matches)]},
    )
    return both
