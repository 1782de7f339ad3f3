"""Samples in which no entity of the tree was found are not about medicine, or about nothing the tree
knows."""

from medxiaohe.types import Message, Sample

KEEPS = Sample("1", (Message("document", ("Aspirin inhibits platelets.",)),), entities=("E:1",))
DROPS = Sample("2", (Message("document", ("The meeting is on Monday.",)),))


def has_entity(sample: Sample) -> str:
    return "" if sample.entities else "no entity of the tree is mentioned"
