"""Answers to consumers' health questions (MedQuAD, Ben Abacha and Demner-Fushman 2019) against those of the
institutes.

Split by document, 80 % train, 10 % validation. Shared words are a weak measure of an answer; claims.recall
needs a judge and says how much of the institute's answer is there. The recipe data_pack trains on these
documents: mind the split then.
"""

import re
import xml.etree.ElementTree as xml
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from medxiaohe.errors import DataError
from medxiaohe.scoring import claims
from medxiaohe.scoring.rouge_l import rouge_l
from medxiaohe.tasks._common import hash_split, item, known_split, place, shuffled
from medxiaohe.types import Sample, Task

LICENSE = "CC BY 4.0"
FINGERPRINTS = {"train": "3383fa5a8736599f", "validation": "7e253eb193da98b8", "test": "af3dc54e02fb2990"}


def medquad(path: str = "") -> Task:
    """MedQuAD: answers to consumers' health questions, compared with those of the institutes.

    Args:
        path: folder of MedQuAD's XML files; "" for ${MEDXIAOHE_DATA}/corpus/medquad.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "medquad",
        partial(samples, path),
        (rouge_l, claims.recall),
        example(),
        LICENSE,
        prompt="plain",
        cluster="document",
        tags=("text", "english", "patients"),
        gold=lambda sample: sample.messages[-1].text,
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        One item for each question with an answer, document by document, in an order that depends only on the
        data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: the folder is missing, has no XML files, or one is not XML.
    """
    known_split(split)
    folder = place(path, "corpus/medquad")
    files = sorted(folder.rglob("*.xml"))
    if not files:
        raise DataError(f"{folder}: no XML files")
    for file in shuffled(files, key=_document):
        if hash_split("medquad", _document(file), train=0.8, validation=0.1) == split:
            yield from _questions(file, split)


def _document(file: Path) -> str:
    """The collection and the number: numbers start anew in each collection."""
    return f"{file.parent.name}/{file.stem}"


def _questions(file: Path, split: str) -> Iterator[Sample]:
    try:
        document = xml.parse(file).getroot()
    except xml.ParseError as error:
        raise DataError(f"{file}: not XML: {error}") from error
    for number, pair in enumerate(document.iter("QAPair")):
        question, answer = (" ".join((pair.findtext(tag) or "").split()) for tag in ("Question", "Answer"))
        if question and answer:
            wording = re.sub(r" \((?:are|is)\)|\s+(?=\?)", "", question)
            kind = next((element.get("qtype", "") for element in pair.iter("Question")), "")
            yield _question(f"{_document(file)}-{number}", wording, answer, _document(file), split, kind)


def _question(id: str, question: str, answer: str, document: str, split: str, kind: str) -> Sample:
    return item(
        f"medquad/{id}",
        question,
        answer,
        license=LICENSE,
        study_id=document,
        split=split,
        meta={"kind": kind},
    )


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return _question("example", "What causes scurvy?", "A lack of vitamin C.", "example", "test", "causes")
