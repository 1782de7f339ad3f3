"""Sums of the bedside with tools: body mass index, mean arterial pressure, due date. Patients and words are
made up here.

A model that cannot compute may still be right by calling a tool and saying what it returned. Every patient
(the numbers) belongs to one split; the test split also asks in words that training never uses. `expert`
solves the questions by calling the tools, for demonstrations (train/demonstrate.py); it reads the question,
never the gold.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

from medxiaohe.errors import ModelError
from medxiaohe.scoring.numeric import numeric
from medxiaohe.tasks._common import hash_split, item, known_split
from medxiaohe.types import Message, Sample, Task, Tool, ToolCall, ToolResult

LICENSE = "Apache-2.0"
TOOLS = ("bmi", "calculate", "add_days")
SIZES = {"train": 3000, "validation": 300, "test": 300}
ASKED: dict[str, tuple[tuple[str, ...], str]] = {  # words of every split, and words of the test split alone
    "bmi": (
        (
            "A patient weighs {a} kg and is {b} m tall. What is the body mass index?",
            "Weight {a} kg, height {b} m. What is the BMI?",
        ),
        "Give the BMI of somebody of {a} kg whose height is {b} m.",
    ),
    "map": (
        (
            "Blood pressure {a}/{b} mmHg. What is the mean arterial pressure?",
            "What is the mean arterial pressure at {a}/{b} mmHg?",
        ),
        "A nurse measures {a}/{b} mmHg. Give the mean arterial pressure.",
    ),
    "due": (
        (
            "The last period began on {a}. When is the due date, {b} days later?",
            "Last period {a}. Which date is {b} days later?",
        ),
        "Her last period started on {a}; give the due date after {b} days.",
    ),
}
# the same for every kind of question: it does not tell the kind of answer
INSTRUCTION = "Say the number or the date alone."
NUMBERS = re.compile(r"\d+/\d+/\d{4}|\d+(?:\.\d+)?")


def bedside() -> Task:
    """Bedside arithmetic with tools: body mass index, mean arterial pressure, due date.

    Returns:
        The task; its items are generated, no data is needed.
    """
    return Task(
        "bedside",
        samples,
        (numeric,),
        example(),
        LICENSE,
        tools=TOOLS,
        prompt="plain",
        cluster="patient",
        tags=("text", "english", "calculation", "tools"),
    )


def samples(split: str) -> Iterator[Sample]:
    """Generate the items of a split.

    Args:
        split: train, validation or test.

    Yields:
        `SIZES[split]` items, the same at every call; the test split also has wordings of its own.

    Raises:
        ConfigError: the task has no such split.
    """
    known_split(split)
    number = produced = 0
    while produced < SIZES[split]:
        kind = tuple(ASKED)[number % len(ASKED)]
        a, b, gold = KINDS[kind](random.Random(f"bedside {number}"))
        number += 1
        if hash_split("bedside", f"{a} {b}") == split:
            produced += 1
            yield _question(kind, a, b, gold, split, number)


def _bmi(chance: random.Random) -> tuple[str, str, str]:
    weight, height = f"{chance.uniform(40, 140):.1f}", f"{chance.uniform(1.45, 2.0):.2f}"
    value = float(weight) / float(height) ** 2  # kg / m**2
    # limits: one decimal, rounded either way (0.05), and a little more
    return weight, height, f"{value:.1f} ({value - 0.06:.3f} to {value + 0.06:.3f})"


def _map(chance: random.Random) -> tuple[str, str, str]:
    high, low = chance.randrange(95, 200), chance.randrange(50, 92)
    value = (high + 2 * low) / 3  # mmHg, of systolic and diastolic pressure; may be rounded to a whole number
    return str(high), str(low), f"{value:.1f} ({value - 0.6:.3f} to {value + 0.6:.3f})"


def _due(chance: random.Random) -> tuple[str, str, str]:
    day = date(2015, 1, 1) + timedelta(days=chance.randrange(3650))
    later = chance.choice((266, 273, 280, 287))
    return day.strftime("%m/%d/%Y"), str(later), (day + timedelta(days=later)).strftime("%m/%d/%Y")


KINDS: dict[str, Callable[[random.Random], tuple[str, str, str]]] = {"bmi": _bmi, "map": _map, "due": _due}


def _question(kind: str, a: str, b: str, gold: str, split: str, number: int) -> Sample:
    wordings, own = ASKED[kind]
    words = (*wordings, own) if split == "test" else wordings
    return item(
        f"bedside/{number}",
        f"{words[number // len(ASKED) % len(words)].format(a=a, b=b)}\n{INSTRUCTION}",
        gold.partition(" ")[0],
        target=gold,
        license=LICENSE,
        patient_id=f"{kind} {a} {b}",
        split=split,
        meta={"kind": kind},
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question("map", "120", "90", "100.0 (99.4 to 100.6)", "test", 0)


class Expert:
    """A model for `agents.answer` that calls the tool a question is for and then says what it returned."""

    name = "the expert of bedside"

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Solve each question by calling its tool, then repeating the result.

        Args:
            conversations: each ends with a question of this task or the result of the tool.
            tools: not used.

        Returns:
            One assistant message for each conversation.

        Raises:
            ModelError: a question does not hold exactly two numbers.
        """
        return [_said(conversation) for conversation in conversations]


expert = Expert()


def _said(conversation: Sequence[Message]) -> Message:
    results = [part for part in conversation[-1].parts if isinstance(part, ToolResult)]
    if results:
        value = str(results[0].parts[0])
        return Message("assistant", (value if "/" in value else f"{float(value):.1f}",))
    text = conversation[-1].text
    numbers = NUMBERS.findall(text)
    if len(numbers) != 2:
        raise ModelError(f"the expert of bedside looks for two numbers and finds {numbers} in {text!r}")
    a, b = numbers
    return Message("assistant", (_call(text, a, b),))


def _call(text: str, a: str, b: str) -> ToolCall:
    if "/" in a:
        return ToolCall("call_0", "add_days", {"date": a, "days": int(b)})
    if "mmHg" in text:
        return ToolCall("call_0", "calculate", {"expression": f"({a} + 2 * {b}) / 3"})
    return ToolCall("call_0", "bmi", {"weight_kg": float(a), "height_m": float(b)})
