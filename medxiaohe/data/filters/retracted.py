"""Retracted articles and retraction notices, by PubMed's publication type or by their title."""

import re

from medxiaohe.types import Message, Sample

TYPES = ("Retracted Publication", "Retraction of Publication")
TITLE = re.compile(
    r"\W*(retracted|retraction|withdrawn|withdrawal)( article| notice| note)?\s*[:.\]]", re.IGNORECASE
)
KEEPS = Sample("1", (Message("document", ("Retraction of the lung after a stab wound.",)),))
DROPS = Sample("2", (Message("document", ("Retracted: Vitamin K2 and bone.",)),))


def retracted(sample: Sample) -> str:
    """Drop retracted articles and retraction notices.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    for kind in TYPES:
        if kind in sample.annotations.publication_types:
            return kind.lower()
    return "the title says so" if sample.is_document and TITLE.match(sample.text) else ""
