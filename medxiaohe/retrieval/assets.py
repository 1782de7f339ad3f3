"""Knowledge from assets: data of the tools clinical, drug and relations."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import assets, io
from medxiaohe.retrieval import graph
from medxiaohe.retrieval.corpus import FORMAT
from medxiaohe.retrieval.drugs import Interactions, RenalDoses
from medxiaohe.retrieval.guidelines import Guidelines

TEXTS = (".json", ".md", ".tsv")


def texts(folder: Path) -> dict[str, str]:
    """Read the text files of an asset's folder and of those below.

    Returns:
        path relative to the folder -> text, in the order of the paths; only the suffixes TEXTS.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix in TEXTS)
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in paths}


def resources() -> dict[str, Callable[[], Any]]:
    """List the resources of tools that come with assets.

    Returns:
        name -> function that opens the resource; its asset is obtained when a tool first needs it.
    """
    return {
        "guidelines": guidelines,
        "interactions": _interactions,
        "renal_doses": _renal_doses,
        "graph": _graph,
    }


@cache
def guidelines() -> Guidelines:
    """Open the summaries of guidelines and differentials; obtains the asset where it is not in the cache.

    Returns:
        an index that is searched by `sections` and `differential`.

    Raises:
        AssetError: the asset could not be downloaded, or its hash is wrong.
    """
    return Guidelines(texts(assets.folder("open_medicine")))


@cache
def _renal_doses() -> RenalDoses:
    return RenalDoses(texts(assets.folder("open_medicine")))


@cache
def _interactions() -> Interactions:
    return Interactions(texts(assets.folder("ddi_ansm")))


@cache
def _graph() -> graph.GraphStore:
    """The graph of CMeKG; its store is built once, beside the asset's folder."""
    facts = assets.folder(graph.CMEKG)
    path = facts.with_name(f"{facts.name}-graph-{io.digest(facts)[:8]}-{FORMAT}")
    with io.in_turn(path):
        if not (path / io.MANIFEST).is_file():
            with io.publish(path) as draft:
                graph.build_graph(draft, graph.cmekg(facts))
    return graph.GraphStore(path)
