"""Yes or no (or maybe, where the sample offers it): the answer must say the word, as the answer.

"Yes, abnormal" is yes. "Unknown", "it is normal", "yes or no" and "No abnormality" are no answer: the "no" of
the last is about the abnormality, and to "Is the lung normal?" it would mean yes.
"""

import re

from medxiaohe.scoring._answer import final, refuses
from medxiaohe.scoring._text import plain, verdict
from medxiaohe.types import Message, Sample, Score, Trace

WORD = r"(yes|no|maybe)"
ANNOUNCED = re.compile(
    rf"\b(?:answer|conclusion)\b[\"']?\s*(?:to (?:the|this|your) question\s*)?(?:is|would be|should be|must"
    rf" be|be|[:=\-]|\s)+"
    rf"[\s\"'(]*(?:(?:definitely|clearly|probably|likely|most likely|simply|a|an|clear)\s+)*[\"'(]*{WORD}\b"
    rf"|\bi(?:'d| would)? (?:say|think|believe|answer)[\s:,\"']+(?:that\s+)?(?:it is\s+)?{WORD}(?=\W*$)",
    re.IGNORECASE | re.MULTILINE,
)
LEADING = re.compile(
    rf"^\W*(?:(?:probably|definitely|most likely|likely|certainly|well|hmm|oh)[,\s]+)?{WORD}\b(?=(.*))",
    re.IGNORECASE | re.DOTALL,
)
# after a bare "no": the end, punctuation, or a new clause; "no pneumonia" is not an answer
NO_GOES_ON = re.compile(
    r"\s*(?:$|[^\w\s]|(?:it|there|this|that|these|those|the|i|we|he|she|they|because|since|as|not|is|are|no)\b)",
    re.IGNORECASE,
)
BOTH = re.compile(rf"^\s*(?:[,/&|\\-]|or|and|and/or|\s|\.)*\s*{WORD}\b", re.IGNORECASE)
CHINESE = {
    "是": "yes",
    "是的": "yes",
    "有": "yes",
    "对": "yes",
    "否": "no",
    "不": "no",
    "不是": "no",
    "没有": "no",
    "无": "no",
}
CHINESE |= {"可能": "maybe", "也许": "maybe"}


def yes_no(sample: Sample, trace: Trace) -> Score:
    """1 where the word is that of the target, in whatever case either is written."""
    offered = "maybe" in map(plain, (*sample.choices, sample.target))
    return verdict("yes_no", parse(trace.answer, maybe=offered), plain(sample.target), trace)


def parse(answer: str, maybe: bool = False) -> str:
    """ "yes", "no", "maybe" (only when that is on offer), or "" when the answer does not commit to one."""
    text = final(answer)
    said = {a.casefold() or b.casefold() for a, b in _announced(text)} or set(_leading(text))
    if len(said) != 1:
        return ""
    word = said.pop()
    return word if word in ("yes", "no") or (word == "maybe" and maybe) else ""


def _announced(text: str) -> list[tuple[str, str]]:
    found = []
    for match in ANNOUNCED.finditer(text):
        rest = text[match.end() :]
        found.append((match[1] or "", match[2] or ""))
        if both := BOTH.match(rest):
            found.append((both[1], ""))
    return found


def _leading(text: str) -> list[str]:
    """The word that opens a sentence, for every sentence that opens with one."""
    said = []
    for sentence in re.split(r"(?<=[.!?;:。！？；])\s*|\n+", text):
        clause = re.split(r"[,，.。!！;；:]", re.sub(r"^答案(?:是|为)?:?", "", sentence.strip()))[0].strip()
        if clause in CHINESE:
            said.append(CHINESE[clause])
        if not (match := LEADING.match(sentence)):
            continue
        word, rest = match[1].casefold(), match[2]
        if word == "no" and (not NO_GOES_ON.match(rest) or refuses(rest)):
            continue
        said.append(word)
        while both := BOTH.match(rest):
            said.append(both[1].casefold())
            rest = rest[both.end() :]
    return said


EXAMPLE = Sample(
    "yes_no/example",
    (Message("user", ("Is there a pneumothorax? Answer yes or no.",)), Message("assistant", ("No.",))),
    target="no",
)
