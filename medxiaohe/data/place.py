"""Stage data.place: entities whose vocabulary gives no parents leave the top of the tree for the parent they
most likely have.

    entities.jsonl    the tree; only the parents of what was placed differ
    attached.jsonl    {id, name, kind, placed, parents: [{id, name, score, why}]} of every entity without
                      parents of its own
    terms.jsonl, merges.jsonl, relations.jsonl, problems.jsonl    as they were
    stats.json        the summary

An entity is asked about when it is right below its domain and nothing is below it. The ranker is fitted on
the rest of the tree; nodes of the rest that it has not seen are put back too, and `checked` counts how many
of those above `min_score` are right. An entity whose best candidate scores lower stays where it is. Place
before literature is attached: that tree is frozen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.data.attach import COPIED, extended
from medxiaohe.data.growing.growth import ENOUGH_TO_LEARN, FOLDS, NUM_QUERIES
from medxiaohe.entity.build import row
from medxiaohe.entity.literature import grow
from medxiaohe.entity.literature.attach import Attacher, Parent, fit
from medxiaohe.entity.literature.holdout import drawn, hold_out
from medxiaohe.entity.literature.parents import Skeleton
from medxiaohe.entity.literature.vectors import Embedder, Remembering
from medxiaohe.entity.literature.words import variant_key
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.embed import embedder
from medxiaohe.types import Entity

NUM_CHECKED = 500  # nodes that are held out to measure precision
CHECKED = (0.95, 1.0)  # of the hash that draws folds: none of them is fitted on


@dataclass(frozen=True)
class PlaceSettings:
    kinds: tuple[str, ...] = ("disease", "phenotype")
    sources: tuple[str, ...] = ()  # only entities of these vocabularies; empty is all
    embedder: str = "minilm"  # or ngrams
    min_score: float = 0.5  # probability of a parent below which an entity stays where it is

    def __post_init__(self) -> None:
        if not 0 < self.min_score <= 1:
            raise ConfigError("min_score is a chance, between 0 and 1")


def place(settings: PlaceSettings, out: Path, *, tree: Path) -> dict[str, Any]:
    """Attach entities without parents to their most likely parent.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        tree: folder of a built tree.

    Returns:
        the summary of the stage: `asked`, `placed`, `by_source`, `checked`, `entities`

    Raises:
        DataError: no entity is without parents.
    """
    plugins.need("numpy", why="placing entities")
    full_tree = Tree.load(tree)
    work = io.scratch(out, [settings, io.content(tree, "entities.jsonl")])
    near = None if settings.embedder == "ngrams" else Remembering(embedder(settings.embedder), work)
    parents: dict[str, tuple[str, ...]] = {}
    rows: list[dict[str, Any]] = []
    checked: dict[str, Any] = {}
    for kind in settings.kinds:
        queries = [
            e
            for e in full_tree.entities.values()
            if e.kind == kind and _is_unplaced(full_tree, e, settings.sources)
        ]
        rest = [
            e for e in full_tree.entities.values() if e.kind == kind and not _is_unplaced(full_tree, e, ())
        ]
        if not queries or len(rest) < ENOUGH_TO_LEARN:
            continue
        # the ranker is fitted on nodes of the rest that are taken out and put back
        ranker = fit(rest, near, folds=FOLDS, num_queries=NUM_QUERIES)
        checked[kind] = _checked(ranker, rest, near, settings.min_score)
        for entity, ranking in zip(queries, ranker.rank(Skeleton(rest, near), queries), strict=True):
            best = _chosen(full_tree, entity, ranking, settings.min_score)
            if best:
                parents[entity.id] = tuple(parent.id for parent in best)
            shown = [
                {"id": p.id, "name": full_tree.entities[p.id].name, "score": p.score, "why": p.why}
                for p in best or ranking[:1]
            ]
            rows.append(
                {
                    "id": entity.id,
                    "name": entity.name,
                    "kind": kind,
                    "source": entity.source,
                    "placed": bool(best),
                    "parents": shown,
                }
            )
    if not rows:
        raise DataError(
            f"no entity of the kinds {', '.join(settings.kinds)} is without parents: there is nothing to"
            " place"
        )
    placed = (replace(e, parents=parents.get(e.id, e.parents)) for e in full_tree.entities.values())
    io.write_jsonl(out / "entities.jsonl", map(row, placed))
    for name in COPIED:
        extended(tree / name, out / name, ())
    io.write_jsonl(out / "attached.jsonl", rows)
    count = Counter((item["source"], item["placed"]) for item in rows)
    summary = {
        "asked": len(rows),
        "placed": len(parents),
        "by_source": {
            source: {"placed": count[source, True], "stay": count[source, False]}
            for source in sorted({s for s, _ in count})
        },
        "checked": checked,
        "entities": len(full_tree),
        "embedder": near.name if near else "character n-grams",
    }
    io.write_json(out / "stats.json", summary)
    return summary


def _is_unplaced(tree: Tree, entity: Entity, sources: Sequence[str]) -> bool:
    """Tell whether an entity is right below its domain with nothing below it."""
    at_top = bool(entity.parents) and all(parent in tree.roots for parent in entity.parents)
    return at_top and not tree.children(entity.id) and (not sources or entity.source in sources)


def _chosen(tree: Tree, entity: Entity, ranking: Sequence[Parent], min_score: float) -> list[Parent]:
    """Choose the parents that score enough; none when a likely parent has the entity's own name: that is a
    merge which the build missed, not a parent.
    """
    above = {parent.id: set(tree.ancestors(parent.id)) for parent in ranking[:2]}
    best = grow.chosen(ranking, min_score, above, tree.roots)
    own = {variant_key(name) for name in (entity.name, *entity.synonyms)}
    return [] if any(variant_key(tree.entities[parent.id].name) in own for parent in best) else best


def _checked(
    ranker: Attacher, nodes: Sequence[Entity], near: Embedder | None, min_score: float
) -> dict[str, int]:
    """Measure precision on nodes that the ranker was not fitted on: how many, how many score enough, how many
    of those are right.
    """
    ids = drawn(nodes, "0", *CHECKED)
    held = hold_out(nodes, sorted(ids)[:: max(1, len(ids) // NUM_CHECKED)][:NUM_CHECKED])
    ranked = ranker.rank(Skeleton(held.skeleton, near), held.queries, best=1)
    sure = [(q.id, r[0]) for q, r in zip(held.queries, ranked, strict=True) if r and r[0].score >= min_score]
    return {
        "nodes": len(held.queries),
        "placed": len(sure),
        "right": sum(parent.id in held.gold[id] for id, parent in sure),
    }
