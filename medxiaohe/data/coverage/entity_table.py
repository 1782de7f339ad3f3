"""The counts of data.coverage as a table, an entity a row, and as a summary by kind, layer and rarity."""

from __future__ import annotations

import csv
import io as text
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from medxiaohe.data.coverage.entity_counts import Tally
from medxiaohe.entity.tree.frequency import buckets
from medxiaohe.entity.tree.rare import RULE, is_rare
from medxiaohe.entity.tree.rollup import Rollup
from medxiaohe.entity.tree.tree import Tree

COUNTS = ("mentions", "documents", "passages", "images")


@dataclass(frozen=True)
class Side:
    """One corpus."""

    name: str
    tally: Tally
    mentions_below: array[int]
    covered_below: array[int]  # of the entities below, itself included, how many a document names
    bucket: dict[str, str]  # id -> head, torso, tail, unseen


@dataclass(frozen=True)
class Coverage:
    tree: Tree
    rollup: Rollup
    below: array[int]  # entities below, itself included
    rare: list[bool]
    layers: list[int]
    sides: tuple[Side, ...]  # one corpus, or two to compare
    reviewed: array[int]  # of the reviewed corpora and the reviewed rows of the others
    reviewed_below: array[int]


def coverage(tree: Tree, rollup: Rollup, tallies: dict[str, Tally], reviewed: Tally | None) -> Coverage:
    """`tallies` by the name of the corpus: one, or two to compare."""
    sides = []
    for name, tally in tallies.items():
        own = tally.columns["documents"]
        found = buckets(dict(zip(rollup.ids, own, strict=True)))
        named = {id: found[id] for id in rollup.ids}  # in the order of the tree
        covered = rollup.total(array("q", [int(value > 0) for value in own]))
        sides.append(Side(name, tally, rollup.total(tally.columns["mentions"]), covered, named))
    judged = [*tallies.values(), *([reviewed] if reviewed else [])]
    sums = {
        name: array("q", map(sum, zip(*(one.columns[name] for one in judged), strict=True)))
        for name in ("reviewed", "reviewed_below")
    }
    entities = tree.entities.values()
    return Coverage(
        tree,
        rollup,
        rollup.total(array("q", [1]) * len(rollup)),
        [is_rare(entity) for entity in entities],
        [tree.layer(id) for id in rollup.ids],
        tuple(sides),
        sums["reviewed"],
        sums["reviewed_below"],
    )


def rows(found: Coverage) -> Iterator[dict[str, Any]]:
    """One flat row an entity; with two corpora, the second's columns begin with `other_`."""
    for number, entity in enumerate(found.tree.entities.values()):
        row: dict[str, Any] = {
            "id": entity.id,
            "name": entity.name,
            "kind": entity.kind,
            "layer": found.layers[number],
            "rare": found.rare[number],
            "entities_below": found.below[number],
            "definition": bool(entity.definition),
            "reviewed": found.reviewed[number],
            "reviewed_below": found.reviewed_below[number],
        }
        for side, prefix in zip(found.sides, ("", "other_"), strict=False):
            columns = side.tally.columns
            for name in COUNTS:
                row[prefix + name] = columns[name][number]
                row[f"{prefix}{name}_below"] = (
                    side.mentions_below[number] if name == "mentions" else columns[f"{name}_below"][number]
                )
            row[f"{prefix}covered_below"] = side.covered_below[number]
            row[f"{prefix}bucket"] = side.bucket[entity.id]
        if len(found.sides) > 1:
            row["log2_ratio"] = round(log2_ratio(found.sides, number), 4)
            row["log2_ratio_below"] = round(log2_ratio(found.sides, number, "documents_below"), 4)
        yield row


def log2_ratio(sides: Sequence[Side], number: int, column: str = "documents") -> float:
    """How many doublings the share of documents is larger in the first corpus; half a document more on each
    side."""
    first, second = (
        (side.tally.columns[column][number] + 0.5) / (side.tally.totals["documents"] + 1)
        for side in sides[:2]
    )
    return math.log2(first / second)


def write_csv(found: Coverage, file: IO[bytes]) -> int:
    count = 0
    for count, row in enumerate(rows(found), start=1):
        line = text.StringIO()
        writer = csv.DictWriter(line, list(row), lineterminator="\n")
        if count == 1:
            writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in row.items()})
        file.write(line.getvalue().encode("utf-8", "replace"))
    return count


def _cell(value: Any) -> Any:
    """No cell is a formula to a spreadsheet."""
    if isinstance(value, bool):
        return int(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def summary(found: Coverage) -> dict[str, Any]:
    """How many entities have at least one of each, in all and by kind, layer and rarity."""
    groups: dict[str, dict[str, list[int]]] = {
        "all": {"": []},
        "kinds": {},
        "layers": {},
        "rare": {"rare": [], "other diseases": []},
    }
    for number, entity in enumerate(found.tree.entities.values()):
        groups["all"][""].append(number)
        groups["kinds"].setdefault(entity.kind, []).append(number)
        groups["layers"].setdefault(str(found.layers[number]), []).append(number)
        if entity.kind == "disease":
            groups["rare"]["rare" if found.rare[number] else "other diseases"].append(number)
    kinds = dict(sorted(groups["kinds"].items(), key=lambda item: -len(item[1])))
    return {
        "entities": len(found.rollup),
        "rare_is": RULE,
        "all": _having(found, groups["all"][""]),
        "kinds": {kind: _having(found, numbers) for kind, numbers in kinds.items()},
        "layers": {layer: _having(found, numbers) for layer, numbers in sorted(groups["layers"].items())},
        "rare": {name: _having(found, numbers) for name, numbers in groups["rare"].items()},
        "corpora": [_side(side) for side in found.sides],
    }


def _having(found: Coverage, numbers: Sequence[int]) -> dict[str, Any]:
    entities = list(found.tree.entities.values())
    return {
        "entities": len(numbers),
        "definition": sum(bool(entities[number].definition) for number in numbers),
        "reviewed": sum(found.reviewed[number] > 0 for number in numbers),
        "corpora": [
            {
                **{
                    name: sum(side.tally.columns[name][number] > 0 for number in numbers)
                    for name in ("documents", "passages", "images")
                },
                "mentions": sum(side.tally.columns["mentions"][number] for number in numbers),
            }
            for side in found.sides
        ],
    }


def _side(side: Side) -> dict[str, Any]:
    sizes = {name: {"entities": 0, "documents": 0} for name in ("head", "torso", "tail", "unseen")}
    for bucket, documents in zip(side.bucket.values(), side.tally.columns["documents"], strict=True):
        sizes[bucket]["entities"] += 1
        sizes[bucket]["documents"] += documents
    return {
        "name": side.name,
        **side.tally.totals,
        "dead": side.tally.dead,
        "fingerprint": side.tally.fingerprint,
        "buckets": sizes,
    }
