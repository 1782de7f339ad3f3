"""Features of a tagger's tokens: letters, word classes, names of the tree, and mentions of the training
corpus.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

TOKEN = re.compile(r"[^\W_]+|[^\w\s]|_")
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z0-9(\[\"'])|\n")
GREEK = re.compile(r"^(?:alpha|beta|gamma|delta|epsilon|kappa|lambda|omega|theta|zeta|[\u03b1-\u03c9])$")
ROMAN = re.compile(r"^(?:i{1,3}|iv|vi{0,3}|ix|x)$")
MAX_LETTERS, MAX_WORD = 4, 40  # characters: longest n-gram, and of a word that n-grams are taken from

WORD, LEMMA, SHAPE, FULL_SHAPE, SUFFIX2, SUFFIX3, SUFFIX4, EXACT, CLASS, NEAR, FAR, HEAD = range(12)
NUM_WORD_CHANNELS = 12  # of the word itself; those of its place in the text follow


def code(text: str) -> int:
    """Hash a string to 64 bits (BLAKE2b), the same on every machine.

    Returns:
        an odd number, so never 0
    """
    return (
        int.from_bytes(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
        )
        | 1
    )


def lemma(word: str) -> str:
    """Guess the singular of an English word by its ending.

    Returns:
        words of up to four letters unchanged
    """
    if len(word) > 4:
        if word.endswith("ies"):
            return word[:-3] + "y"
        if word.endswith(("sses", "xes", "ches")):
            return word[:-2]
        if word.endswith(("eases", "nses", "doses", "cases")):
            return word[:-1]
        if word.endswith("uses"):
            return word[:-2]
        if word.endswith("ses"):
            return word[:-2] + "is"
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            return word[:-1]
    return word


def shape(word: str) -> str:
    """Word shape: A for a capital, a for a small letter, 0 for a digit, other characters unchanged.

    Returns:
        as many characters as the word has: "HbA1c" -> "AaA0a"
    """
    return "".join("A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else c for c in word)


def squeezed(text: str) -> str:
    """Collapse runs of one character: "AAaa0" -> "Aa0".

    Returns:
        the shorter text
    """
    return re.sub(r"(.)\1+", r"\1", text)


class Words:
    """Features of word types: channels (words, NUM_WORD_CHANNELS) and hashed letter sequences."""

    def __init__(self, classes: Mapping[str, Sequence[int]], uses: Mapping[str, str]):
        self.numbers: dict[str, int] = {}
        self.channels: list[list[int]] = []
        self.letters: list[np.ndarray] = []
        self._classes, self._uses, self._codes = classes, uses, dict[str, int]()

    def number(self, word: str) -> int:
        """Number of a word; a new word is added with its features.

        Returns:
            index into `channels` and `letters`
        """
        result = self.numbers.get(word)
        if result is None:
            result = self.numbers[word] = len(self.numbers)
            self._add(word)
        return result

    def _code(self, text: str) -> int:
        value = self._codes.get(text)
        if value is None:
            value = self._codes[text] = code(text)
        return value

    def _add(self, word: str) -> None:
        import numpy as np

        lower = word.lower()
        digits = re.sub(r"\d", "0", lower)
        full = shape(word)
        kind = (
            "greek"
            if GREEK.match(lower)
            else "roman"
            if ROMAN.match(lower)
            else "letter"
            if len(word) == 1 and word.isalpha()
            else ""
        )
        classes = self._classes.get(digits) or self._classes.get(lemma(digits)) or (0, 0)
        use = self._uses.get(lower, "")
        code_of = self._code
        self.channels.append(
            [
                code_of(digits), code_of(lemma(digits)), code_of(squeezed(full)), code_of(full[:12]),
                code_of(lower[-2:]), code_of(lower[-3:]), code_of(lower[-4:]), code_of(word),
                code_of("kind " + kind) if kind else 0,
                *(code_of(f"class {number}") if number else 0 for number in classes),
                code_of("use " + use) if use else 0,
            ]
        )  # fmt: skip
        bounded = f"^{lower[:MAX_WORD]}$"
        pieces = {
            f"{bounded[i : i + n]}" for n in range(2, MAX_LETTERS + 1) for i in range(len(bounded) - n + 1)
        }
        pieces |= {f"<{lower[:n]}" for n in range(3, 7) if len(lower) > n} | {
            f">{lower[-n:]}" for n in range(3, 8) if len(lower) > n
        }
        pieces.add(f"long {min(len(word), 12)}")
        self.letters.append(np.array([code_of(f"letters {piece}") for piece in sorted(pieces)], np.uint64))


def tokens(text: str) -> tuple[list[str], list[int], list[int], list[int]]:
    """Split a text into tokens and sentences.

    A token is a run of letters and digits, or one other character that is not white space.

    Returns:
        words; offsets in code points at which each starts, and ends; bounds of the sentences in tokens:
        sentence s is bounds[s]..bounds[s + 1]
    """
    marks = list(TOKEN.finditer(text))
    cuts = [mark.start() + (mark.group() == "\n") for mark in SENTENCE.finditer(text)]
    starts = [mark.start() for mark in marks]
    bounds, at = [0], 0
    for cut in cuts:
        while at < len(starts) and starts[at] < cut:
            at += 1
        if at > bounds[-1]:
            bounds.append(at)
    if len(marks) > bounds[-1]:
        bounds.append(len(marks))
    return [mark.group() for mark in marks], starts, [mark.end() for mark in marks], bounds


def in_parts(
    starts: Sequence[int], ends: Sequence[int], spans: Iterable[tuple[int, int, str]]
) -> dict[int, str]:
    """Tags of the tokens inside spans, as position and name: "B disease", "I ...", "E ...", or "S ..." for
    one token.

    Args:
        starts: of the tokens, in code points.
        ends: of the tokens.
        spans: (start, end, name) in code points, which begin and end with tokens; a later span overwrites an
            earlier one.

    Returns:
        number of a token -> its tag; tokens outside spans are left out
    """
    result = {}
    for start, end, name in spans:
        first, last = bisect_left(starts, start), bisect_left(ends, end)
        if first < len(starts) and last < len(ends):
            for token in range(first, last + 1):
                position = "S" if first == last else "B" if token == first else "E" if token == last else "I"
                result[token] = f"{position} {name}"
    return result


class CorpusNames:
    """Surfaces that are marked in training texts, with the share of their occurrences that is marked.

    For a training text itself the counts leave that text out, so that it looks as a new text will.
    """

    def __init__(self, marked: dict[str, dict[str, Counter[str]]], seen: dict[str, Counter[str]]):
        self.marked, self.seen = marked, seen  # key -> kind -> text -> times; key -> text -> times
        self._sums = {
            key: {kind: sum(texts.values()) for kind, texts in kinds.items()} for key, kinds in marked.items()
        }
        self._totals = {key: sum(seen.get(key, {}).values()) for key in marked}
        lengths = defaultdict[str, set[int]](set)
        for key in marked:
            words = key.split(" ")
            lengths[words[0]].add(len(words))
        self._lengths = {first: sorted(sizes, reverse=True) for first, sizes in lengths.items()}

    def to_json(self) -> dict[str, Any]:
        """Convert to JSON: sums over texts only, as the counts of each text are needed in training alone.

        Returns:
            key -> [occurrences, {kind: marked occurrences}]
        """
        return {key: [self._totals[key], self._sums[key]] for key in self.marked}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> CorpusNames:
        """Read what `to_json` wrote.

        Returns:
            names from which no single text can be left out any more
        """
        marked = {
            key: {kind: Counter({"": count}) for kind, count in kinds.items()}
            for key, (_, kinds) in row.items()
        }
        return cls(marked, {key: Counter({"": total}) for key, (total, _) in row.items()})

    @classmethod
    def of(cls, texts: Iterable[tuple[str, list[str], list[tuple[int, int, str]]]]) -> CorpusNames:
        """Count the marked surfaces of training texts, and all occurrences of these surfaces.

        Args:
            texts: (id, words, spans as (first token, last token + 1, kind)).
        """
        texts = list(texts)
        marked = defaultdict[str, dict[str, Counter[str]]](dict)
        for id, words, spans in texts:
            for first, last, kind in spans:
                marked[name_key(words[first:last])].setdefault(kind, Counter())[id] += 1
        names = cls(dict(marked), {})
        seen = defaultdict[str, Counter[str]](Counter)
        for id, words, _ in texts:
            for first, last, _key in names._all(words):
                seen[name_key(words[first:last])][id] += 1
        return cls(dict(marked), dict(seen))

    def _all(self, words: Sequence[str]) -> Iterable[tuple[int, int, str]]:
        lower = [word.lower() for word in words]
        for i, word in enumerate(lower):
            for length in self._lengths.get(word, ()):
                if i + length <= len(lower):
                    key = name_key(words[i : i + length])
                    if key in self.marked:
                        yield i, i + length, key

    def spans(self, words: Sequence[str], without: str = "") -> list[tuple[int, int, str]]:
        """Match the names of the corpus in a text: from left to right, the longest at each token, without
        overlap.

        Args:
            words: tokens of the text.
            without: id of a training text whose own counts are left out; "" leaves none out.

        Returns:
            (first token, last token + 1, label of `says`)
        """
        matches, free = list[tuple[int, int, str]](), 0
        for first, last, key in self._all(words):
            if first >= free and (label := self.says(key, without)):
                matches.append((first, last, label))
                free = last
        return matches

    def says(self, key: str, without: str = "") -> str:
        """Most frequent kind of a name, and in what share of its occurrences it is marked.

        Args:
            key: a name of the corpus (`name_key`).
            without: id of a training text whose own counts are left out; "" leaves none out.

        Returns:
            kind and a grade from 0 (up to 30 % marked) to 3 (above 95 %), with "+" for more than two marked,
            for example "disease 3+"; "" where no other text marks it
        """
        total = self._totals.get(key, 0)
        kinds = self._sums[key]
        if without:
            total -= self.seen[key].get(without, 0) if key in self.seen else 0
            kinds = {kind: count - self.marked[key][kind].get(without, 0) for kind, count in kinds.items()}
        kind = max(kinds, key=lambda candidate: (kinds[candidate], candidate))
        count = kinds[kind]
        if count <= 0:
            return ""
        share = count / max(total, count)
        sure = 3 if share > 0.95 else 2 if share > 0.7 else 1 if share > 0.3 else 0
        return f"{kind} {sure}{'+' if count > 2 else ''}"


def name_key(words: Sequence[str]) -> str:
    """Key of a name: lower case, the last word in the singular.

    Returns:
        words joined by blanks
    """
    lower = [word.lower() for word in words]
    return " ".join((*lower[:-1], lemma(lower[-1])))
