"""Candidate parents of a concept in a skeleton, and their features: the rows that boost.py ranks.

Features are: names of the skeleton inside the concept's names ("type 2 X" below "X") and in its definition,
above all in its genus phrase ("A lung disease that ..."); similarity of names and texts, in letters, words
and MiniLM; the parents of the nearest nodes; the children of a candidate.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from medxiaohe.entity.literature.vectors import Embedder, Sparse, letter_features, top, word_features
from medxiaohe.entity.literature.words import content, genus, head, tokens
from medxiaohe.types import Entity

if TYPE_CHECKING:
    import numpy as np

NUM_NEAR = 20  # neighbours in each space that bring themselves and their parents as candidates
NUM_VOTING = 10
NUM_GRANDPARENTS = 6  # neighbours whose grandparents are candidates too
MAX_SUBSET = 8  # words of a name whose every subset is looked up; of a longer one, runs of words
MAX_NAMES = 6  # of a node or a concept that are compared pair by pair
POWER = 4  # of a similarity as the weight of a vote
SPACES = ("letters", "words", "vectors")
NAMES = (
    "covers candidate", "overlap", "contained weight", "ends with", "starts with", "same head", "head inside",
    "contains concept",
    "genus equal", "genus ends with", "genus overlap", "genus head", "definition covers",
    *(f"{space} {what}" for space in SPACES for what in ("similarity", "rank", "best child", "votes",
    "votes of grandchildren")),
    "votes of all", "number of children", "depth", "words", "children with this head",
    "children named after it", "children share words",
)  # fmt: skip


NUM_OVERLAPS = NAMES.index("letters similarity")


class Skeleton:
    """Nodes of one kind, indexed for search. Candidates are indices of nodes in the order given."""

    def __init__(self, entities: Sequence[Entity], embedder: Embedder | None = None):
        import numpy as np

        self.entities = list(entities)
        number = {entity.id: i for i, entity in enumerate(self.entities)}
        self.parents = [[number[p] for p in entity.parents if p in number] for entity in self.entities]
        children: list[list[int]] = [[] for _ in self.entities]
        for i, above in enumerate(self.parents):
            for parent in above:
                children[parent].append(i)
        self.children = [np.array(below, np.int64) for below in children]
        self.names = [tuple(dict.fromkeys((e.name, *e.synonyms)))[:MAX_NAMES] for e in self.entities]
        self.words = [[frozenset(content(name)) for name in names] for names in self.names]
        self.ordered = [[tokens(name) for name in names] for names in self.names]
        self.heads = [head(e.name) for e in self.entities]
        count = Counter(word for sets in self.words for word in frozenset().union(*sets))
        # idf(w) = ln((1 + N) / (1 + n_w)) + 1, smoothed
        self._idf = {word: math.log((1 + len(self.entities)) / (1 + n)) + 1 for word, n in count.items()}
        self._rare = math.log(1 + len(self.entities)) + 1
        self._by_words: dict[frozenset[str], list[int]] = defaultdict(list)
        for i, sets in enumerate(self.words):
            for words in dict.fromkeys(sets):
                if words:
                    self._by_words[words].append(i)
        self.depth = self._depths()
        flat = [name for names in self.names for name in names]
        self._owner = np.cumsum([0, *map(len, self.names)])[:-1]
        self._letters = Sparse(flat, letter_features)
        self._texts = Sparse([text_of(e) for e in self.entities], word_features)
        self._embedder = embedder
        self._vectors = embedder.encode([e.name for e in self.entities]) if embedder else None
        self._child_heads: dict[int, Counter[str]] = {}

    def weight(self, words: Iterable[str]) -> float:
        """Weight of a set of words by inverse document frequency over the nodes.

        Returns:
            sum of log((1 + N) / (1 + n)) + 1; a word that no node has counts as n = 0
        """
        return sum(self._idf.get(word, self._rare) for word in words)

    def spaces(self, concepts: Sequence[Entity]) -> Iterator[list[np.ndarray]]:
        """Similarity of each concept with every node, in each space.

        Args:
            concepts: entities to attach.

        Yields:
            for each concept a list of (nodes,) arrays: letters (the best pair of names; synonyms of the
            concept count 0.95), words, and cosine of vectors where there is an embedder
        """
        import numpy as np

        vectors = (
            self._embedder.encode([concept.name for concept in concepts])
            if self._embedder and concepts
            else None
        )
        for i, concept in enumerate(concepts):
            by_name = self._letters.similarities(concept.name)
            for name in concept.synonyms[: MAX_NAMES - 1]:
                # a match by synonym counts a little less than one by name
                by_name = np.maximum(by_name, 0.95 * self._letters.similarities(name))
            # maximum over the names of each node
            results = [np.maximum.reduceat(by_name, self._owner), self._texts.similarities(text_of(concept))]
            if vectors is not None and self._vectors is not None:
                results.append(self._vectors @ vectors[i])
            yield results

    def candidates(self, concept: Entity, spaces: Sequence[np.ndarray]) -> np.ndarray:
        """Candidate parents of a concept.

        They are nodes with a name inside the concept's names or definition, and the nearest nodes of each
        space with their parents and grandparents.

        Args:
            concept: the entity to attach.
            spaces: its similarities from `spaces`.

        Returns:
            ascending numbers of nodes, int64
        """
        results: set[int] = set()
        for name in (concept.name, *concept.synonyms[: MAX_NAMES - 1], genus(concept.definition)):
            results.update(self._inside(content(name)))
        results.update(self._runs(tokens(concept.definition)))
        for similarity in spaces:
            near = top(similarity, NUM_NEAR).tolist()
            results.update(near, *(self.parents[i] for i in near))
            results.update(
                up
                for i in near[:NUM_GRANDPARENTS]
                for parent in self.parents[i]
                for up in self.parents[parent]
            )
        import numpy as np

        return np.array(sorted(results), np.int64)

    def _inside(self, words: Sequence[str]) -> Iterator[int]:
        """Nodes with a name whose words are a subset of these."""
        words = tuple(dict.fromkeys(words))
        if len(words) > MAX_SUBSET:
            yield from self._runs(words)
            return
        for size in range(1, len(words) + 1):
            for chosen in itertools.combinations(words, size):
                yield from self._by_words.get(frozenset(chosen), ())

    def _runs(self, words: Sequence[str], longest: int = 6) -> Iterator[int]:
        """Nodes with a name whose words are adjacent words of these."""
        for start in range(len(words)):
            for end in range(start + 1, min(len(words), start + longest) + 1):
                yield from self._by_words.get(frozenset(words[start:end]), ())

    def _depths(self) -> list[int]:
        """Depth of each node by breadth-first search from the nodes without parents; -1 where none leads to
        it.
        """
        depth = [-1] * len(self.entities)
        level = [i for i, above in enumerate(self.parents) if not above]
        at = 0
        while level:
            for i in level:
                depth[i] = at
            level = sorted({int(child) for i in level for child in self.children[i] if depth[child] < 0})
            at += 1
        return depth

    def child_heads(self, i: int) -> Counter[str]:
        """Head words of the children of node `i`, cached.

        Returns:
            head word -> number of children
        """
        if i not in self._child_heads:
            self._child_heads[i] = Counter(self.heads[child] for child in self.children[i])
        return self._child_heads[i]

    @cached_property
    def named_after(self) -> list[float]:
        """Share of each node's children whose name contains every content word of the node's own.

        Returns:
            a number in [0, 1] for each node; 0 for a leaf
        """
        return [
            (
                sum(self.words[i][0] <= self.words[child][0] for child in below) / len(below)
                if len(below)
                else 0.0
            )
            for i, below in enumerate(self.children)
        ]


def text_of(entity: Entity) -> str:
    """Text of an entity for the space of words.

    Returns:
        name, up to MAX_NAMES - 1 synonyms and the first 400 characters of the definition
    """
    return " . ".join((entity.name, *entity.synonyms[: MAX_NAMES - 1], entity.definition[:400]))


def rows(
    skeleton: Skeleton, concept: Entity, candidates: np.ndarray, spaces: Sequence[np.ndarray]
) -> np.ndarray:
    """Feature table of the candidate parents of one concept.

    Args:
        skeleton: has the candidates.
        concept: the entity to attach.
        candidates: numbers of nodes.
        spaces: similarities of the concept with all nodes, in the order of SPACES; columns of a missing space
            are 0.

    Returns:
        (candidates, len(NAMES)) float32, columns in the order of NAMES
    """
    import numpy as np

    words = _Asked(skeleton, concept)
    table = np.zeros((len(candidates), len(NAMES)), np.float32)
    votes_of_all = np.zeros(len(skeleton.entities))
    width = NUM_OVERLAPS
    for s, similarity in enumerate(spaces):
        votes, far_votes = _votes(skeleton, similarity)
        votes_of_all += votes
        # rank of each candidate among the candidates, 0 for the most similar
        ranks = np.empty(len(candidates), np.int64)
        ranks[np.argsort(-similarity[candidates], kind="stable")] = np.arange(len(candidates))
        best_child = [float(similarity[skeleton.children[c]].max(initial=0)) for c in candidates]
        columns = (similarity[candidates], ranks, best_child, votes[candidates], far_votes[candidates])
        table[:, width + 5 * s : width + 5 * s + 5] = np.stack(
            [np.asarray(column, np.float32) for column in columns], 1
        )
    rest = width + 5 * len(SPACES)
    for i, c in enumerate(candidates.tolist()):
        table[i, :width] = words.overlaps(c)
        num_children = len(skeleton.children[c])
        table[i, rest:] = (
            votes_of_all[c],
            math.log1p(num_children),
            skeleton.depth[c],
            len(skeleton.words[c][0]),
            skeleton.child_heads(c)[words.head] / num_children if num_children else 0,
            skeleton.named_after[c],
            words.shared_with_children(c),
        )
    return table


def _votes(skeleton: Skeleton, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Votes of the nearest nodes for their parents, and for their grandparents; the weights of the voters sum
    to 1.
    """
    import numpy as np

    votes, far = np.zeros(len(similarity)), np.zeros(len(similarity))
    # k nearest neighbours; weight of a vote: max(s, 0) ** POWER, normalised over the neighbours
    near = top(similarity, NUM_VOTING)
    weights = np.maximum(similarity[near], 0) ** POWER
    for i, weight in zip(near.tolist(), (weights / max(float(weights.sum()), 1e-9)).tolist(), strict=True):
        for parent in skeleton.parents[i]:
            votes[parent] += weight
            for up in skeleton.parents[parent]:
                far[up] += weight
    return votes, far


class _Asked:
    """Words of a concept, prepared for comparison with many candidates."""

    def __init__(self, skeleton: Skeleton, concept: Entity):
        self.skeleton = skeleton
        names = tuple(dict.fromkeys((concept.name, *concept.synonyms)))[:MAX_NAMES]
        self.sets = [frozenset(content(name)) for name in names]
        self.ordered = [tokens(name) for name in names]
        self.weights = [max(skeleton.weight(item), 1e-9) for item in self.sets]
        self.head = head(concept.name)
        self.heads = {head(name) for name in names}
        phrase = genus(concept.definition)
        self.genus, self.genus_ordered, self.genus_head = (
            frozenset(content(phrase)),
            tokens(phrase),
            head(phrase),
        )
        self.genus_weight = max(skeleton.weight(self.genus), 1e-9)
        self.definition = tokens(concept.definition)
        self.in_definition = frozenset(self.definition)

    def overlaps(self, c: int) -> tuple[float, ...]:
        """Word-overlap features of candidate `c`: the best values over all pairs of names.

        Returns:
            the first NUM_OVERLAPS features in the order of NAMES
        """
        skeleton = self.skeleton
        covers = overlap = contained = ends = starts = contains = 0.0
        genus_equal = genus_ends = genus_overlap = defined = 0.0
        for theirs, order in zip(skeleton.words[c], skeleton.ordered[c], strict=True):
            weight = max(skeleton.weight(theirs), 1e-9)
            for ours, our_order, our_weight in zip(self.sets, self.ordered, self.weights, strict=True):
                # coverage, Jaccard index and containment of two names, with words weighted by idf
                if common := ours & theirs:
                    shared = skeleton.weight(common)
                    covers = max(covers, shared / weight)
                    overlap = max(overlap, shared / (weight + our_weight - shared))
                    if common == theirs:
                        contained = max(contained, weight / our_weight)
                        if order and our_order[-len(order) :] == order:
                            ends = max(ends, weight / our_weight)
                        if order and our_order[: len(order)] == order:
                            starts = max(starts, weight / our_weight)
                    elif common == ours:
                        contains = max(contains, our_weight / weight)
            # the same for the genus phrase of the definition
            if common := self.genus & theirs:
                shared = skeleton.weight(common)
                genus_equal = max(genus_equal, float(theirs == self.genus))
                genus_overlap = max(genus_overlap, shared / (weight + self.genus_weight - shared))
                if order and self.genus_ordered[-len(order) :] == order:
                    genus_ends = max(genus_ends, weight / self.genus_weight)
            # share of this name's words that occur anywhere in the definition
            if common := self.in_definition & theirs:
                defined = max(defined, skeleton.weight(common) / weight)
        heads = skeleton.heads[c]
        return (
            covers, overlap, contained, ends, starts, float(heads in self.heads),
            float(any(heads in item for item in self.sets)), contains,
            genus_equal, genus_ends, genus_overlap, float(bool(heads) and heads == self.genus_head), defined,
        )  # fmt: skip

    def shared_with_children(self, c: int) -> float:
        """Largest share of the concept's words, by weight, that one of the first 50 children of `c` has.

        Returns:
            a number in [0, 1]
        """
        own, weight = self.sets[0], self.weights[0]
        best = 0.0
        for child in self.skeleton.children[c][:50].tolist():
            if common := own & self.skeleton.words[child][0]:
                best = max(best, self.skeleton.weight(common) / weight)
        return best
