"""The work of data.mixture over shards: what there is (scan), in which order it would be drawn (rank), the
rows drawn (gather).

A row's weight is the mean over its entities of count ** -(1 - 1/T). Rows sorted by log(u)/weight, u from a
hash of seed and id, are a weighted sample without replacement as far as one reads (Efraimidis & Spirakis
2006), so the shards' sorted rows are merged and read until every cell has what it should: memory does not
grow with the corpus.
"""

from __future__ import annotations

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io, shards
from medxiaohe.data.mixing import external_sort
from medxiaohe.data.mixing.quotas import Cell
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.types import HELD_OUT, Sample

KINDS = ("documents", "instructions", "prompts")
TEXT, IMAGE = "text", "image"  # modality of a row without images; of one whose modality nothing says


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row that was drawn: its number and its place (byte) in samples.jsonl."""

    id: str
    number: int
    place: int
    source: str
    modality: str
    entities: tuple[str, ...]


@dataclass
class Seen:
    """What all shards of a corpus hold together."""

    rows: int = 0
    held_out: int = 0  # rows of a validation or test split, which no mixture has
    first: list[int] = field(default_factory=list)  # number of the first row of each shard
    cells: dict[str, Counter[Cell]] = field(default_factory=lambda: defaultdict(Counter))  # by kind
    # kind, source
    entities: dict[str, dict[str, Counter[str]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    # by task: one number in [0, 1) for each row
    lots: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, found: Mapping[str, Any]) -> None:
        """The summary of `scan_shard`, shard after shard."""
        self.first.append(self.rows)
        self.rows += found["rows"]
        self.held_out += found["held_out"]
        for kind, source, modality, number in found["cells"]:
            self.cells[kind][source, modality] += number
        for kind, by_source in found["entities"].items():
            for source, counts in by_source.items():
                self.entities[kind][source].update(counts)
        for source, lots in found["lots"].items():
            self.lots[source] += lots

    def counts(self, kind: str, sources: Collection[str] | None = None) -> Counter[str]:
        """How many rows of a kind mention each entity."""
        total = Counter[str]()
        for source, found in self.entities[kind].items():
            if sources is None or source in sources:
                total.update(found)
        return total


def modality(sample: Sample, names: Mapping[str, str], of_source: Mapping[str, str]) -> str:
    """`text` without images; else what the settings say of the source, else the first modality of the tree
    that the row mentions."""
    if not sample.images:
        return TEXT
    if sample.source in of_source:
        return of_source[sample.source]
    return next((names[entity] for entity in sample.entities if entity in names), IMAGE)


# ---- jobs (medxiaohe.shards)
# -------------------------------------------------------------------------------------------


def scan_shard(
    shard: shards.Shard,
    out: Path,
    names: str,
    of_source: Mapping[str, str],
    tasks: Collection[str],
    seed: int,
) -> dict[str, Any]:
    """rows.jsonl: [number within the shard, place, id, source, modality, kind, entities]; the summary has the
    counts."""
    known = _json(names) if names else {}
    cells, entities = (
        Counter[tuple[str, str, str]](),
        defaultdict[str, dict[str, Counter[str]]](lambda: defaultdict(Counter)),
    )
    lots, number, held_out = defaultdict[str, list[float]](list), 0, 0

    def compact() -> Iterator[external_sort.Row]:
        nonlocal number, held_out
        for place, row in shards.placed(shard):
            sample = io.sample_from_json(row)
            if sample.split in HELD_OUT:  # data.curate has dropped them; rows may come from elsewhere
                held_out += 1
                continue
            kind, of = (
                "documents" if sample.is_document else "instructions",
                modality(sample, known, of_source),
            )
            cells[kind, sample.source, of] += 1
            entities[kind][sample.source].update(sample.entities)
            if kind == "instructions" and sample.source in tasks:
                lots[sample.source].append(_lot(seed, sample.id))
            yield [number, place, sample.id, sample.source, of, kind, list(sample.entities)]
            number += 1

    external_sort.write(out / "rows.jsonl", compact())
    rows_of = [[*cell, found] for cell, found in sorted(cells.items())]
    return {"rows": number, "held_out": held_out, "cells": rows_of, "entities": entities, "lots": lots}


def rank_shard(shard: shards.Shard, out: Path, scanned: str, kind: str, facts: str) -> dict[str, Any]:
    """ranked.jsonl: [key, id, number, place, source, modality, entities] in the order of the keys."""
    said = _json(facts)
    counts, power, lowest, first = (
        said["counts"],
        1 / said["temperature"] - 1,
        said["lowest"],
        said["first"][shard.number],
    )
    halves, used, seed = said["halves"], frozenset(said["used"]), f"{said['seed']}/{kind}"

    def ranked() -> Iterator[external_sort.Row]:
        for number, place, id, source, of, of_kind, entities in external_sort.read(
            Path(scanned) / f"{shard.number:06d}" / "rows.jsonl"
        ):
            if of_kind != ("documents" if kind == "documents" else "instructions") or id in used:
                continue
            if kind == "prompts" and (source not in halves or _lot(said["seed"], id) > halves[source]):
                continue
            weight = sum(counts[e] ** power for e in entities) / len(entities) if entities else lowest
            yield [
                -math.log(1 - io.unit_interval(seed, id)) / weight,
                id,
                first + number,
                place,
                source,
                of,
                entities,
            ]

    return {
        "rows": external_sort.write(out / "ranked.jsonl", external_sort.in_order(ranked(), out / "parts"))
    }


def gather_shard(shard: shards.Shard, out: Path, data: str) -> dict[str, Any]:
    """The rows that a part of the index names, in its order, a file for each kind that is there."""
    counts = dict[str, int]()
    with Rows(Path(data)) as rows:
        for kind in {row["kind"]: None for row in shards.rows(shard)}:
            places = (row["place"] for row in shards.rows(shard) if row["kind"] == kind)
            counts[kind] = io.write_jsonl(out / f"{kind}.jsonl", map(rows.at, places))
    return counts


def _lot(seed: int, id: str) -> float:
    return io.unit_interval(str(seed), "prompts", id)


@functools.lru_cache(maxsize=4)
def _json(path: str) -> Any:
    return io.read_json(Path(path))


# ---- drawing
# -----------------------------------------------------------------------------------------------------------


def halves(lots: Mapping[str, list[float]]) -> dict[str, float]:
    """For each task the number that half of its rows are not above: prompts are drawn from these."""
    return {source: sorted(found)[(len(found) + 1) // 2 - 1] for source, found in lots.items()}


def draw(
    ranked: Iterator[external_sort.Row],
    quotas: Mapping[Cell, int],
    max_per_entity: int | None,
    modalities: bool,
) -> Iterator[Drawn]:
    """Rows until every cell has its quota; one is passed over when each of its entities was drawn
    `max_per_entity` times."""
    left, times, missing = dict(quotas), Counter[str](), sum(quotas.values())
    for _, id, number, place, source, of, entities in ranked:
        if not missing:
            return
        cell = source, of if modalities else ""
        if not left.get(cell):
            continue
        if max_per_entity and entities and all(times[e] >= max_per_entity for e in entities):
            continue
        times.update(entities)
        left[cell] -= 1
        missing -= 1
        yield Drawn(id, number, place, source, of, tuple(entities))
