"""Request and parse a teacher's reconstruction of a case for data.reconstruct: four parts of the case, then a
question with options.

The reply must be lines with headings, in this order, none empty, nothing around them:

    Background: / Observation: / Analysis: / Conclusion: / Question: / A. / B. / (C. / D.) / Answer: B
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.data.synth.names import given_away, visible
from medxiaohe.models.asking import Unreadable
from medxiaohe.scoring._equivalence import canon
from medxiaohe.scoring.choice import LETTERS
from medxiaohe.types import ImageRef, Message

PARTS = ("Background", "Observation", "Analysis", "Conclusion")
MOST_OPTIONS = 4  # of a question (Med-RwR)
RUN = 6  # words in a row that a question may not take from the findings
MOST_SHOWN = 4000  # characters of a row that the teacher sees
HEADINGS = (*PARTS, "Question")
FORM = re.compile(
    r"\s*" + r"\s+".join(rf"{heading}:\s*(.+?)" for heading in HEADINGS)
    + r"\s*\n((?:[A-D][.)][ \t]*.+?\n)+)\s*Answer:\s*([A-D])\b[^\n]*\s*",
    re.DOTALL,
)  # fmt: skip
OPTION = re.compile(r"^([A-D])[.)][ \t]*(.+?)\s*$", re.MULTILINE)
ASKED = """\
Below is what is known of one medical case{pictures}.
First take it apart: background (who, history, why examined), observation (what is seen or measured), analysis (what that means, step by step), conclusion (the diagnosis or finding).
Then write one multiple-choice question about the conclusion, with two to four options, that somebody answers who looks at the case and knows medicine. The question may use the background. It must not tell the observation, the analysis or the conclusion.
Use only what is said below. Answer in this form and nothing else:
Background: ...
Observation: ...
Analysis: ...
Conclusion: ...
Question: ...
A. ...
B. ...
Answer: A

The case:
{case}"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """The parts of a case and a question about it; `answer` is the index of the right option, from 0."""

    background: str
    observation: str
    analysis: str
    conclusion: str
    question: str
    options: tuple[str, ...]
    answer: int

    @property
    def evidence(self) -> str:
        """The parts that the question must not tell.

        Returns:
            Observation, analysis and conclusion, one a line.
        """
        return "\n".join((self.observation, self.analysis, self.conclusion))


def asked(case: str, pictures: Sequence[ImageRef]) -> tuple[Message, ...]:
    """Write the request that has a teacher reconstruct a case.

    Args:
        case: text of the row; its first MOST_SHOWN characters are shown.
        pictures: images of the row.

    Returns:
        A conversation of one message.
    """
    beside = ", beside its image" if pictures else ""
    return (Message("user", (*pictures, ASKED.format(pictures=beside, case=case[:MOST_SHOWN]))),)


def read(reply: str) -> Reconstructed:
    """Parse the reply of a teacher strictly.

    Returns:
        The four parts of the case and the question.

    Raises:
        Unreadable: the reply has another form, options that are not A, B and so on, two equal options, or an
            answer that is not one of them.
    """
    match = FORM.fullmatch(f"{reply.strip()}\n")
    if not match:
        raise Unreadable(f"it must have the lines {', '.join(HEADINGS)}, options from A, and Answer")
    background, observation, analysis, conclusion, question, listed, letter = (
        group.strip() for group in match.groups()
    )
    options = OPTION.findall(listed)
    if [mark for mark, _ in options] != list(LETTERS[: len(options)]) or not 2 <= len(
        options
    ) <= MOST_OPTIONS:
        raise Unreadable(f"it must have two to {MOST_OPTIONS} options, A, B and so on, each on a line")
    texts = tuple(text for _, text in options)
    if len({canon(text) for text in texts}) < len(texts):
        raise Unreadable("two of its options are the same")
    if (answer := LETTERS.index(letter)) >= len(texts):
        raise Unreadable(f"the answer {letter} is none of its options")
    return Reconstructed(background, observation, analysis, conclusion, question, texts, answer)


def leak(case: Reconstructed) -> str:
    """Check whether the question tells the answer or the findings.

    Returns:
        "" if it does not; else what it tells: a name of the answer, a word that the answer alone has, or RUN
        words in a row of the findings.
    """
    right = case.options[case.answer]
    others = [text for index, text in enumerate(case.options) if index != case.answer]
    if visible([right], case.question):
        return f"the question names the answer {right!r}"
    if word := given_away(right, others, case.question):
        return f"the word {word!r} of the answer alone is in the question"
    question_runs = _runs(case.question)
    if shared := next((run for run in _runs(case.evidence) if run in question_runs), None):
        return f"the question repeats the findings: {' '.join(shared)!r}"
    return ""


def _runs(text: str) -> dict[tuple[str, ...], None]:
    """List all n-grams of RUN words; each Chinese character is a word."""
    words = re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", text.casefold())
    return dict.fromkeys(tuple(words[i : i + RUN]) for i in range(len(words) - RUN + 1))
