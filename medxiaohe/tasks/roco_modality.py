"""By which technique a figure was made, told from its caption (ROCO, Pelka et al. 2018): text only, the
pictures are links.

The label is the UMLS concept that the owners linked to the caption, where it has exactly one of three
(magnetic resonance has none of its own). As many of each; split by article, 60 % train, 10 % validation. A
check of reading, not of seeing.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.one_of import one_of
from medxiaohe.tasks._common import alternating, hash_split, item, known_split, place
from medxiaohe.tasks._prompts import asked
from medxiaohe.types import Sample, Task

CONCEPTS = {"C0040405": "computed tomography", "C0041618": "ultrasound", "C1306645": "X-ray"}
CHOICES = tuple(CONCEPTS.values())
FINGERPRINTS = {"train": "6bef18d1ea9d38ca", "validation": "a0b6a8648d152853", "test": "d11a8589ed3bd58e"}


def roco_modality(path: str = "") -> Task:
    """ROCO: imaging modality of a figure, read from its caption.

    Args:
        path: JSON-lines file; "" for ${MEDXIAOHE_DATA}/corpus/roco_captions_cui.jsonl.

    Returns:
        The task; data is read when its samples are.
    """
    return Task(
        "roco_modality",
        partial(samples, path),
        (one_of,),
        example(),
        "that of each figure (Creative Commons)",
        prompt="one_of",
        cluster="article",
        tags=("text", "english", "radiology"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    """Read the items of a split.

    Args:
        path: as the task takes it.
        split: train, validation or test.

    Yields:
        As many items of each of the three modalities, taking turns.

    Raises:
        ConfigError: the task has no such split.
        DataError: the file is missing, or a row is not of ROCO.
    """
    known_split(split)
    file = place(path, "corpus/roco_captions_cui.jsonl")
    results = []
    for row in io.read_jsonl(file):
        try:
            concepts = sorted(set(row["cuis"]) & set(CONCEPTS))
            article = row["source_image"].partition("_")[0]
            if len(concepts) == 1 and hash_split("roco", article, train=0.6, validation=0.1) == split:
                results.append(_question(row, CONCEPTS[concepts[0]], article, split))
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file}: not a row of ROCO: {error!r}") from error
    # balance: as many of each modality as the rarest one has
    few = min((sum(s.target == choice for s in results) for choice in CHOICES), default=0)
    yield from list(alternating(results, key=lambda s: s.id, label=lambda s: s.target))[: few * len(CHOICES)]


def _question(row: Mapping[str, Any], gold: str, article: str, split: str) -> Sample:
    text = f"Caption of a figure: {' '.join(row['caption'].split())}\nBy which technique was it made?"
    fields = {"choices": CHOICES, "license": row["licence"], "study_id": article, "split": split}
    return item(f"roco_modality/{row['id']}", asked("one_of", text, CHOICES), gold, **fields)


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    caption = "Axial image after contrast with a low-density lesion of 12 Hounsfield units in the liver"
    return _question(
        {"id": "example", "caption": caption, "licence": "CC BY"}, "computed tomography", "PMC0", "test"
    )
