"""The diseases that an abstract names (NCBI disease corpus, Doğan et al. 2014).

Published test sets are not in the data pack: its training part is train, its development part is test. Things
count by name: with `tree` the synonyms of the tree count, without it the spelling. A thing is named by its
longest mention.
"""

from pathlib import Path

from medxiaohe.tasks import _mentions
from medxiaohe.types import Task

CORPUS = _mentions.Corpus(
    task="ncbi_disease",
    folder="entity_gold/ncbi_disease",
    files={"train": "NCBItrainset_corpus.txt", "test": "NCBIdevelopset_corpus.txt"},
    types=("SpecificDisease", "DiseaseClass", "Modifier", "CompositeMention"),
    what="diseases",
    license="NCBI disease corpus, U.S. Government work in the public domain",
    fingerprints={"train": "7a32f6f0f192f02d", "test": "2367f5bf3bbd8334"},
    gold=("hypertension", "heart failure"),
)


def ncbi_disease(path: str = "", tree: Path | None = None) -> Task:
    """NCBI disease corpus: the diseases that an abstract names, as F1 over names.

    Args:
        path: folder of the two PubTator files; "" for ${MEDXIAOHE_DATA}/entity_gold/ncbi_disease.
        tree: folder of a built tree whose synonyms count as the same name; None compares names by spelling.

    Returns:
        The task; data is read when its samples are.
    """
    return _mentions.task(CORPUS, path, tree)
