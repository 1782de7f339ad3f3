"""The part of HealthBench (Arora et al. 2025) on sexual and reproductive health: half of the conversations,
by hash; all is test.

A judge is needed (see docs of the judges); without one every item stays unjudged. Keep the examples out of
public pages.
"""

from medxiaohe.tasks import _healthbench
from medxiaohe.types import Task

FINGERPRINTS = {"test": "7f73e7e62a724fda"}
HERE = "rubric/healthbench_srh/prompts_rubrics.json"


def healthbench_srh(path: str = "") -> Task:
    """HealthBench, sexual and reproductive health: half of the conversations, judged by physicians' criteria.

    Args:
        path: JSON or JSON-lines file of HealthBench rows; "" for
            ${MEDXIAOHE_DATA}/rubric/healthbench_srh/prompts_rubrics.json.

    Returns:
        The task; data is read when its samples are.
    """
    return _healthbench.task("healthbench_srh", path, here=HERE, fingerprints=FINGERPRINTS)
