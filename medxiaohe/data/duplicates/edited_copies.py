"""Find an edited copy of a text inside another one. Words are compared one by one, so that typing errors,
synonyms, a changed clause and another order of the options leave most of them.

A word is weighted by how well it tells the items of its task apart (inverse document frequency). It counts in
the window where the two texts share the most word triples, exactly or with one letter dropped, doubled,
changed or swapped.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

MIN_LETTERS = 4  # of a word in which one letter may differ
WIDER = 1.4  # length of the window in lengths of the item: edits add words
NEAR_BY = 8  # words that are added to the window
MOST_WORDS = 0.6  # share of an item's words that a text has exactly: a fast test before the exact comparison
MOST_KNOWN = 1 << 17  # words whose items are cached
RARE, RARE_WORDS = 20, 2  # a word of at most so many items is rare; how many of them an item is found by


class Weights:
    """How much each word tells the items of a task apart."""

    def __init__(self, items: Iterable[Sequence[str]]):
        self._counts, self._num = Counter[str](), 0
        for words in items:
            self._counts.update(set(words))
            self._num += 1

    def count(self, word: str) -> int:
        """Count the items that have a word.

        Returns:
            Number of items of the task.
        """
        return self._counts[word]

    def is_frame(self, word: str) -> bool:
        """Tell whether a word belongs to the frame of the task's questions.

        Returns:
            Whether more than half of the items have it.
        """
        return self._counts[word] > self._num / 2

    def of(self, word: str) -> float:
        """Compute the inverse document frequency of a word.

        Returns:
            ln((N + 1) / max(1, n)) + 0.05, where n of N items have the word.
        """
        return math.log((self._num + 1) / max(1, self._counts[word])) + 0.05


class RareWords:
    """Items by the words that few others of their task have, mistyped: a typing error in "Chilaiditi" breaks
    every word triple that tells its question from those about other diseases."""

    def __init__(self) -> None:
        self._items: dict[str, list[int]] = {}
        self._words: dict[int, frozenset[str]] = {}
        self._vocabulary = set[str]()
        self._known: dict[str, tuple[int, ...]] = {}  # what was found for words before

    def add(self, words: Sequence[str], number: int, weights: Weights) -> None:
        """Index an item by its RARE_WORDS rarest words.

        Args:
            words: of the item, in lower case.
            number: of the item.
            weights: of its task; a word of more than RARE items is not rare.
        """
        rare = {word for word in words if len(word) >= MIN_LETTERS and weights.count(word) <= RARE}
        for word in sorted(rare, key=lambda word: (-weights.of(word), -len(word), word))[:RARE_WORDS]:
            for form in _loosened(word):
                self._items.setdefault(form, []).append(number)
        self._words[number] = frozenset(words)
        self._vocabulary.update(words)

    def find(self, text: Sequence[str], most: int) -> list[tuple[int, list[int]]]:
        """Find items whose rare words are in a text with one letter wrong.

        Args:
            text: words in lower case.
            most: number of items that are returned at most.

        Returns:
            Numbers of items with the indices of these words in the text, the item with the most of them
            first; an item has MOST_WORDS of its words in the text.
        """
        places: dict[int, list[int]] = {}
        for at, word in enumerate(text):
            for number in self._near(word):
                places.setdefault(number, []).append(at)
        present = set(text)
        likely = [
            number
            for number in places
            if len(self._words[number] & present) >= MOST_WORDS * len(self._words[number])
        ]
        return [
            (number, places[number])
            for number in sorted(likely, key=lambda number: (-len(places[number]), number))[:most]
        ]

    def _near(self, word: str) -> tuple[int, ...]:
        if word not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            # a typing error makes a word that no item has
            spelled = word in self._vocabulary or len(word) < MIN_LETTERS - 1
            self._known[word] = (
                ()
                if spelled
                else tuple({number for form in _loosened(word) for number in self._items.get(form, ())})
            )
        return self._known[word]


def share(item: Sequence[str], text: Sequence[str], anchors: Sequence[int], weights: Weights) -> float:
    """Compute the weighted share of an item's words in the window of a text with the most anchors.

    Args:
        item: words of a test item.
        text: words of a training row.
        anchors: ascending indices of words of the text that both have in common, at least one.
        weights: of the item's task.

    Returns:
        0 to 1; a word counts where it differs in one letter too.
    """
    # sum of the weights of the item's words that the window has, over that of all its words
    window = text[slice(*_place(len(item), len(text), anchors))]
    exact, loose = set(window), {form for word in window for form in _loosened(word)}
    total = matched = 0.0
    for word in set(item):
        weight = weights.of(word)
        total += weight
        if word in exact or not loose.isdisjoint(_loosened(word)):
            matched += weight
    return matched / total if total else 0.0


def options_found(options: Sequence[Sequence[str]], text: Sequence[str]) -> int:
    """Count the options that a text contains, whatever their order.

    Args:
        options: the words of each option.
        text: words of a training row.

    Returns:
        Number of options all of whose words are in the text, one letter of a word left free.
    """
    exact, loose = set(text), {form for word in text for form in _loosened(word)}
    return sum(
        all(word in exact or not loose.isdisjoint(_loosened(word)) for word in option)
        for option in options
        if option
    )


def _place(length: int, end: int, anchors: Sequence[int]) -> tuple[int, int]:
    """Find the window of the text with the most anchors, widened on both sides."""
    # sliding window over the anchors: the most of them within `width` words
    width = int(WIDER * length) + NEAR_BY
    best, first, left = 0, anchors[0], 0
    last = anchors[0]
    for right, anchor in enumerate(anchors):
        while anchor - anchors[left] > width:
            left += 1
        if right - left + 1 > best:
            best, first, last = right - left + 1, anchors[left], anchor
    room = max(NEAR_BY, width - (last - first))
    return max(0, first - room), min(end, last + room)


def _loosened(word: str) -> set[str]:
    """List a word and its forms without one letter: two words one edit apart share one of these."""
    if len(word) < MIN_LETTERS:
        return {word}
    # deletion neighbourhood: a letter dropped, doubled, changed or swapped leaves a form in common
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}
