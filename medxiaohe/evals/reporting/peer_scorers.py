"""Published scorers, reimplemented: what they credit, and on which items they differ from ours.

    medevalkit   MedEvalKit 9b12e3b, utils/utils.py: most similar option by difflib; "yes" or "no" anywhere in
                 the text
    mirage       MIRAGE 392943a, src/utils.py: letter patterns at the beginning, else A
    huatuo       HuatuoGPT-o1 2c8d7fc, evaluation/scorer.py: first or last letter anywhere, whichever is right
                 more often

They have the bugs of those programs, for comparison with published tables and for nothing else: an empty
answer and a refusal are right here whenever the gold is the option that the fallback picks.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.types import Sample, Score, Trace

ANNOUNCEMENTS = (
    "**answer**:", "**answer**", "*answer*:", "**answer:**", "answer is", "answer:", "答案:", "final answer",
    "final answer is"
)  # fmt: skip
# of reports and replies: nothing here is right or wrong
TEXTS = ("findings", "facts", "rouge_l", "bleu", "rubric", "claims")
# patterns behind a letter at the start; None: "option A" and ": A" instead
MIRAGE = (r"$", r" or", r" and", r"/", r",", None, r"\.", r'"', r":")
HUATUO_BEFORE = r"(?:[\u4e00-\u9fff]|is |是|项|\*|\W| |\(|为|^|'|\"|#)"


def compat(name: str, sample: Sample, trace: Trace) -> Score:
    """Score an answer as a published scorer does.

    Args:
        name: medevalkit, mirage or huatuo.
        sample: the item.
        trace: with the answer.

    Returns:
        a score called `compat.NAME`, 0 or 1; unjudged if the scorer has no rule for this kind of item, or its
        program would stop

    Raises:
        ConfigError: no published scorer has this name.
    """
    if name not in SCORERS:
        raise ConfigError(f"no published scorer {name!r}{nearest(name, SCORERS)}")
    try:
        verdict = SCORERS[name](sample, trace.answer)
    except TypeError as error:
        return Score(f"compat.{name}", None, "unjudged", why=f"the published program stops here: {error}")
    if verdict is None:
        return Score(f"compat.{name}", None, "unjudged", why=f"{name} has no rule for this kind of item")
    right, read, why = verdict
    return Score(f"compat.{name}", float(right), parsed=read, why=why)


Found = tuple[bool, str, str] | None  # (whether it is right, answer as read, rule)


# ---- MedEvalKit ------------------------------------------------------------------------------------


def _medevalkit(sample: Sample, answer: str) -> Found:
    if sample.choices and _lettered(sample):
        return _medevalkit_choice(sample, answer.lower())
    gold, reply = sample.target.lower().strip(), _medevalkit_said(answer)
    if gold in ("yes", "no"):
        reply = reply.replace("\n", "").replace(".", "")
        exactly_one = ("yes" in reply) != ("no" in reply)
        return (
            exactly_one and gold in reply,
            "yes" if "yes" in reply else "no" if "no" in reply else "",
            "the letters yes or no anywhere",
        )
    return reply.strip() == gold, reply.strip(), "the same text"


def _medevalkit_choice(sample: Sample, answer: str) -> Found:
    letters, options = (
        [c.lower() for c in LETTERS[: len(sample.choices)]],
        [option.lower() for option in sample.choices],
    )
    blocks = answer.split("\n\n")
    if blocks[0] in letters:
        answer = blocks[0]
    elif blocks[-1].split(".")[0] in letters:
        answer = blocks[-1].split(".")[0]
    answer = _medevalkit_said(answer).strip().replace("\n", "")
    reply, gold = answer.split(".")[0].split(":")[-1], sample.target.strip().lower()
    if reply == gold:
        return True, reply.upper(), "the text before the first full stop"
    if reply in letters:
        return options[letters.index(reply)] == gold, reply.upper(), "the text before the first full stop"
    if reply in options:
        return (
            reply == options[letters.index(gold)],
            letters[options.index(reply)].upper(),
            "the text before the first full stop",
        )
    nearest_letter = letters[_most_similar(options, answer, later=False)]
    return nearest_letter == gold, nearest_letter.upper(), "the most similar option, the first when none is"


def _medevalkit_said(answer: str) -> str:
    reply = answer.lower()
    if "boxed" in reply:
        reply = _boxed(reply)
    elif "<answer>" in reply:
        reply = " ".join(re.findall(r"<answer>(.*?)</answer>", reply, re.DOTALL)).strip() or reply
    for words in ANNOUNCEMENTS:
        reply = reply.split(words)[-1]
    return reply


def _boxed(text: str) -> str:
    r"""Content of the last \boxed{}; "None" without one or if it is not closed (as mathruler)."""
    start, depth = text.rfind("\\boxed{"), 0
    for i, character in enumerate(text[start + 7 :] if start >= 0 else ""):
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return text[start + 7 : start + 7 + i].strip()
    return "None"


def medevalkit_columns(answer: str, gold: str) -> dict[str, float]:
    """Columns "precision", "recall" and "f1" as MedEvalKit prints them, which are F1, precision and recall.

    Args:
        answer: the reply.
        gold: the reference.

    Returns:
        name of the column -> value from 0 to 1, over sets of words

    Raises:
        TypeError: a text is empty, as there: the caller unpacks one number into three.
    """
    words, gold_words = set(_medevalkit_said(answer).split()), set(gold.lower().split())
    if not words or not gold_words:
        raise TypeError("cannot unpack non-iterable int object")
    p, r = len(words & gold_words) / len(words), len(words & gold_words) / len(gold_words)
    return {"precision": 2 * p * r / (p + r) if p + r else 0.0, "recall": p, "f1": r}


# ---- MIRAGE ----------------------------------------------------------------------------------------


def _mirage(sample: Sample, answer: str) -> Found:
    if not sample.choices or not _lettered(sample):
        return None
    reply = answer.split('"answer_choice": "')[-1].strip()
    for after in MIRAGE:
        patterns = [r"[Oo]ption ([ABCD])", r":\s*([ABCD])"] if after is None else [rf"^\s*([ABCD]){after}"]
        for pattern in patterns:
            if match := re.search(pattern, reply):
                return match[1] == sample.target, match[1], f"the pattern {pattern}"
    return sample.target == "A", "A", "nothing was found, so A"


# ---- HuatuoGPT-o1 ----------------------------------------------------------------------------------


def _huatuo(sample: Sample, answer: str) -> Found:
    if not sample.choices or not _lettered(sample):
        return None
    first, last, why = huatuo_letters(sample, answer)
    return first == sample.target, f"{first}/{last}", why


def huatuo_letters(sample: Sample, answer: str) -> tuple[str, str, str]:
    """First and last letter that HuatuoGPT-o1 reads; its tables print the better mean of the two.

    Args:
        sample: with options.
        answer: the reply.

    Returns:
        (first letter, last letter, rule by which they were read)
    """
    text = answer.split("## Final Response\n\n")[-1]
    if read_letters := re.findall(r"answer is\s*([A-N])", text):
        return read_letters[0], read_letters[-1], 'a letter after "answer is"'
    letters = LETTERS[: len(sample.choices)]
    if read_letters := re.findall(rf"{HUATUO_BEFORE}(?![aA] )([{letters}])(?:\W|[\u4e00-\u9fff]|$)", text):
        return read_letters[0], read_letters[-1], "a letter that stands alone"
    text = text.lower()
    options = [option.lower() for option in sample.choices]
    if named := [
        (text.rindex(o), -i, letter)
        for i, (o, letter) in enumerate(zip(options, letters, strict=True))
        if o in text
    ]:
        firsts = [(text.index(options[-i]), i, letter) for _, i, letter in named]
        return max(firsts)[2], max(named)[2], "an option named anywhere"  # both take the latest, there too
    letter = letters[_most_similar(options, text, later=True)]
    return letter, letter, "the most similar option, the last when none is"


# ---- shared ----------------------------------------------------------------------------------------


def _most_similar(options: list[str], text: str, *, later: bool) -> int:
    """Index of the option most similar to a text by difflib; of ties the later or the earlier."""
    likeness = [difflib.SequenceMatcher(None, option, text).ratio() for option in options]
    best = max(likeness)
    return len(likeness) - 1 - likeness[::-1].index(best) if later else likeness.index(best)


def _lettered(sample: Sample) -> bool:
    return sample.target in LETTERS[: len(sample.choices)]


SCORERS: dict[str, Callable[[Sample, str], Found]] = {
    "medevalkit": _medevalkit,
    "mirage": _mirage,
    "huatuo": _huatuo,
}


def difference(name: str, rows: Iterable[tuple[Sample, Trace, Score]], examples: int = 5) -> dict[str, Any]:
    """Compare a published scorer with ours on judged rows.

    Args:
        name: of the published scorer.
        rows: (item, trace, score of ours).
        examples: number of items that differ to list.

    Returns:
        {scorer, n, not_comparable, ours, published, differ, only_published_credits, only_ours_credits,
        no_answer_credited, examples}: both means, and counts of items that differ; items that either leaves
        unjudged are not_comparable and in no mean

    Raises:
        ConfigError: no published scorer has this name.
    """
    both = [(sample, trace, ours, _beside(name, sample, trace, ours)) for sample, trace, ours in rows]
    judged = [row for row in both if row[2].value is not None and row[3].value is not None]
    apart = [row for row in judged if row[2].value != row[3].value]
    means = [_mean(float(row[i].value or 0.0) for row in judged) for i in (2, 3)]  # type: ignore[union-attr]
    # the better mean of first and last letters, as its tables print
    if name == "huatuo" and judged:
        means[1] = max(
            means[1] or 0.0,
            _mean(float(row[3].parsed.endswith(f"/{row[0].target}")) for row in judged) or 0.0,
        )
    return {
        "scorer": name,
        "n": len(judged),
        "not_comparable": len(both) - len(judged),
        "ours": means[0],
        "published": means[1],
        "differ": len(apart),
        "only_published_credits": sum((theirs.value or 0.0) > (ours.value or 0.0) for _, _, ours,
        theirs in apart),
        "only_ours_credits": sum((theirs.value or 0.0) < (ours.value or 0.0) for _, _, ours, theirs in apart),
        "no_answer_credited": sum(ours.status in ("unparsed", "refused", "truncated") for _, _, ours,
        theirs in apart if theirs.value),
        "examples": [
            {
                "id": sample.id, "gold": sample.target, "reply": trace.answer[-200:],
                "ours": ours.parsed or ours.status, "published": theirs.parsed, "why": theirs.why,
            }
            for sample, trace, ours, theirs in apart[:examples]
        ],
    }  # fmt: skip


def _beside(name: str, sample: Sample, trace: Trace, ours: Score) -> Score:
    if ours.name.partition(".")[0] in TEXTS:
        return Score(f"compat.{name}", None, "unjudged", why=f"{name} measures texts in other ways")
    return compat(name, sample, trace)


def lines(diff: dict[str, Any]) -> Iterator[str]:
    """Format a difference for a terminal.

    Args:
        diff: what `difference` returned.

    Yields:
        a summary, then two lines for each example
    """
    if not diff["n"]:
        yield f"{diff['scorer']}: has no rule for these items"
        return
    yield (
        f"{diff['scorer']}: {diff['published']:.3f}, ours {diff['ours']:.3f}, n {diff['n']};"
        f" {diff['differ']} items differ: {diff['only_published_credits']} only it credits"
        f" ({diff['no_answer_credited']} without an answer), {diff['only_ours_credits']} only we credit"
    )
    for row in diff["examples"]:
        yield (
            f"  {row['id']}: gold {row['gold']}, ours {row['ours']}, {diff['scorer']} {row['published']}"
            f" ({row['why']})"
        )
        yield f"    {row['reply'][-100:]!r}"


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else None
