"""Process rewards of the thought: constraint coverage, logical robustness, exploration depth (MedXIAOHE).

They are the third layer of the paper, which names the three and says no more. These are rules that need no
judge and read no gold:

    constraint_coverage   share of the findings and numbers of the question that the thought takes up
    logical_robustness    the answer is the conclusion of the thought, nothing is both affirmed and denied of
                          the patient, and the thought does not argue from "the answer is"
    exploration_depth     number of alternatives weighed with a reason, up to three

A reply without a thought has no parts. All read words, so they are worth little: they shape and never decide.
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
ENOUGH = 3  # alternatives that earn the full exploration depth
MIN_CONSTRAINTS = 2  # a question with fewer has no coverage


def parts(sample: Sample, trace: Trace) -> dict[str, float]:
    """Score the thought of an answer in its three parts.

    Args:
        sample: the item; its gold is not read.
        trace: its answer has the thought between <think> and </think>.

    Returns:
        name of a part -> value from 0 to 1; {} without a thought, and no coverage for a question with fewer
        than MIN_CONSTRAINTS constraints
    """
    match = THOUGHT.search(trace.answer)
    if match is None or not match.group(1).strip():
        return {}
    thought, answer = match.group(1), trace.answer[match.end() :]
    question = "\n".join(message.text for message in sample.prompt.messages if message.role == "user")
    out = {
        "logical_robustness": logical_robustness(thought, answer, sample),
        "exploration_depth": exploration_depth(thought, sample),
    }
    required = constraints(question)
    if len(required) >= MIN_CONSTRAINTS:
        out["constraint_coverage"] = coverage(thought, required)
    return out


def constraints(question: str) -> frozenset[str]:
    """Extract the constraints of a case: stems of its content words, and its numbers.

    Args:
        question: the prompt; sentences that ask, and the options, are removed.

    Returns:
        stems of words of more than 3 letters, and numbers as written
    """
    case = ASKED.sub(" ", question)
    words = {stem(mark.group()) for mark in content(case) if len(mark.group()) > 3}
    return frozenset(words | {mark.group(1) for mark in NUMBER.finditer(case)})


def coverage(thought: str, required: frozenset[str]) -> float:
    """Share of the constraints that are in the thought.

    Args:
        thought: text of the thought.
        required: constraints of the question, as `constraints` returned them.

    Returns:
        from 0 to 1; halved if under a quarter of the thought's words are its own, since then it repeats the
        case

    Raises:
        ZeroDivisionError: there are no constraints.
    """
    words = [stem(mark.group()) for mark in content(thought)]
    present = required & (set(words) | {mark.group(1) for mark in NUMBER.finditer(thought)})
    own = sum(word not in required for word in words)
    return len(present) / len(required) * (1.0 if own >= len(words) / 4 else 0.5)


def logical_robustness(thought: str, answer: str, sample: Sample) -> float:
    """Consistency of the thought: 1 less a third for each of three faults.

    They are a conclusion other than the answer, a contradiction, and an argument from the answer.

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
    """Find words that the thought both affirms and denies of the patient now.

    Args:
        thought: text of the thought.

    Returns:
        stems in the order of the thought, without uncertain mentions and without those that a contrast
        ("but", "however") separates
    """
    # spans of each content word of more than 5 letters that occurs more than once
    spans_of: dict[str, list[tuple[int, int]]] = {}
    for mark in content(thought):
        if len(mark.group()) > 5:
            spans_of.setdefault(stem(mark.group()), []).append(mark.span())
    spans = [span for spans in spans_of.values() if len(spans) > 1 for span in spans]
    context_of = dict(zip(spans, contexts(thought, spans), strict=True))
    words = []
    for word, spans in spans_of.items():
        # polarity of its certain mentions about the patient at present
        sides = {
            context_of[span].negated
            for span in spans
            if span in context_of
            and not context_of[span].uncertain
            and (context_of[span].experiencer, context_of[span].temporality) == ("patient", "current")
        }
        if len(sides) == 2 and not CONTRAST.search(thought[min(spans)[0] : max(spans)[1]]):
            words.append(word)
    return words


def exploration_depth(thought: str, sample: Sample) -> float:
    """Number of alternatives that the thought weighs with a reason, of at most three.

    Args:
        thought: text of the thought.
        sample: the item; with options, alternatives are options that a contrasting sentence names.

    Returns:
        from 0 to 1; without options each distinct contrasting sentence is an alternative
    """
    sentences = re.split(r"(?<=[.!?。；;])\s+|\n", thought)
    # sentences with a word of contrast or of reason
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
    positions = [(text.lower().rfind(choice.lower()), i) for i, choice in enumerate(sample.choices)]
    for i, letter in enumerate(LETTERS[: len(sample.choices)]):
        positions += [(mark.start(), i) for mark in re.finditer(rf"\b{letter}\b(?=[.):]|\W*$)", text)]
    position, option = max(positions)
    return option if position >= 0 else None


def _names(sentence: str, choice: str, number: int) -> bool:
    return choice.lower() in sentence.lower() or bool(re.search(rf"\b{LETTERS[number]}\b[.):]", sentence))


def _own(sentence: str) -> Iterator[str]:
    return (
        stem(mark.group())
        for mark in content(sentence)
        if mark.group().lower() not in EMPTY and len(mark.group()) > 4
    )
