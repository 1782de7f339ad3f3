"""Search a library of passages, which the task or the settings name."""

from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.library import Library
from medxiaohe.tools import tool
from medxiaohe.types import Evidence

# a tiny library for the contract test; no task gets it
EXAMPLE_RESOURCES = {
    "library": BM25(
        [
            Evidence("1", "Scurvy is a deficiency of vitamin C.", "example"),
            Evidence("2", "Insulin is made in the pancreas.", "example"),
        ]
    )
}


@tool(example={"query": "what causes scurvy"}, seconds=90)  # a service is asked three times
def search(query: str, *, library: Library, top: int = 5) -> tuple[Evidence, ...]:
    """Passages of the medical library that match the query, best first. Cite them as [id]."""
    return tuple(library.search(query, top))
