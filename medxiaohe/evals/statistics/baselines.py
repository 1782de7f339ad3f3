"""Baselines without skill on the same items: one constant answer, or a random option."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.running import work
from medxiaohe.evals.running.judging import Tally, said
from medxiaohe.evals.statistics import clusters
from medxiaohe.types import Sample, Task

# of a task with a judge, whose verdicts on the constant answer would cost as much as the run
NONE = {"constant": None, "constant_answer": "", "constant_from": ""}
MAX_TRAIN_GOLDS = 2000  # golds of train, enough to find the most frequent answer


def constant(task: Task, items: Path, split: str) -> dict[str, Any]:
    """Majority baseline: the score of always giving one answer.

    The answer is the most frequent gold of the train split or, without one, of the items themselves.

    Args:
        task: whose gold and first scorer are used.
        items: file of the items that are scored.
        split: the split of these items.

    Returns:
        {constant: mean score or None, constant_answer, constant_from: split that the answer was chosen on}

    Raises:
        ValueError: there are no items.
    """
    try:
        has_train = split != "train" and "train" in task.splits
        golds = (
            Counter(map(task.gold, islice(task.samples("train"), MAX_TRAIN_GOLDS)))
            if has_train
            else Counter[str]()
        )
    except (ConfigError, DataError):
        golds = Counter()
    source = "train" if golds else split
    # no train split that can be read: the most frequent gold of the scored items themselves (optimistic)
    golds = golds or Counter(map(task.gold, _samples(items)))
    answer = min(golds, key=lambda gold: (-golds[gold], gold))
    values = [
        value
        for sample in _samples(items)
        if (value := task.scorers[0](sample, said(sample, answer)).value) is not None
    ]
    mean = math.fsum(values) / len(values) if values else None
    return {"constant": mean, "constant_answer": answer, "constant_from": source}


def any_answer(
    task: Task, items: Path, offered: Callable[[Sample], tuple[str, ...]] | None
) -> dict[str, Any] | None:
    """Chance level: the expected score of an option drawn uniformly, exact.

    Args:
        task: whose first scorer is used.
        items: file of the items.
        offered: sample -> its answer options; None for free text.

    Returns:
        {n, mean, low, high, clusters}; None for free text
    """
    if offered is None:
        return None
    tally = Tally()
    for sample in _samples(items):
        values = [task.scorers[0](sample, said(sample, text)).value or 0.0 for text in offered(sample)]
        tally.add(math.fsum(values) / len(values), clusters.of(sample))
    return tally.row()


def _samples(items: Path) -> Iterator[Sample]:
    return (item.sample for item in work.items(items))
