"""Text that repeats itself: more than a fifth of its words lie in a ten-word run that occurs earlier in the
text.

Rae et al. 2021 (Gopher, table A1) drop at 10 % of characters; medical lists repeat more than web prose does.
"""

from medxiaohe.types import Message, Sample

RUN, MAX_SHARE = 10, 0.20
KEEPS = Sample("1", (Message("document", ("Aspirin inhibits platelets.",)),))
DROPS = Sample("2", (Message("document", ("Aspirin inhibits the platelets of patients. " * 20,)),))


def repetitive(sample: Sample) -> str:
    """Drop texts that repeat themselves.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    words = sample.text.lower().split()
    seen, repeated = set[tuple[str, ...]](), set[int]()
    for start in range(len(words) - RUN + 1):
        run = tuple(words[start : start + RUN])
        if run in seen:
            repeated.update(range(start, start + RUN))
        seen.add(run)
    share = len(repeated) / max(1, len(words))
    return f"{share:.0%} of the words repeat a run of {RUN}" if share > MAX_SHARE else ""
