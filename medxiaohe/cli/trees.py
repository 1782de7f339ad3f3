"""`tree show`: one entity of a tree; with --why its sources and the reasons of its merges."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.cli.runs import finished_folder
from medxiaohe.errors import ConfigError, DataError

MAX_SHOWN = 8


def show(args: argparse.Namespace) -> int:
    """Print one entity of a tree, with the sources of its facts if `--why` (`tree show`).

    Args:
        args: `tree` (a folder), `id` (also of a merged term, or as a URL), `why`, `json`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: no finished stage, or no such entity.
        DataError: the stage is not a tree.
    """
    from medxiaohe.entity.tree.ids import curie
    from medxiaohe.entity.tree.tree import Tree

    folder = finished_folder(args.tree, "--tree")
    if not (folder / "entities.jsonl").is_file():
        raise DataError(f"{folder} is not a tree: no entities.jsonl (build one with `medxiaohe tree build`)")
    tree = Tree.load(folder)
    requested = args.id if args.id in tree else curie(args.id)
    id = (
        requested
        if requested in tree
        else next(
            (m["kept"] for m in _mentioning(folder / "merges.jsonl", requested) if m["merged"] == requested),
            "",
        )
    )
    if id not in tree:
        raise ConfigError(
            f"no entity with the id {args.id!r} in {folder}: look for a name with `medxiaohe tree find`"
        )
    facts: dict[str, Any] = {
        **io.to_json(tree.entities[id]),
        "layer": tree.layer(id),
        "above": [tree.entities[a].name for a in tree.ancestors(id)],
        "below": [tree.entities[child].name for child in tree.children(id)],
        "relations": [
            _named(fact, tree)
            for fact in _mentioning(folder / "relations.jsonl", id)
            if id in (fact["subject"], fact["object"])
        ],
    }
    if args.why:
        facts["why"] = list(_why(folder, id))
        facts["problems"] = [row for row in _mentioning(folder / "problems.jsonl", id) if row["id"] == id]
    if args.json:
        print(json.dumps(facts, ensure_ascii=False))
    else:
        _print(facts)
    return 0


def _why(folder: Path, id: str) -> Iterator[dict[str, Any]]:
    """List the terms of an entity by vocabulary, each with the reason of its merge."""
    merges = [merge for merge in _mentioning(folder / "merges.jsonl", id) if merge["kept"] == id]
    reasons = {(merge["merged"], merge["source"]): merge for merge in merges}
    terms = {id, *(merge["merged"] for merge in merges)}
    for term in _mentioning(folder / "terms.jsonl", *sorted(terms)):
        if term["id"] in terms:
            merge = reasons.get((term["id"], term["source"]))
            why = (
                {"why": merge["why"], "because": merge["because"]}
                if merge
                else {"why": "kept", "because": "the first to be read"}
            )
            yield {**why, **{key: value for key, value in term.items() if value}}


def _mentioning(path: Path, *texts: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a .jsonl file that contain one of the texts as a JSON string; other lines are not
    parsed."""
    quoted = [json.dumps(text, ensure_ascii=False) for text in texts]
    if path.is_file():
        for _, line in io.lines(path):
            if any(text in line for text in quoted):
                yield io.parse_row(line)


def _named(fact: Mapping[str, Any], tree: Any) -> dict[str, Any]:
    names = {key: tree.entities[fact[key]].name for key in ("subject", "object") if fact[key]}
    return {**fact, **{f"{key}_name": name for key, name in names.items()}}


def _print(facts: Mapping[str, Any]) -> None:
    print(f"{facts['name']}  ({facts['kind']}, layer {facts['layer']}, {facts['id']})")
    for key in (
        "definition",
        "synonyms",
        "lay",
        "abbreviations",
        "related",
        "xrefs",
        "above",
        "below",
        "sources",
    ):
        if facts[key]:
            print(
                f"    {key:<14}"
                f" {facts[key] if isinstance(facts[key], str) else _joined(facts[key], ' < ' if key == 'above' else ', ')}"  # noqa: E501
            )
    for fact in facts["relations"][:MAX_SHOWN]:
        value = "" if fact["value"] is None else f" {fact['value']:g}"
        words = (
            f"{fact['subject_name']} -"
            f" {fact['predicate']}{value}{' - ' + fact['object_name'] if fact['object'] else ''}"
        )
        print(f"    {'fact':<14} {words}  [{fact['source']}]")
    if len(facts["relations"]) > MAX_SHOWN:
        print(f"    {'':<14} and {len(facts['relations']) - MAX_SHOWN} more facts (--json has all)")
    for term in facts.get("why", ()):
        print(f"    {term['id']}  {term['name']}  [{term['source']}; {term['license']}]")
        print(f"        {term['why']}: {term['because']}")
        for key in ("parents", "synonyms", "lay", "abbreviations", "xrefs"):
            if term.get(key):
                print(f"        {key} {_joined(term[key])}")
    for row in facts.get("problems", ()):
        print(f"    repaired: {row['problem']}: {row['done']}")


def _joined(values: Sequence[str], between: str = ", ") -> str:
    suffix = f" and {len(values) - MAX_SHOWN} more" if len(values) > MAX_SHOWN else ""
    return between.join(values[:MAX_SHOWN]) + suffix
