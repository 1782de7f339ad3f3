"""A linear classifier on hashed words and word pairs, trained in seconds: logistic regression in the manner
of fastText (MedXIAOHE).

Features are the words and word pairs that a text has, hashed to `size` places, each 1 / sqrt(their number);
an example of one class counts for more when the class has fewer. AdaGrad (Duchi et al. 2011), a few passes in
an order drawn from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from medxiaohe.arrays import distinct
from medxiaohe.data.duplicates import overlap

if TYPE_CHECKING:
    import numpy as np

SIZE = 1 << 18  # of the weights: number of hash buckets
EPOCHS, RATE, DECAY = 5, 0.5, 1e-6  # passes, learning rate, weight of the L2 penalty
MAX_WORDS = 2000  # of a text that are read


@dataclass(frozen=True, eq=False)
class Classifier:
    """A logistic regression over hashed features."""

    weights: np.ndarray  # (SIZE,) float32
    bias: float

    def probability(self, text: str) -> float:
        """Predict the probability that a text belongs to the positive class.

        Returns:
            0 to 1; 0.5 for a text without words.
        """
        active = features(text)
        if not len(active):
            return 0.5
        # p = sigmoid(w . x + b), x with 1 / sqrt(n) at each of n features
        return _sigmoid(float(self.weights[active].sum()) / math.sqrt(len(active)) + self.bias)

    def save(self, path: Path) -> None:
        """Save the weights that are not zero as a NumPy archive.

        Args:
            path: the .npz file: `places` (k,) int32, `weights` (k,) float32, `bias` float64.
        """
        import numpy as np

        from medxiaohe import io

        nonzero = np.flatnonzero(self.weights)
        io.write(
            path,
            lambda out: np.savez(
                out,
                places=nonzero.astype(np.int32),
                weights=self.weights[nonzero],
                bias=np.float64(self.bias),
            ),
        )


def load(path: Path) -> Classifier:
    """Load a classifier that `Classifier.save` wrote.

    Returns:
        The classifier, with weights of (SIZE,).
    """
    import numpy as np

    with np.load(path, allow_pickle=False) as saved:
        weights = np.zeros(SIZE, np.float32)
        weights[saved["places"]] = saved["weights"]
        return Classifier(weights, float(saved["bias"]))


def features(text: str) -> np.ndarray:
    """Hash the words and word pairs of a text to feature numbers.

    Args:
        text: of which the first MAX_WORDS words are taken.

    Returns:
        (k,) int64, ascending and distinct, 0 to SIZE - 1.
    """
    import numpy as np

    # feature = hash of the word or word pair modulo SIZE; collisions share a weight
    pairs = overlap.grams(text, 2)[: MAX_WORDS - 1]
    single = overlap.grams(text, 1)[:MAX_WORDS]
    result: np.ndarray = distinct(np.concatenate([single, pairs]) % np.uint64(SIZE)).astype(np.int64)
    return result


def train(texts: Sequence[str], labels: Sequence[bool], seed: int = 0) -> Classifier:
    """Train a logistic regression with AdaGrad (Duchi et al. 2011, diagonal form), EPOCHS passes in random
    order.

    Args:
        texts: of both classes.
        labels: True for the positive class, one for each text.
        seed: of the order of the examples.

    Returns:
        The classifier; the same texts, labels and seed give the same weights.
    """
    import numpy as np

    rows = [features(text) for text in texts]
    # class balance: an example weighs 0.5 / share of its class, so that both classes weigh the same
    share = {True: sum(labels) / len(labels), False: 1 - sum(labels) / len(labels)}
    # sums of squared gradients start above 0: the first step does not divide by 0
    weights, squares = np.zeros(SIZE, np.float32), np.full(SIZE, 1e-6, np.float32)
    bias, bias_square, dice = 0.0, 1e-6, np.random.default_rng(seed)
    for _ in range(EPOCHS):
        for number in dice.permutation(len(rows)):
            active, label = rows[number], labels[number]
            if not len(active):
                continue
            scale = 1 / math.sqrt(len(active))
            # gradient of the log loss by the logit: weight * (p - y)
            error = (_sigmoid(float(weights[active].sum()) * scale + bias) - label) * 0.5 / share[label]
            slope = error * scale + DECAY * weights[active]
            # AdaGrad: w -= RATE * g / sqrt(sum of g ** 2), of the features of this example alone
            squares[active] += slope * slope
            weights[active] -= RATE * slope / np.sqrt(squares[active])
            bias_square += error * error
            bias -= RATE * error / math.sqrt(bias_square)
    return Classifier(weights, bias)


def _sigmoid(value: float) -> float:
    # clipped: exp overflows beyond about 700, and sigmoid(30) is 1 to 13 digits
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))
