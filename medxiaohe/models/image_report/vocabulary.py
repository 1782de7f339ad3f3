"""Vocabulary of the checkpoint's tokens that occur in the training reports, numbered from 4.

A tokenizer has 50,000 to 150,000 tokens, the reports of a data set a few thousand. An embedding of all of
them would be most of the network and mostly untrained.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

PAD, UNKNOWN, START, END = 0, 1, 2, 3
FIRST = 4  # number of the first token of the tokenizer


@dataclass(frozen=True)
class Vocabulary:
    """Token ids of a checkpoint that occur in a corpus, in ascending order."""

    tokens: tuple[int, ...]  # ids of the tokenizer, sorted

    @classmethod
    def of(cls, tokenizer: Any, texts: Iterable[str]) -> Vocabulary:
        """Collect the vocabulary of texts.

        Args:
            tokenizer: of the checkpoint.

        Returns:
            the distinct token ids, in ascending order.
        """
        ids: set[int] = set()
        for text in texts:
            ids.update(tokenizer.encode(text, add_special_tokens=False))
        return cls(tuple(sorted(ids)))

    def __len__(self) -> int:
        return FIRST + len(self.tokens)

    @cached_property
    def _numbers(self) -> dict[int, int]:
        return {token: FIRST + n for n, token in enumerate(self.tokens)}

    def encode(self, tokenizer: Any, texts: Sequence[str], length: int) -> list[list[int]]:
        """Encode texts as numbers of this vocabulary, between START and END.

        Args:
            tokenizer: the one with which the vocabulary was collected.
            length: most numbers of a text, START and END included; longer texts are cut.

        Returns:
            rows of equal length, padded with PAD; UNKNOWN stands for a token that is not in the
            vocabulary.
        """
        rows = []
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False)[: length - 2]
            rows.append([START, *(self._numbers.get(id, UNKNOWN) for id in ids), END])
        longest = max(map(len, rows), default=0)
        return [row + [PAD] * (longest - len(row)) for row in rows]
