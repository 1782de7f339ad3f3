"""The diseases that an abstract names (NCBI disease corpus, Doğan et al. 2014).

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

LICENSE = "NCBI disease corpus, U.S. Government work in the public domain"
FINGERPRINTS = {"train": "7a32f6f0f192f02d", "test": "2367f5bf3bbd8334"}
FILES = {"train": "NCBItrainset_corpus.txt", "test": "NCBIdevelopset_corpus.txt"}
TYPES = ("SpecificDisease", "DiseaseClass", "Modifier", "CompositeMention")
WHAT = "diseases"


def ncbi_disease(path: str = "", tree: Path | None = None) -> Task:
    """`path` is the folder of the two PubTator files; by default ${MEDXIAOHE_DATA}/entity_gold/ncbi_disease."""
    return Task(
        "ncbi_disease",
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
    yield from _mentions.questions("ncbi_disease", place(path, "entity_gold/ncbi_disease") / FILES[split], WHAT, TYPES, split, LICENSE)


def example() -> Sample:
    text = "Naloxone in hypertension.\nIn rats with heart failure, naloxone and clonidine lowered the blood pressure."
    return _mentions.question("ncbi_disease", _mentions.Abstract("0", text, ()), WHAT, ["hypertension", "heart failure"], "test", LICENSE)
