"""HealthBench-hard (Arora et al. 2025): the 1,000 conversations that models of 2025 did worst on.

The file is hard_2025-05-08-21-00-10.jsonl of openai/simple-evals, or openai/healthbench on the hub; give its
place as `path`. Not run here: the layout is that of the published file, the fingerprint is not measured. A
judge is needed. Keep the examples out of public pages.
"""

from medxiaohe.tasks import _healthbench
from medxiaohe.types import Task


def healthbench_hard(path: str = "") -> Task:
    """HealthBench-hard: the 1,000 conversations that models of 2025 did worst on.

    Args:
        path: the JSON-lines file.

    Returns:
        The task; data is read when its samples are.
    """
    return _healthbench.task("healthbench_hard", path, file="hard_2025-05-08-21-00-10.jsonl")
