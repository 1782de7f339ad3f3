"""Shuffle the options, and the letter of the gold with them."""

from medxiaohe.evals.perturb._question import LETTERS, Around, asked, lettered
from medxiaohe.types import Sample

EXPECTS = "right"
EXAMPLE = asked("Which organ makes insulin?", "Pancreas", "Liver", "Spleen", "Kidney", target="A")


def option_shuffle(sample: Sample, around: Around) -> Sample | None:
    """Change the order of the options, and the letter of the gold with it.

    Args:
        sample: the item.
        around: seed, folder for changed images, images of the other items, and a model that rewrites, if
            any.

    Returns:
        the changed item with its gold; None if the change does not apply
    """
    parts = lettered(sample)
    if parts is None or len(parts.options) < 2:
        return None
    same = list(range(len(parts.options)))
    order = sorted(same, key=lambda i: around.draw("shuffle", sample.id, str(i)))
    if order == same:
        order = [*same[1:], same[0]]
    target = "".join(sorted(LETTERS[order.index(LETTERS.index(letter))] for letter in sample.target))
    return parts.changed(options=[parts.options[i] for i in order], target=target)
