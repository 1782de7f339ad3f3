"""Run one recipe by several processes (torchrun, accelerate launch).

The process of rank 0 does everything; the others join it in stages whose function has `together = True`,
which are the training stages, and wait during all others.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import Any

PATIENCE = timedelta(days=7)  # how long the others wait for a stage that only rank 0 runs


def world() -> int:
    """Number of processes that run the recipe.

    Returns:
        WORLD_SIZE of the launcher; 1 without one.
    """
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Number of this process.

    Returns:
        RANK of the launcher, from 0; 0 without one.
    """
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Check whether this process is that of rank 0.

    Returns:
        True without a launcher.
    """
    return rank() == 0


def agree(value: Any = None) -> Any:
    """Broadcast a value from rank 0; all ranks must call it, and wait for each other.

    Args:
        value: of rank 0, any that can be pickled; those of other ranks are ignored.

    Returns:
        The value of rank 0.
    """
    if world() == 1:
        return value
    values = [value]
    _group().broadcast_object_list(values, src=0)
    return values[0]


def leave() -> None:
    """Destroy the process group at the end of a process: its threads can abort the exit.

    Ranks but the first have nothing left to write then, and end here.
    """
    if world() > 1 and (dist := sys.modules.get("torch.distributed")) and dist.is_initialized():
        dist.destroy_process_group()
        if not is_first():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)


def _group() -> Any:
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE
        )
    return dist
