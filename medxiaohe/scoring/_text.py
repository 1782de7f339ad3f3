"""Normalise short answers for comparison, and score replies that a parser could or could not read."""

import re
import unicodedata

from medxiaohe.scoring._answer import cut_off, final, outside_thoughts, refuses, speaks_to_grader
from medxiaohe.types import Sample, Score, Trace

ALTERNATIVE = re.compile(
    r"\b(?:or(?! without\b)|versus|vs|and/or)\b|(?<=\w)\s/\s(?=\w)|或者?|还是", re.IGNORECASE
)
UNKNOWN = re.compile(
    r"(?:it is |it's |this is |the answer is )?(?:unknown|unclear|uncertain|unsure|undetermined|not"
    r" known|none|n/?a|null|nothing|"
    r"not (?:sure|certain|specified|available|applicable)|maybe|perhaps|possibly|no (?:idea|answer)|thought"
    r" process|"
    r"let'?s (?:solve|think) (?:this )?(?:problem |question )?step by step|solution|answer|the answer)",
    re.IGNORECASE,
)
LEAD = re.compile(
    r"^\W*(?:the |my )?(?:(?:most likely|likely|probable|correct|best|final|primary|main|leading)\s+)*"
    r"(?:answer|diagnosis|response|finding)\s*"
    r"(?:is|would be|[:=])+\s*(?:that )?|^\W*(?:it(?:'s| is)|this is|答案(?:是|为)?:?|诊断(?:是|为)?:?)\s*",
    re.IGNORECASE,
)
APOSTROPHES = str.maketrans("’‘", "''")
FIRST = 6  # words of a first sentence that is an answer, before one that says what is not known
CONTRAST = re.compile(r"(?:but|however|though|although|sorry|as an?)\b", re.IGNORECASE)
SHORT = 12  # words: a longer answer may say "or" without leaving two answers open


def plain(text: str) -> str:
    """Normalise a short answer: lower case, single spaces, no leading article, no punctuation around: "The
    Pancreas." reads "pancreas".

    Args:
        text: an answer or an option.

    Returns:
        Words joined by single spaces; "" for a text without letters and digits.
    """
    words = " ".join(
        re.findall(
            r"[^\W_]+(?:['.\-/+%][^\W_]+)*[+%]?|[↑↓→←↔]",
            unicodedata.normalize("NFKC", text).translate(APOSTROPHES).casefold(),
        )
    )
    return re.sub(r"^(?:the|a|an) (?=.)", "", words)


def golds(sample: Sample) -> tuple[str, ...]:
    """Read the accepted answers of an item.

    Args:
        sample: its target has one a line.

    Returns:
        The lines that are not blank, stripped.
    """
    return tuple(line.strip() for line in sample.target.splitlines() if line.strip())


def committed(answer: str) -> str:
    """Extract what an answer states, without its lead: "This is asthma" reads "asthma".

    Args:
        answer: text of a reply, its thinking included.

    Returns:
        The final answer without its lead.
    """
    return LEAD.sub("", final(answer)).strip()


def short(answer: str, accepted: tuple[str, ...] = ()) -> str:
    """Extract the text that a short answer commits to; refusals, "unknown" and two answers joined by "or"
    commit to nothing.

    What the gold itself says ("unknown primary", "and/or") is never taken for a missing answer.

    Args:
        answer: text of a reply, its thinking included.
        accepted: gold answers.

    Returns:
        The text as written, or "".
    """
    text = committed(answer)
    if {plain(text)} & {plain(gold) for gold in accepted}:
        return text
    first, _, rest = text.partition(". ")
    if (
        rest
        and refuses(rest)
        and not refuses(first)
        and len(first.split()) <= FIRST
        and not CONTRAST.match(rest)
    ):
        text = first  # "Pneumonia. Its cause cannot be determined from the image."
    if refuses(text) or UNKNOWN.fullmatch(text.strip(" .!:")) or not plain(text):
        return ""
    hedged = (
        len(text.split()) <= SHORT
        and ALTERNATIVE.search(text)
        and not any(ALTERNATIVE.search(gold) for gold in accepted)
    )
    return "" if hedged else text


def verdict(name: str, parsed: str, target: str, trace: Trace) -> Score:
    """Score an answer that is right when it equals the target.

    Args:
        name: of the scorer.
        parsed: the normalised answer, "" for none.
        target: the normalised gold.
        trace: the conversation, for the status of a missing answer.

    Returns:
        1 or 0; the score of `missing` where `parsed` is "".
    """
    if not parsed:
        return missing(name, trace)
    return Score(name, float(parsed == target), parsed=parsed, why=f"said {parsed!r}, gold {target!r}")


def missing(name: str, trace: Trace, why: str = "no single clear answer") -> Score:
    """Score a reply without a usable answer as 0 and classify why.

    Args:
        name: of the scorer.
        trace: the conversation; its last answer is read.
        why: reason for an answer that is neither empty, nor a refusal, nor truncated.

    Returns:
        A score of 0 with status `unparsed`, `refused` or `truncated`.
    """
    if not trace.answer.strip():
        return Score(name, 0.0, "unparsed", why=trace.error or "empty answer")
    reply = outside_thoughts(trace.answer)
    if speaks_to_grader(reply):
        return Score(
            name,
            0.0,
            "unparsed",
            why=f"it speaks to its grader instead of answering: {trace.answer[-120:]!r}",
        )
    if refuses(reply):
        return Score(name, 0.0, "refused", why=f"a refusal: {trace.answer[-120:]!r}")
    if cut_off(trace.answer):
        return Score(name, 0.0, "truncated", why=f"it stops before its answer: {trace.answer[-120:]!r}")
    return Score(name, 0.0, "unparsed", why=f"{why} in {trace.answer[-120:]!r}")
