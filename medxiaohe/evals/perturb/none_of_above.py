"""Replace the right option by "None of the other options", under the same letter.

Bedi et al., JAMA Network Open 2025: models that recognise the usual answer fall by 9 to 38 points.
"""

import re

from medxiaohe.evals.perturb._question import LETTERS, Around, asked, lettered
from medxiaohe.types import Sample

EXPECTS = "right"
EXAMPLE = asked("Which organ makes insulin?", "Pancreas", "Liver", "Spleen", "Kidney", target="A")
NONE = "None of the other options"
ALREADY = re.compile(r"\b(?:none|all|both|neither|any) of\b|\babove\b|以上|都不", re.IGNORECASE)


def none_of_above(sample: Sample, around: Around) -> Sample | None:
    """Replace the right option by "None of the other options".

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    parts = lettered(sample)
    if (
        parts is None
        or len(sample.target) != 1
        or len(parts.options) < 3
        or any(ALREADY.search(option) for option in parts.options)
    ):
        return None
    options = list(parts.options)
    options[LETTERS.index(sample.target)] = NONE
    return parts.changed(options=options)
