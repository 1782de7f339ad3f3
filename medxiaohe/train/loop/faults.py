"""What goes wrong in the middle of training, told in one sentence, before it can spoil a checkpoint.

with explained("preference learning"):         memory, and a full disk
    trainer.train()
callbacks=[alarms("preference learning")]       a loss or a weight that is no number
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
def explained(label: str, place: Path | None = None) -> Iterator[None]:
    """ModelError for memory, StorageError for a full disk; what is explained already goes through."""
    try:
        yield
    except MedError:
        raise
    except (MemoryError, RuntimeError) as error:
        said = f"{type(error).__name__} {error}".lower()
        if not isinstance(error, MemoryError) and not any(words in said for words in MEMORY):
            raise
        raise ModelError(
            f"{label} ran out of memory: lower per_device_train_batch_size (and max_length), or train fewer"
            f" parts; {AGAIN}"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise StorageError(
            f"{label}: the disk of {error.filename or place} is full: free some space; {AGAIN}"
        ) from error


def alarms(label: str) -> Any:
    """A callback: ModelError at the step whose loss is no number, and before a checkpoint would hold a weight
    that is none. What is logged is kept for the page about the run."""
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
    import torch

    for name, weight in model.named_parameters():
        if weight.requires_grad and not bool(
            torch.isfinite(weight.to_local() if hasattr(weight, "to_local") else weight).all()
        ):
            raise ModelError(f"{label}: {name} is not finite: lower learning_rate; {AGAIN}")
