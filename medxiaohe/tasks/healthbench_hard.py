"""HealthBench-hard (Arora et al. 2025): the 1,000 conversations that models of 2025 did worst on.

The file is hard_2025-05-08-21-00-10.jsonl of openai/simple-evals, or openai/healthbench on the hub; give its place as `path`. Not
run here: the layout is that of the published file, the fingerprint is not measured. A judge is needed. Keep the examples
out of public pages.
"""

from collections.abc import Iterator
from functools import partial

from medxiaohe.errors import DataError
from medxiaohe.scoring.rubric import rubric
from medxiaohe.tasks import _healthbench
from medxiaohe.tasks._common import known_split, place
from medxiaohe.types import Sample, Task


def healthbench_hard(path: str = "") -> Task:
    """`path` is the JSON-lines file."""
    return Task("healthbench_hard", partial(samples, path), (rubric,), **_healthbench.described("healthbench_hard"))


def samples(path: str, split: str) -> Iterator[Sample]:
    known_split(split, ("test",))
    if not path:
        raise DataError("healthbench_hard needs `path`: the file hard_2025-05-08-21-00-10.jsonl of HealthBench")
    yield from _healthbench.samples(place(path), "healthbench_hard")
