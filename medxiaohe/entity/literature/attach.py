"""Attach new entities to parents: a ranker that is trained on the tree itself (MedXIAOHE).

`fit` takes nodes of the tree out, computes features of each candidate parent of each, and trains boosted
trees. `rank` does the same for a concept that the tree does not have. The tree is never changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.entity.literature import boost
from medxiaohe.entity.literature.holdout import HoldOut, drawn, hold_out
from medxiaohe.entity.literature.parents import NAMES, SPACES, Skeleton, rows
from medxiaohe.entity.literature.vectors import Embedder, top
from medxiaohe.entity.literature.words import genus
from medxiaohe.errors import DataError
from medxiaohe.progress import Meter
from medxiaohe.types import Entity

if TYPE_CHECKING:
    import numpy as np

KEPT = 40  # candidates of a concept that the ranker sees: those with the largest sum of STRENGTH
STRENGTH = {  # feature -> weight
    "votes of all": 1.0, "contained weight": 1.0, "genus overlap": 1.0, "genus equal": 1.0,
    "letters best child": 1.0,
    "words best child": 1.0, "vectors best child": 1.0, "vectors similarity": 0.5, "words similarity": 0.5,
    "definition covers": 0.3,
}  # fmt: skip
BLOCK = 200


@dataclass(frozen=True)
class Parent:
    """A candidate parent. `score` estimates the probability that it is right; the scores of a concept sum to
    1.
    """

    id: str
    score: float
    why: str


@dataclass(frozen=True)
class Gathered:
    """Feature rows of the candidates of several queries; row i belongs to query `group[i]`."""

    rows: np.ndarray
    group: np.ndarray
    candidate: np.ndarray  # number of the node in the skeleton


def gather(skeleton: Skeleton, queries: Sequence[Entity], label: str = "candidates") -> Gathered:
    """Feature rows of the most promising candidate parents of each query.

    Args:
        skeleton: nodes of one kind.
        queries: entities to attach; need name, synonyms and definition only.
        label: of the progress bar.

    Returns:
        up to KEPT candidates of each query, those with the largest sum of STRENGTH x feature; in the order of
        the queries, and of the skeleton within a query
    """
    import numpy as np

    columns, weights = [NAMES.index(name) for name in STRENGTH], np.array(list(STRENGTH.values()), np.float32)
    tables, groups, numbers = [], [], []
    meter = Meter(label, len(queries))
    for g, (query, spaces) in enumerate(zip(queries, skeleton.spaces(queries), strict=True)):
        candidates = skeleton.candidates(query, spaces)
        table = rows(skeleton, query, candidates, spaces)
        selected = np.sort(top(table[:, columns] @ weights, KEPT))
        tables.append(table[selected])
        groups.append(np.full(len(selected), g))
        numbers.append(candidates[selected])
        meter.advance()
    meter.close()
    if not tables:
        return Gathered(np.zeros((0, len(NAMES)), np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    return Gathered(np.concatenate(tables), np.concatenate(groups), np.concatenate(numbers))


def relevance(gathered: Gathered, held: HoldOut) -> np.ndarray:
    """Labels for the ranker: which candidates are gold parents of their query.

    Args:
        gathered: candidates of `held.queries` in `held.skeleton`.
        held: the nodes taken out, with their gold parents.

    Returns:
        (rows,) float64: 1 for a gold parent, 0 for another candidate
    """
    import numpy as np

    ids = [entity.id for entity in held.skeleton]
    golds = [held.gold[query.id] for query in held.queries]
    pairs = zip(gathered.group.tolist(), gathered.candidate.tolist(), strict=True)
    return np.array([ids[c] in golds[g] for g, c in pairs], np.float64)


@dataclass(frozen=True)
class Attacher:
    """A trained ranker of parents."""

    ranker: boost.Ranker

    def rank(self, skeleton: Skeleton, concepts: Sequence[Entity], best: int = 5) -> list[list[Parent]]:
        """Rank candidate parents of new concepts.

        Args:
            skeleton: nodes of one kind.
            concepts: entities that the skeleton does not have.
            best: number of candidates returned for each concept.

        Returns:
            for each concept its `best` candidates, highest score first; [] for a concept without candidates
        """
        results: list[list[Parent]] = []
        for start in range(0, len(concepts), BLOCK):
            block = concepts[start : start + BLOCK]
            results += self.rank_gathered(
                skeleton, block, gather(skeleton, block, f"attach {start:,} and on"), best
            )
        return results

    def rank_gathered(
        self, skeleton: Skeleton, concepts: Sequence[Entity], gathered: Gathered, best: int = 5
    ) -> list[list[Parent]]:
        """Rank candidates whose feature rows exist already.

        Args:
            skeleton: the one that `gathered` was made with.
            concepts: the queries of `gathered`, in the same order.
            gathered: their candidates.
            best: number of candidates returned for each concept.

        Returns:
            for each concept its `best` candidates, highest score first, of equal scores the first in the
            skeleton
        """
        import numpy as np

        results = []
        scores = self.ranker.scores(gathered.rows) if len(gathered.rows) else np.zeros(0)
        for g, concept in enumerate(concepts):
            own = np.flatnonzero(gathered.group == g)
            if not len(own):
                results.append(list[Parent]())
                continue
            # softmax over the candidates of one concept: the estimate that each is a right parent
            chance = boost.softmax(scores[own], np.zeros(len(own), np.int64), np.zeros(1, np.int64))
            order = np.lexsort((gathered.candidate[own], -chance))[:best]
            results.append(
                [
                    Parent(
                        skeleton.entities[gathered.candidate[own[i]]].id,
                        round(float(chance[i]), 4),
                        reason(skeleton, concept, int(gathered.candidate[own[i]]), gathered.rows[own[i]]),
                    )
                    for i in order
                ]
            )
        return results


def fit(
    entities: Sequence[Entity],
    embedder: Embedder | None = None,
    *,
    seed: str = "0",
    folds: int = 4,
    num_queries: int = 3000,  # together
    growth: boost.Growth = boost.Growth(),  # noqa: B008
) -> Attacher:
    """Train the ranker of parents on nodes of the tree that are taken out of it, a tenth at a time.

    Args:
        entities: nodes of one kind, with their parents.
        embedder: for the features of the space "vectors"; None leaves them 0.
        seed: decides which nodes are taken out.
        folds: how many tenths of the nodes are queries, each with the rest as its skeleton; at most 10.
        num_queries: largest number of queries in all folds together.
        growth: settings of the boosted trees.

    Returns:
        the trained ranker

    Raises:
        DataError: no query has a gold parent among its candidates.
    """
    import numpy as np

    tables, groups, golds, size = [], [], [], 0
    for number in range(folds):
        ids = drawn(entities, seed, number / 10, (number + 1) / 10)
        ids = sorted(ids, key=lambda id: (len(ids), id))[:: max(1, -(-len(ids) * folds // num_queries))]
        held = hold_out(entities, ids)
        gathered = gather(Skeleton(held.skeleton, embedder), held.queries, f"fit {number + 1} of {folds}")
        gold = relevance(gathered, held)
        tables.append(gathered.rows)
        groups.append(gathered.group + size)
        golds.append(gold)
        size += len(held.queries)
    if not size or not sum(gold.sum() for gold in golds):
        raise DataError("the tree has too few entities with parents to learn from: attach to a larger one")
    return Attacher(boost.fit(np.concatenate(tables), np.concatenate(groups), np.concatenate(golds), growth))


def reason(skeleton: Skeleton, concept: Entity, candidate: int, row: np.ndarray) -> str:
    """Explain in words what speaks for a candidate parent.

    Args:
        skeleton: has the candidate.
        concept: the entity to attach.
        candidate: number of the node in the skeleton.
        row: its features, (len(NAMES),).

    Returns:
        clauses joined by "; ", never empty
    """
    value = dict(zip(NAMES, row.tolist(), strict=True))
    name = skeleton.entities[candidate].name
    clauses = []
    if value["genus equal"]:
        clauses.append(f"the definition calls it {genus(concept.definition)!r}")
    elif value["genus ends with"]:
        clauses.append(
            f"the definition calls it {genus(concept.definition)!r}, which ends with the name {name!r}"
        )
    if value["ends with"]:
        clauses.append("its name ends with this one")
    elif value["contained weight"]:
        clauses.append("its name has every word of this one")
    if value["votes of all"] >= 0.3:
        clauses.append(
            f"the nearest entities are below it ({value['votes of all'] / len(SPACES):.2f} of the votes)"
        )
    if not clauses and value["definition covers"] >= 1:
        clauses.append("its definition mentions this one")
    return "; ".join(clauses) or "it is the most similar by names, words and neighbours"
