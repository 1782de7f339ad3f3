"""Scores by subject of the items: tree node, layer, kind and rarity, with mentions in the training data.

An item counts for every entity its question or gold answer mentions, and for all ancestors of those. Training
mentions of a node are those of its entity and of everything below it, from the coverage.json of a data stage:
a record that mentions two of them is counted twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.entity.tree.frequency import buckets
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.evals.running.judging import interval
from medxiaohe.evals.statistics.clusters import Units
from medxiaohe.evals.statistics.measures import cluster_of

RARITIES = ("head", "torso", "tail", "unseen")
WARNING = (
    "{n} nodes were compared, each with its own 95 % interval: about {expected:.0f} of so many would look"
    " weak or strong by chance alone. Choose by node here, and confirm on other items."
)


@dataclass
class Values:
    """Values, clusters and nodes of items, gathered row by row."""

    values: array[float] = field(default_factory=lambda: array("d"))
    clusters: list[Units] = field(default_factory=list)
    entities: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add the item of a row, if it was judged and has nodes.

        Args:
            row: {scores, nodes, sample, ...}.
        """
        if (value := row["scores"][0]["value"]) is not None and row.get("nodes"):
            self.values.append(value)
            self.clusters.append(cluster_of(row))
            self.entities.append(tuple(row["nodes"]))

    def of(self, which: Iterable[int]) -> dict[str, Any]:
        """Mean and interval of some items.

        Args:
            which: their indices.

        Returns:
            {n, mean, low, high, clusters}
        """
        chosen = list(which)
        return interval([self.values[i] for i in chosen], [self.clusters[i] for i in chosen])


def slices(
    rows: Mapping[str, Path], tree: Tree, counts: Mapping[str, int] | None, min_items: int
) -> dict[str, Any]:
    """Scores by node, layer, kind and rarity, of each task and of all together.

    Args:
        rows: task -> file of its scored rows, which name the nodes of each item.
        tree: the Medical Entity Tree.
        counts: entity id -> mentions in the training data; None if unknown.
        min_items: nodes with fewer items are not reported.

    Returns:
        {all, tasks: {task: ...}, min_items}; all and each task {items, nodes, layers, kinds, rarity, warning}
        with rows of n, mean, interval and training mentions
    """
    every, tasks = Values(), dict[str, Any]()
    mentions = below(tree, counts) if counts is not None else None
    rare = rarity_of(counts) if counts is not None else None
    for task, path in rows.items():
        own = Values()
        for row in io.read_jsonl(path):
            own.add(row)
            every.add(row)
        tasks[task] = _sliced(own, tree, mentions, rare, min_items)
    return {"all": _sliced(every, tree, mentions, rare, min_items), "tasks": tasks, "min_items": min_items}


def _sliced(
    values: Values, tree: Tree, mentions: Mapping[str, int] | None, rare: Any, min_items: int
) -> dict[str, Any]:
    nodes: dict[str, set[int]] = {}
    layers: dict[str, set[int]] = {}
    kinds: dict[str, set[int]] = {}
    rarity: dict[str, set[int]] = {}
    # item indices of each node, with all ancestors, and of each layer, kind and rarity
    for i, entities in enumerate(values.entities):
        for id in entities:
            if id not in tree:
                continue
            for node in (id, *tree.ancestors(id)):
                nodes.setdefault(node, set()).add(i)
            layers.setdefault(str(tree.layer(id)), set()).add(i)
            kinds.setdefault(tree.entities[id].kind, set()).add(i)
        if rare is not None and entities:
            rarity.setdefault(rare(entities), set()).add(i)
    reported = {id: which for id, which in nodes.items() if len(which) >= min_items}
    rows = [_node(tree, id, values.of(sorted(which)), mentions) for id, which in reported.items()]
    rows.sort(key=lambda row: (row["mean"], -row["n"], row["node"]))
    return {
        "items": len(values.values),
        "nodes": rows,
        "layers": {name: values.of(sorted(layers[name])) for name in sorted(layers)},
        "kinds": {name: values.of(sorted(kinds[name])) for name in sorted(kinds)},
        "rarity": {name: values.of(sorted(rarity[name])) for name in RARITIES if name in rarity},
        "warning": WARNING.format(n=len(rows), expected=0.05 * len(rows)),
    }


def _node(tree: Tree, id: str, row: dict[str, Any], mentions: Mapping[str, int] | None) -> dict[str, Any]:
    entity = tree.entities[id]
    training = {"training_mentions": mentions.get(id, 0)} if mentions is not None else {}
    return {"node": id, "name": entity.name, "kind": entity.kind, "layer": tree.layer(id), **row, **training}


def below(tree: Tree, counts: Mapping[str, int]) -> dict[str, int]:
    """Mentions of each node and of everything below it.

    Args:
        tree: the Medical Entity Tree.
        counts: entity id -> mentions.

    Returns:
        node id -> mentions, without nodes that have none
    """
    mentions: dict[str, int] = {}
    for id, n in counts.items():
        if n > 0 and id in tree:
            for node in (id, *tree.ancestors(id)):
                mentions[node] = mentions.get(node, 0) + n
    return mentions


def rarity_of(counts: Mapping[str, int]) -> Any:
    """Rarity of items: the bucket of their rarest entity.

    Args:
        counts: entity id -> mentions in the training data.

    Returns:
        a function: ids of the entities of an item, at least one -> head, torso, tail, or unseen if training
        never mentions one of them
    """
    bucket_of = buckets(counts)
    rank = {name: i for i, name in enumerate(RARITIES)}
    return lambda entities: max((bucket_of.get(id, "unseen") for id in entities), key=rank.__getitem__)


def weak_nodes(sliced: Mapping[str, Any]) -> dict[str, Any]:
    """Nodes over all tasks by rising mean, the input of a synthesis stage.

    Args:
        sliced: what `slices` returned.

    Returns:
        {nodes, min_items, warning}
    """
    keys = ("node", "name", "kind", "layer", "n", "mean", "low", "high", "clusters", "training_mentions")
    rows: Sequence[Mapping[str, Any]] = sliced["all"]["nodes"]
    return {
        "nodes": [{key: row[key] for key in keys if key in row} for row in rows],
        "min_items": sliced["min_items"],
        "warning": sliced["all"]["warning"],
    }
