"""The diseases and symptoms that an abstract names (BioCreative V CDR, Li et al. 2016).

Published test sets are not in the data pack: its training part is train, its development part is test. Things
count by name: with `tree` the synonyms of the tree count, without it the spelling. A thing is named by its
longest mention.
"""

from pathlib import Path

from medxiaohe.tasks import _mentions
from medxiaohe.types import Task

CORPUS = _mentions.Corpus(
    task="bc5cdr_diseases",
    folder="entity_gold/bc5cdr",
    files={"train": "CDR_TrainingSet.PubTator.txt", "test": "CDR_DevelopmentSet.PubTator.txt"},
    types=("Disease",),
    what="diseases and symptoms",
    license="BioCreative V CDR corpus, for public research",
    fingerprints={"train": "30710bbc37ba2670", "test": "d1aa445f6535949c"},
    gold=("hypertension", "heart failure"),
)


def bc5cdr_diseases(path: str = "", tree: Path | None = None) -> Task:
    """BC5CDR diseases: the diseases that an abstract names, as F1 over names.

    Args:
        path: folder of the two PubTator files; "" for ${MEDXIAOHE_DATA}/entity_gold/bc5cdr.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return _mentions.task(CORPUS, path, tree)
