"""The part of HealthBench (Arora et al. 2025) on sexual and reproductive health: half of the conversations, by hash; all is test.

A judge is needed (see docs of the judges); without one every item stays unjudged. Keep the examples out of public pages.
"""

from collections.abc import Iterator
from functools import partial

from medxiaohe.scoring.rubric import rubric
from medxiaohe.tasks import _healthbench
from medxiaohe.tasks._common import known_split, place
from medxiaohe.types import Sample, Task

FINGERPRINTS = {"test": "7f73e7e62a724fda"}


def healthbench_srh(path: str = "") -> Task:
    """`path` is a JSON or JSON-lines file of HealthBench rows; by default ${MEDXIAOHE_DATA}/rubric/healthbench_srh/prompts_rubrics.json."""
    return Task(
        "healthbench_srh",
        partial(samples, path),
        (rubric,),
        **_healthbench.described("healthbench_srh"),
        fingerprints={} if path else FINGERPRINTS,
    )


def samples(path: str, split: str) -> Iterator[Sample]:
    known_split(split, ("test",))
    yield from _healthbench.samples(place(path, "rubric/healthbench_srh/prompts_rubrics.json"), "healthbench_srh")
