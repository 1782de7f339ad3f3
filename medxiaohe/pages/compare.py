"""The stage `pages.compare`: one self-contained HTML page that compares two evaluations item by item.

The page works offline, asks for nothing from anywhere and holds no time: the same results give the same
bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.pages.elements import frame
from medxiaohe.pages.elements.html import Html, count, decimal, interval, section, table, tag
from medxiaohe.pages.evaluation import EvaluationSettings, model_name
from medxiaohe.pages.sections import eval_items

FIXED, BROKE, RIGHT, WRONG = "fixed", "broke", "both right", "both wrong"
CHANGES = (BROKE, FIXED, WRONG, RIGHT)  # in the order of the page


@dataclass(frozen=True)
class ComparisonSettings(EvaluationSettings):
    pass


def compare(settings: ComparisonSettings, out: Path, *, base: Path, other: Path) -> dict[str, str]:
    """Write index.html about two evals.run stages that asked the same items.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        base: the folder of the first evaluation.
        other: the folder of the second.

    Returns:
        {page: path}

    Raises:
        DataError: they have no item in common.
    """
    results = [io.read_json(folder / "results.json") for folder in (base, other)]
    most = settings.items if settings.words else 0
    shown = eval_items.collect(base, most, settings.thumbnails if settings.images else 0, settings.side)
    changes = eval_items.add_other(shown, base, other)
    if not any(changes.values()):
        raise DataError(f"{base} and {other} have no item in common: evaluate both on the same tasks")
    names = [model_name(result) for result in results]
    sections = [_scores(results, names, changes), eval_items.section_of(shown)]
    title = settings.title or f"{names[1]} against {names[0]}"
    contents = (("changes", "What changed"), ("items", "Items"))
    styles = ("report.css", "evaluation.css")
    page = frame.document(title, "medxiaohe comparison", contents, sections, styles, ("evaluation.js",))
    io.write_text(out / "index.html", page)
    return {"page": "index.html"}


def _scores(results: list[dict[str, Any]], names: list[str], changes: Mapping[str, Counter[str]]) -> Html:
    """Tabulate both scores, and the number of changed items, by task."""
    rows = []
    for task, counts in changes.items():
        cells: list[Any] = [tag("a", task, href=f"#items?{eval_items.query(task=task)}")]
        for result in results:
            scores = result["tasks"].get(task, {}).get("scores")
            cells.append(
                f"{decimal(scores['mean'])} {interval(scores['low'], scores['high'])}" if scores else "none"
            )
        cells += [
            tag("a", count(counts[change]), href=f"#items?{eval_items.query(task=task, verdict=change)}")
            for change in CHANGES
        ]
        rows.append(tuple(cells))
    head = ("Task", f"Base: {names[0]}", f"Other: {names[1]}", "Broke", "Fixed", "Both wrong", "Both right")
    words = (
        "An item is right when its score is 1. Broke: right in the base, not in the other; fixed: the other"
        " way round. `medxiaohe eval compare` tests whether the difference is more than chance."
    )
    return section(
        "changes",
        "What changed",
        tag("p", words, class_="quiet"),
        tag("div", table("Items by outcome", head, rows, numbers=range(1, 7)), class_="sortable"),
    )
