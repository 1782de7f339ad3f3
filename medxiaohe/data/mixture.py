"""Stage data.mixture: which rows are trained on, balanced by entity and by source.

Each source has its share of the rows: the one of `by_source`, else that of its rows in the data. Within a source, a
row's weight is the mean over its entities of count ** -(1 - 1/T), where count is how many candidate rows mention the
entity and T is `temperature`: 1 leaves the corpus as it is, larger values lift rare entities, and with T -> infinity
every entity weighs the same. A row without entities weighs as much as one of the most frequent entity alone.
Rows are drawn without replacement with probability proportional to weight (Efraimidis & Spirakis 2006, keys
log(u)/weight with u from a hash of seed and id), so the same rows come out whatever their order in the corpus.

documents.jsonl for pretraining, instructions.jsonl for fine-tuning, prompts.jsonl for reinforcement learning: the
prompts are drawn first, from rows of tasks, at most half of each task's, and are never among the instructions.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.data.rows import Rows
from medxiaohe.entity import coverage
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.progress import track

KINDS = ("documents", "instructions", "prompts")


@dataclass(frozen=True)
class MixtureSettings:
    documents: int = 0
    instructions: int = 0
    prompts: int = 0
    temperature: float = 1.0
    max_per_entity: int | None = None  # a row is passed over when each of its entities has been drawn this often
    by_source: dict[str, float] = field(default_factory=dict)  # share of each kind; sources not named share the rest
    prompt_sources: tuple[str, ...] = ()  # default: every source that is the name of a task of medxiaohe
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.documents, self.instructions, self.prompts) < 0 or not self.documents + self.instructions + self.prompts:
            raise ConfigError("documents, instructions and prompts are numbers of rows; at least one must be above 0")
        if self.temperature < 1:
            raise ConfigError(f"temperature must be at least 1 (1 leaves the corpus as it is), not {self.temperature}")
        if self.max_per_entity is not None and self.max_per_entity < 1:
            raise ConfigError(f"max_per_entity must be at least 1, not {self.max_per_entity}")
        if any(share < 0 for share in self.by_source.values()) or sum(self.by_source.values()) > 1 + 1e-9:
            raise ConfigError(f"by_source holds shares of 0 to 1 that sum to at most 1, not {self.by_source}")


@dataclass(frozen=True, slots=True)
class _Row:
    place: int
    id: str
    source: str
    entities: tuple[str, ...]
    document: bool


@dataclass(frozen=True)
class _Drawn:
    rows: list[_Row]
    intended: dict[str, int]


def mixture(settings: MixtureSettings, out: Path, *, data: Path, tree: Path | None = None) -> dict[str, Any]:
    with Rows(data) as rows:
        index = [_Row(place, s.id, s.source, s.entities, s.is_document) for place, s in track(rows, "index")]
        _known_sources(settings.by_source, index)
        drawn = _draw_all(settings, index)
        for kind in KINDS:
            order = sorted(drawn[kind].rows, key=lambda row: io.unit_interval(str(settings.seed), "order", row.id))
            io.write_jsonl(out / f"{kind}.jsonl", (rows.at(row.place) for row in track(order, f"write {kind}")))
    taken = [row for kind in KINDS for row in drawn[kind].rows]
    summary: dict[str, Any] = {
        **{kind: len(drawn[kind].rows) for kind in KINDS},
        "by_source": _by_source(drawn),
        "by_bucket": _by_bucket(index, taken),
    }
    per_kind = {kind: _by_source({kind: drawn[kind]}) for kind in KINDS}
    report = {"by_kind": per_kind, "settings": settings, "contamination": _contamination(data)}
    io.write_json(out / "mixture.json", {**summary, **report})
    _show(per_kind, summary["by_bucket"])
    return summary


def _contamination(data: Path) -> dict[str, Any] | None:
    """What data.curate compared the rows with, for the training stages, which refuse rows that nobody compared; None when not curated."""
    if not (path := data / "contamination.json").is_file():
        return None
    found = io.read_json(path)
    return {"checked": found["checked"], "removed": len(found["matches"]), "report": io.sha256(path)}


def _draw_all(settings: MixtureSettings, index: list[_Row]) -> dict[str, _Drawn]:
    documents = [row for row in index if row.document]
    instructions = [row for row in index if not row.document]
    tasks = set(settings.prompt_sources or plugins.available("tasks"))
    prompts = _draw(settings, "prompts", _half_of_each([row for row in instructions if row.source in tasks], settings.seed))
    used = {row.id for row in prompts.rows}
    return {
        "documents": _draw(settings, "documents", documents),
        "instructions": _draw(settings, "instructions", [row for row in instructions if row.id not in used]),
        "prompts": prompts,
    }


def _half_of_each(rows: list[_Row], seed: int) -> list[_Row]:
    by_source = _grouped(rows)
    half = set[str]()
    for found in by_source.values():
        order = sorted(found, key=lambda row: io.unit_interval(str(seed), "prompts", row.id))
        half.update(row.id for row in order[: (len(order) + 1) // 2])
    return [row for row in rows if row.id in half]


def _draw(settings: MixtureSettings, kind: str, rows: list[_Row]) -> _Drawn:
    """The rows of one kind: a quota for each source, filled by weighted sampling without replacement."""
    wanted = getattr(settings, kind)
    if not wanted:
        return _Drawn([], {})
    if not rows:
        raise DataError(f"{wanted} {kind} were asked for, and the data has none{_why_none(kind)}")
    counts = Counter(entity for row in rows for entity in row.entities)
    order = _order(rows, counts, temperature=settings.temperature, seed=f"{settings.seed}/{kind}")
    by_source = _grouped(order)
    natural = {source: len(found) for source, found in by_source.items()}
    intended = quotas(wanted, natural, settings.by_source)
    drawn, times = list[_Row](), Counter[str]()
    for source, limit in intended.items():
        drawn += _first(by_source[source], limit, settings.max_per_entity, times)
    return _Drawn(drawn, intended)


def _why_none(kind: str) -> str:
    return " (rows of tasks: read one with `task:`, or name prompt_sources)" if kind == "prompts" else ""


def _order(rows: Iterable[_Row], counts: Mapping[str, int], *, temperature: float, seed: str) -> list[_Row]:
    """Rows so that any first part is a weighted sample."""
    power = 1 / temperature - 1
    lowest = max(counts.values(), default=1) ** power

    def key(row: _Row) -> float:
        weight = sum(counts[e] ** power for e in row.entities) / len(row.entities) if row.entities else lowest
        return -math.log(1 - io.unit_interval(seed, row.id)) / weight

    return sorted(rows, key=key)


def _first(rows: Sequence[_Row], limit: int, max_per_entity: int | None, times: Counter[str]) -> list[_Row]:
    """Up to `limit` rows; `times` counts how often each entity has been drawn from any source."""
    drawn = list[_Row]()
    for row in rows:
        if len(drawn) == limit:
            break
        if max_per_entity and row.entities and all(times[e] >= max_per_entity for e in row.entities):
            continue
        times.update(row.entities)
        drawn.append(row)
    return drawn


def quotas(total: int, natural: Mapping[str, int], shares: Mapping[str, float]) -> dict[str, int]:
    """How many rows of each source: its share; sources without one divide the rest as they are. Sums to `total`."""
    named = {source: shares[source] for source in natural if source in shares}
    others = {source: count for source, count in natural.items() if source not in shares}
    rest = max(0.0, 1 - sum(named.values())) if others else 0.0
    scale = 1.0 if others or not sum(named.values()) else 1 / sum(named.values())
    exact = {s: total * share * scale for s, share in named.items()}
    exact |= {s: total * rest * count / sum(others.values()) for s, count in others.items()}
    whole = {source: math.floor(value + 1e-9) for source, value in exact.items()}
    by_remainder = sorted(exact, key=lambda s: (whole[s] - exact[s], s))
    for source in by_remainder[: max(0, round(sum(exact.values())) - sum(whole.values()))]:
        whole[source] += 1
    return whole


def _known_sources(by_source: Mapping[str, float], index: list[_Row]) -> None:
    known = {row.source for row in index}
    for source in by_source:
        if source not in known:
            raise ConfigError(f"by_source: no rows of a source {source!r}{plugins.nearest(source, known)}")


def _grouped(rows: Iterable[_Row]) -> dict[str, list[_Row]]:
    groups: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        groups[row.source].append(row)
    return dict(sorted(groups.items()))


def _by_source(drawn: Mapping[str, _Drawn]) -> dict[str, dict[str, int]]:
    intended, realised = Counter[str](), Counter[str]()
    for one in drawn.values():
        intended.update(one.intended)
        realised.update(row.source for row in one.rows)
    return {source: {"intended": intended[source], "realised": realised[source]} for source in sorted(intended)}


def _by_bucket(index: list[_Row], taken: list[_Row]) -> dict[str, dict[str, float]]:
    """Share of the mentions that fall into each bucket: when as many rows of each source are drawn evenly, and as drawn.

    With the sources' shares the same on both sides, the difference is what balancing by entity did.
    """
    counts = Counter(entity for row in index for entity in row.entities)
    found, used = Counter(row.source for row in index), Counter(row.source for row in taken)
    before: dict[str, float] = defaultdict(float)
    for row in index:
        for entity in row.entities:
            before[entity] += used[row.source] / found[row.source]
    after = Counter(entity for row in taken for entity in row.entities)
    bucket = coverage.buckets(counts)
    shares: dict[str, dict[str, float]] = {}
    for name in ("head", "torso", "tail"):
        shares[name] = {}
        for when, counted in (("before", before), ("after", after)):
            inside = sum(n for entity, n in counted.items() if bucket[entity] == name)
            shares[name][when] = round(inside / max(1, sum(counted.values())), 4)
    return shares


def _show(per_kind: Mapping[str, Mapping[str, Mapping[str, int]]], by_bucket: Mapping[str, Mapping[str, float]]) -> None:
    for kind, sources in per_kind.items():
        for source, row in sources.items():
            print(f"  {kind:<13} {source:<24} intended {row['intended']:>8,}  realised {row['realised']:>8,}", file=sys.stderr)
    for name, when in by_bucket.items():
        print(f"  mentions of {name:<6} entities: {when['before']:.1%} drawn evenly, {when['after']:.1%} as drawn", file=sys.stderr)
