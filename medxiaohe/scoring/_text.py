"""What every parser needs: the final part of an answer, refusals, and text that compares equal when it means the same."""

import re
import unicodedata

from medxiaohe.types import Score, Trace

REFUSAL = re.compile(
    r"\b(?:can ?not|can't|could not|couldn't|unable to|not able to|impossible to|not possible to)\s+(?:\w+\s+){0,2}?"
    r"(?:determine|tell|answer|assess|diagnose|provide|say|help|assist|know|decide|conclude|identify|interpret|view|comment|"
    r"confirm|be (?:determined|answered|assessed|known|established))\w*"
    r"|\b(?:i(?:'m| am)|we(?:'re| are)) (?:so |very )?(?:sorry|not sure|unsure|uncertain)\b|^\W*(?:sorry|apologies)\b|\bi apologi[sz]e\b"
    r"|\b(?:not enough|insufficient|lack of|inadequate) (?:information|data|evidence|context|detail)s?\b"
    r"|\bas an ai\b|\bi (?:do not|don't) know\b|\b(?:please )?consult (?:a|your) (?:doctor|physician|radiologist)\b"
    r"|无法|不能(?:确定|判断|回答)|难以判断|抱歉|对不起|不知道|不清楚|信息不足",
    re.IGNORECASE,
)
THOUGHT = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.IGNORECASE | re.DOTALL)
TAGGED = re.compile(r"<answer>(.*?)(?:</answer>|\Z)|\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}", re.IGNORECASE | re.DOTALL)
FINAL = re.compile(r"\bfinal answer\b|最终答案|####", re.IGNORECASE)


def final(answer: str) -> str:
    """The part of an answer that commits: no thinking, no markdown; what is tagged, boxed or announced as final wins.

    Thinking that was cut off before it closed leaves nothing. Characters are in NFKC, so "Ｂ：" reads "B:".
    """
    text = unicodedata.normalize("NFKC", answer).replace("’", "'").replace("‘", "'")
    text = re.sub(r"^.*</think(?:ing)?>", "", THOUGHT.sub(" ", text), flags=re.IGNORECASE | re.DOTALL)
    if tagged := [a or b for a, b in TAGGED.findall(text)]:
        same = {plain(t) for t in tagged}
        return f"answer: {_bare(tagged[-1])}" if len(same) == 1 else "\n".join(f"answer: {_bare(t)}" for t in tagged)
    if announced := list(FINAL.finditer(text)):
        text = "answer" + text[announced[-1].end() :]
    return _bare(text)


def _bare(text: str) -> str:
    return re.sub(r"\\text\{([^{}]*)\}", r"\1", re.sub(r"[*_`]+", " ", text)).strip()


def refuses(text: str) -> bool:
    return bool(REFUSAL.search(text))


def plain(text: str) -> str:
    """Lower case, single spaces, no article in front, no punctuation around: "The Pancreas." reads "pancreas"."""
    words = " ".join(re.findall(r"[^\W_]+(?:['.\-/+%][^\W_]+)*[+%]?", unicodedata.normalize("NFKC", text).casefold()))
    return re.sub(r"^(?:the|a|an) (?=.)", "", words)


def verdict(name: str, parsed: str, target: str, trace: Trace) -> Score:
    """The score of a parsed answer; "" is the model's failure: value 0, and the status says which one."""
    if not trace.answer.strip():
        return Score(name, 0.0, "unparsed", why=trace.error or "empty answer")
    if not parsed:
        status = "refused" if refuses(final(trace.answer)) else "unparsed"
        return Score(name, 0.0, status, why=f"no single clear answer in {trace.answer[-120:]!r}")  # type: ignore[arg-type]
    return Score(name, float(parsed == target), parsed=parsed, why=f"said {parsed!r}, gold {target!r}")
