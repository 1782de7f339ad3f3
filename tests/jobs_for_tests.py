"""Jobs over shards: real files, and ways for a worker to fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe import io, shards
from medxiaohe.errors import Rejected


class Unsendable(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: str, two: str):
        super().__init__(f"{one} {two}")


def upper(
    shard: shards.Shard,
    out: Path,
    die_once: str = "",
    die_always: int = -1,
    wait: float = 0.0,
    refuse: int = -1,
    odd: int = -1,
) -> dict[str, Any]:
    """Every text in capitals; may kill its own process, or raise an error of an unusual shape."""
    if shard.number == refuse:
        raise Rejected("bomb", "no such row", 7)
    if shard.number == odd:
        raise Unsendable("two", "words")
    if shard.number == die_always:
        os.kill(os.getpid(), signal.SIGKILL)
    if die_once and shard.number == 2:
        try:
            os.mkdir(die_once)
            os.kill(os.getpid(), signal.SIGKILL)
        except FileExistsError:
            pass
    time.sleep(wait)

    def fill() -> Iterator[dict[str, Any]]:
        for row in shards.rows(shard):
            yield {"id": row["id"], "text": row["text"].upper()}

    return {"rows": io.write_jsonl(out / "upper.jsonl", fill())}


def threads_of_blas(shard: shards.Shard, out: Path) -> dict[str, Any]:
    """How many threads the matrix products of a job use, and what is left for OpenMP."""
    import numpy  # noqa: F401
    import threadpoolctl

    found = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
    return {"blas": found, "openmp": int(os.environ["OMP_NUM_THREADS"])}
