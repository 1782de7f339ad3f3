"""Swap two neighbouring letters in one of eight long words of the question.

Numbers, short words, negations, words with capitals inside, and options keep their spelling.
"""

import re

from medxiaohe.evals.perturb._question import Around, asked, edit
from medxiaohe.types import Sample

EXPECTS = "right"
EXAMPLE = asked(
    "A patient presents with persistent unexplained abdominal discomfort. Is this normal? Answer yes or no.",
    target="no",
)
WORD = re.compile(r"(?<![\w-])[A-Za-z]?[a-z]{5,}(?![\w-])")
KEPT = {
    "without",
    "cannot",
    "neither",
    "never",
    "except",
    "always",
    "absent",
    "negative",
    "positive",
    "normal",
    "abnormal",
    "right",
}
SHARE = 0.125  # of the long words


def typo(sample: Sample, around: Around) -> Sample | None:
    """Swap two neighbouring letters in some long words.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """

    def change(text: str) -> str:
        """Misspell a text.

        Args:
            text: the stem.

        Returns:
            with a typo in the share SHARE of the long words, at least in one
        """
        words = [
            m
            for m in WORD.finditer(text)
            if m[0].lower() not in KEPT and any(a != b for a, b in zip(m[0][1:-1], m[0][2:-1], strict=False))
        ]
        drawn = sorted(words, key=lambda m: around.draw("typo", sample.id, str(m.start())))
        for match in sorted(drawn[: max(1, round(SHARE * len(words)))], key=lambda m: -m.start()):
            text = (
                text[: match.start()]
                + _swapped(match[0], around.draw("letter", sample.id, str(match.start())))
                + text[match.end() :]
            )
        return text

    return edit(sample, change)


def _swapped(word: str, draw: float) -> str:
    places = [i for i in range(1, len(word) - 2) if word[i] != word[i + 1]]
    i = places[int(draw * len(places))]
    return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
