"""Parser of votes and answers for all workflows; a reply that does not commit abstains.

Substrings decide nothing: "abnormal", "unknown" and "not no" are no votes, and neither is a reply that holds
both words, doubts itself, or stops behind "but". The grammar of yes and no is that of `scoring.yes_no`, the
grammar of options that of `scoring.choice`, so a vote and a score of the same reply agree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from medxiaohe.scoring import choice, yes_no
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._text import plain
from medxiaohe.types import Message

Vote = Literal["yes", "no", "abstain"]
VOTES = re.compile(r"\bvote[sd]?\s*(?:is|for|[:=])?\s*[\"'*_`]*(yes|no)\b(?!\s*(?:/|or\b))", re.IGNORECASE)
AGAINST = re.compile(
    r"\bdisagree|\b(?:not|n't|never|cannot|neither|hardly)\b(?:\s+\w+){0,2}\s+agree\b|n't(?:\s+\w+){0,2}\s+agree\b"
    r"|\bvoted?\s+against\b|\bunable to agree\b|不(?:能|太|完全)?同意|不赞(?:成|同)|反对|不认同",
    re.IGNORECASE,
)
FOR = re.compile(
    r"^\W*(?:(?:yes|i|we)\b\W*)?(?:(?:do|fully|completely|strongly|also|would)\s+){0,2}(?:agree\b|agreed\b)"
    r"|\bi\s+(?:(?:do|fully|completely|strongly|also)\s+){0,2}agree\b|\bvoted?\s+(?:for|in favou?r)\b"
    r"|同意|赞(?:成|同)|认同",
    re.IGNORECASE,
)
DOUBT = re.compile(
    r"\babstain|\babstention|\b(?:not|n't)\s+(?:\w+\s+)?(?:sure|certain)\b|\bunsure\b|\buncertain\b"
    r"|\bcannot (?:tell|decide|say|judge)\b|\bcan't (?:tell|decide|say|judge)\b|\bagree to disagree\b"
    r"|\bagree\b(?:\W+\w+){0,3}?\W+(?:if|unless|provided|only|in part|part(?:ly|ially)|except|with no)\b"
    r"|(?:部分|是否|如果)同意|弃权|不确定|无法(?:判断|确定)|不知道|说不准|也许|可能吧",
    re.IGNORECASE,
)
ANNOUNCED = re.compile(r"^\W*(?:the )?(?:final )?answer\s*(?:is|[:：])?", re.IGNORECASE)
LEFT_OPEN = re.compile(r"(?:\?|？|\b(?:but|however|although)\W*|(?:但是|但|不过|然而)\W*)$", re.IGNORECASE)


def vote(reply: Message | str) -> Vote:
    """Parse the vote of a reply.

    Args:
        reply: a message, or its text; a message with tool calls or an error abstains.

    Returns:
        "yes" or "no" if the reply commits to one of them without doubt, else "abstain".
    """
    if isinstance(reply, Message) and (reply.calls or reply.error):
        return "abstain"
    text = final(reply if isinstance(reply, str) else reply.text)
    if DOUBT.search(text) or LEFT_OPEN.search(text.strip(" *_\"'`。.")):
        return "abstain"
    answer = {yes_no.parse(text)} | {word.lower() for word in VOTES.findall(text)}
    answer |= {"no"} if AGAINST.search(text) else {"yes"} if FOR.search(text) else set()
    answer.discard("")
    if answer == {"yes"}:
        return "yes"
    return "no" if answer == {"no"} else "abstain"


def answer_of(reply: Message | str, choices: Sequence[str] = ()) -> str:
    """Parse the answer of a reply into a form in which equal answers are equal.

    Args:
        reply: a message, or its text; one with tool calls or an error has no answer.
        choices: of the prompt; with them the letter of one of them, without them the words of the answer, or
            its letter where it is no more than that.

    Returns:
        the answer, or "" if there is none
    """
    if isinstance(reply, Message) and (reply.calls or reply.error):
        return ""
    text = reply if isinstance(reply, str) else reply.text
    if choices:
        return choice.parse(text, choices)
    lines = [line for line in final(text).splitlines() if plain(line)]
    return (
        plain(re.sub(r"^\W*(?:the )?(?:final )?answer\s*(?:is|[:：])?", "", lines[-1], flags=re.I))
        if lines
        else ""
    )


@dataclass(frozen=True)
class Count:
    """Votes of one round.

    Attributes:
        winner: that has most votes; of several, the first to be given; "" where all abstained.
        unanimous: nobody abstained and all agree.
        majority: the winner has more than half of those who did not abstain.
    """

    winner: str
    votes: dict[str, int]
    abstained: int
    unanimous: bool
    majority: bool


def count(votes: Iterable[str]) -> Count:
    """Count votes or answers.

    Args:
        votes: "" and "abstain" are abstentions, which are not part of a majority.

    Returns:
        winner (of a tie, the one whose first vote came first), votes by value, abstentions, unanimity and
        majority.
    """
    ballots = list(votes)
    cast = [vote for vote in ballots if vote not in ("", "abstain")]
    counts = Counter(cast)  # in the order of their first vote, so that a tie is broken the same way always
    winner, most = counts.most_common(1)[0] if counts else ("", 0)
    return Count(
        winner, dict(counts), len(ballots) - len(cast), most == len(ballots) > 0, most > len(cast) / 2
    )
