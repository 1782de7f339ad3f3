"""Process supervision of the thought: constraint coverage, logical robustness, exploration depth (MedXIAOHE,
third layer).

The paper names the three and says no more. We do, by rules that need no judge and see no gold:

    constraint_coverage   share of the findings and numbers of the question that the thought takes up
    logical_robustness    the answer is what the thought ends in, nothing is both affirmed and denied of the
                          patient, and the
                          thought does not argue from "the answer is"
    exploration_depth     how many alternatives are weighed with a reason, up to three

A reply without a thought has none of them. All look at words, so they are worth little: they shape, they
never decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from medxiaohe.entity.linking.context import contexts
from medxiaohe.scoring._words import EMPTY, NUMBER, content, stem
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.types import Sample, Trace

THOUGHT = re.compile(r"<think>(.*?)(?:</think>|\Z)", re.DOTALL)
ASKED = re.compile(r"[^.?!\n]*\?|\bAnswer (?:with|yes)[^\n]*|^[A-J][.)].*$", re.MULTILINE)
WEIGHS = """less likely|unlikely|rule[sd]? out|ruling out|excluded?|against|however|but|although|instead of|rather than|whereas|in contrast
argues|would expect|does not (?:fit|explain)|favou?rs?|supports?|because|since"""  # noqa: E501
CONTRAST = re.compile(
    rf"\b(?:{WEIGHS.replace(chr(10), '|')})\b|不支持|不符合|排除|但|而|支持|因为", re.IGNORECASE
)
CIRCULAR = re.compile(
    r"\b(?:because|since|as) the (?:correct )?(?:answer|option|key) (?:is|says)\b|因为答案是", re.IGNORECASE
)
ENOUGH = 3
MIN_CONSTRAINTS = 2


def parts(sample: Sample, trace: Trace) -> dict[str, float]:
    """The three parts, each in [0, 1]; {} for a reply without a thought.

    Args:
        sample: the item; its gold is not read.
        trace: its answer has the thought between <think> and </think>.

    Returns:
        name of a part -> value from 0 to 1
    """
    found = THOUGHT.search(trace.answer)
    if found is None or not found.group(1).strip():
        return {}
    thought, answer = found.group(1), trace.answer[found.end() :]
    question = "\n".join(message.text for message in sample.prompt.messages if message.role == "user")
    out = {
        "logical_robustness": logical_robustness(thought, answer, sample),
        "exploration_depth": exploration_depth(thought, sample),
    }
    wanted = constraints(question)
    if len(wanted) >= MIN_CONSTRAINTS:
        out["constraint_coverage"] = coverage(thought, wanted)
    return out


def constraints(question: str) -> frozenset[str]:
    """Stems of what the case states, and its numbers; the question itself and its options are no
    constraints."""
    case = ASKED.sub(" ", question)
    words = {stem(mark.group()) for mark in content(case) if len(mark.group()) > 3}
    return frozenset(words | {mark.group(1) for mark in NUMBER.finditer(case)})


def coverage(thought: str, wanted: frozenset[str]) -> float:
    """Share of the constraints that are in the thought; a thought that only repeats the case counts half.

    Args:
        thought: text of the thought.
        wanted: what `constraints` returned.

    Returns:
        from 0 to 1
    """
    words = [stem(mark.group()) for mark in content(thought)]
    there = wanted & (set(words) | {mark.group(1) for mark in NUMBER.finditer(thought)})
    own = sum(word not in wanted for word in words)
    return len(there) / len(wanted) * (1.0 if own >= len(words) / 4 else 0.5)


def logical_robustness(thought: str, answer: str, sample: Sample) -> float:
    """1 less a third for each fault: another end than the answer, a contradiction, an argument from the
    answer.

    Args:
        thought: text of the thought.
        answer: text behind the thought.
        sample: the item, for its options.

    Returns:
        0, 1/3, 2/3 or 1
    """
    faults = (
        bool(CIRCULAR.search(thought))
        + bool(contradictions(thought))
        + _ends_elsewhere(thought, answer, sample)
    )
    return 1 - faults / 3


def contradictions(thought: str) -> list[str]:
    """Words that the thought both affirms and denies of the patient now, outside of doubts."""
    places: dict[str, list[tuple[int, int]]] = {}
    for mark in content(thought):
        if len(mark.group()) > 5:
            places.setdefault(stem(mark.group()), []).append(mark.span())
    spans = [span for spans in places.values() if len(spans) > 1 for span in spans]
    said = dict(zip(spans, contexts(thought, spans), strict=True))
    found = []
    for word, spans in places.items():
        sides = {
            said[span].negated
            for span in spans
            if span in said
            and not said[span].uncertain
            and (said[span].experiencer, said[span].temporality) == ("patient", "current")
        }
        if len(sides) == 2 and not CONTRAST.search(thought[min(spans)[0] : max(spans)[1]]):
            found.append(word)
    return found


def exploration_depth(thought: str, sample: Sample) -> float:
    """Alternatives weighed with a reason, of at most three: options of the question where it has some, else
    contrasts.

    Args:
        thought: text of the thought.
        sample: the item, for its options.

    Returns:
        from 0 to 1
    """
    sentences = re.split(r"(?<=[.!?。；;])\s+|\n", thought)
    weighed = [sentence for sentence in sentences if CONTRAST.search(sentence)]
    if sample.choices:
        named = {
            i
            for i, choice in enumerate(sample.choices)
            for sentence in weighed
            if _names(sentence, choice, i)
        }
        return min(1.0, len(named) / min(ENOUGH, len(sample.choices)))
    return min(1.0, len({frozenset(_own(sentence)) for sentence in weighed if _own(sentence)}) / ENOUGH)


def _ends_elsewhere(thought: str, answer: str, sample: Sample) -> bool:
    """Whether the last option that the thought names is another than the answer's."""
    if not sample.choices:
        return False
    last = [_last(text, sample) for text in (thought, answer)]
    return None not in last and last[0] != last[1]


def _last(text: str, sample: Sample) -> int | None:
    """The option that is named last, by its words or by its letter with a mark or nothing behind it."""
    places = [(text.lower().rfind(choice.lower()), i) for i, choice in enumerate(sample.choices)]
    for i, letter in enumerate(LETTERS[: len(sample.choices)]):
        places += [(mark.start(), i) for mark in re.finditer(rf"\b{letter}\b(?=[.):]|\W*$)", text)]
    place, option = max(places)
    return option if place >= 0 else None


def _names(sentence: str, choice: str, number: int) -> bool:
    return choice.lower() in sentence.lower() or bool(re.search(rf"\b{LETTERS[number]}\b[.):]", sentence))


def _own(sentence: str) -> Iterator[str]:
    return (
        stem(mark.group())
        for mark in content(sentence)
        if mark.group().lower() not in EMPTY and len(mark.group()) > 4
    )
