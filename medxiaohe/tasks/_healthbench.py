"""HealthBench (Arora et al. 2025): conversations whose last turn is the model's, judged by criteria of
physicians with points.

The owners ask that examples are not reprinted in plain text: none is here, and what a run writes should stay
private. There is no gold answer, so items end with the last turn of the patient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring import rubric
from medxiaohe.tasks._common import known_split, place, shuffled
from medxiaohe.types import Message, Sample, Task

LICENSE = "MIT"
EXAMPLE = {
    "prompt_id": "example",
    "prompt": [
        {
            "role": "user",
            "content": "I stepped on a rusty nail. My last tetanus shot was eleven years ago. What now?",
        }
    ],
    "rubrics": [
        {"criterion": "Advises to wash the wound with water", "points": 4},
        {"criterion": "States that a tetanus booster is needed", "points": 6},
        {"criterion": "Recommends antibiotics", "points": -5},
    ],
}
GOOD = "Wash the wound with water. You need a tetanus booster."


def samples(file: Path, task: str) -> Iterator[Sample]:
    """Read the rows of HealthBench.

    Args:
        file: JSON or JSON lines with prompt, prompt_id (optional) and rubrics.
        task: name of the task, for id and source.

    Yields:
        Items in an order that depends only on the prompts.

    Raises:
        DataError: the file is missing, or a row is not of HealthBench.
    """
    rows = io.read_json(file) if file.suffix == ".json" else list(io.read_jsonl(file))
    for row in shuffled(rows, key=lambda row: io.fingerprint(row["prompt"])):
        try:
            yield question(row, task)
        except (KeyError, TypeError) as error:
            raise DataError(f"{file}: not a row of HealthBench: {error!r}") from error


def question(row: Mapping[str, Any], task: str, answer: str = "") -> Sample:
    """Build the item of a row.

    Args:
        row: of HealthBench.
        task: name of the task, for id and source.
        answer: gold answer in words, "" for none.

    Returns:
        The conversation with its criteria as the target.

    Raises:
        KeyError: the row lacks a field.
    """
    messages = tuple(Message(turn["role"], (turn["content"],)) for turn in row["prompt"])
    id = str(row.get("prompt_id") or io.fingerprint(row["prompt"]))
    points = [(item["criterion"], float(item["points"])) for item in row["rubrics"]]
    return Sample(
        f"{task}/{id}",
        (*messages, *((Message("assistant", (answer,)),) if answer else ())),
        target=rubric.to_target(points),
        source=task,
        license=LICENSE,
        study_id=id,
        split="test",
        meta={"theme": str(row.get("theme", ""))},
    )


def task(
    name: str, path: str, *, file: str = "", here: str = "", fingerprints: Mapping[str, str] | None = None
) -> Task:
    """Build a task of HealthBench.

    Args:
        name: of the task.
        path: JSON or JSON-lines file; "" for the default.
        file: the owners' name of the file, for messages.
        here: default path below ${MEDXIAOHE_DATA}, "" for none.
        fingerprints: of the default data, by split.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        name,
        partial(_rows, name, path, file, here),
        (rubric.rubric,),
        question(EXAMPLE, name, GOOD),
        LICENSE,
        prompt="conversation",
        cluster="conversation",
        splits=("test",),
        tags=("text", "patients", "rubric"),
        fingerprints={} if path else fingerprints or {},
        gold=lambda sample: sample.messages[-1].text if sample.messages[-1].role == "assistant" else "",
    )


def _rows(name: str, path: str, file: str, here: str, split: str) -> Iterator[Sample]:
    known_split(split, ("test",))
    if not path and not here:
        raise DataError(f"{name} needs `path`: the file {file} of HealthBench")
    yield from samples(place(path, here), name)
