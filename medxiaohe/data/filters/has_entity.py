"""Samples in which no entity of the tree was found are not about medicine, or about nothing the tree
knows."""

from medxiaohe.types import Message, Sample

KEEPS = Sample("1", (Message("document", ("Aspirin inhibits platelets.",)),), entities=("E:1",))
DROPS = Sample("2", (Message("document", ("The meeting is on Monday.",)),))


def has_entity(sample: Sample) -> str:
    """Drop samples in which no entity of the tree was found.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    return "" if sample.entities else "no entity of the tree is mentioned"
