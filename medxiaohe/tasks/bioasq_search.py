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
    """BioASQ yes/no questions with a search tool over all snippets.

    Returns:
        The task; it reads ${MEDXIAOHE_DATA}/corpus/bioasq.
    """
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
    """Read the items of a split.

    Args:
        split: train, validation or test.

    Yields:
        One item for each yes/no question, in an order that depends only on the data set's ids.

    Raises:
        ConfigError: the task has no such split.
        DataError: there are no files, or they are not of BioASQ.
    """
    for row in _bioasq.questions("", "yesno", split):
        yield question(row, split, row["body"].strip(), "bioasq_search")


@cache
def library() -> BM25:
    """Build the BM25 index of the snippets of all questions, once for a process.

    Returns:
        What the tool `search` searches.

    Raises:
        DataError: there are no files, or they are not of BioASQ.
    """
    return BM25(_bioasq.passages())


def example() -> Sample:
    """Build the example item of the task.

    Returns:
        A made-up item in the layout of the data set.
    """
    return question(_bioasq.EXAMPLE, "test", str(_bioasq.EXAMPLE["body"]), "bioasq_search")
