"""The page of `data contamination`: each training row that matches a test item, beside that item, by task
and kind of match."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from medxiaohe.pages.elements.frame import document
from medxiaohe.pages.elements.html import Html, count, details, plural, section, share, table, tag
from medxiaohe.pages.sections.data_sections import pair

REASONS = {
    "test_image": "by an image", "test_patient": "by a patient", "test_study": "by a study, article or case",
    "test_text": "by words",
}  # fmt: skip
SHOWN = 200  # pairs of a task


def page(report: Mapping[str, Any], name: str) -> str:
    """Build the page of training rows that match test items. It holds text of test items, so keep it private.

    Args:
        report: contamination.json of data.curate.
        name: of the corpus, for the title.

    Returns:
        the HTML document, with at most `SHOWN` pairs of each task.
    """
    checked, matches = report.get("checked") or {}, report.get("matches") or []
    by_task: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in matches:
        by_task[str(row.get("task"))].append(row)
    parts = [("summary", "What was found", _summary(checked, by_task))]
    for number, (task, rows) in enumerate(sorted(by_task.items())):
        lead = f"{plural(len(rows), 'training row')} removed." + (
            f" The first {SHOWN} are shown." if len(rows) > SHOWN else ""
        )
        groups = [
            details(f"{words}: {count(len(matched))}", [pair(row) for row in matched[:SHOWN]], open_=True)
            for reason, words in REASONS.items()
            if (matched := [row for row in rows if row.get("reason") == reason])
        ]
        parts.append((f"task{number}", task, section(f"task{number}", task, tag("p", lead), groups)))
    contents = [(id, title) for id, title, _ in parts]
    title = f"Test items in {name}: {plural(len(matches), 'match', 'matches')}"
    return document(
        title, "medxiaohe data contamination", contents, [body for _, _, body in parts], ("report.css",), ()
    )


def _summary(checked: Mapping[str, int], by_task: Mapping[str, list[Mapping[str, Any]]]) -> Html:
    if not checked:
        return section(
            "summary",
            "What was found",
            tag("p", "The corpus was compared with no test split.", class_="notice"),
        )
    rows = []
    for task, items in checked.items():
        reasons = Counter(str(row.get("reason")) for row in by_task.get(task, ()))
        leaked = len({row.get("item") for row in by_task.get(task, ())})
        rows.append(
            (
                task,
                count(items),
                count(leaked),
                share(leaked, items),
                *(count(reasons[reason]) for reason in REASONS),
            )
        )
    head = ("Task", "Test items", "Leaked items", "Share", *(f"Rows {words}" for words in REASONS.values()))
    lead = (
        "A row that gives away a test item is removed from the training data; each is shown beside the item,"
        " with what they share marked."
    )
    return section(
        "summary", "What was found", tag("p", lead),
        table("Test items checked and matching training rows, by task", head, rows, numbers=tuple(range(1,
        len(head)))),
    )  # fmt: skip
