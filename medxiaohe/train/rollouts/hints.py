"""A hint that fades (cold start): early prompts carry part of the way to the answer, later ones
nothing.

    hinted(sample, share)   share 1: all that a hint may say, 0: the sample as it is
    share_at(step, steps)   1 at the first step, falling in a straight line to 0 after `steps`

The paper names a hint scaffold that decays and says neither what the hint is nor how it decays. We do: of a
multiple-choice question, some wrong options are ruled out, all but one at most; of another, the first words
of the explanation that the gold answer has, never the target itself. The scorer sees the hinted prompt, so
that copying the hint is copying the question.
"""

from __future__ import annotations

import re
from dataclasses import replace

from medxiaohe import io
from medxiaohe.scoring._text import golds, plain
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.types import Message, Sample

LEAST_WORDS = 12  # of an explanation; a shorter gold answer is the answer itself
MOST = 0.5  # of an explanation


def share_at(step: int, steps: int) -> float:
    """Compute the share of a hint at a step: 1 - step / steps, at least 0.

    Args:
        step: optimizer step, from 0.
        steps: after which hints are gone; 0: no hints.

    Returns:
        From 0 to 1.
    """
    return max(0.0, 1 - step / steps) if steps else 0.0


def hinted(sample: Sample, share: float) -> Sample:
    """Add a hint behind the last question of a sample.

    Args:
        sample: a prompt with its gold answer.
        share: 1: all that a hint may reveal, 0: nothing.

    Returns:
        A sample with the hint; the same sample where there is nothing to reveal.
    """
    hint = (_ruled_out(sample, share) if sample.choices else _beginning(sample, share)) if share > 0 else ""
    last = len(sample.prompt.messages) - 1
    if not hint or last < 0 or sample.messages[last].role != "user":
        return sample
    message = sample.messages[last]
    return replace(
        sample,
        messages=(
            *sample.messages[:last],
            Message("user", (*message.parts, hint)),
            *sample.messages[last + 1 :],
        ),
    )


def _ruled_out(sample: Sample, share: float) -> str:
    """Wrong options, always the same ones first: the hint of a smaller share is part of that of a larger
    one."""
    right = {sample.target} | {
        sample.choices[LETTERS.index(item)]
        for item in sample.target
        if item in LETTERS[: len(sample.choices)]
    }
    # wrong options in an order of the sample's own; at most all but one of them are ruled out
    wrong = sorted(
        (c for c in sample.choices if c not in right), key=lambda c: io.unit_interval("hint", sample.id, c)
    )
    number = round(share * (len(wrong) - 1))
    return f"Hint: it is none of these: {'; '.join(wrong[:number])}." if number > 0 else ""


def _beginning(sample: Sample, share: float) -> str:
    last = sample.messages[-1]
    words = last.text.split() if last.role == "assistant" else []
    if len(words) < LEAST_WORDS:
        return ""
    # the first share x MOST of the explanation, unless it contains the answer
    shown = " ".join(words[: round(share * MOST * len(words))])
    for gold in filter(None, map(plain, golds(sample))):
        if re.search(rf"(?<!\w){re.escape(gold)}(?!\w)", plain(shown)):
            return ""
    return f"Hint: an expert begins: {shown} ..." if shown else ""
