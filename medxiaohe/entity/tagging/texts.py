"""Texts as a tagger reads them: tokens, and features of each word, its neighbours and the names around it,
as 64-bit codes.
"""

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
    """A tokenised text with the codes of its tokens."""

    words: list[str]
    starts: list[int]
    ends: list[int]
    bounds: list[int]  # of sentences, in tokens
    place: np.ndarray  # (tokens, len(PLACE)) uint64


class Reading:
    """Inputs of a tagger besides its weights: names of tree and corpus, classes and uses of words."""

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

    def texts(self, texts: Sequence[str], training_ids: Sequence[str] = ()) -> list[Text]:
        """Tokenise texts and code what is known of each token.

        Args:
            texts: to read.
            training_ids: ids of the texts in the corpus that the names were counted on; the counts then leave
                each text itself out. () for new texts.

        Returns:
            one Text for each
        """
        names: dict[str, list[list[tuple[int, int, str]]]] = {
            group: [[] for _ in texts] for group in self.indexes
        }
        for group, index in self.indexes.items():
            names_found = index.find_batch(texts)
            for document, start, end in zip(
                names_found.document.tolist(),
                names_found.start.tolist(),
                names_found.end.tolist(),
                strict=True,
            ):
                names[group][document].append((start, end, group))
        annotations = self.annotate(texts) if self.annotate else [[]] * len(texts)
        names["rules"] = [
            [(mention.start, mention.end, _annotated(mention)) for mention in names_found]
            for names_found in annotations
        ]
        ids = training_ids or [""] * len(texts)
        return [
            self._text(text, id, {group: names[group][i] for group in names})
            for i, (text, id) in enumerate(zip(texts, ids, strict=True))
        ]

    def _text(self, text: str, id: str, named: Mapping[str, list[tuple[int, int, str]]]) -> Text:
        import numpy as np

        words, starts, ends, bounds = f.tokens(text)
        codes = np.zeros((len(words), len(PLACE)), np.uint64)
        tags = {group: f.in_parts(starts, ends, spans) for group, spans in named.items()}
        corpus = [(starts[a], ends[b - 1], says) for a, b, says in self.corpus.spans(words, without=id)]
        tags["corpus"] = f.in_parts(starts, ends, corpus)
        tags["short"], tags["long"] = _short_forms(text, words, starts, ends, tags)
        tags["joined"], tags["chunk"], tags["brackets"] = _around(text, words, starts, ends)
        for number, name in enumerate(PLACE):
            for token, tag in tags[name].items():
                codes[token, number] = self._code(f"{number} {tag}")
        return Text(words, starts, ends, bounds, codes)


def _annotated(annotation: Any) -> str:
    return f"{ANNOTATED.get(annotation.kind, annotation.kind)} {int(annotation.score * 10)}"


def _short_forms(
    text: str, words: list[str], starts: list[int], ends: list[int], tags: Mapping[str, dict[int, str]]
) -> tuple[dict[int, str], dict[int, str]]:
    """For the tokens of a defined short form, wherever it occurs: the tags of the last word of its long form,
    and that word.
    """
    meanings = {}
    for definition in definitions(text):
        first, last = bisect_left(starts, definition.long_start), bisect_left(ends, definition.long_end)
        if first <= last < len(ends):
            kinds = [
                tags[name].get(last, "")[2:].split(" ")[0]
                for name in ("corpus", "disease", "chemical", "phenotype", "gene")
            ]
            short = tuple(f.TOKEN.findall(text[definition.short_start : definition.short_end]))
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
    """Punctuation that joins a token to its neighbours, the run of characters it is in, and whether a bracket
    is open.
    """
    joined, chunk, brackets = dict[int, str](), dict[int, str](), dict[int, str]()
    depth, first = 0, 0
    while first < len(words):
        last = first
        while last + 1 < len(words) and starts[last + 1] == ends[last]:
            last += 1
        core = text[starts[first] : ends[last]].strip(".,;:()[]").lower()[:MAX_CHUNK]
        for i in range(first, last + 1):
            before = words[i - 1] if i > first and not words[i - 1].isalnum() else ""
            after = words[i + 1] if i < last and not words[i + 1].isalnum() else ""
            if before or after:
                joined[i] = f"{before} {after}"
            if last > first:
                chunk[i] = core
            depth = max(0, depth + (words[i] in "([") - (words[i] in ")]"))
            if depth:
                brackets[i] = "in"
        first = last + 1
    return joined, chunk, brackets


def indexes_of(tree: Tree) -> dict[str, Index]:
    """Compile the names of the tree for each group of kinds, with plain plurals and inverted names turned
    around.

    Returns:
        group -> index; abbreviations shorter than five characters match as written only
    """
    result = {}
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
        result[group] = Index.build([*exact, *plain, *plural], num_exact=len(exact))
    return result


def _turned(name: str) -> str:
    """Undo an inversion: "Acids, Fatty" -> "Fatty Acids"; "" where there is none."""
    head, comma, tail = name.partition(", ")
    return f"{tail} {head}" if comma and ", " not in tail else ""


def uses_of(tree: Tree) -> dict[str, str]:
    """Count in how many names of each kind a word occurs, and of how many diseases it is the last word.

    Returns:
        lower-case word -> letters of HEADS (and "l" for last) with a grade: 1 for one name, 2 for up to 4, 3
        for up to 29, 4 for more; for example "d3 l2 c1"
    """
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
        word: " ".join(f"{letter}{_step(count[letter])}" for letter in "dlcagpo" if count[letter])
        for word, count in counts.items()
    }


def _step(count: int) -> int:
    return 1 if count == 1 else 2 if count < 5 else 3 if count < 30 else 4
