"""Train a learner to a number of steps, from its newest checkpoint; a killed run ends with the same bits.

What a step draws depends on the seed and its number alone, so a checkpoint holds weights, optimizer, teacher,
queue and losses, and no state of a random generator.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from medxiaohe import io, progress
from medxiaohe.errors import ModelError
from medxiaohe.train.image_report.learner import Batch, Learner
from medxiaohe.train.loop.resume import KEPT, newest, read_state, write_state


def order(pairs: int, batch: int, step: int, seed: int) -> list[int]:
    """Compute the pairs of a step; every epoch has each pair once, its last batch may be smaller.

    Args:
        pairs: how many there are.
        batch: pairs of a step.
        step: from 0.
        seed: of the permutation of each epoch.

    Returns:
        Numbers of pairs.
    """
    an_epoch = math.ceil(pairs / batch)
    epoch, position = divmod(step, an_epoch)
    # a permutation for each epoch; 1,000,003 is a prime larger than any run's epochs, so that runs with other
    # seeds share none
    drawn = torch.randperm(pairs, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
    return list(map(int, drawn[position * batch : (position + 1) * batch]))


def rate(step: int, steps: int, warmup: int) -> float:
    """Compute the share of the learning rate: a linear warm-up, then a cosine to zero.

    Args:
        step: from 0.
        steps: of the whole run.
        warmup: steps of the warm-up.

    Returns:
        From 0 to 1.
    """
    # (step + 1) / (warmup + 1): the first step has a rate above 0, step `warmup` has the full one
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def fit(
    learner: Learner, batch_of: Callable[[list[int]], Batch], pairs: int, steps: int, work: Path
) -> list[dict[str, float]]:
    """Train a learner from its newest checkpoint to the last step.

    Args:
        learner: freshly initialised.
        batch_of: tensors of the pairs of some numbers.
        pairs: how many there are.
        steps: optimizer steps of the whole run.
        work: folder of the checkpoints.

    Returns:
        A row for each step: step, loss, and each of its parts.

    Raises:
        ModelError: the loss is not finite.
    """
    settings = learner.settings
    weights = [weight for weight in learner.student.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    start, history = 0, list[dict[str, float]]()
    if checkpoint := newest(work):
        start, history = _load(Path(checkpoint), learner, optimizer)
    meter = progress.Meter("motor", steps)
    meter.advance(start)
    learner.student.train()
    for step in range(start, steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(step, steps, settings.warmup_steps)
        # all random draws of a step follow from seed and step: resuming needs no state of a generator
        draw = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
        batch = batch_of(order(pairs, settings.per_device_train_batch_size, step, settings.seed))
        loss, parts = learner.loss(batch, draw)
        if not torch.isfinite(loss):
            raise ModelError(
                f"motor: the loss of step {step + 1} is {float(loss)}: lower learning_rate, or look at the"
                " pairs of this step"
            )
        optimizer.zero_grad()
        loss.backward()
        # scale all gradients so that their joint norm is at most `max_grad_norm`
        torch.nn.utils.clip_grad_norm_(weights, settings.max_grad_norm)
        optimizer.step()
        learner.follow()
        history.append({"step": step + 1, "loss": float(loss.detach()), **parts})
        meter.advance()
        if (step + 1) % settings.save_steps == 0 and step + 1 < steps:
            _save(work, step + 1, learner, optimizer, history)
    meter.close()
    learner.student.eval()
    learner.teacher.eval()
    return history


def _save(work: Path, step: int, learner: Learner, optimizer: Any, history: list[dict[str, float]]) -> None:
    state = optimizer.state_dict()["state"]
    tensors = {f"optimizer {n} {name}": v for n, entries in state.items() for name, v in entries.items()}
    with io.publish(work / f"{step:08d}") as draft:
        write_state(draft, "learner", {"history": history}, learner.tensors() | tensors)
    for old in sorted(work.glob("[0-9]*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def _load(folder: Path, learner: Learner, optimizer: Any) -> tuple[int, list[dict[str, float]]]:
    values, tensors = read_state(folder, "learner")
    learner.load({name: value for name, value in tensors.items() if not name.startswith("optimizer ")})
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer "):
            _, number, name = key.split(" ", 2)
            state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(folder.name), values["history"]
