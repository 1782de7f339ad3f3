"""Facts of a medical graph about an entity."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from medxiaohe.errors import ToolError
from medxiaohe.retrieval.graph import GraphStore, build_graph
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, Relation, ToolResult

MOST_NAME = 200  # characters


@cache
def _example() -> GraphStore:
    """A graph of one fact for the contract test; no task gets it."""
    with TemporaryDirectory() as folder:
        build_graph(Path(folder), [Relation("scurvy", "has symptom", "bleeding gums", source="example")])
        store = GraphStore(Path(folder))
        store.verify()  # opens the file, which may then go
    return store


EXAMPLE_RESOURCES = {"graph": _example}


@tool(example={"entity": "scurvy"})
def relations(
    entity: str, predicate: str = "", other: str = "", *, graph: GraphStore, top: int = 30
) -> ToolResult | tuple[Evidence, ...]:
    """Facts of a medical graph about an entity, by any of its names (Chinese, or English where it has an
    English name): with a predicate, such as 适应症, and with another entity if given. What is not listed is
    not known here, which does not mean that it is false. Cite them as [id]."""
    for name in (entity, predicate, other):
        if len(name) > MOST_NAME:
            raise ToolError(f"a name has at most {MOST_NAME} characters")
    if not entity.strip():
        raise ToolError("name an entity")
    if result := graph.about(entity, predicate, other, top):
        return result
    if not graph.knows(entity):
        return ToolResult("", (f"the graph has nothing under the name {entity}: try another name of it",))
    return ToolResult(
        "", (f"the graph lists no such fact about {entity}; not listed does not mean that there is none",)
    )
