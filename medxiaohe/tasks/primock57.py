"""PriMock57 (Papadopoulos Korfiatis et al. 2022): a GP's note from the transcript of a mock consultation
(days 1 to 3).

The two speakers are transcribed apart, with times; here they are merged by the start of each utterance.
<UNSURE> is dropped, its words are kept; <UNIN/> stands for what nobody could hear. All of it is test.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring import claims, facts
from medxiaohe.scoring.rouge_l import rouge_l
from medxiaohe.tasks._common import item, known_split, place, shuffled
from medxiaohe.types import Sample, Task

LICENSE = "CC BY 4.0"
FINGERPRINTS = {"test": "ed5b75c2aae99efc"}
SPEAKERS = ("doctor", "patient")
INTERVAL = re.compile(r"xmin = ([\d.]+)\s*\n\s*xmax = [\d.]+\s*\n\s*text = \"((?:[^\"]|\"\")*)\"")


def primock57(path: str = "") -> Task:
    """PriMock57: a GP's note from the transcript of a mock consultation.

    Args:
        path: folder with transcripts/ and notes/; "" for ${MEDXIAOHE_DATA}/dialogue/primock57.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "primock57",
        partial(samples, path),
        (facts.facts, facts.recall, facts.precision, rouge_l, claims.f1),
        example(),
        LICENSE,
        prompt="note",
        cluster="consultation",
        splits=("test",),
        tags=("text", "english", "dialogue", "notes"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: test, the only one.

    Yields:
        One item for each consultation, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, or a note has no text or no transcript.
    """
    known_split(split, ("test",))
    folder = place(path, "dialogue/primock57")
    notes = sorted((folder / "notes").glob("*.json"))
    if not notes:
        raise DataError(f"{folder}: no notes/*.json")
    for file in shuffled(notes, key=lambda file: file.stem):
        spoken = sorted(
            utterance
            for speaker in SPEAKERS
            for utterance in _utterances(folder / "transcripts" / f"{file.stem}_{speaker}.TextGrid", speaker)
        )
        note = io.read_json(file).get("note", "")
        if not spoken or not note.strip():
            raise DataError(f"{file}: no note, or no transcript beside it")
        yield _question(
            file.stem,
            "\n".join(f"{speaker.capitalize()}: {text}" for _, speaker, text in spoken),
            note.strip(),
        )


def _utterances(file: Path, speaker: str) -> Iterator[tuple[float, str, str]]:
    """(start in seconds, speaker, words) of a Praat TextGrid."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: {error}") from error
    for start, spoken in INTERVAL.findall(text):
        words = " ".join(re.sub(r"</?UNSURE>", "", spoken.replace('""', '"')).split())
        if words:
            yield float(start), speaker, words


def _question(id: str, dialogue: str, note: str) -> Sample:
    question = (
        f"{dialogue}\n\nWrite the note that the general practitioner makes of this consultation. Write only"
        " the note."
    )
    return item(f"primock57/{id}", question, note, license=LICENSE, study_id=id, split="test")


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question(
        "example",
        "Doctor: What brings you here?\nPatient: I have had a sore throat for two days.",
        "2/7 hx of sore throat.",
    )
