"""Retrieve raw items about a node of the tree, with the evidence of each match (arXiv 2604.25296).

BM25 over the pool is queried with the names of the node, and again with the names of its nearest ancestors,
which separate a rare node's texts from others with the same words. An item counts as about the node by one of
these, in this order:

    linked    the pool's own linking has a mention of the node
    below     it mentions a descendant of the node
    named     it contains a name of the node
    words     it contains all telling words of the node's name, and an ancestor is named

An item that only shares some words is left out: a wrong item is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from medxiaohe.data.synth.names import VAGUE, telling, visible
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.retrieval.bm25 import BM25, words
from medxiaohe.scoring._words import EMPTY, stem
from medxiaohe.types import Entity, Evidence, Sample

CANDIDATES = 4  # times as many as are asked for
ABOVE = 0.25  # weight of an ancestor's words against the node's own
NUM_ABOVE, MAX_NAMES = 3, 6
MAX_BELOW = 200  # entities below that count as the node itself


@dataclass(frozen=True, slots=True)
class Found:
    """An item about a node.

    Attributes:
        sample: id of the row.
        place: position of the row in its file, as the pool was given it.
        score: BM25 score, plus ABOVE times the score of the ancestors' names.
        how: linked, below, named or words (see the module).
        why: the names, ids or words that it was matched by.
    """

    sample: str
    place: int  # of the row in its file
    score: float
    how: str  # linked, below, named, words
    why: tuple[str, ...]  # the names, ids or words that it was found by


@dataclass(frozen=True, slots=True)
class _Row:
    sample: str
    place: int
    entities: frozenset[str]


class Pool:
    """A pool of items to search in: BM25 has the texts, rows have the positions for reading them again."""

    def __init__(self, samples: Iterable[tuple[int, Sample]]):
        self._rows: list[_Row] = []
        self._linked: dict[str, list[int]] = {}
        self._search = BM25(self._passages(samples))

    def __len__(self) -> int:
        return len(self._rows)

    def retrieve(self, tree: Tree, id: str, k: int) -> list[Found]:
        """Retrieve the items about a node of the tree.

        Args:
            tree: the entity tree.
            id: of the node.
            k: items at most.

        Returns:
            The items, best first: by the kind of match (linked, below, named, words), then by score.
        """
        entity = tree.entities[id]
        # two queries: the names of the node, and those of its nearest ancestors
        above = [tree.entities[node] for node in islice(_concrete(tree, id), NUM_ABOVE)]
        below = {child for child in islice(_below(tree, id), MAX_BELOW)}
        scores = self._scores(_query((entity.name, *entity.synonyms)), CANDIDATES * k)
        # add the items that are linked to the node or below it, whatever their words score
        linked = [n for node in (id, *below) for n in self._linked.get(node, ())]
        scores |= {n: scores.get(n, 0.0) for n in linked[: CANDIDATES * k]}
        high = (
            self._scores(_query(node.name for node in above), max(50, CANDIDATES * k))
            if above and scores
            else {}
        )
        items = []
        for number, score in scores.items():
            # score = BM25(node) + ABOVE * BM25(ancestors); an item that is not about the node is dropped
            match, why = self._match(number, entity, below, above)
            if match:
                row = self._rows[number]
                items.append(
                    Found(row.sample, row.place, round(score + ABOVE * high.get(number, 0.0), 4), match, why)
                )
        order = ("linked", "below", "named", "words")
        return sorted(items, key=lambda f: (order.index(f.how), -f.score, f.place))[:k]

    def _passages(self, samples: Iterable[tuple[int, Sample]]) -> Iterator[Evidence]:
        for number, (position, sample) in enumerate(samples):
            self._rows.append(_Row(sample.id, position, frozenset(sample.entities)))
            for entity in sample.entities:
                self._linked.setdefault(entity, []).append(number)
            yield Evidence(str(number), sample.text, sample.source)

    def _scores(self, query: str, top: int) -> dict[int, float]:
        return {int(hit.id): hit.score for hit in self._search.search([query], top)[0]}

    def _match(
        self, number: int, entity: Entity, below: set[str], above: list[Entity]
    ) -> tuple[str, tuple[str, ...]]:
        row, text = self._rows[number], self._search.passages[number].text
        if entity.id in row.entities:
            return "linked", (entity.id,)
        if inside := row.entities & below:
            return "below", tuple(sorted(inside)[:3])
        if name := visible((entity.name, *entity.synonyms), text):
            return "named", (name,)
        telling_words = telling(entity.name)
        if len(telling_words) > 1 and telling_words <= telling(text):
            parent = next(
                (
                    ancestor
                    for ancestor in above
                    if ancestor.id in row.entities or visible((ancestor.name,), text)
                ),
                None,
            )
            return ("words", (*sorted(telling_words), parent.id)) if parent else ("", ())
        return "", ()


def _query(names: Iterable[str]) -> str:
    """Return the telling words of the names, each once: a word that half of all texts have costs time and
    does not discriminate.
    """
    distinct = dict.fromkeys(word for name in islice(names, MAX_NAMES) for word in words(name))
    return " ".join(
        word for word in distinct if word not in EMPTY and stem(word) not in VAGUE and len(word) > 1
    )


def _concrete(tree: Tree, id: str) -> Iterator[str]:
    """List ancestors, nearest first, without the domains."""
    return (ancestor for ancestor in tree.ancestors(id) if tree.entities[ancestor].parents)


def _below(tree: Tree, id: str) -> Iterator[str]:
    queue, seen = list(tree.children(id)), set[str]()
    for node in queue:
        if node not in seen:
            seen.add(node)
            yield node
            queue.extend(tree.children(node))
