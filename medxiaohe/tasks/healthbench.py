"""HealthBench (Arora et al. 2025): 5,000 conversations judged by criteria of physicians.

The file is 2025-05-07-06-14-12_oss_eval.jsonl of openai/simple-evals, or openai/healthbench on the hub; give
its place as `path`. Not run here: the layout is that of the published file, the fingerprint is not measured.
A judge is needed. Keep the examples out of public pages.
"""

from medxiaohe.tasks import _healthbench
from medxiaohe.types import Task


def healthbench(path: str = "") -> Task:
    """HealthBench: 5,000 conversations judged by physicians' criteria.

    Args:
        path: the JSON-lines file.

    Returns:
        The task; data is read when its samples are.
    """
    return _healthbench.task("healthbench", path, file="2025-05-07-06-14-12_oss_eval.jsonl")
