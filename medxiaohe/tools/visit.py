"""Read on in a document of the library."""

from __future__ import annotations

from dataclasses import replace

from medxiaohe.errors import DataError, ToolError
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.store import Store
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, Locator, ToolResult

MOST = 8_000  # characters of a window
LONGEST_ID = 500
# a tiny library for the contract test; no task gets it
EXAMPLE_RESOURCES = {"library": BM25([Evidence("1", "Scurvy is a deficiency of vitamin C.", "example")])}


@tool(example={"id": "1"})
def visit(id: str, start: int = 0, size: int = 2_000, *, library: Store) -> ToolResult:
    """A window of a whole document, by an id that search returned: `size` characters from the character
    `start`, counted from 0. It says how long the document is and where the next window starts. Only documents
    of the library are read, never an address of the web. Cite it as [id]."""
    if not id.strip() or len(id) > LONGEST_ID:
        raise ToolError(f"id is what search returned in brackets, at most {LONGEST_ID} characters")
    if start < 0 or not 1 <= size <= MOST:
        raise ToolError(f"start is at least 0 and size 1 to {MOST}, not {start} and {size}")
    try:
        document = library.get(id)
    except DataError as error:
        raise ToolError(str(error)) from error
    length = len(document.text)
    if start >= max(length, 1):
        raise ToolError(f"{id} has {length} characters: start is below that")
    end = min(start + size, length)
    window = replace(
        document,
        id=f"{document.id}@{start}-{end}",
        text=document.text[start:end],
        at=Locator(span=(start, end)),
        by="visit",
    )
    continuation = f"; the next window starts at {end}" if end < length else "; this is its end"
    head = f"characters {start} to {end} of {length:,} of {document.id}{continuation}"
    return ToolResult("", (f"{head}\n[{window.id}] {window.text}",), evidence=(window,))
