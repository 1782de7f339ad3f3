"""Stage data.gather: raw items for the entities that a corpus hardly shows, found node by node (MedXIAOHE;
arXiv 2604.25296).

    nodes.jsonl     {id, name, kind, samples, around, why, found}: the thin nodes, and how many items each got
    items.jsonl     {node, sample, score, how, why}: the evidence that an item is about a node
    samples.jsonl   the items, each once; `annotations.nodes` has the nodes it was found for
    contamination.json, where what was searched has it

`corpus` says what is thin (its coverage.json) and, unless there is a `pool`, is searched itself. The pool may
be a bigger read stage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.duplicates import contamination_record
from medxiaohe.data.mixing.stored_rows import Rows
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.search import Pool
from medxiaohe.data.synth.thin import Thin, count_thin, failed, thin
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.progress import track
from medxiaohe.recipe.settings import InputPath
from medxiaohe.types import HELD_OUT, Sample

TOGETHER = 100  # nodes whose items are saved together; a killed run loses at most one batch


@dataclass(frozen=True)
class GatherSettings:
    nodes: int = 1000  # thin nodes to look for
    kinds: tuple[str, ...] = ("disease", "phenotype", "anatomy")
    at_most: int = 2  # samples of the corpus that may mention a thin node
    per_parent: int = 5  # thin nodes of one parent
    per_node: int = 5  # items of one node
    # what `eval run --weak-nodes` wrote: nodes that a model failed at come first, however much the corpus has
    # of them
    weak: InputPath = ""
    weak_below: float = 0.5  # mean score of such a node
    seed: int = 0

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.per_parent < 1 or self.per_node < 1 or self.at_most < 0 or not self.kinds:
            raise ConfigError(
                "nodes, per_parent and per_node must be at least 1, at_most at least 0, and kinds name one"
                " kind or more"
            )


def gather(
    settings: GatherSettings, out: Path, *, tree: Path, corpus: Path, pool: Path | None = None
) -> dict[str, Any]:
    """Find rows about entities that a corpus hardly mentions.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.
        corpus: folder of a data stage, whose thin nodes are searched for.
        pool: folder of a data stage to search in; None: the corpus.

    Returns:
        the summary of the stage: `thin` {kind: n}, `nodes`, `nodes_with_items`, `samples`, `how`,
        `by_kind`

    Raises:
        DataError: no entity is thin, or the corpus has no coverage.json.
    """
    graph = Graph.load(tree)
    counts = coverage_of(corpus)
    _known(settings.kinds, graph)
    requested = thin(
        graph, counts, kinds=settings.kinds, at_most=settings.at_most, num=settings.nodes,
        per_parent=settings.per_parent,
        seed=settings.seed,
    )  # fmt: skip
    if settings.weak:
        weak = failed(graph, counts, _weak(settings), settings.kinds)
        if not weak:
            raise DataError(
                f"{settings.weak}: none of its nodes below {settings.weak_below} is a"
                f" {' or '.join(settings.kinds)} of this tree"
            )
        of_weak = {item.id for item in weak}
        requested = [*weak, *(item for item in requested if item.id not in of_weak)][: settings.nodes]
    if not requested:
        raise DataError(
            f"no entity of {', '.join(settings.kinds)} is thin: raise at_most, or name other kinds"
        )
    searched = pool or corpus
    work = io.scratch(
        out,
        [
            settings,
            io.content(searched, "samples.jsonl"),
            io.content(tree, "entities.jsonl"),
            io.code.digest(__name__),
        ],
    )
    with Rows(searched) as rows:
        items = _search(settings, graph, requested, rows, work / "found.jsonl")
        io.write_jsonl(
            out / "nodes.jsonl", ({**asdict(item), "found": len(items[item.id])} for item in requested)
        )
        io.write_jsonl(
            out / "items.jsonl",
            ({"node": node, **_item(row)} for node, matches in items.items() for row in matches),
        )
        nodes_of: dict[int, list[str]] = {}
        for node, matches in items.items():
            for row in matches:
                nodes_of.setdefault(row["place"], []).append(node)
        num = io.write_jsonl(out / "samples.jsonl", _samples(rows, nodes_of))
    contamination_record.carry(searched, out)
    methods = Counter(row["how"] for matches in items.values() for row in matches)
    served = sum(map(bool, items.values()))
    return {
        "thin": count_thin(graph, counts, settings.at_most),
        "nodes": len(requested),
        "nodes_with_items": served,
        "samples": num,
        "matches": sum(methods.values()),
        "how": dict(sorted(methods.items())),
        "by_kind": _by_kind(requested, items),
    }


def _weak(settings: GatherSettings) -> list[dict[str, Any]]:
    report = io.read_json(Path(settings.weak))
    try:
        return [
            row for row in report["nodes"] if row["mean"] < settings.weak_below and row["node"] and row["n"]
        ]
    except (KeyError, TypeError) as error:
        raise DataError(
            f"weak: {settings.weak} lists no nodes: give the file that `medxiaohe eval run --weak-nodes FILE`"
            " wrote"
        ) from error


def coverage_of(corpus: Path) -> dict[str, int]:
    """Read coverage.json of a stage.

    Args:
        corpus: folder of data.read, data.link or data.curate.

    Returns:
        Entity id -> number of samples that mention it.

    Raises:
        DataError: the folder has no coverage.json.
    """
    if not (path := corpus / "coverage.json").is_file():
        raise DataError(
            f"{corpus} has no coverage.json: it must be the folder of data.read, data.link or data.curate"
        )
    return dict(io.read_json(path))


def _search(
    settings: GatherSettings, graph: Graph, requested: list[Thin], rows: Rows, path: Path
) -> dict[str, list[dict[str, Any]]]:
    """Search items for every node; nodes that a killed run has finished are not searched again."""
    io.drop_torn_line(path)
    done = {row["node"]: row["found"] for row in io.read_jsonl(path)} if path.exists() else {}
    remaining = [item for item in requested if item.id not in done]
    if remaining:
        usable = (
            (location, sample) for location, sample in track(rows, "index") if sample.split not in HELD_OUT
        )
        pool = Pool(usable)
        batch = []
        for node in track(remaining, "gather"):
            done[node.id] = [asdict(match) for match in pool.retrieve(graph.tree, node.id, settings.per_node)]
            batch.append({"node": node.id, "found": done[node.id]})
            if len(batch) == TOGETHER:
                io.append_jsonl(path, batch)
                batch = []
        io.append_jsonl(path, batch)
    return {item.id: io.to_json(done[item.id]) for item in requested}


def _item(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "place"}


def _samples(rows: Rows, nodes_of: dict[int, list[str]]) -> Iterator[Sample]:
    for location in sorted(nodes_of):
        sample = rows.at(location)
        yield replace(sample, annotations=replace(sample.annotations, nodes=tuple(nodes_of[location])))


def _by_kind(requested: list[Thin], items: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for item in requested:
        row = counts.setdefault(item.kind, {"nodes": 0, "with_items": 0})
        row["nodes"] += 1
        row["with_items"] += bool(items[item.id])
    return counts


def _known(kinds: tuple[str, ...], graph: Graph) -> None:
    existing = {entity.kind for entity in graph.tree.entities.values()}
    for kind in kinds:
        if kind not in existing:
            raise ConfigError(f"kinds: the tree has no {kind!r}: there are {', '.join(sorted(existing))}")
