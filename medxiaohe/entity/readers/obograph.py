"""Any ontology in OBO-graph JSON, plain or .gz: https://github.com/geneontology/obographs

is_a edges are parents, all other edges relations; EXACT synonyms are synonyms, RELATED and NARROW ones
related.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe.entity.readers import _json, _tables
from medxiaohe.entity.readers._terms import Terms
from medxiaohe.entity.tree.ids import curie, kind_of
from medxiaohe.errors import DataError
from medxiaohe.types import Entity, Relation

ABBREVIATION = "OMO_0003012"

EXAMPLE: dict[str, str | bytes] = {
    "tiny.json": json.dumps(
        {
            "graphs": [
                {
                    "id": "http://purl.obolibrary.org/obo/doid.owl",
                    "meta": {
                        "version": "http://purl.obolibrary.org/obo/doid/releases/2026-07-31/doid.owl",
                        "basicPropertyValues": [
                            {"pred": "http://purl.org/dc/terms/license", "val": "CC0-1.0"}
                        ],
                    },
                    "nodes": [
                        {"id": "http://purl.obolibrary.org/obo/DOID_4", "lbl": "disease", "type": "CLASS"},
                        {
                            "id": "http://purl.obolibrary.org/obo/DOID_1115",
                            "lbl": "sarcoma",
                            "type": "CLASS",
                            "meta": {
                                "definition": {"val": "A cancer of connective tissue."},
                                "synonyms": [{"pred": "hasExactSynonym", "val": "sarcomas"}],
                                "xrefs": [{"val": "MESH:D012509"}],
                            },
                        },
                    ],
                    "edges": [
                        {
                            "sub": "http://purl.obolibrary.org/obo/DOID_1115",
                            "pred": "is_a",
                            "obj": "http://purl.obolibrary.org/obo/DOID_4",
                        }
                    ],
                }
            ]
        }
    )
}


def obograph(path: Path | None = None) -> Terms:
    """Classes, then relations; returns how many classes were skipped and why.

    Args:
        path: of the vocabulary; needed.

    Yields:
        entities, exact matches and relations, as the module says

    Raises:
        DataError: the file is missing, truncated or of another format.
    """
    path = _tables.named(path, "obograph")
    content = _json.load(path)
    try:
        graphs = [graph for graph in content["graphs"] if graph.get("nodes")]
        skipped = Counter[str]()
        for graph in graphs:
            yield from _graph(graph, path, skipped)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: not an OBO graph ({type(error).__name__}: {error})") from error
    if not graphs:
        raise DataError(f"{path}: no graph with nodes in this file")
    return skipped


def _graph(graph: Mapping[str, Any], path: Path, skipped: Counter[str]) -> Terms:
    source, license = _about(graph, path)
    parents: dict[str, list[str]] = {}
    for edge in graph.get("edges", ()):
        if edge["pred"] == "is_a":
            parents.setdefault(edge["sub"], []).append(curie(edge["obj"]))
    labels = {node["id"]: node.get("lbl", "") for node in graph["nodes"]}
    classes = set()
    for node in graph["nodes"]:
        meta = node.get("meta", {})
        if node.get("type", "CLASS") != "CLASS":
            skipped["no class"] += 1
        elif meta.get("deprecated"):
            skipped["obsolete"] += 1
        elif not node.get("lbl"):
            skipped["unnamed"] += 1
        else:
            classes.add(node["id"])
            yield _entity(node, meta, tuple(dict.fromkeys(parents.get(node["id"], ()))), source, license)
    for edge in graph.get("edges", ()):
        if edge["pred"] != "is_a" and edge["sub"] in classes and edge["obj"] in classes:
            predicate = labels.get(edge["pred"]) or edge["pred"]
            yield Relation(curie(edge["sub"]), predicate, curie(edge["obj"]), None, source, license)
    return skipped


def _entity(
    node: Mapping[str, Any], meta: Mapping[str, Any], parents: tuple[str, ...], source: str, license: str
) -> Entity:
    named: dict[str, list[str]] = {"exact": [], "related": [], "short": []}
    for synonym in meta.get("synonyms", ()):
        scope = synonym["pred"].removeprefix("has").removesuffix("Synonym").lower()
        if scope in ("exact", "related", "narrow"):
            named["exact" if scope == "exact" else "related"].append(synonym["val"])
        if ABBREVIATION in synonym.get("synonymType", "") and scope == "exact":
            named["short"].append(synonym["val"])
    xrefs = tuple(dict.fromkeys(xref["val"] for xref in meta.get("xrefs", ())))
    definition = meta.get("definition", {}).get("val", "")
    return Entity(
        curie(node["id"]), node["lbl"], kind_of(node["id"]), parents, tuple(named["exact"]), definition,
        xrefs, source, license,
        abbreviations=tuple(named["short"]), related=tuple(named["related"]),
    )  # fmt: skip


def _about(graph: Mapping[str, Any], path: Path) -> tuple[str, str]:
    """Name with version, and license, of the graph's metadata."""
    values = {
        v["pred"].rpartition("/")[2]: v["val"] for v in graph.get("meta", {}).get("basicPropertyValues", ())
    }
    name = graph.get("id", "").rpartition("/")[2].removesuffix(".owl").removesuffix(
        ".json"
    ) or _tables.source(path)
    version = graph.get("meta", {}).get("version", "")
    release = next(
        (segment for segment in version.split("/") if segment[:4].isdigit() or segment.startswith("version")),
        "",
    )
    return (
        f"{name} {release.removeprefix('version') or values.get('owl_versionInfo', '')}".strip(),
        values.get("license", ""),
    )
