"""Texts as a tagger reads them: tokens, and for each what the word, its place and the names around it say, as
64-bit codes."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe.entity.linking.abbreviations import definitions
from medxiaohe.entity.linking.index import Index
from medxiaohe.entity.tagging import features as f
from medxiaohe.entity.tree.names import is_abbreviation
from medxiaohe.entity.tree.tree import Tree

if TYPE_CHECKING:
    import numpy as np

GROUPS = {  # kinds of the tree that are looked up together
    "disease": ("disease",), "phenotype": ("phenotype",), "chemical": ("chemical",), "anatomy": ("anatomy",
    "cell"),
    "gene": ("gene", "gene product"),
}  # fmt: skip
PLACE = (*GROUPS, "corpus", "short", "long", "joined", "chunk", "brackets", "rules")
PLACES = range(f.NUM_WORD_CHANNELS, f.NUM_WORD_CHANNELS + len(PLACE))
DISEASE, PHENOTYPE, CHEMICAL, ANATOMY, GENE, CORPUS, SHORT, LONG, JOINED, CHUNK, BRACKETS, RULES = PLACES
# kinds of annotations that are one to a tagger; others stand for themselves
ANNOTATED = {"phenotype": "disease", "cell": "anatomy"}
HEADS = {
    "disease": "d",
    "phenotype": "d",
    "chemical": "c",
    "anatomy": "a",
    "cell": "a",
    "gene": "g",
    "process": "p",
    "organism": "o",
}
MAX_CHUNK = 40
# Annotator.annotate_batch: start, end, kind, score of what the rules find
Annotate = Callable[[Sequence[str]], list[list[Any]]]


class Text(NamedTuple):
    words: list[str]
    starts: list[int]
    ends: list[int]
    bounds: list[int]  # of sentences, in tokens
    place: np.ndarray  # (tokens, len(PLACE)) uint64


class Reading:
    """What a tagger knows beside its weights: names of the tree and of the corpus, classes and uses of
    words."""

    def __init__(
        self,
        indexes: Mapping[str, Index],
        corpus: f.CorpusNames,
        classes: Mapping[str, Sequence[int]],
        uses: Mapping[str, str],
        annotate: Annotate | None = None,
    ):
        self.annotate = annotate
        self.indexes, self.corpus, self.classes, self.uses = indexes, corpus, classes, uses
        self.words = f.Words(classes, uses)
        self._code = functools.cache(f.code)

    def texts(self, texts: Sequence[str], known: Sequence[str] = ()) -> list[Text]:
        """`known` are the ids of training texts: what the corpus says of one then leaves that text out."""
        names: dict[str, list[list[tuple[int, int, str]]]] = {
            group: [[] for _ in texts] for group in self.indexes
        }
        for group, index in self.indexes.items():
            found = index.find_batch(texts)
            for document, start, end in zip(
                found.document.tolist(), found.start.tolist(), found.end.tolist(), strict=True
            ):
                names[group][document].append((start, end, group))
        annotations = self.annotate(texts) if self.annotate else [[]] * len(texts)
        names["rules"] = [[(one.start, one.end, _annotated(one)) for one in found] for found in annotations]
        ids = known or [""] * len(texts)
        return [
            self._text(text, id, {group: names[group][i] for group in names})
            for i, (text, id) in enumerate(zip(texts, ids, strict=True))
        ]

    def _text(self, text: str, id: str, named: Mapping[str, list[tuple[int, int, str]]]) -> Text:
        import numpy as np

        words, starts, ends, bounds = f.tokens(text)
        place = np.zeros((len(words), len(PLACE)), np.uint64)
        said = {group: f.in_parts(starts, ends, spans) for group, spans in named.items()}
        corpus = [(starts[a], ends[b - 1], says) for a, b, says in self.corpus.spans(words, without=id)]
        said["corpus"] = f.in_parts(starts, ends, corpus)
        said["short"], said["long"] = _short_forms(text, words, starts, ends, said)
        said["joined"], said["chunk"], said["brackets"] = _around(text, words, starts, ends)
        for number, name in enumerate(PLACE):
            for token, what in said[name].items():
                place[token, number] = self._code(f"{number} {what}")
        return Text(words, starts, ends, bounds, place)


def _annotated(annotation: Any) -> str:
    return f"{ANNOTATED.get(annotation.kind, annotation.kind)} {int(annotation.score * 10)}"


def _short_forms(
    text: str, words: list[str], starts: list[int], ends: list[int], said: Mapping[str, dict[int, str]]
) -> tuple[dict[int, str], dict[int, str]]:
    """For the tokens of a short form, everywhere in the text: what the last word of its long form is in, and
    that word."""
    meanings = {}
    for one in definitions(text):
        first, last = bisect_left(starts, one.long_start), bisect_left(ends, one.long_end)
        if first <= last < len(ends):
            kinds = [
                said[name].get(last, "")[2:].split(" ")[0]
                for name in ("corpus", "disease", "chemical", "phenotype", "gene")
            ]
            short = tuple(f.TOKEN.findall(text[one.short_start : one.short_end]))
            meanings[short] = ("; ".join(kinds), f.lemma(words[last].lower()))
    by_first = defaultdict[str, list[tuple[str, ...]]](list)
    for short in meanings:
        by_first[short[0]].append(short)
    kinds_of, heads = dict[int, str](), dict[int, str]()
    for i, word in enumerate(words):
        for short in by_first.get(word, ()):
            if tuple(words[i : i + len(short)]) == short:
                for j in range(i, i + len(short)):
                    kinds_of[j], heads[j] = (
                        f"{meanings[short][0]} {len(short) > 1 and j - i}",
                        meanings[short][1],
                    )
    return kinds_of, heads


def _around(
    text: str, words: list[str], starts: list[int], ends: list[int]
) -> tuple[dict[int, str], dict[int, str], dict[int, str]]:
    """The marks that join a token to its neighbours, the run of letters and marks it is in, whether brackets
    are open."""
    joined, chunk, brackets = dict[int, str](), dict[int, str](), dict[int, str]()
    depth, first = 0, 0
    while first < len(words):
        last = first
        while last + 1 < len(words) and starts[last + 1] == ends[last]:
            last += 1
        core = text[starts[first] : ends[last]].strip(".,;:()[]").lower()[:MAX_CHUNK]
        for i in range(first, last + 1):
            left = words[i - 1] if i > first and not words[i - 1].isalnum() else ""
            right = words[i + 1] if i < last and not words[i + 1].isalnum() else ""
            if left or right:
                joined[i] = f"{left} {right}"
            if last > first:
                chunk[i] = core
            depth = max(0, depth + (words[i] in "([") - (words[i] in ")]"))
            if depth:
                brackets[i] = "in"
        first = last + 1
    return joined, chunk, brackets


def indexes_of(tree: Tree) -> dict[str, Index]:
    """The names of each group of kinds and their plain plurals; short abbreviations stand as written."""
    found = {}
    for group, kinds in GROUPS.items():
        names = dict.fromkeys(
            name
            for kind in kinds
            for name in tree.names_of(kind)
            if len(name) > 2 and any(map(str.isalpha, name))
        )
        exact = [name for name in names if is_abbreviation(name) and len(name) < 5]
        plain = [name for name in names if not (is_abbreviation(name) and len(name) < 5)]
        plain += [turned for name in plain if (turned := _turned(name))]
        plural = [name + "s" for name in plain if name[-1].islower() and not name.endswith("s")]
        found[group] = Index.build([*exact, *plain, *plural], num_exact=len(exact))
    return found


def _turned(name: str) -> str:
    """ "Acids, Fatty" as it is written in a text."""
    head, comma, tail = name.partition(", ")
    return f"{tail} {head}" if comma and ", " not in tail else ""


def uses_of(tree: Tree) -> dict[str, str]:
    """Lower-case word -> in how many names of which kinds it is, in steps, and of how many diseases it is the
    last word."""
    counts = defaultdict[str, Counter[str]](Counter)
    for kind, letter in HEADS.items():
        for name in tree.names_of(kind):
            words = f.TOKEN.findall(name.lower())
            for word in set(words):
                if word[0].isalpha():
                    counts[word][letter] += 1
            if letter == "d" and words and "," not in words and words[-1].isalpha():
                counts[words[-1]]["l"] += 1
    return {
        word: " ".join(f"{letter}{_step(of[letter])}" for letter in "dlcagpo" if of[letter])
        for word, of in counts.items()
    }


def _step(count: int) -> int:
    return 1 if count == 1 else 2 if count < 5 else 3 if count < 30 else 4
