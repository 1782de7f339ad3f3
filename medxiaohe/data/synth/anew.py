"""New rows held against the test splits that the old ones were held against: a report that is handed on must
be true of both."""

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
    """The items of the tasks' test splits; None when no task is named."""
    if not against:
        return None
    tasks = [(one, make(one.task, tree, one.options, corpus)) for one in against]
    found = [named(sample, task) for _, task in tasks for sample in task.samples("test")]
    return TestItems(found, Lens(), {task.name for one, task in tasks if not one.words})


def report(
    out: Path, corpus: Path | None, items: TestItems | None, matches: Sequence[Match]
) -> dict[str, int]:
    """contamination.json of old and new rows: the tasks both were compared with; none where `corpus` has
    none."""
    if corpus is None or not (corpus / contamination_record.FILE).is_file():
        return {}
    old, checked = io.read_json(corpus / contamination_record.FILE), items.checked if items else {}
    both = {task: n for task, n in old["checked"].items() if task in checked}
    io.write_json(
        out / contamination_record.FILE,
        {"checked": both, "matches": [*old["matches"], *map(asdict, matches)]},
    )
    return both
