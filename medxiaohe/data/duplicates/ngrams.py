"""Split test items into parts, tell their own words from their task's template, and index word n-grams."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medxiaohe.arrays import distinct
from medxiaohe.data.duplicates import overlap
from medxiaohe.types import Sample

if TYPE_CHECKING:
    import numpy as np

RUN, TRIPLE = 13, 3  # words of an n-gram; 13 as GPT-3 (Brown et al. 2020, appendix C)
MIN_TRIPLES, FEW_TRIPLES = 6, 12  # word triples of an item: fewer than 6 tell nothing, fewer than 12 little
# share of an item's triples that gives it away, and that of an item with few: titles of a series share their
# first words
MIN_SHARE, MIN_SHARE_OF_FEW = 0.6, 0.75
# share of an item's triples from which its words are compared, and of how many items
MIN_HINT, MAX_HINTS = 0.12, 6


@dataclass(frozen=True, slots=True)
class Part:
    """The question or the answer of an item."""

    item: Sample
    lines: tuple[str, ...]
    equality: bool
    words: tuple[str, ...] = ()  # of the lines that are not the same in many items
    options: tuple[tuple[str, ...], ...] = ()


class Grams:
    """The specific n-grams of all parts: hash -> parts, as one sorted array that a row is looked up in at
    once."""

    def __init__(self, length: int):
        self.length = length
        self.parts: list[Part] = []
        self._sets: list[np.ndarray] = []

    def add(self, parts: list[Part], template: np.ndarray) -> None:
        """Add the parts of one task; only n-grams of which more than half the words lie outside its template
        count.

        Args:
            parts: questions and answers of the task's items.
            template: (t,) uint64, hashes of the word triples that many items have.
        """
        import numpy as np

        self.parts += parts
        self._sets += [
            distinct(np.concatenate([self._specific(line, template) for line in part.lines]))
            for part in parts
        ]

    def _specific(self, line: str, template: np.ndarray) -> np.ndarray:
        import numpy as np

        # words that no triple of the template covers are the item's own
        own = np.ones(len(overlap.words(line)), bool)
        for start in np.flatnonzero(np.isin(overlap.grams(line, TRIPLE), template)):
            own[start : start + TRIPLE] = False
        # prefix sums: before[i + n] - before[i] own words in the n-gram at i; more than half must be own
        before = np.concatenate([[0], np.cumsum(own)])
        hashes = overlap.grams(line, self.length)
        return (
            hashes[before[self.length :] - before[: len(before) - self.length] > self.length / 2]
            if len(hashes)
            else hashes
        )

    def freeze(self) -> None:
        """Sort the n-grams of all parts into one index; nothing can be found before."""
        import numpy as np

        # inverted index: hashes ascending, with the number of the part that each belongs to
        sizes = np.array([len(hashes) for hashes in self._sets], np.int64)
        flat = np.concatenate(self._sets) if self._sets else np.empty(0, np.uint64)
        order = np.argsort(flat, kind="stable")
        self._hashes, self._owners, self._sizes = (
            flat[order],
            np.repeat(np.arange(len(sizes)), sizes)[order],
            sizes,
        )
        self._sets = []

    def find(self, text: str) -> tuple[Part | None, float]:
        """Find the part of which a text has the largest share of n-grams.

        Args:
            text: of a training row.

        Returns:
            The part and the share, 0 to 1; (None, 0.0) where no n-gram is shared, or of triples too few
            (MIN_TRIPLES, MIN_SHARE, MIN_SHARE_OF_FEW).
        """
        import numpy as np

        mine = distinct(overlap.grams(text, self.length))
        left, right = (
            np.searchsorted(self._hashes, mine, "left"),
            np.searchsorted(self._hashes, mine, "right"),
        )
        hit = np.flatnonzero(right > left)
        if not len(hit):
            return None, 0.0
        # containment of each part: its n-grams that are in the text over all it has
        owners, counts = np.unique(
            np.concatenate([self._owners[left[i] : right[i]] for i in hit]), return_counts=True
        )
        shares = counts / self._sizes[owners]
        if self.length == TRIPLE:
            sizes = self._sizes[owners]
            enough = (sizes >= MIN_TRIPLES) & (
                shares >= np.where(sizes < FEW_TRIPLES, MIN_SHARE_OF_FEW, MIN_SHARE)
            )
            shares = np.where(enough, shares, 0.0)
        best = int(shares.argmax())
        if not shares[best]:
            return None, 0.0
        return self.parts[owners[best]], float(shares[best])

    def hints(self, text: str) -> list[tuple[Part, list[int]]]:
        """Find parts that may be edited copies: of which a text has MIN_HINT of the n-grams, and two at
        least.

        Args:
            text: of a training row.

        Returns:
            At most MAX_HINTS parts, the largest share first, each with the indices of the words in the
            text at which shared n-grams start.
        """
        import numpy as np

        mine = overlap.grams(text, self.length)
        remaining = np.searchsorted(self._hashes, mine, "left")
        count = np.searchsorted(self._hashes, mine, "right") - remaining
        hit = np.flatnonzero(count)
        if not len(hit):
            return []
        # one entry for each word of the text at which an n-gram of a part starts, with that part
        starts = np.repeat(hit, count[hit])
        owners = np.concatenate([self._owners[remaining[i] : remaining[i] + count[i]] for i in hit])
        kind = np.repeat(np.unique(mine[hit], return_inverse=True)[1], count[hit])
        # an n-gram that occurs several times in the text counts once for a part
        _, once = np.unique(owners * (len(mine) + 1) + kind, return_index=True)
        numbers, hits = np.unique(owners[once], return_counts=True)
        shares = hits / self._sizes[numbers]
        likely = np.flatnonzero((shares >= MIN_HINT) & (hits >= 2))
        likely = likely[np.argsort(-shares[likely], kind="stable")][:MAX_HINTS]
        return [(self.parts[numbers[i]], starts[owners == numbers[i]].tolist()) for i in likely]

    def excerpt(self, text: str, part: Part) -> str:
        """Cut a text to what lies between its first and last n-gram that a part shares.

        Args:
            text: of a training row.
            part: of a test item.

        Returns:
            The excerpt; the text itself where no n-gram is shared.
        """
        theirs = {int(h) for line in part.lines for h in overlap.grams(line, self.length)}
        shared = [i for i, h in enumerate(overlap.grams(text, self.length)) if int(h) in theirs]
        if not shared:
            return text
        return overlap.excerpt(text, shared[0], shared[-1] + self.length)


def template(parts: list[Part], max_studies: float) -> np.ndarray:
    """Find the word triples that many studies of a task have: its template.

    Args:
        parts: of the items of one task.
        max_studies: number of studies up to which a triple is specific.

    Returns:
        (t,) uint64, ascending hashes.
    """
    import numpy as np

    by_study: dict[str, list[np.ndarray]] = defaultdict(list)
    for part in parts:
        by_study[study(part.item)] += [overlap.grams(line, TRIPLE) for line in part.lines]
    by_study_hashes = [distinct(np.concatenate(hashes)) for hashes in by_study.values()]
    values, counts = np.unique(
        np.concatenate(by_study_hashes) if by_study_hashes else np.empty(0, np.uint64), return_counts=True
    )
    return values[counts > max_studies]


def common_lines(parts: list[Part], max_studies: float) -> set[str]:
    """Find lines that many studies have, such as "Answer with the letter.".

    Args:
        parts: of the items of one task.
        max_studies: number of studies up to which a line is specific.

    Returns:
        The lines in normal form (overlap.normal).
    """
    studies: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        for text in part.lines:
            studies[overlap.normal(text)].add(study(part.item))
    return {text for text, ids in studies.items() if len(ids) > max_studies}


def with_words(part: Part, common: set[str]) -> Part:
    """Leave out the common lines of a part, and list the words of the others.

    Args:
        part: of a test item.
        common: lines in normal form.

    Returns:
        The part; where all its lines are common it keeps them and has no words.
    """
    own = tuple(text for text in part.lines if overlap.normal(text) not in common)
    return replace(
        part, lines=own or part.lines, words=tuple(word for text in own for word in overlap.words(text))
    )


def study(item: Sample) -> str:
    """Name the study of an item: several questions about one study are one when studies are counted.

    Returns:
        Id of the patient, else of the study, else of the item.
    """
    return item.patient_id or item.study_id or item.id
