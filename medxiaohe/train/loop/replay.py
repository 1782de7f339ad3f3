"""Replay rows of the mixture among new ones, against catastrophic forgetting."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.types import Sample


def with_old(rows: Sequence[Sample], data: Path, share: float, seed: int) -> tuple[list[Sample], int]:
    """Mix new rows with replayed rows of data/instructions.jsonl, against forgetting.

    Args:
        rows: the new rows; all are used.
        data: folder of a mixture; without instructions.jsonl nothing is replayed.
        share: replayed rows for each new one, as far as there are enough.
        seed: of the draw and of the order.

    Returns:
        (shuffled rows, number of replayed ones)
    """
    file = data / "instructions.jsonl"
    old = list(io.read_samples(file)) if share and file.exists() else []
    chance = random.Random(seed)
    replayed = chance.sample(old, min(len(old), round(share * len(rows))))
    mixed = [*rows, *replayed]
    chance.shuffle(mixed)
    return mixed, len(replayed)
