"""Samples in which no entity of the tree was found are not about medicine, or about nothing the tree
knows."""

from medxiaohe.types import Sample


def has_entity(sample: Sample) -> str:
    return "" if sample.entities else "no entity of the tree is mentioned"
