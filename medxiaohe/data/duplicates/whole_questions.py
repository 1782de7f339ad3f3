"""Find whole questions, word by word, inside other texts: unedited copies, however short the question."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

# words; one of fewer than ANCHOR is a common phrase unless its options are there too, or it stands alone
ANCHOR, SHORTEST = 6, 2


class Whole:
    """Questions as words, found by their first words."""

    def __init__(self) -> None:
        self._by_anchor: dict[tuple[str, ...], list[tuple[tuple[str, ...], int]]] = defaultdict(list)
        self._lengths = set[int]()

    def add(self, words: Sequence[str], number: int) -> None:
        """Index a question by its first ANCHOR words.

        Args:
            words: of the question; fewer than SHORTEST are not indexed.
            number: returned by `find`.
        """
        if len(words) >= SHORTEST:
            anchor = tuple(words[:ANCHOR])
            self._by_anchor[anchor].append((tuple(words), number))
            self._lengths.add(len(anchor))

    def find(self, text: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """Find every question that a text contains word by word.

        Args:
            text: words of a training row.

        Yields:
            Number of the question, index of its first word in the text, and index after its last word;
            questions with the longest anchors first.
        """
        words = tuple(text)
        for length in sorted(self._lengths, reverse=True):
            for start in range(len(words) - length + 1):
                for question, number in self._by_anchor.get(words[start : start + length], ()):
                    if words[start : start + len(question)] == question:
                        yield number, start, start + len(question)
