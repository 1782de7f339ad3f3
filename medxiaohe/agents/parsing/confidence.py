"""Confidence of a model in its own answer, from likelihoods."""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Sequence
from typing import Any

from medxiaohe.agents.engine import Rank
from medxiaohe.agents.parsing.verdict import answer_of
from medxiaohe.types import Message


def confidence(
    talk: Sequence[Message], answer: re.Pattern[str], choices: Sequence[str]
) -> Generator[Any, Any, float | None]:
    """The probability of the answer in the last reply of a conversation.

    With choices: of its letter among the letters on offer, the rest of the reply being equal; 0 where it
    commits to none of them. Without: exp(-nats / words), the nats of the answer being those of the reply up
    to its end less those of the reply up to its beginning.

    Args:
        talk: ends with the reply.
        answer: finds the answer in a reply, as its first group; the last one counts.
        choices: of the prompt.

    Returns:
        None where the reply has no answer.
    """
    reply = talk[-1].text
    # span of the last answer in the reply
    begin, end = next((match.span(1) for match in reversed([*answer.finditer(reply)])), (0, 0))
    text = reply[begin:end].strip()
    if not text:
        return None
    before = tuple(talk[:-1])
    if not choices:
        # nats(answer) = nats(reply up to its end) - nats(reply up to its beginning), at least 0;
        # mean likelihood of a word = exp(-nats(answer) / words)
        with_answer, without = yield Rank(before, (reply[:end], reply[:begin]))
        return math.exp(-max(0.0, with_answer - without) / len(text.split()))
    letters = [chr(ord("A") + i) for i in range(len(choices))]
    chosen = answer_of(text, choices)
    if chosen not in letters:
        return 0.0
    # softmax over the letters: p_i = exp(-nats_i) / sum_j exp(-nats_j); the minimum is subtracted first,
    # so that not all terms underflow
    nats = yield Rank(before, [reply[:begin] + letter + reply[end:] for letter in letters])
    weights = [math.exp(min(nats) - nat) for nat in nats]
    return weights[letters.index(chosen)] / math.fsum(weights)
