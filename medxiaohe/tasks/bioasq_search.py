"""BioASQ yes/no questions without their snippets: the model has a tool that searches all snippets of all
questions (BM25).

A trace keeps what was found, so retrieval can be judged beside the answer. The library holds 15,000 snippets
that experts found relevant to some question, so finding is easier than in PubMed.
"""

from collections.abc import Iterator
from functools import cache

from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks import _bioasq
from medxiaohe.tasks.bioasq_yesno import question
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"train": "296f89ac2213ec61", "validation": "4638b2f168b5f845", "test": "1b265a00c2152556"}


def bioasq_search() -> Task:
    """Reads ${MEDXIAOHE_DATA}/corpus/bioasq."""
    return Task(
        "bioasq_search",
        samples,
        (yes_no,),
        example(),
        _bioasq.LICENSE,
        tools=("search",),
        resources={"library": library},
        prompt="yes_no",
        cluster="question",
        tags=(*_bioasq.TAGS, "tools"),
        fingerprints=FINGERPRINTS,
    )


def samples(split: str) -> Iterator[Sample]:
    for row in _bioasq.questions("", "yesno", split):
        yield question(row, split, row["body"].strip(), "bioasq_search")


@cache
def library() -> BM25:
    """The snippets of all questions; the index is built once."""
    return BM25(_bioasq.passages())


def example() -> Sample:
    return question(_bioasq.EXAMPLE, "test", str(_bioasq.EXAMPLE["body"]), "bioasq_search")
