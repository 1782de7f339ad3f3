"""Rows of the mixture among new ones, so that nothing else is forgotten."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.types import Sample


def with_old(rows: Sequence[Sample], data: Path, share: float, seed: int) -> tuple[list[Sample], int]:
    """The rows and `share` times as many of data/instructions.jsonl, as far as there are, shuffled; and how
    many old ones."""
    file = data / "instructions.jsonl"
    old = list(io.read_samples(file)) if share and file.exists() else []
    chance = random.Random(seed)
    replayed = chance.sample(old, min(len(old), round(share * len(rows))))
    mixed = [*rows, *replayed]
    chance.shuffle(mixed)
    return mixed, len(replayed)
