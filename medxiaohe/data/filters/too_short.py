"""Documents of fewer than 30 words: titles, notices and stubs teach a model little but their layout."""

from medxiaohe.types import Message, Sample

MIN_WORDS = 30
KEEPS = Sample("1", (Message("document", ("Aspirin inhibits platelets. " * 10,)),))
DROPS = Sample("2", (Message("document", ("Aspirin inhibits platelets.",)),))


def too_short(sample: Sample) -> str:
    """Drop documents of fewer than 30 words.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    words = len(sample.text.split())
    return f"{words} words, fewer than {MIN_WORDS}" if sample.is_document and words < MIN_WORDS else ""
