"""`data contamination`: training rows that match test items, as a table and as a page with the pairs side
by side."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from medxiaohe import io
from medxiaohe.cli.runs import finished_folder
from medxiaohe.cli.summary import table
from medxiaohe.errors import DataError
from medxiaohe.pages.sections.contamination_page import REASONS, page


def contamination(args: argparse.Namespace) -> int:
    """Show which training rows matched test items, as a table and as a page with the pairs (`data
    contamination`).

    Args:
        args: `report` (contamination.json, or the folder of a data.curate stage), `out` (the page, None
            for contamination.html), `json`.

    Returns:
        exit code 0 if no row matched, 1 if rows did (data.curate has removed them from the corpus).

    Raises:
        DataError: there is no report, it is malformed, or the corpus was compared with no test split.
    """
    path = (
        args.report
        if args.report.is_file()
        else finished_folder(args.report, "REPORT") / "contamination.json"
    )
    if not path.is_file():
        raise DataError(f"{path.parent} has no contamination.json: name the folder of a data.curate stage")
    report = io.read_json(path)
    if (
        not isinstance(report, dict)
        or not isinstance(report.get("matches"), list)
        or not isinstance(report.get("checked"), dict)
    ):
        raise DataError(f"{path}: not what data.curate wrote")
    if not report["checked"]:
        raise DataError(
            f"{path}: the corpus was compared with no test split: name tasks in data.curate's `against`"
        )
    out = args.out or Path("contamination.html")
    # RUN/STAGE/VERSION: where the machine keeps it concerns no reader of the page
    io.write_text(out, page(report, "/".join(path.resolve().parent.parts[-3:])))
    print(json.dumps(_counts(report)) if args.json else _text(report, out))
    return 1 if report["matches"] else 0


def _counts(report: dict[str, object]) -> dict[str, dict[str, int]]:
    matches: list[dict[str, str]] = report["matches"]  # type: ignore[assignment]
    checked: dict[str, int] = report["checked"]  # type: ignore[assignment]
    hits = Counter((row["task"], row["reason"]) for row in matches)
    return {
        task: {"items": n, **{reason: hits[task, reason] for reason in REASONS}}
        for task, n in checked.items()
    }


def _text(report: dict[str, object], out: Path) -> str:
    rows = [("task", "items", *(f"rows {words}" for words in REASONS.values()))]
    rows += [(task, *(f"{n:,}" for n in row.values())) for task, row in _counts(report).items()]
    return "\n".join([table(rows, right=range(1, len(rows[0]))), "", f"page  {out}"])
