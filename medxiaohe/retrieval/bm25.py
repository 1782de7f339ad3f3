"""BM25 over a few passages in memory, with the standard library only (Robertson and Zaragoza 2009): the
facts of a case, a file of passages. retrieval/text.py is for corpora.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from medxiaohe.errors import DataError
from medxiaohe.types import Evidence

# saturation of the term frequency, strength of the length normalisation: usual values (section 3.2)
K1, B = 1.5, 0.75


class BM25:
    """Inverted index over passages with BM25 scores; a Store."""

    def __init__(
        self,
        passages: Iterable[Evidence],
        searched: Iterable[str] = (),
        split: Callable[[str], list[str]] | None = None,
    ):
        """Build the inverted index.

        Args:
            passages: what is returned.
            searched: the text to search for each, where it is not the passage's own.
            split: text -> terms; `words` unless given.
        """
        self.split = split or words
        self.passages = list(passages)
        self.lengths: list[int] = []
        self.postings: dict[str, list[tuple[int, int]]] = {}  # term -> passages that have it, and how often
        texts = list(searched) or [passage.text for passage in self.passages]
        for i, text in enumerate(texts):
            terms = Counter(self.split(text))
            self.lengths.append(terms.total())
            for term, count in terms.items():
                self.postings.setdefault(term, []).append((i, count))
        self.mean_length = sum(self.lengths) / max(1, len(self.lengths))

    def search(self, queries: Sequence[str], top: int) -> list[tuple[Evidence, ...]]:
        """Search passages that share a term with each query.

        Args:
            queries: texts.
            top: passages for each query at most.

        Returns:
            passages of each query with their scores
        """
        return [self._search(query, top) for query in queries]

    def get(self, id: str) -> Evidence:
        """Look up a passage.

        Args:
            id: of a passage.

        Returns:
            the passage

        Raises:
            DataError: there is no such passage.
        """
        for passage in self.passages:
            if passage.id == id:
                return passage
        raise DataError(f"there is no passage {id!r}")

    def _search(self, query: str, top: int) -> tuple[Evidence, ...]:
        scores: dict[int, float] = {}
        for term in sorted(
            set(self.split(query))
        ):  # sorted: the sum of floats does not depend on the hash seed
            postings = self.postings.get(term, ())
            # idf = ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative
            rarity = math.log(1 + (len(self.passages) - len(postings) + 0.5) / (len(postings) + 0.5))
            for i, count in postings:
                # K = k1 (1 - b + b dl / avdl)
                length = K1 * (1 - B + B * self.lengths[i] / self.mean_length)
                # idf * tf (k1 + 1) / (tf + K)
                scores[i] = scores.get(i, 0.0) + rarity * count * (K1 + 1) / (count + length)
        best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:top]
        return tuple(replace(self.passages[i], score=score) for i, score in best)


def words(text: str) -> list[str]:
    """Split a text into lower-case words; each Chinese character is a word.

    Returns:
        words in order, repeats included.
    """
    return re.findall(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+", text.casefold())
