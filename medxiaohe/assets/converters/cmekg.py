"""CMeKG from the pickle of PyCMeKG: subject -> predicate -> objects, as one JSON line for each subject."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medxiaohe.errors import AssetError

PLAIN = True  # the pickle holds texts, lists and mappings alone


def cmekg(graph: Any) -> dict[str, Iterator[dict[str, Any]]]:
    """Convert the graph of PyCMeKG to rows.

    Args:
        graph: subject -> predicate -> object, or list of objects.

    Returns:
        `relations.jsonl` -> rows {"subject", "relations": {predicate: [object]}}, by subject.

    Raises:
        AssetError: it is no mapping of texts; raised while the rows are read, except for the graph itself.
    """
    if not isinstance(graph, Mapping):
        raise AssetError(f"the graph is a {type(graph).__name__} and no mapping of subjects")
    return {"relations.jsonl": _rows(graph)}


def _rows(graph: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    for subject in sorted(graph, key=str):
        relations = {}
        for predicate, objects in graph[subject].items():
            every = objects if isinstance(objects, list) else [objects]
            if not isinstance(subject, str) or not all(isinstance(item, str) for item in (predicate, *every)):
                raise AssetError(f"the graph has something other than text about {str(subject)[:60]!r}")
            relations[predicate] = every
        yield {"subject": subject, "relations": relations}
