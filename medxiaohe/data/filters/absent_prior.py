"""Reports that compare with an earlier study which nobody gave: models learn from them to make comparisons up
(Ramesh et al. 2022, CXR-PRO)."""

import re

from medxiaohe.evidence.sentences import compares
from medxiaohe.scoring._sentences import sentences
from medxiaohe.types import Message, Sample

# what was given to compare with: "Comparison: 3 May", "Prior report: ..."; "Comparison: None." gives nothing
GIVEN = re.compile(
    r"\b(?:comparisons?|prior (?:report|study|exam\w*|images?)|previous (?:report|study|exam\w*|images?))"
    r"[ \t]*:[ \t]*(?!none|no\b|n/?a\b|not\b|unavailable|[.\s]*$)\S",
    re.IGNORECASE | re.MULTILINE,
)
KEEPS = Sample(
    "1",
    (Message("user", ("Comparison: 3 May. Report?",)), Message("assistant", ("The effusion is unchanged.",))),
)
DROPS = Sample(
    "2",
    (Message("user", ("Comparison: None. Report?",)), Message("assistant", ("The effusion is unchanged.",))),
)


def absent_prior(sample: Sample) -> str:
    """Drop reports that compare with an earlier study which is not given.

    Args:
        sample: a row of the corpus.

    Returns:
        the reason of the drop, or "" to keep the row
    """
    written = "\n".join(m.text for m in sample.messages if m.role in ("assistant", "document"))
    if GIVEN.search(sample.text):
        return ""
    for sentence in sentences(written):
        if compares(sentence):
            return f"compares with an earlier study that is not given: {sentence[:60]!r}"
    return ""
