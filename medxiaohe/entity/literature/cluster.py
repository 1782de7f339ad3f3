"""Cluster spellings to concepts: spelling variants first, then abbreviations that the passages define, then
near vectors (MedXIAOHE).

Only pairs that share a block are compared: the nearest few by letters. Pairs are joined from the nearest on,
and only where the first names of both sets are near too, so that a chain of small steps does not join what is
far apart. Names that differ in a number, a letter or a word of opposition (type 1 and type 2, acute and
chronic) are never joined.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medxiaohe.entity.literature.passages import Found
from medxiaohe.entity.literature.vectors import Embedder, Sparse, letter_features, top
from medxiaohe.entity.literature.words import content, variant_key
from medxiaohe.entity.tree.names import is_abbreviation

NUM_NEAR = 8  # names in the block of a name
LEAST_LETTERS = 0.5  # similarity by letters within a block
# with an embedder, by letters: benchmarks/entity_literature.py prints what each gives
LEAST = {True: 0.95, False: 0.85}
SURE = 0.8  # share of the definitions of an abbreviation that name one long form
OPPOSED = [set(pair.split()) for pair in (
    "acute chronic", "left right", "upper lower", "anterior posterior", "proximal distal",
    "primary secondary", "benign malignant",
    "male female", "maternal fetal", "congenital acquired", "systolic diastolic", "arterial venous",
    "motor sensory", "dominant recessive",
    "internal external", "medial lateral", "superior inferior", "early late", "increased decreased",
    "agonist antagonist",
)]  # fmt: skip
OPPOSED_STARTS = (
    ("hyper", "hypo"),
    ("macro", "micro"),
    ("anti", "pro"),
    ("intra", "extra"),
    ("tachy", "brady"),
    ("poly", "oligo"),
    ("pre", "post"),
)


@dataclass
class Concept:
    """A concept that passages mention, with the count of each spelling."""

    names: Counter[str] = field(default_factory=Counter)
    types: Counter[str] = field(default_factory=Counter)  # as claimed, with mentions
    mentions: list[Found] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The most frequent spelling that is not an abbreviation.

        Returns:
            of equal counts the first in the alphabet; an abbreviation only where there is nothing else
        """
        return min(self.names, key=lambda name: (is_abbreviation(name), -self.names[name], name))

    @property
    def type(self) -> str:
        """The type that most mentions claim.

        Returns:
            of equal counts the first in the alphabet; "" where no mention claims one
        """
        return min(self.types, key=lambda type: (-self.types[type], type), default="")


def concepts(
    mentions: Iterable[Found],
    definitions: Mapping[str, Counter[str]],
    embedder: Embedder | None = None,
    least: float | None = None,
) -> list[Concept]:
    """Cluster mentions into concepts: spelling variants, then defined abbreviations, then near names.

    Args:
        mentions: of all passages.
        definitions: abbreviation -> long forms, with how often the passages define it so.
        embedder: for the similarity of names; None compares them by letters.
        least: cosine from which two names may be one; None takes LEAST.

    Returns:
        the most mentioned concept first, of equal ones by name
    """
    by_key: dict[str, Concept] = defaultdict(Concept)
    for mention in mentions:
        _add(by_key[variant_key(mention.surface)], mention)
    keys = sorted(by_key)
    sets = _Sets(keys)
    # an abbreviation joins its long form where nearly all definitions agree on one
    for short, longs in sorted(definitions.items()):
        long, count = min(longs.items(), key=lambda item: (-item[1], item[0]))
        if count >= SURE * longs.total() and variant_key(short) in by_key and variant_key(long) in by_key:
            sets.join(variant_key(long), variant_key(short))
    names = {key: by_key[key].name for key in keys}
    # agglomerate from the nearest pair on; two sets join only where their first names are near too
    near = near_pairs(
        [names[key] for key in keys], embedder, LEAST[embedder is not None] if least is None else least
    )
    are_near = {(keys[a], keys[b]) for a, b in near}
    for a, b in near:
        top_a, top_b = sets.top(keys[a]), sets.top(keys[b])
        if top_a != top_b and ((top_a, top_b) in are_near or (top_b, top_a) in are_near):
            sets.join(top_a, top_b)
    merged: dict[str, Concept] = defaultdict(Concept)
    for key in keys:
        for mention in by_key[key].mentions:
            _add(merged[sets.top(key)], mention)
    return sorted(merged.values(), key=lambda concept: (-len(concept.mentions), concept.name))


def _add(concept: Concept, mention: Found) -> None:
    concept.names[" ".join(mention.surface.split())] += 1
    concept.mentions.append(mention)
    if mention.type:
        concept.types[mention.type] += 1


def near_pairs(names: Sequence[str], embedder: Embedder | None, least: float) -> list[tuple[int, int]]:
    """Pairs of names that are similar enough to be one concept.

    Args:
        names: candidates; only the NUM_NEAR nearest by letters of each are compared.
        embedder: scores those pairs by the cosine of their vectors; None scores them by letters.
        least: lowest score of a pair.

    Returns:
        pairs (i, j) of indices with i < j, highest score first
    """
    import numpy as np

    letters = Sparse(names, letter_features)
    pairs = set()
    blocks = []  # of each name: similarity by letters of the names compared with it
    for i, name in enumerate(names):
        similarity = letters.similarities(name)
        near = [
            j for j in top(similarity, NUM_NEAR + 1).tolist() if j != i and similarity[j] >= LEAST_LETTERS
        ]
        blocks.append({j: float(similarity[j]) for j in near})
        pairs |= {(min(i, j), max(i, j)) for j in near}
    chosen = sorted(pairs)
    if embedder is not None and chosen:
        used = sorted({i for pair in chosen for i in pair})
        row = {i: n for n, i in enumerate(used)}
        vectors = embedder.encode([names[i] for i in used])
        scores = [float(np.dot(vectors[row[a]], vectors[row[b]])) for a, b in chosen]
    else:
        scores = [max(blocks[a].get(b, 0), blocks[b].get(a, 0)) for a, b in chosen]
    selected = [
        (round(-score, 4), pair) for score, pair in zip(scores, chosen, strict=True) if score >= least
    ]
    return [pair for _, pair in sorted(selected) if may_be_one(names[pair[0]], names[pair[1]])]


def may_be_one(a: str, b: str) -> bool:
    """Whether two names may be spellings of one concept.

    Returns:
        False when one is an abbreviation, or when they differ in a number, a word of one or two letters, or
        words of opposition (acute and chronic, hyper- and hypo-)
    """
    if is_abbreviation(a) or is_abbreviation(b):
        return False
    only_a, only_b = set(content(a)) - set(content(b)), set(content(b)) - set(content(a))
    if any(len(word) < 3 or any(map(str.isdigit, word)) for word in only_a | only_b):
        return False
    if any(x != y and {x, y} <= pair for pair in OPPOSED for x in only_a for y in only_b):
        return False
    starts = [*OPPOSED_STARTS, *((b, a) for a, b in OPPOSED_STARTS)]
    return not any(x.startswith(s) and y.startswith(t) for s, t in starts for x in only_a for y in only_b)


class _Sets:
    """Union-find; the representative of a set is the member that the others were joined to."""

    def __init__(self, members: Iterable[str]):
        self._above = {member: member for member in members}

    def top(self, member: str) -> str:
        """Representative of the set that a member is in, with path halving.

        Returns:
            the member that the others of its set were joined to
        """
        while self._above[member] != member:
            self._above[member] = self._above[self._above[member]]
            member = self._above[member]
        return member

    def join(self, a: str, b: str) -> None:
        """Merge the set of `b` into the set of `a`, whose representative stays.

        Args:
            a: a member of the first set.
            b: a member of the second set.
        """
        self._above[self.top(b)] = self.top(a)
