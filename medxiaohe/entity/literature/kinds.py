"""Classify the kind of a new entity by the names of the tree that are nearest to its name (MedXIAOHE)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe import io
from medxiaohe.entity.literature.vectors import Embedder, Sparse, letter_features, top
from medxiaohe.entity.tree.tree import Tree

NUM_NEAR = 10  # neighbours that vote
POWER = 4  # of a similarity as the weight of a vote: near names count much more than far ones
# of a kind, drawn by the hash of the name, when vectors are computed; ten times as many by letters, which are
# cheap
MAX_NAMES = 2000


@dataclass(frozen=True)
class Typed:
    kind: str
    share: float  # of the weight of the nearest names
    nearest: tuple[str, ...]  # names of the tree, nearest first


class Typer:
    """Classifier of names by the names of the tree. `kinds` are those that it may return; empty is all of the
    tree.
    """

    def __init__(
        self,
        tree: Tree,
        embedder: Embedder | None = None,
        kinds: Sequence[str] = (),
        max_names: int = MAX_NAMES,
    ):
        roots = set(tree.roots)
        by_kind: dict[str, list[str]] = {}
        for entity in tree.entities.values():
            if entity.id not in roots and (not kinds or entity.kind in kinds):
                by_kind.setdefault(entity.kind, []).append(entity.name)
        most = max_names if embedder is not None else 10 * max_names
        drawn = {
            kind: sorted(set(names), key=lambda name: (io.unit_interval("typing", name), name))[:most]
            for kind, names in by_kind.items()
        }
        self.names = [name for kind in sorted(drawn) for name in drawn[kind]]
        self.kinds = [kind for kind in sorted(drawn) for _ in drawn[kind]]
        self._embedder = embedder
        self._vectors = embedder.encode(self.names) if embedder is not None else None
        self._letters = Sparse(self.names, letter_features) if embedder is None else None

    def types(self, names: Sequence[str], shown: int = 3) -> list[Typed]:
        """Classify names by the kinds of their nearest names in the tree (k nearest neighbours).

        Each of the NUM_NEAR nearest votes for its kind with the weight max(similarity, 0) ** POWER.

        Args:
            names: to classify.
            shown: number of nearest names in each result.

        Returns:
            for each name the kind with the largest weight (equal weights by the alphabet); kind "" and share
            0 where all weights are 0
        """
        import numpy as np

        vectors = self._embedder.encode(names) if self._embedder is not None and names else None
        results = []
        for i, name in enumerate(names):
            if vectors is not None:
                similarity = self._vectors @ vectors[i]
            else:
                assert self._letters is not None
                similarity = self._letters.similarities(name)
            near = top(similarity, NUM_NEAR)
            weights = np.maximum(similarity[near], 0) ** POWER
            votes: dict[str, float] = {}
            for j, weight in zip(near.tolist(), weights.tolist(), strict=True):
                votes[self.kinds[j]] = votes.get(self.kinds[j], 0) + weight
            total = sum(votes.values())
            kind = min(votes, key=lambda k: (-round(votes[k], 6), k), default="")
            if not total:
                results.append(Typed("", 0.0, ()))
            else:
                results.append(
                    Typed(
                        kind,
                        round(votes[kind] / total, 4),
                        tuple(self.names[j] for j in near[:shown].tolist()),
                    )
                )
        return results
