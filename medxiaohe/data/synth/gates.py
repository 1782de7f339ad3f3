"""Generate chains of thought with teacher models; keep those that pass the answer check and the reasoning
check (MedXIAOHE).

    backwards   the teacher gets question, answer and evidence, and writes the four segments that lead there
                (reverse structured)
    forwards    the teacher gets the prompt, whose type has no gold, and writes the segments and its answer

Answer check (outcome): the strict parsers read the answer as the gold. Reasoning check (thinking): no
peeking, no broken logic, nothing unfaithful, by rules and by a judge of claims where there is one. A draft
must pass both; a reply that cannot be parsed passes neither. Perception questions get one short sentence
instead of four segments.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from medxiaohe.data.synth import chains
from medxiaohe.data.synth.chains import OBSERVATION, RECALL, Chain
from medxiaohe.data.synth.checks import Case, illogical, peeks, unfaithful
from medxiaohe.data.synth.names import visible
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.models.asking import Unreadable
from medxiaohe.scoring import entity
from medxiaohe.scoring._equivalence import Names
from medxiaohe.scoring._findings import Lexicon
from medxiaohe.scoring.choice import choice
from medxiaohe.scoring.judges.questions import Judge
from medxiaohe.types import Message, Sample, Trace

How = Literal["backwards", "forwards"]
MAX_SHORT = 30  # words of a short thought
MAX_EVIDENCE = 4000  # characters
SHORT = re.compile(rf"\s*(?:{OBSERVATION}:\s*)?([^\n]+?)\s*")

FOUR = """\
Understanding: what is asked, without any hint at the answer
{second}: {what}
Reasoning: how that leads to the answer, one option or step after the other
Conclusion: the answer"""
BACKWARDS = """\
{question}

The answer is: {answer}
{evidence}
Write the reasoning that leads from the question to this answer, in four parts with exactly these headings, and nothing else:
{four}
Write as somebody who does not know the answer before the conclusion. State only what the question or the facts say."""  # noqa: E501
FORWARDS = """\
Think first, in four parts with exactly these headings between <think> and </think>, then give the answer on a line of its own:
<think>
{four}
</think>
the answer"""  # noqa: E501
SEEN = """\
{question}

The answer is: {answer}
Describe in one sentence of at most {words} words what in the picture shows this, without giving the answer away. Write nothing else."""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Draft:
    """A parsed reply of a teacher: a chain and the answer after it, or a short thought."""

    answer: str
    chain: Chain | None = None
    short: str = ""

    @property
    def text(self) -> str:
        """The message of the assistant.

        Returns:
            The chain or short thought between <think> and </think>, then the answer.
        """
        return (
            chains.answered(self.chain, self.answer)
            if self.chain
            else f"<think>\n{self.short}\n</think>\n{self.answer}"
        )


@dataclass(frozen=True)
class Gates:
    """The two checks of a draft: answer (outcome) and reasoning (thinking).

    Attributes:
        words: lexicon of findings.
        names: finder of entities of the tree; None: entities that the evidence does not have are not checked.
        judge: judge of claims that the rules leave open; None: the rules alone.
    """

    words: Lexicon
    names: Finder | None = None
    judge: Judge | None = None

    def __call__(self, draft: Draft, sample: Sample, case: Case) -> str:
        """Run both checks; return which one failed and why, or "" if the draft passes."""
        if why := self.outcome(draft, sample, case):
            return f"outcome: {why}"
        return f"thinking: {why}" if (why := self.thinking(draft, case)) else ""

    def outcome(self, draft: Draft, sample: Sample, case: Case) -> str:
        """Check the answer: the strict parsers must read it as the gold.

        Args:
            draft: of the teacher.
            sample: the row with its gold.
            case: unused; the signature is that of the check of the whole draft.

        Returns:
            "" if the answer is right; else `wrong answer`, or the status of the score where it could not be
            judged.
        """
        trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (draft.answer,))))
        if sample.choices:
            score = choice(sample, trace)
        else:
            score = entity.judged(sample, trace, Names())
        return "" if score.value == 1 else f"{score.status if score.status != 'judged' else 'wrong answer'}"

    def thinking(self, draft: Draft, case: Case) -> str:
        """Check the reasoning: no peeking, no broken logic, nothing unfaithful; a short thought names no
        answer and has at most MAX_SHORT words.

        Returns:
            "" if it passes; else `peeks`, `illogical`, `unfaithful`, or what is wrong with a short thought.
        """
        if draft.chain is None:
            if case.names and visible(case.names, draft.short) and not visible(case.names, case.question):
                return "peeks"
            return (
                ""
                if 0 < len(draft.short.split()) <= MAX_SHORT
                else f"not a sentence of at most {MAX_SHORT} words"
            )
        if peeks(draft.chain, case):
            return "peeks"
        if illogical(draft.chain, case):
            return "illogical"
        return "unfaithful" if unfaithful(draft.chain, case, self.words, self.names, self.judge) else ""


def question(sample: Sample, case: Case, direction: How, length: Literal["short", "long"]) -> list[Message]:
    """Write the request to a teacher.

    Args:
        sample: the row.
        case: its question and evidence.
        direction: `forwards`: the prompt of the sample and the form of the reply, nothing that depends on
            the gold; `backwards`: question, gold and evidence (at most MAX_EVIDENCE characters).
        length: of a backwards thought: `short` is one sentence, `long` four segments.

    Returns:
        The messages of the conversation.
    """
    second, content = (
        (OBSERVATION, "what is seen") if sample.images else (RECALL, "the facts that are needed")
    )
    four = FOUR.format(second=second, what=content)
    if direction == "forwards":
        return [*sample.prompt.messages, Message("user", (FORWARDS.format(four=four),))]
    answer = _answer(sample)
    if length == "short":
        request = SEEN.format(question=case.question, answer=answer, words=MAX_SHORT)
    else:
        evidence = f"\nFacts:\n{case.evidence[:MAX_EVIDENCE]}\n" if case.evidence.strip() else ""
        request = BACKWARDS.format(question=case.question, answer=answer, evidence=evidence, four=four)
    return [Message("user", (*sample.images, request))]


def reader(sample: Sample, direction: How, length: Literal["short", "long"]) -> Callable[[str], Draft]:
    """Return the strict parser of the replies to `question`.

    Args:
        sample: the row; a backwards draft has its gold as the answer.
        direction: as in `question`.
        length: as in `question`.

    Returns:
        A function from reply to Draft, which raises Unreadable with what is wrong with the reply.
    """

    def read(reply: str) -> Draft:
        """Parse one reply.

        Returns:
            The draft.

        Raises:
            Unreadable: the reply has another form.
        """
        if direction == "forwards":
            chain, answer = chains.split(reply)
            if chain is None or not answer.strip():
                raise Unreadable("it must be the four parts between <think> and </think>, then the answer")
            return Draft(answer.strip(), chain)
        if length == "short":
            if not (match := SHORT.fullmatch(reply)):
                raise Unreadable("it must be one sentence on one line")
            return Draft(_answer(sample), short=match[1])
        chain = chains.parse(reply)
        if chain is None:
            raise Unreadable(
                "it must have exactly the four headings that were asked for, in this order, and nothing"
                " around them"
            )
        return Draft(_answer(sample), chain)

    return read


def _answer(sample: Sample) -> str:
    """Return the gold answer of a row, without a chain of thought that it may have."""
    return chains.split(sample.messages[-1].text)[1].strip()
