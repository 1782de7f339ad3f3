"""Normalise a mention to an entity: by its normalised spelling, then by letter triples that it shares with
names, then by a part of it.

    normaliser = Normaliser.of(tree)                            # ids of the tree
    normaliser = Normaliser.of(tree, codes=("MESH", "OMIM"))    # codes of vocabularies, by cross-references
    normaliser.candidates("familial breast cancers", "disease")    # [("MONDO:0016419", 0.95), ...]

The score says how far a name had to be changed, 1 is not at all; nothing below the least score of a kind is
returned, as a wrong id is worse than none. The names are compared as TF-IDF of three letters, as Leaman,
Islamaj Dogan and Lu (DNorm, 2013) and later work take as their baseline. Needs numpy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medxiaohe.arrays import distinct
from medxiaohe.entity.linking.link import is_grouping
from medxiaohe.entity.linking.spelling import bag, broader, coordinated, meaning, stripped
from medxiaohe.entity.tree.ids import prefix
from medxiaohe.entity.tree.names import is_abbreviation, key
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

if TYPE_CHECKING:
    import numpy as np

# a marked disease is often a sign in the tree
KINDS = {"disease": ("disease", "phenotype"), "anatomy": ("anatomy", "cell")}
# scores of the ways to a name
KNOWN, SAME, SAME_WORDS, SAME_MEANING, BROADER, PART = 1.0, 0.98, 0.95, 0.9, 0.88, 0.6
RELATED = 0.05  # less for a related name, half of that for a synonym
LATER = 0.06  # less for each vocabulary that is named before in `codes`
STEP = 0.2  # less for the code of a parent
UNSURE = 0.2  # below least score + this, parts of the surface are looked up too
BOTH = 0.85  # the least score of the parts of "breast and ovarian cancer"
# tuned on the training texts of NCBI disease and BC5CDR; OTHER_LEAST for other kinds
LEAST = {"disease": 0.75, "chemical": 0.88}
OTHER_LEAST = 0.6
MAX_STEPS = {"disease": 1, "phenotype": 1}  # up to an ancestor that has a code
NUM_GRAMS = 1 << 20  # hashes of letter triples
NUM_NEAREST = 20  # names compared with a mention whose spelling no name has
MULTIPLIER = 0x9E3779B1  # 2^32 / golden ratio, odd (Fibonacci hashing)
# (table, how it spells a surface, score of a match)
Way = tuple[str, Callable[[str], str], float]
WAYS: tuple[Way, ...] = (
    ("known", bag, KNOWN), ("name", key, SAME), ("words", bag, SAME_WORDS), ("meaning", meaning,
    SAME_MEANING),
    ("meaning", broader, BROADER),
)  # fmt: skip


class Normaliser:
    """Links surfaces to ids by spelling and by letter triples. `least` has the least score of each kind."""

    def __init__(self, codes: Sequence[str], least: Mapping[str, float]):
        self.codes, self.least = tuple(codes), least
        self._known: dict[tuple[str, str], dict[str, float]] = {}
        # (group, way) -> key -> id -> score
        self._tables: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
        self._letters: dict[str, Letters] = {}

    @classmethod
    def of(
        cls,
        tree: Tree,
        *,
        codes: Sequence[str] = (),
        terms: Iterable[Entity] = (),
        known: Iterable[tuple[str, str, str]] = (),
        kinds: Sequence[str] = ("disease", "chemical", "anatomy"),
        least: Mapping[str, float] = LEAST,
    ) -> Normaliser:
        """Build a normaliser from the names of a tree.

        With codes, an entity stands for its first code of these vocabularies, or that of the nearest ancestor
        with one, at most MAX_STEPS up and for a lower score; a term of `terms` with such a code of its own
        goes before.

        Args:
            tree: its names and synonyms.
            codes: vocabularies to give codes of, the preferred one first; () gives ids of the tree.
            terms: terms of the vocabularies before they were merged (terms.jsonl).
            known: (surface, kind, id) of an annotated corpus, one for each mention.
            kinds: of mentions.
            least: kind -> least score of a candidate.
        """
        normaliser = cls(codes, least)
        groups = {member: group for group in kinds for member in KINDS.get(group, (group,))}
        for term in terms:
            if term.kind in groups and prefix(term.id) in codes:
                normaliser._add(groups[term.kind], term, {term.id: 1.0 - normaliser._less(term.id)})
        roots = set(tree.roots)
        for entity in tree.entities.values():
            if entity.kind in groups and entity.id not in roots:
                normaliser._add(groups[entity.kind], entity, normaliser._target(tree, entity))
        counts: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for surface, kind, id in known:
            counts[kind, bag(surface)][id] += 1
        normaliser._known = {
            name: {id: count / sum(weights.values()) for id, count in weights.items()}
            for name, weights in counts.items()
        }
        for group in dict.fromkeys(groups.values()):
            table = normaliser._tables.get((group, "words"), {})
            extra = {
                name: weights
                for (kind, name), weights in normaliser._known.items()
                if kind == group and name not in table
            }
            normaliser._letters[group] = Letters([*table, *extra], [*table.values(), *extra.values()])
        return normaliser

    def candidates(self, surface: str, kind: str, k: int = 5) -> list[tuple[str, float]]:
        """Entities that a mention may name: by exact spelling, then by letter triples, then by a part of it.

        Args:
            surface: of the mention.
            kind: of the mention.
            k: largest number of candidates.

        Returns:
            (id, score from the least of the kind to 1), best first; [] where no name is near enough
        """
        scores: dict[str, float] = {}
        least = self.least.get(kind, OTHER_LEAST)
        self._exact(scores, surface, kind, 1.0)
        if not scores and kind in self._letters:
            for weights, near in self._letters[kind].nearest(bag(surface)):
                for id, score in weights.items():
                    scores[id] = max(scores.get(id, 0.0), near * score)
        # back off to parts of the surface, the longest first, where nothing is near enough
        if max(scores.values(), default=0.0) < least + UNSURE:
            for shorter, share in stripped(surface):
                # "rabbit syndrome" is no "Syndrome", "axonal damage" no "Wounds and Injuries"
                if is_grouping(broader(shorter)):
                    continue
                before = len(scores)
                self._exact(scores, shorter, kind, PART + (1 - PART) * share)
                if len(scores) > before:
                    break
        best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [(id, round(score, 3)) for id, score in best[:k] if score >= least]

    def concepts(self, surface: str, kind: str) -> tuple[str, ...]:
        """Normalise a mention, a coordination of names included.

        Args:
            surface: of the mention.
            kind: of the mention.

        Returns:
            its id; several for "breast and ovarian cancer"; () where no name is near enough
        """
        best = self.candidates(surface, kind, 1)
        exact: dict[str, float] = {}
        self._exact(exact, surface, kind, 1.0, WAYS[:2])
        if not exact:
            for parts in coordinated(surface):
                best_of_each = [self.candidates(name, kind, 1) for name in parts]
                if all(candidates and candidates[0][1] >= BOTH for candidates in best_of_each):
                    return tuple(dict.fromkeys(candidates[0][0] for candidates in best_of_each))
        return tuple(id for id, _ in best)

    def _exact(
        self, scores: dict[str, float], surface: str, kind: str, weight: float, ways: Sequence[Way] = WAYS
    ) -> None:
        """Add the ids of the first table that has the surface, with weight x score of the table x share of
        the id.
        """
        for table, spelled, score in ways:
            name = spelled(surface)
            weights = (
                self._known.get((kind, name))
                if table == "known"
                else self._tables.get((kind, table), {}).get(name)
            )
            if weights:
                for id, share in weights.items():
                    scores[id] = max(scores.get(id, 0.0), weight * score * share)
                return

    def _add(self, group: str, entity: Entity, ids: Mapping[str, float]) -> None:
        """Add the names of an entity to the tables of a group, with lower scores for synonyms and related
        names.
        """
        if not ids:
            return
        ways = (("name", key), ("words", bag), ("meaning", meaning))
        names = (
            (entity.name, 0.0),
            *((synonym, RELATED / 2) for synonym in entity.synonyms),
            *((synonym, RELATED) for synonym in entity.related),
        )
        for way, spelled in ways:
            table = self._tables.setdefault((group, way), {})
            for name, less in names:
                if way == "meaning" and is_abbreviation(name):
                    continue
                weights = table.setdefault(spelled(name), {})
                for id, score in ids.items():
                    weights.setdefault(id, score - less)

    def _target(self, tree: Tree, entity: Entity) -> dict[str, float]:
        """Id that an entity stands for, with its score: itself, or a code of it or of its nearest ancestor
        with one.
        """
        if not self.codes:
            return {entity.id: 1.0}
        here = [entity.id]
        for step in range(MAX_STEPS.get(entity.kind, 0) + 1):
            codes = [code for id in here for code in self._own(tree.entities[id])]
            if codes:
                return {codes[0]: 0.999 - self._less(codes[0]) - STEP * step}
            here = [parent for id in here for parent in tree.entities[id].parents]
        return {}

    def _less(self, code: str) -> float:
        """Deduction for a code of a vocabulary that is later in `codes`."""
        return LATER * self.codes.index(prefix(code))

    def _own(self, entity: Entity) -> list[str]:
        """Codes of an entity in the order of the vocabularies in `codes`."""
        every = (entity.id, *entity.xrefs)
        return [code for vocabulary in self.codes for code in every if prefix(code) == vocabulary]


class Letters:
    """Names as sparse TF-IDF vectors of letter triples, for nearest neighbours by cosine."""

    def __init__(self, names: Sequence[str], values: Sequence[Any]):
        import numpy as np

        self.values = values
        owners, grams = _grams(names)
        # each triple once in a name: term frequency is 0 or 1
        pairs = distinct(owners.astype(np.int64) * NUM_GRAMS + grams)
        owners, grams = (pairs // NUM_GRAMS).astype(np.int32), (pairs % NUM_GRAMS).astype(np.int32)
        counts = np.bincount(grams, minlength=NUM_GRAMS)
        # idf(g) = ln(1 + N / (1 + n_g)); a hash stands for a triple, so a few triples share one
        self._weights = np.log(1 + len(names) / (1 + counts)).astype(np.float32)
        # 1 / L2 norm of each name
        lengths = np.sqrt(np.bincount(owners, self._weights[grams] ** 2, minlength=len(names)))
        self._scales = (1 / np.maximum(lengths, 1e-6)).astype(np.float32)
        # postings: names of triple g are _names[_begins[g] : _begins[g + 1]]
        self._names = owners[np.argsort(grams, kind="stable")]
        self._begins = np.concatenate([[0], np.cumsum(counts)])

    def nearest(self, name: str, k: int = NUM_NEAREST) -> list[tuple[Any, float]]:
        """The k nearest names by cosine of their letter triples.

        Args:
            name: to compare.
            k: largest number of results.

        Returns:
            (value of the name, cosine in (0, 1]), nearest first
        """
        import numpy as np

        grams = distinct(_grams([name])[1])
        if not len(self.values) or not len(grams):
            return []
        # cosine = sum of idf(g)^2 over the shared triples, divided by both norms
        weights = self._weights[grams]
        scores = np.zeros(len(self.values), np.float32)
        for gram, weight in zip(grams.tolist(), weights.tolist(), strict=True):
            scores[self._names[self._begins[gram] : self._begins[gram + 1]]] += weight * weight
        scores *= self._scales / max(float(np.sqrt((weights**2).sum())), 1e-6)
        top = np.argpartition(-scores, min(k, len(scores) - 1))[:k]
        top = top[np.lexsort((top, -scores[top]))]
        return [(self.values[i], float(scores[i])) for i in top.tolist() if scores[i] > 0]


def _grams(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Hash every three bytes of the names, with a blank at both ends; returns (names, hashes)."""
    import numpy as np

    raw = [f" {name} ".encode() for name in names]
    text = np.frombuffer(b"".join((*raw, b"\0\0")), np.uint8).astype(np.uint32)
    lengths = np.fromiter(map(len, raw), np.int64, len(raw))
    owners = np.repeat(np.arange(len(raw)), lengths)
    ends = np.repeat(np.cumsum(lengths), lengths)
    complete = np.arange(len(owners)) + 2 < ends
    # three bytes as one number, multiplied and shifted to a hash of 20 bits (NUM_GRAMS)
    triple = text[:-2] << 16 | text[1:-1] << 8 | text[2:]
    return owners[complete], ((triple[complete] * np.uint32(MULTIPLIER)) >> np.uint32(12)).astype(np.int64)
