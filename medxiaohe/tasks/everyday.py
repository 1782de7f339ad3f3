"""Short questions that have nothing to do with medicine: what training on medicine may make a model forget.

Written for this project; all of it is test. The answer must be one of the accepted spellings. It says whether a small model still
knows what it knew, compared pairwise with its base; it ranks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from medxiaohe.tasks._common import item, known_split, shuffled
from medxiaohe.tasks._names import named
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

LICENSE = "Apache-2.0"
FILE = Path(__file__).with_name("everyday.tsv")  # topic, question, answer; other spellings after |


def everyday() -> Task:
    return Task(
        "everyday",
        samples,
        (named(None),),
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
    return [(topic, question, answer) for topic, question, answer in (line.split("\t") for line in FILE.read_text("utf-8").splitlines())]


def samples(split: str) -> Iterator[Sample]:
    known_split(split, ("test",))
    for topic, question, answer in shuffled(_rows(), key=lambda row: row[1]):
        yield _question(str(_rows().index((topic, question, answer))), topic, question, answer)


def _question(number: str, topic: str, question: str, answer: str) -> Sample:
    spellings = answer.split("|")
    fields = {"target": "\n".join(spellings), "license": LICENSE, "split": "test", "study_id": number, "meta": {"topic": topic}}
    return item(f"everyday/{number}", asked("short", question), spellings[0], **fields)
