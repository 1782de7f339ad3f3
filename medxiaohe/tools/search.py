"""Search a library of passages, which the task or the settings name."""

from medxiaohe.errors import DataError, ToolError
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.store import Store, check
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
def search(query: str, *, library: Store, top: int = 5) -> tuple[Evidence, ...]:
    """Passages of the medical library that match the query, best first. Cite them as [id]."""
    try:
        check([query], top)
        (passages,) = library.search([query], top)
    except DataError as error:  # the model can ask otherwise
        raise ToolError(str(error)) from error
    return tuple(passages)
