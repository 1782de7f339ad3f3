"""Papers of the library, by years."""

from __future__ import annotations

from medxiaohe.errors import DataError, ToolError
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.store import Filtered, Store, check
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, ToolResult

FIRST, LAST = 1600, 2200  # years that a date may have
# a tiny library for the contract test; no task gets it
EXAMPLE_RESOURCES = {
    "library": BM25(
        [
            Evidence("1", "Vitamin C in scurvy: a trial.", "example", date="1932-04"),
            Evidence("2", "Scurvy on long voyages.", "example", date="1753"),
            Evidence("3", "Scurvy, of no date.", "example"),
        ]
    )
}


@tool(example={"query": "scurvy", "from_year": 1900}, seconds=90)
def scholar(
    query: str,
    from_year: int | None = None,
    to_year: int | None = None,
    *,
    library: Store,
    top: int = 5,
) -> ToolResult | tuple[Evidence, ...]:
    """Papers of the medical library that match the query, best first, with their year; only those published
    from `from_year` and up to `to_year` if given. What has no date is not a paper here. Cite them as [id]."""
    first, last = from_year or FIRST, to_year or LAST
    if not FIRST <= first <= last <= LAST:
        raise ToolError(
            f"years are {FIRST} to {LAST}, from_year not after to_year, not {from_year} and {to_year}"
        )
    try:
        check([query], top)
        dated = Filtered(library, lambda document: first <= year_of(document) <= last)
        (papers,) = dated.search([query], top)
    except DataError as error:  # the model can ask otherwise
        raise ToolError(str(error)) from error
    if not papers:
        return ToolResult("", ("the library has no paper of these years that matches",))
    lines = [f"[{item.id}] ({year_of(item)}) {item.text}" for item in papers]
    return ToolResult("", ("\n".join(lines),), evidence=papers)


def year_of(document: Evidence) -> int:
    """Read the year of a document's date.

    Returns:
        the year, 0 where there is none.
    """
    year = document.date[:4]
    return int(year) if len(year) == 4 and year.isdigit() else 0
