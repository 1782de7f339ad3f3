"""Softmax regression over hashed features of a phrase, deterministic, in numpy."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.entity.literature.words import head
from medxiaohe.progress import Meter

if TYPE_CHECKING:
    import numpy as np

SIZE = 2**16  # hashed features
STEPS = 40  # full passes
# a feature of fewer phrases is not used: it would say which phrase this is, not what it looks like
MIN_PHRASES = 3
RATE = 0.5  # learning rate of AdaGrad
SHRINK = 1e-5  # L2 penalty


@dataclass(frozen=True)
class Looks:
    """A fitted softmax regression."""

    weights: np.ndarray  # [SIZE, kinds]
    kinds: tuple[str, ...]

    def chances(
        self, phrases: Sequence[str], neighbours: Mapping[str, Sequence[str]]
    ) -> dict[str, dict[str, float]]:
        """Probability of each kind for each phrase.

        Args:
            phrases: in lower case.
            neighbours: phrase -> more features of it, such as the words beside it.

        Returns:
            phrase -> kind -> probability; those of a phrase sum to 1
        """
        import numpy as np

        result = {}
        for start in range(0, len(phrases), 8192):
            block = phrases[start : start + 8192]
            flat, bounds = _packed(block, neighbours)
            # logits of a phrase: the sum of the weight rows of its features, (block, kinds)
            share = _softmax(np.add.reduceat(self.weights[flat], bounds[:-1]))
            result.update(
                {
                    phrase: dict(zip(self.kinds, row, strict=True))
                    for phrase, row in zip(block, share.tolist(), strict=True)
                }
            )
        return result


def features(phrase: str, neighbours: Sequence[str]) -> Iterator[str]:
    """Features of a phrase: words, first and last word, head, endings, letters, marks, length, and its
    neighbours.

    Args:
        phrase: at least one word.
        neighbours: features from the passages, passed through.

    Yields:
        strings; some may occur twice
    """
    yield "bias"
    words = phrase.casefold().split()
    yield f"words {len(words)}"
    yield f"first {words[0]}"
    yield f"last {words[-1]}"
    yield f"head {head(phrase)}"
    yield from (f"word {word}" for word in words)
    yield from neighbours
    for position, word in (("l", words[-1]), ("f", words[0])):
        yield from (f"{position} ends {word[-n:]}" for n in (2, 3, 4, 5) if len(word) >= n)
        yield from (f"{position} starts {word[:n]}" for n in (3, 4) if len(word) >= n)
    last = f"{words[-1]}$"
    yield from (f"has {last[i : i + 4]}" for i in range(len(last) - 3))
    if any(map(str.isdigit, phrase)):
        yield "has digit"
    yield from (f"has {mark}" for mark in "-/" if mark in phrase)


def learn(
    labelled: Sequence[tuple[str, str]], neighbours: Mapping[str, Sequence[str]], kinds: tuple[str, ...]
) -> Looks:
    """Fit the softmax regression by full-batch AdaGrad (Duchi and others 2011).

    A phrase weighs 1 / sqrt(phrases of its kind), so that rare kinds are not ignored.

    Args:
        labelled: (phrase, kind) pairs.
        neighbours: phrase -> more features of it.
        kinds: all kinds, in the order of the columns of the weights.

    Returns:
        the fitted model; all weights are 0 without phrases
    """
    import numpy as np

    weights = np.zeros((SIZE, len(kinds)))
    if not labelled:
        return Looks(weights, kinds)
    flat, bounds = _packed([phrase for phrase, _ in labelled], neighbours)
    row = np.repeat(np.arange(len(labelled)), np.diff(bounds))
    used = np.bincount(flat, minlength=SIZE) >= MIN_PHRASES
    used[_number("bias")] = True
    row, flat = row[used[flat]], flat[used[flat]]
    bounds = np.searchsorted(row, np.arange(len(labelled) + 1))
    gold = np.array([kinds.index(kind) for _, kind in labelled])
    count = np.maximum(np.bincount(gold, minlength=len(kinds)), 1)
    # weight of a phrase of kind k: 1 / sqrt(n_k), scaled so that all weights sum to 1
    importance = (1 / np.sqrt(count))[gold]
    importance /= importance.sum()
    squared = np.full_like(weights, 1e-12)
    meter = Meter("learn what names look like", STEPS)
    for _ in range(STEPS):
        # gradient of the weighted cross-entropy by the logits: w_i (softmax - one-hot), (phrases, kinds)
        slope = _softmax(np.add.reduceat(weights[flat], bounds[:-1]))
        slope[np.arange(len(gold)), gold] -= 1
        slope *= importance[:, None]
        # gradient by the weights: the slopes of all phrases that have the feature, and the L2 penalty
        step = (
            np.stack([np.bincount(flat, slope[row, k], SIZE) for k in range(len(kinds))], 1)
            + SHRINK * weights
        )
        # AdaGrad: each weight's rate falls with the root of its summed squared gradients
        squared += step**2
        weights -= RATE * step / np.sqrt(squared)
        meter.advance()
    meter.close()
    return Looks(weights, kinds)


def _packed(phrases: Sequence[str], neighbours: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Hashed features of all phrases concatenated, and the offset of each phrase, (phrases + 1,)."""
    import numpy as np

    numbers = [
        sorted({_number(f) for f in features(phrase, neighbours.get(phrase, ()))}) for phrase in phrases
    ]
    bounds = np.zeros(len(phrases) + 1, np.int64)
    np.cumsum([len(number) for number in numbers], out=bounds[1:])
    return np.fromiter((n for number in numbers for n in number), np.int64, int(bounds[-1])), bounds


def _number(feature: str) -> int:
    return zlib.crc32(feature.encode()) % SIZE


def _softmax(scores: np.ndarray) -> np.ndarray:
    import numpy as np

    power = np.exp(scores - scores.max(1, keepdims=True))  # without the maximum exp may overflow
    shares: np.ndarray = power / power.sum(1, keepdims=True)
    return shares
