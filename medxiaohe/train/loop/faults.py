"""Errors in the middle of training, reported in one sentence before they can damage a checkpoint.

with explained("preference learning"):         out of memory, and a full disk
    trainer.train()
callbacks=[alarms("preference learning")]       a loss or a weight that is not finite
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medxiaohe import progress
from medxiaohe.errors import MedError, ModelError, StorageError

MEMORY = ("outofmemory", "out of memory", "can't allocate")
AGAIN = "the last checkpoint is intact, and the same command continues from it"


@contextmanager
def explained(label: str, work: Path | None = None) -> Iterator[None]:
    """Turn out-of-memory errors and a full disk into one sentence; a context manager around training.

    Args:
        label: name of the stage in messages.
        work: folder of unfinished work, named where the error names no file.

    Raises:
        ModelError: memory ran out, on the host or the GPU.
        StorageError: the disk is full (ENOSPC, EDQUOT or EFBIG). All other errors pass through unchanged.
    """
    try:
        yield
    except MedError:
        raise
    except (MemoryError, RuntimeError) as error:
        text = f"{type(error).__name__} {error}".lower()
        if not isinstance(error, MemoryError) and not any(words in text for words in MEMORY):
            raise
        raise ModelError(
            f"{label} ran out of memory: lower per_device_train_batch_size (and max_length), or train fewer"
            f" parts; {AGAIN}"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise StorageError(
            f"{label}: the disk of {error.filename or work} is full: free some space; {AGAIN}"
        ) from error


def alarms(label: str) -> Any:
    """Build a callback of the Trainer that stops at a loss or weight that is not finite.

    It raises ModelError at the step whose loss is NaN or infinite, and before a checkpoint would hold such a
    weight. What is logged is also recorded for the page about the run.

    Args:
        label: name of the stage in messages.

    Returns:
        A transformers.TrainerCallback.
    """
    from transformers import TrainerCallback

    class Alarms(TrainerCallback):  # type: ignore[misc]
        def on_log(self, _: Any, state: Any, __: Any, logs: Any = None, **___: Any) -> None:
            progress.measured(state.global_step, logs or {})
            loss = (logs or {}).get("loss")
            if loss is not None and not math.isfinite(loss):
                raise ModelError(
                    f"{label}: the loss of step {state.global_step} is {loss}: lower learning_rate or"
                    f" max_grad_norm; {AGAIN}"
                )

        def on_step_end(self, _: Any, state: Any, control: Any, model: Any = None, **__: Any) -> None:
            if control.should_save:
                refuse_not_finite(model, f"{label}, step {state.global_step}")

    return Alarms()


def refuse_not_finite(model: Any, label: str) -> None:
    """Check that every trained weight is finite; of sharded weights, the part in this process.

    Args:
        model: the model that is trained.
        label: stage and step in the message.

    Raises:
        ModelError: a trained weight has NaN or infinity.
    """
    import torch

    for name, weight in model.named_parameters():
        if weight.requires_grad and not bool(
            torch.isfinite(weight.to_local() if hasattr(weight, "to_local") else weight).all()
        ):
            raise ModelError(f"{label}: {name} is not finite: lower learning_rate; {AGAIN}")
