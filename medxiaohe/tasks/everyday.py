"""Short questions that have nothing to do with medicine: what training on medicine may make a model forget.

Written for this project; all of it is test. A reply is right that names an accepted answer as whole words:
small models answer in sentences. So it says whether a model still knows what its base knew, pair by pair; it
is no reward, and ranks nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from medxiaohe.scoring._answer import final, refuses
from medxiaohe.scoring._text import ALTERNATIVE, UNKNOWN, golds, missing, plain
from medxiaohe.tasks._common import item, known_split, shuffled
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Score, Task, Trace

LICENSE = "Apache-2.0"
FILE = Path(__file__).with_name("everyday.tsv")  # topic, question, answer; other spellings after |


def everyday() -> Task:
    """General knowledge outside of medicine, to measure what medical training makes a model forget.

    Returns:
        The task; its questions ship with the package.
    """
    return Task(
        "everyday",
        samples,
        (mentioned,),
        _question("example", "geography", "What is the capital of France?", "Paris"),
        LICENSE,
        prompt="short",
        cluster="question",
        splits=("test",),
        tags=("text", "english", "general"),
        gold=lambda sample: sample.target.split("\n")[0],
    )


@cache
def _rows() -> list[tuple[str, str, str]]:
    return [
        (topic, question, answer)
        for topic, question, answer in (line.split("\t") for line in FILE.read_text("utf-8").splitlines())
    ]


def samples(split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        split: test, the only one.

    Yields:
        One item for each question, in an order that depends only on the questions.

    Raises:
        ConfigError: the task has no such split.
    """
    known_split(split, ("test",))
    for topic, question, answer in shuffled(_rows(), key=lambda row: row[1]):
        yield _question(str(_rows().index((topic, question, answer))), topic, question, answer)


def _question(number: str, topic: str, question: str, answer: str) -> Sample:
    spellings = answer.split("|")
    fields = {
        "target": "\n".join(spellings),
        "license": LICENSE,
        "split": "test",
        "study_id": number,
        "meta": {"topic": topic},
    }
    return item(f"everyday/{number}", asked("short", question), spellings[0], **fields)


def mentioned(sample: Sample, trace: Trace) -> Score:
    """Score a reply that names an accepted answer as whole words.

    Args:
        sample: its target is one accepted answer a line.
        trace: its answer is scored.

    Returns:
        1 or 0; `unparsed` or `refused` for a reply that commits to nothing
    """
    text = final(trace.answer)
    words = plain(text)
    if not refuses(text) and any(
        re.search(rf"(?<!\w){re.escape(plain(gold))}(?!\w)", words) for gold in golds(sample)
    ):
        return Score("mentioned", 1.0, parsed=words, why=f"names {sample.target!r}")
    if not words or refuses(text) or UNKNOWN.fullmatch(text.strip(" .:!")) or ALTERNATIVE.search(text):
        return missing("mentioned", trace)
    return Score("mentioned", 0.0, parsed=words, why=f"does not name {sample.target!r}")
