"""Stage data.mixture: which rows are trained on, balanced by entity, source and modality, without
replacement.

Each source has its share of the rows: the one of `by_source`, else one in proportion to trust x (its rows) **
quantity, for a small source that is trusted is worth more than a large one that is not (MedXIAOHE).
`by_modality` gives shares of modalities, which hold together with those of sources (quotas.py). Within a cell
of both, rows are drawn by the rarity of their entities (draw.py): `temperature` 1 is uniform sampling, larger
values lift rare entities, and with T -> infinity every entity weighs the same.

documents.jsonl for pretraining, instructions.jsonl for fine-tuning, prompts.jsonl for reinforcement learning:
the prompts are drawn first, from rows of tasks, at most half of each task's, and are never among the
instructions. index.jsonl {kind, source, row, seed, id, modality, place} lists the rows of the data in the
order of the files: training that stopped after n rows resumes at n. The same data, settings and seed give the
same index, whatever the workers.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io, plugins, shards
from medxiaohe.data.duplicates import contamination_record
from medxiaohe.data.mixing import external_sort, quotas
from medxiaohe.data.mixing.draw import KINDS, TEXT, Drawn, Seen, draw, halves
from medxiaohe.data.mixing.quotas import Cell
from medxiaohe.data.sharding.stage import Stage, begin, check, rows_of
from medxiaohe.entity.tree import frequency
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import HOW, decisive

JOBS = "medxiaohe.data.mixing.draw:"
INDEX_SHARE = 32  # a row of the data is about this many times longer than its row of the index

FREQUENCY = {"head": "frequent", "torso": "medium", "tail": "rare"}  # buckets of entities, in words


@dataclass(frozen=True)
class MixtureSettings:
    documents: int = 0  # rows for continual pretraining
    instructions: int = 0  # rows for supervised fine-tuning
    prompts: int = 0  # prompts for reinforcement learning
    temperature: float = 1.0  # 1 keeps the frequencies of entities; larger values lift rare entities
    # a row is passed over when each of its entities has been drawn this often
    max_per_entity: int | None = None
    # share of each kind; sources not named share the rest
    by_source: dict[str, float] = field(default_factory=dict)
    # the same of modalities; needs no tree for `text` and `image`
    by_modality: dict[str, float] = field(default_factory=dict)
    # how much a row of a source without a share is worth; 1 where not named
    trust: dict[str, float] = field(default_factory=dict)
    quantity: float = 1.0  # how much the number of rows of a source counts: 1 fully, 0 not at all
    fill: bool = False  # what a source or modality lacks is drawn from the others
    # modality of a source's images; else the tree's word for it in the row
    modalities: dict[str, str] = field(default_factory=dict)
    prompt_sources: tuple[str, ...] = ()  # default: every source that is the name of a task of medxiaohe
    seed: int = 0
    shard_mb: Annotated[float, HOW] = 8.0
    workers: Annotated[int, HOW] = 1
    engine: Annotated[shards.Engine, HOW] = "local"

    def __post_init__(self) -> None:
        if (
            min(self.documents, self.instructions, self.prompts) < 0
            or not self.documents + self.instructions + self.prompts
        ):
            raise ConfigError(
                "documents, instructions and prompts are numbers of rows; at least one must be above 0"
            )
        if self.temperature < 1:
            raise ConfigError(
                f"temperature must be at least 1 (1 leaves the corpus as it is), not {self.temperature}"
            )
        if self.max_per_entity is not None and self.max_per_entity < 1:
            raise ConfigError(f"max_per_entity must be at least 1, not {self.max_per_entity}")
        for name in ("by_source", "by_modality"):
            shares = getattr(self, name)
            if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1 + 1e-9:
                raise ConfigError(f"{name} holds shares of 0 to 1 that sum to at most 1, not {shares}")
        if any(trust <= 0 for trust in self.trust.values()):
            raise ConfigError(
                f"trust must be above 0 (a source that is not to be drawn has by_source: 0), not {self.trust}"
            )
        if not 0 <= self.quantity <= 1:
            raise ConfigError(
                f"quantity must be from 0 (trust alone) to 1 (as many as there are), not {self.quantity}"
            )
        check(self)


@dataclass(frozen=True)
class _Plan:
    """The plan for one kind of rows: number intended for each cell, and at most drawn from it."""

    intended: dict[Cell, int]
    quotas: dict[Cell, int]


def mixture(settings: MixtureSettings, out: Path, *, data: Path, tree: Path | None = None) -> dict[str, Any]:
    """Draw the rows that are trained on, without replacement.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a data stage.
        tree: folder of a built tree, for balancing by entity.

    Returns:
        the summary of the stage: `documents`, `instructions`, `prompts`, `by_source`, `by_bucket`

    Raises:
        ConfigError: shares that cannot be met together.
        DataError: the data has no row of a kind that is asked for.
    """
    file = rows_of(data)
    stage = begin(__name__, settings, out, inputs=[file, tree, plugins.available("tasks")])
    pieces = stage.split([file])
    seen = _scan(stage, settings, pieces, tree)
    _known(settings, seen)
    done, plans = dict[str, list[Drawn]](), dict[str, _Plan]()
    counted = _Counted()

    def entries() -> Iterator[external_sort.Row]:
        """Draw the rows of each kind.

        Yields:
            Rows of index.jsonl with the key that shuffles them in front; kinds in the order of drawing.
        """
        # the prompts first: they are never among the instructions; `order` shuffles the rows of a kind
        for kind in ("prompts", "documents", "instructions"):
            done[kind] = []
            plans[kind] = _planned(settings, kind, seen, done.get("prompts", []))
            for row in _drawn(stage, settings, kind, plans[kind], seen, done.get("prompts", []), pieces):
                counted.add(kind, row)
                if kind == "prompts":
                    done[kind].append(row)
                order = io.unit_interval(str(settings.seed), "order", row.id)
                yield [KINDS.index(kind), order, row.id, row.number, row.source, row.modality, row.place]

    index = stage.work / "index.jsonl"
    _write_index(settings, external_sort.in_order(entries(), stage.work / "order"), index)
    _gather(stage, settings, data, index)
    summary = _summary(stage, settings, seen, counted, plans)
    per_kind = {kind: _sides(plans[kind].intended, counted.cells[kind]) for kind in KINDS}
    report = {
        "by_kind": per_kind,
        "settings": decisive(settings),
        "contamination": contamination_record.of(data),
    }
    io.write_json(out / "mixture.json", {**summary, **report})
    _show(settings, per_kind, summary)
    return summary


# ---- steps ---------------------------------------------------------------------------------------


def _scan(stage: Stage, settings: MixtureSettings, pieces: list[shards.Shard], tree: Path | None) -> Seen:
    names = stage.work / "modalities.json"
    if tree is not None and settings.by_modality:
        modalities = (row for row in io.read_jsonl(tree / "entities.jsonl") if row.get("kind") == "modality")
        io.write_json(names, {row["id"]: row["name"] for row in modalities})
    options = {
        "names": str(names) if names.is_file() else "",
        "of_source": settings.modalities,
        "tasks": sorted(settings.prompt_sources or plugins.available("tasks")),
        "seed": settings.seed,
    }
    seen = Seen()
    done = stage.iterate(f"{JOBS}scan_shard", pieces, options=options, label="index", below="scan")
    for _, summary in done:
        seen.add(summary)
    return seen


def _planned(settings: MixtureSettings, kind: str, seen: Seen, prompts: list[Drawn]) -> _Plan:
    requested = getattr(settings, kind)
    if not requested:
        return _Plan({}, {})
    # rows by cell (source, modality), without held-out ones and, for instructions, without those of prompts
    available = Counter[Cell]()
    of_kind = "documents" if kind == "documents" else "instructions"
    for (source, modality), number in seen.cells[of_kind].items():
        if kind != "prompts" or source in seen.lots:
            available[source, modality if settings.by_modality else ""] += number
    if kind == "instructions":
        available.subtract((row.source, row.modality if settings.by_modality else "") for row in prompts)
    available = Counter({cell: number for cell, number in available.items() if number > 0})
    if not available:
        raise DataError(f"{requested} {kind} were asked for, and the data has none{_why_none(kind)}")
    shares = quotas.parts(
        available,
        by_source=settings.by_source,
        by_modality=settings.by_modality,
        trust=settings.trust,
        quantity=settings.quantity,
    )
    # whole rows by share; of prompts at most half the rows of each cell are available
    intended = quotas.whole(requested, shares)
    if kind == "prompts":
        available = Counter({cell: (number + 1) // 2 for cell, number in available.items()})
    return _Plan(intended, quotas.filled(intended, available, shares) if settings.fill else intended)


def _why_none(kind: str) -> str:
    return " (rows of tasks: read one with `task:`, or name prompt_sources)" if kind == "prompts" else ""


def _drawn(
    stage: Stage,
    settings: MixtureSettings,
    kind: str,
    plan: _Plan,
    seen: Seen,
    prompts: list[Drawn],
    pieces: list[shards.Shard],
) -> Iterator[Drawn]:
    if not plan.quotas:
        return
    counts = (
        seen.counts("documents")
        if kind == "documents"
        else seen.counts("instructions", seen.lots if kind == "prompts" else None)
    )
    used = list[str]()
    if kind == "instructions":
        counts.subtract(entity for row in prompts for entity in row.entities)
        used = [row.id for row in prompts]
    # weight of a row: mean over its entities of count ** (1 / temperature - 1); one without entities weighs
    # as much as one of the most frequent entity
    lowest = max([1, *counts.values()]) ** (1 / settings.temperature - 1)
    facts = {
        "counts": counts,
        "lowest": lowest,
        "first": seen.first,
        "used": used,
        "halves": halves(seen.lots),
    }
    work = stage.work
    inputs = {**facts, "temperature": settings.temperature, "seed": settings.seed}
    io.write_json(work / f"{kind}.json", inputs)
    options = {"scanned": str(work / "scan"), "kind": kind, "facts": str(work / f"{kind}.json")}
    done = stage.run(f"{JOBS}rank_shard", pieces, options=options, label=f"rank {kind}", below=f"rank-{kind}")
    ranked = external_sort.merged([folder / "ranked.jsonl" for folder, _ in done], work / f"merge-{kind}")
    yield from draw(ranked, plan.quotas, settings.max_per_entity, bool(settings.by_modality))


def _write_index(settings: MixtureSettings, rows: Iterator[external_sort.Row], path: Path) -> None:
    def named() -> Iterator[dict[str, Any]]:
        for kind, _, id, number, source, modality, location in rows:
            row = {
                "kind": KINDS[kind],
                "source": source,
                "row": number,
                "seed": settings.seed,
                "id": id,
                "modality": modality,
            }
            yield {**row, "place": location}

    io.write_jsonl(path, named())


def _gather(stage: Stage, settings: MixtureSettings, data: Path, index: Path) -> None:
    size = max(1 << 12, int(settings.shard_mb * (1 << 20) / INDEX_SHARE))
    options = {"data": str(data.absolute())}
    pieces = stage.split([index], bytes_each=size)
    done = stage.run(f"{JOBS}gather_shard", pieces, options=options, label="write", below="gather")
    for kind in KINDS:
        stage.join([folder for folder, written in done if kind in written], f"{kind}.jsonl")
    stage.join([index.parent], index.name)


def _known(settings: MixtureSettings, seen: Seen) -> None:
    cells = {cell for counts in seen.cells.values() for cell in counts}
    sources, modalities = {source for source, _ in cells}, {modality for _, modality in cells}
    for name, existing, noun in (
        ("by_source", sources, "a source"),
        ("trust", sources, "a source"),
        ("by_modality", modalities, "modality"),
    ):
        for key, share in getattr(settings, name).items():
            if key not in existing and share:
                raise ConfigError(f"{name}: no rows of {noun} {key!r}{plugins.nearest(key, existing)}")


# ---- summary -------------------------------------------------------------------------------------


class _Counted:
    """Counts of the rows that were drawn."""

    def __init__(self) -> None:
        self.kinds = Counter[str]()
        self.cells: dict[str, Counter[Cell]] = defaultdict(Counter)
        self.sources = Counter[str]()
        self.entities = Counter[str]()

    def add(self, kind: str, row: Drawn) -> None:
        """Count a row that was drawn.

        Args:
            kind: one of KINDS.
            row: with source, modality and entities.
        """
        self.kinds[kind] += 1
        self.cells[kind][row.source, row.modality] += 1
        self.sources[row.source] += 1
        self.entities.update(row.entities)


def _summary(
    stage: Stage, settings: MixtureSettings, seen: Seen, counted: _Counted, plans: Mapping[str, _Plan]
) -> dict[str, Any]:
    intended, realised = Counter[Cell](), Counter[Cell]()
    for kind in KINDS:
        intended.update(plans[kind].intended)
        realised.update(counted.cells[kind])
    written = sum(counted.kinds.values())
    dropped = {"not drawn": seen.rows - written}
    if seen.held_out:
        dropped["held_out_split"] = seen.held_out
    account = stage.settle(read=seen.rows + seen.held_out, written=written, dropped=dropped)
    stage.carry(None, coverage=counted.entities)
    summary: dict[str, Any] = {kind: counted.kinds[kind] for kind in KINDS} | {"account": account}
    summary |= {"by_source": _sides(intended, realised)["by_source"]}
    if settings.by_modality or any(modality != TEXT for _, modality in realised):
        summary["by_modality"] = _sides(intended, realised)["by_modality"]
    return {**summary, "by_bucket": _by_bucket(seen, counted)}


def _sides(
    intended: Mapping[Cell, int], realised: Mapping[Cell, int]
) -> dict[str, dict[str, dict[str, int]]]:
    """Compare intended with realised rows by source and by modality; without by_modality there is no
    intention for modalities.
    """
    sides: dict[str, dict[str, dict[str, int]]] = {}
    for name, side in (("by_source", lambda cell: cell[0]), ("by_modality", lambda cell: cell[1])):
        plan, result = quotas.margin(intended, side), quotas.margin(realised, side)
        plan.pop("", None)
        sides[name] = {
            key: {**({"intended": plan.get(key, 0)} if plan else {}), "realised": result.get(key, 0)}
            for key in sorted({*plan, *result})
        }
    return sides


def _by_bucket(seen: Seen, counted: _Counted) -> dict[str, dict[str, float]]:
    """Compute the share of mentions in each frequency bucket: with uniform sampling of as many rows of each
    source, and in this mixture.

    With the sources' shares the same on both sides, the difference is the effect of balancing by entity.
    """
    counts, before, rows = Counter[str](), defaultdict[str, float](float), Counter[str]()
    # mentions expected with uniform sampling: those of each source times its share of rows that were drawn
    for cells in seen.cells.values():
        for (source, _), number in cells.items():
            rows[source] += number
    for by_source in seen.entities.values():
        for source, mentioned in by_source.items():
            counts.update(mentioned)
            for entity, number in mentioned.items():
                before[entity] += number * counted.sources[source] / rows[source]
    bucket = frequency.buckets(counts)
    shares: dict[str, dict[str, float]] = {}
    for name in ("head", "torso", "tail"):
        shares[name] = {}
        for when, numbers in (("before", before), ("after", counted.entities)):
            inside = sum(n for entity, n in numbers.items() if bucket[entity] == name)
            shares[name][when] = round(inside / max(1, sum(numbers.values())), 4)
    return shares


def _show(
    settings: MixtureSettings, per_kind: Mapping[str, Mapping[str, Any]], summary: Mapping[str, Any]
) -> None:
    for kind, sides in per_kind.items():
        for side in sides.values() if settings.by_modality else [sides["by_source"]]:
            for name, row in side.items():
                print(
                    f"  {kind:<13} {name:<24} intended {row['intended']:>8,}  realised {row['realised']:>8,}",
                    file=sys.stderr,
                )
    for name, when in summary["by_bucket"].items():
        print(
            f"  {FREQUENCY.get(name, name)} entities: {when['before']:.1%} of mentions with uniform sampling,"
            f" {when['after']:.1%} in this mixture",
            file=sys.stderr,
        )
