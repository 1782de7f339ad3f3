"""Resources of tools besides arguments and images: a library, knowledge of assets, named stores."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.retrieval import assets, prototypes
from medxiaohe.retrieval.cases import Cases
from medxiaohe.retrieval.graph import GraphStore
from medxiaohe.retrieval.library import open_library


def resources(library: str | None, stores: Mapping[str, str] | None = None) -> dict[str, Any]:
    """List the resources of tools besides arguments and images, opened when a tool needs them: a library,
    knowledge from assets, and the stores `graph`, `cases` and `prototypes`.

    Args:
        library: a store, a file of passages, a service, or None.
        stores: NAME -> path, of graph, cases and prototypes.

    Returns:
        name of a resource -> a function that opens it when it is first needed
    """
    named = stores or {}
    own: dict[str, Any] = {"library": cache(partial(open_library, library))} if library else {}
    if "graph" in named:
        own["graph"] = cache(partial(_graph, named["graph"]))
    if "cases" in named:
        own["cases"] = cache(lambda: Cases.read(Path(named["cases"])))
    if "prototypes" in named:
        own["prototypes"] = cache(lambda: prototypes.read(Path(named["prototypes"])))
    return {**assets.resources(), **own}


def _graph(path: str) -> GraphStore:
    store = open_library(path)
    if not isinstance(store, GraphStore):
        raise ConfigError(
            f"stores.graph: {path} is no graph store: make one with `medxiaohe knowledge build`"
        )
    return store
