"""The chemicals and drugs that an abstract names (BioCreative V CDR, Li et al. 2016).

Published test sets are not in the data pack: its training part is train, its development part is test. Things count by name:
with `tree` the synonyms of the tree count, without it the spelling. A thing is named by its longest mention.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from medxiaohe.tasks import _mentions
from medxiaohe.tasks._common import known_split, place
from medxiaohe.tasks._names import listed
from medxiaohe.types import Sample, Task

LICENSE = "BioCreative V CDR corpus, for public research"
FINGERPRINTS = {"train": "658669837c928028", "test": "0fcd6977ada84705"}
FILES = {"train": "CDR_TrainingSet.PubTator.txt", "test": "CDR_DevelopmentSet.PubTator.txt"}
TYPES = ("Chemical",)
WHAT = "chemicals and drugs"


def bc5cdr_chemicals(path: str = "", tree: Path | None = None) -> Task:
    """`path` is the folder of the two PubTator files; by default ${MEDXIAOHE_DATA}/entity_gold/bc5cdr."""
    return Task(
        "bc5cdr_chemicals",
        partial(samples, path),
        (listed(tree),),
        example(),
        LICENSE,
        prompt="list",
        cluster="article",
        splits=tuple(FILES),
        tags=("text", "english", "entities"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    known_split(split, tuple(FILES))
    yield from _mentions.questions("bc5cdr_chemicals", place(path, "entity_gold/bc5cdr") / FILES[split], WHAT, TYPES, split, LICENSE)


def example() -> Sample:
    text = "Naloxone in hypertension.\nIn rats with heart failure, naloxone and clonidine lowered the blood pressure."
    return _mentions.question("bc5cdr_chemicals", _mentions.Abstract("0", text, ()), WHAT, ["naloxone", "clonidine"], "test", LICENSE)
