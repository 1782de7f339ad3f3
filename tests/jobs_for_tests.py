"""Jobs over shards: real files, and ways for a worker to fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe import io, shards


def upper(
    shard: shards.Shard, out: Path, die_once: str = "", die_always: int = -1, wait: float = 0.0
) -> dict[str, Any]:
    """Every text in capitals; may kill its own process."""
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
