"""Sample the rows of a mixture over shards: count them (scan), order them by sampling key (rank), and copy
the drawn ones (gather).

A row's weight is the mean over its entities of count ** (1/T - 1). Rows in ascending order of -log(u) /
weight, u from a hash of seed and id, are a weighted sample without replacement for every prefix (Efraimidis &
Spirakis 2006). So the sorted shards are merged and read until every cell has its quota: memory does not grow
with the corpus.
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
    """A row that was drawn: its number in the corpus and its byte offset in samples.jsonl."""

    id: str
    number: int
    place: int
    source: str
    modality: str
    entities: tuple[str, ...]


@dataclass
class Seen:
    """Counts over all shards of a corpus."""

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

    def add(self, summary: Mapping[str, Any]) -> None:
        """Add the summary of `scan_shard`; call it in the order of the shards.

        Args:
            summary: keys `rows`, `held_out`, `cells`, `entities` and `lots` (see `scan_shard`).
        """
        self.first.append(self.rows)
        self.rows += summary["rows"]
        self.held_out += summary["held_out"]
        for kind, source, modality, number in summary["cells"]:
            self.cells[kind][source, modality] += number
        for kind, by_source in summary["entities"].items():
            for source, counts in by_source.items():
                self.entities[kind][source].update(counts)
        for source, lots in summary["lots"].items():
            self.lots[source] += lots

    def counts(self, kind: str, sources: Collection[str] | None = None) -> Counter[str]:
        """Count the rows of a kind that mention each entity.

        Args:
            kind: `documents` or `instructions`.
            sources: only rows of these; None: of all sources.

        Returns:
            Entity id -> number of rows.
        """
        total = Counter[str]()
        for source, source_counts in self.entities[kind].items():
            if sources is None or source in sources:
                total.update(source_counts)
        return total


def modality(sample: Sample, names: Mapping[str, str], of_source: Mapping[str, str]) -> str:
    """Return the modality of a row, for its mixture cell.

    Args:
        sample: the row.
        names: entity id -> modality of the entity tree.
        of_source: source -> modality, from the settings; it wins over the tree.

    Returns:
        `text` without images; else the modality of the source; else that of the first entity of the row that
        has one; else `image`.
    """
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
    """Count one shard and write its rows without their text (a job of medxiaohe.shards).

    Writes rows.jsonl: [number within the shard, byte offset in samples.jsonl, id, source, modality, kind,
    entities]. Rows of a validation or test split are counted and left out.

    Args:
        shard: range of bytes of samples.jsonl.
        out: folder for rows.jsonl.
        names: path of a JSON file, entity id -> modality; "": no entity has a modality.
        of_source: source -> modality, from the settings.
        tasks: sources from whose instructions RL prompts are drawn.
        seed: seed of the draw.

    Returns:
        `rows` and `held_out` (numbers of rows), `cells` ([kind, source, modality, rows] each), `entities`
        (kind -> source -> entity -> rows) and `lots` (source -> one number in [0, 1) a row of `tasks`).

    Raises:
        DataError: a line is not a JSON row, or not a sample.
    """
    modalities_of = _json(names) if names else {}
    cells, entities = (
        Counter[tuple[str, str, str]](),
        defaultdict[str, dict[str, Counter[str]]](lambda: defaultdict(Counter)),
    )
    lots, number, held_out = defaultdict[str, list[float]](list), 0, 0

    def compact() -> Iterator[external_sort.Row]:
        """Count the rows while they are read.

        Yields:
            The fields of each row, for rows.jsonl.
        """
        nonlocal number, held_out
        for offset, row in shards.placed(shard):
            sample = io.sample_from_json(row)
            if sample.split in HELD_OUT:  # data.curate has dropped them; rows may come from elsewhere
                held_out += 1
                continue
            kind, row_modality = (
                "documents" if sample.is_document else "instructions",
                modality(sample, modalities_of, of_source),
            )
            cells[kind, sample.source, row_modality] += 1
            entities[kind][sample.source].update(sample.entities)
            if kind == "instructions" and sample.source in tasks:
                lots[sample.source].append(_lot(seed, sample.id))
            yield [number, offset, sample.id, sample.source, row_modality, kind, list(sample.entities)]
            number += 1

    external_sort.write(out / "rows.jsonl", compact())
    rows_of = [[*cell, rows] for cell, rows in sorted(cells.items())]
    return {"rows": number, "held_out": held_out, "cells": rows_of, "entities": entities, "lots": lots}


def rank_shard(shard: shards.Shard, out: Path, scanned: str, kind: str, facts: str) -> dict[str, Any]:
    """Write the rows of one shard in the order of their sampling keys (a job of medxiaohe.shards).

    The key of a row is -log(1 - u) / weight with u in [0, 1) from seed and id, so the rows with the smallest
    keys are a weighted sample without replacement (Efraimidis & Spirakis 2006). The weight is the mean of
    count ** (1/T - 1) over the row's entities, `lowest` for a row without entities. Writes ranked.jsonl:
    [key, id, number in the corpus, byte offset, source, modality, entities].

    Args:
        shard: the shard that `scan_shard` has read.
        out: folder for ranked.jsonl and its temporary parts.
        scanned: folder of the results of `scan_shard`.
        kind: `documents`, `instructions` or `prompts`; prompts are instructions of the sources in `halves`.
        facts: path of a JSON file with `counts` (entity -> rows), `temperature` (T), `lowest`, `first`
            (number of the first row of each shard), `halves`, `used` (ids drawn before) and `seed`.

    Returns:
        `rows`: the number of rows written.
    """
    settings = _json(facts)
    counts, power, lowest, first = (
        settings["counts"],
        1 / settings["temperature"] - 1,
        settings["lowest"],
        settings["first"][shard.number],
    )
    halves, used, seed = settings["halves"], frozenset(settings["used"]), f"{settings['seed']}/{kind}"

    def ranked() -> Iterator[external_sort.Row]:
        """Compute the sampling keys of the rows of this kind that were not drawn before.

        Yields:
            The fields of each row, for ranked.jsonl, in the order of the shard.
        """
        for number, offset, id, source, row_modality, of_kind, entities in external_sort.read(
            Path(scanned) / f"{shard.number:06d}" / "rows.jsonl"
        ):
            if of_kind != ("documents" if kind == "documents" else "instructions") or id in used:
                continue
            if kind == "prompts" and (source not in halves or _lot(settings["seed"], id) > halves[source]):
                continue
            # w = mean over the entities of n(e) ** (1/T - 1): equal weights for T = 1; a larger T favours
            # rows of rare entities
            weight = sum(counts[e] ** power for e in entities) / len(entities) if entities else lowest
            # key = -ln(1 - u) / w is exponentially distributed with rate w (1 - u > 0, so the logarithm is
            # finite); the k smallest keys are k draws without replacement (Efraimidis & Spirakis 2006)
            yield [
                -math.log(1 - io.unit_interval(seed, id)) / weight,
                id,
                first + number,
                offset,
                source,
                row_modality,
                entities,
            ]

    return {
        "rows": external_sort.write(out / "ranked.jsonl", external_sort.in_order(ranked(), out / "parts"))
    }


def gather_shard(shard: shards.Shard, out: Path, data: str) -> dict[str, Any]:
    """Copy drawn rows from samples.jsonl, in the order of the index (a job of medxiaohe.shards).

    Args:
        shard: part of the index of drawn rows, each with `kind` and `place` (byte offset).
        out: folder for one KIND.jsonl for each kind in the shard.
        data: folder of samples.jsonl.

    Returns:
        Kind -> number of rows written.

    Raises:
        DataError: there is no samples.jsonl, or no sample at an offset.
    """
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
    """Return the median lot of each task: prompts are drawn from the rows at or below it.

    Args:
        lots: source -> one number in [0, 1) a row, at least one.

    Returns:
        Source -> lower median; at least half of the rows are not above it.
    """
    return {source: sorted(values)[(len(values) + 1) // 2 - 1] for source, values in lots.items()}


def draw(
    ranked: Iterator[external_sort.Row],
    quotas: Mapping[Cell, int],
    max_per_entity: int | None,
    modalities: bool,
) -> Iterator[Drawn]:
    """Draw rows until every cell has its quota.

    Args:
        ranked: rows in ascending order of the sampling key (`rank_shard`).
        quotas: cell -> rows to draw.
        max_per_entity: skip a row all of whose entities were drawn this many times; None or 0: no limit.
        modalities: whether cells are (source, modality); False: (source, "").

    Yields:
        The drawn rows, in the order of their keys; fewer than the quotas where the rows do not suffice.
    """
    remaining, times, missing = dict(quotas), Counter[str](), sum(quotas.values())
    for _, id, number, offset, source, row_modality, entities in ranked:
        if not missing:
            return
        cell = source, row_modality if modalities else ""
        # ascending keys: the first rows of a cell are its sample
        if not remaining.get(cell):
            continue
        if max_per_entity and entities and all(times[e] >= max_per_entity for e in entities):
            continue
        times.update(entities)
        remaining[cell] -= 1
        missing -= 1
        yield Drawn(id, number, offset, source, row_modality, tuple(entities))
