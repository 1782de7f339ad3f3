"""HealthBench (Arora et al. 2025): 5,000 conversations judged by criteria of physicians.

The file is 2025-05-07-06-14-12_oss_eval.jsonl of openai/simple-evals, or openai/healthbench on the hub; give its place as `path`. Not
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


def healthbench(path: str = "") -> Task:
    """`path` is the JSON-lines file."""
    return Task("healthbench", partial(samples, path), (rubric,), **_healthbench.described("healthbench"))


def samples(path: str, split: str) -> Iterator[Sample]:
    known_split(split, ("test",))
    if not path:
        raise DataError("healthbench needs `path`: the file 2025-05-07-06-14-12_oss_eval.jsonl of HealthBench")
    yield from _healthbench.samples(place(path), "healthbench")
