"""BioASQ yes/no questions without their snippets: the model has a tool that searches all snippets of all
questions (BM25).

A trace keeps what was found, so retrieval can be judged beside the answer. The library holds 15,000 snippets
that experts found relevant to some question, so finding is easier than in PubMed.
"""

from collections.abc import Iterator
from functools import cache

from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.tasks import _bioasq
from medxiaohe.tasks.bioasq_yesno import question
from medxiaohe.tools.search import search
from medxiaohe.types import Sample, Task, Tool

FINGERPRINTS = {"train": "296f89ac2213ec61", "validation": "4638b2f168b5f845", "test": "1b265a00c2152556"}


def bioasq_search() -> Task:
    """Reads ${MEDXIAOHE_DATA}/corpus/bioasq."""
    return Task(
        "bioasq_search",
        samples,
        (yes_no,),
        example(),
        _bioasq.LICENSE,
        tools=("medxiaohe.tasks.bioasq_search:library",),
        prompt="yes_no",
        cluster="question",
        tags=(*_bioasq.TAGS, "tools"),
        fingerprints=FINGERPRINTS,
    )


def samples(split: str) -> Iterator[Sample]:
    for row in _bioasq.questions("", "yesno", split):
        yield question(row, split, row["body"].strip(), "bioasq_search")


@cache
def library() -> Tool:
    """The tool `search` over the snippets of all questions; the index is built once."""
    return search(_bioasq.passages(), top=5)


def example() -> Sample:
    return question(_bioasq.EXAMPLE, "test", _bioasq.EXAMPLE["body"], "bioasq_search")
