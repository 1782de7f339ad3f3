"""Tabulate the counts of data.coverage: one row an entity, and a summary by kind, layer and rarity."""

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
    """Counts of one corpus or two, by number of the entity, with what the tree says about it."""

    tree: Tree
    rollup: Rollup
    below: array[int]  # entities below, itself included
    rare: list[bool]
    layers: list[int]
    sides: tuple[Side, ...]  # one corpus, or two to compare
    reviewed: array[int]  # of the reviewed corpora and the reviewed rows of the others
    reviewed_below: array[int]


def coverage(tree: Tree, rollup: Rollup, tallies: dict[str, Tally], reviewed: Tally | None) -> Coverage:
    """Combine tallies with the tree: totals of subtrees, frequency buckets, rarity and layers.

    Args:
        tree: the tree that was counted against.
        rollup: its subtrees, in which entities are numbers.
        tallies: name of a corpus -> its counts; one corpus, or two to compare.
        reviewed: counts of reviewed items, which are added to those of the corpora; None: there are none.

    Returns:
        What `rows` and `summary` are made of.
    """
    sides = []
    for name, tally in tallies.items():
        own = tally.columns["documents"]
        bucket = buckets(dict(zip(rollup.ids, own, strict=True)))
        named = {id: bucket[id] for id in rollup.ids}  # in the order of the tree
        # number of entities below, itself included, that at least one document names
        covered = rollup.total(array("q", [int(value > 0) for value in own]))
        sides.append(Side(name, tally, rollup.total(tally.columns["mentions"]), covered, named))
    judged = [*tallies.values(), *([reviewed] if reviewed else [])]
    sums = {
        name: array("q", map(sum, zip(*(counted.columns[name] for counted in judged), strict=True)))
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


def rows(coverage: Coverage) -> Iterator[dict[str, Any]]:
    """List the counts of each entity as a flat row.

    Args:
        coverage: of one corpus or two.

    Yields:
        A row for each entity in the order of the tree; columns of a second corpus begin with `other_`,
        and `log2_ratio` compares the two.
    """
    for number, entity in enumerate(coverage.tree.entities.values()):
        row: dict[str, Any] = {
            "id": entity.id,
            "name": entity.name,
            "kind": entity.kind,
            "layer": coverage.layers[number],
            "rare": coverage.rare[number],
            "entities_below": coverage.below[number],
            "definition": bool(entity.definition),
            "reviewed": coverage.reviewed[number],
            "reviewed_below": coverage.reviewed_below[number],
        }
        for side, prefix in zip(coverage.sides, ("", "other_"), strict=False):
            columns = side.tally.columns
            for name in COUNTS:
                row[prefix + name] = columns[name][number]
                row[f"{prefix}{name}_below"] = (
                    side.mentions_below[number] if name == "mentions" else columns[f"{name}_below"][number]
                )
            row[f"{prefix}covered_below"] = side.covered_below[number]
            row[f"{prefix}bucket"] = side.bucket[entity.id]
        if len(coverage.sides) > 1:
            row["log2_ratio"] = round(log2_ratio(coverage.sides, number), 4)
            row["log2_ratio_below"] = round(log2_ratio(coverage.sides, number, "documents_below"), 4)
        yield row


def log2_ratio(sides: Sequence[Side], number: int, column: str = "documents") -> float:
    """Compare how often two corpora mention an entity, as the logarithm of a ratio of smoothed shares.

    Args:
        sides: two corpora.
        number: of the entity.
        column: "documents", or "documents_below" with the entities below it.

    Returns:
        log2 of (n1 + 0.5) / (N1 + 1) over (n2 + 0.5) / (N2 + 1), n of N documents: 1 is twice as often in
        the first corpus.
    """
    # half a document is added to each side, so that an entity that one corpus lacks has a finite ratio
    first, second = (
        (side.tally.columns[column][number] + 0.5) / (side.tally.totals["documents"] + 1)
        for side in sides[:2]
    )
    return math.log2(first / second)


def write_csv(coverage: Coverage, file: IO[bytes]) -> int:
    """Write the table as CSV in UTF-8, with a header.

    Args:
        coverage: of one corpus or two.
        file: a binary file, open for writing.

    Returns:
        Number of entities written.
    """
    count = 0
    for count, row in enumerate(rows(coverage), start=1):
        line = text.StringIO()
        writer = csv.DictWriter(line, list(row), lineterminator="\n")
        if count == 1:
            writer.writeheader()
        writer.writerow({key: _cell(value) for key, value in row.items()})
        file.write(line.getvalue().encode("utf-8", "replace"))
    return count


def _cell(value: Any) -> Any:
    """Escape a cell that a spreadsheet would take for a formula."""
    if isinstance(value, bool):
        return int(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def summary(coverage: Coverage) -> dict[str, Any]:
    """Summarise coverage: number of entities with at least one definition, document, passage or image, in all
    and by kind, layer and rarity.

    Args:
        coverage: of one corpus or two.

    Returns:
        A JSON object: `entities`, `rare_is`, `all`, `kinds`, `layers`, `rare` and, with totals and
        buckets, `corpora`.
    """
    groups: dict[str, dict[str, list[int]]] = {
        "all": {"": []},
        "kinds": {},
        "layers": {},
        "rare": {"rare": [], "other diseases": []},
    }
    for number, entity in enumerate(coverage.tree.entities.values()):
        groups["all"][""].append(number)
        groups["kinds"].setdefault(entity.kind, []).append(number)
        groups["layers"].setdefault(str(coverage.layers[number]), []).append(number)
        if entity.kind == "disease":
            groups["rare"]["rare" if coverage.rare[number] else "other diseases"].append(number)
    kinds = dict(sorted(groups["kinds"].items(), key=lambda item: -len(item[1])))
    return {
        "entities": len(coverage.rollup),
        "rare_is": RULE,
        "all": _having(coverage, groups["all"][""]),
        "kinds": {kind: _having(coverage, numbers) for kind, numbers in kinds.items()},
        "layers": {layer: _having(coverage, numbers) for layer, numbers in sorted(groups["layers"].items())},
        "rare": {name: _having(coverage, numbers) for name, numbers in groups["rare"].items()},
        "corpora": [_side(side) for side in coverage.sides],
    }


def _having(coverage: Coverage, numbers: Sequence[int]) -> dict[str, Any]:
    entities = list(coverage.tree.entities.values())
    return {
        "entities": len(numbers),
        "definition": sum(bool(entities[number].definition) for number in numbers),
        "reviewed": sum(coverage.reviewed[number] > 0 for number in numbers),
        "corpora": [
            {
                **{
                    name: sum(side.tally.columns[name][number] > 0 for number in numbers)
                    for name in ("documents", "passages", "images")
                },
                "mentions": sum(side.tally.columns["mentions"][number] for number in numbers),
            }
            for side in coverage.sides
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
