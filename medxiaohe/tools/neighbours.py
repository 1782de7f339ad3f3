"""What a medical graph knows around the entities of a text."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from medxiaohe.errors import ToolError
from medxiaohe.retrieval.graph import GraphStore, build_graph
from medxiaohe.retrieval.neighbours import around
from medxiaohe.tools import tool
from medxiaohe.types import Relation, ToolResult

MOST_TEXT = 5000  # characters
MOST_FACTS = 30  # that are shown


@cache
def _example() -> GraphStore:
    """A graph of two facts for the contract test; no task gets it."""
    facts = [
        Relation("scurvy", "has symptom", "bleeding gums", source="example"),
        Relation("scurvy", "treated by", "vitamin C", source="example"),
    ]
    with TemporaryDirectory() as folder:
        build_graph(Path(folder), facts)
        store = GraphStore(Path(folder))
        store.verify()  # opens the file, which may then go
    return store


EXAMPLE_RESOURCES = {"graph": _example}


@tool(example={"text": "Is it scurvy? My bleeding gums hurt."})
def neighbours(text: str, *, graph: GraphStore, top: int = 50) -> ToolResult:
    """Medical entities that a text mentions, facts of a graph between them, and neighbours in the graph that
    may matter next, the most telling first. Cite facts as [id]."""
    if not text.strip() or len(text) > MOST_TEXT:
        raise ToolError(f"give a text of 1 to {MOST_TEXT:,} characters, not of {len(text):,}")
    near = around(graph, text, top)
    facts = near.direct[:MOST_FACTS]
    lines = [f"[{fact.id}] {fact.text}" for fact in facts]
    shown = (
        f"Mentioned: {', '.join(near.entities) or 'none'}. Denied: {', '.join(near.denied) or 'none'}.\n"
        f"Facts between them:\n{chr(10).join(lines) or 'none'}\n"
        f"Neighbours: {', '.join(near.potential) or 'none'}."
    )
    data = {
        "entities": list(near.entities),
        "denied": list(near.denied),
        "direct": lines,
        "potential": list(near.potential),
    }
    return ToolResult("", (shown,), facts, data=data)
