"""Search a library of passages: `search(passages)` is the tool over them."""

from collections.abc import Iterable

from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, Tool

LIBRARY = (
    Evidence("1", "Scurvy is a deficiency of vitamin C.", "made up"),
    Evidence("2", "Insulin is made in the pancreas.", "made up"),
)
EXAMPLE = {"query": "what causes scurvy"}


def search(passages: Iterable[Evidence] = LIBRARY, top: int = 5) -> Tool:
    index = BM25(passages)

    @tool
    def search(query: str) -> tuple[Evidence, ...]:
        """Passages of the medical library that match the query, best first. Cite them as [id]."""
        return index.search(query, top)

    return search
