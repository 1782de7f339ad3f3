"""Instructions whose last message is not an answer with words in it."""

from medxiaohe.types import Message, Sample

KEEPS = Sample("1", (Message("user", ("Is it?",)), Message("assistant", ("Yes.",))))
DROPS = Sample("2", (Message("user", ("Is it?",)), Message("assistant", (" ",))))


def empty_answer(sample: Sample) -> str:
    """Drop instructions that do not end with an answer in words.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    if sample.is_document:
        return ""
    last = sample.messages[-1]
    return (
        ""
        if last.role == "assistant" and last.text.strip()
        else "the conversation does not end with an answer"
    )
