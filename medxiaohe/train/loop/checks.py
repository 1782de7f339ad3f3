"""What is looked at before the first step: gradients reach every part, packed rows do not see each other.
Timed on the way."""

from __future__ import annotations

import time
from typing import Any

from medxiaohe.errors import ModelError
from medxiaohe.models.render import IGNORED
from medxiaohe.train.loop import batch_plan as plans
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.rows import Rows


def check_gradients(model: Any, rows: Rows, parts: parts_of.Parts) -> float:
    """One backward pass over a row with and a row without images; ModelError names a part that learns
    nothing.

    Returns the seconds a token took in the faster of the two.
    """
    import torch

    first = {has_images: rows.first_with(has_images) for has_images in (True, False)}
    state = torch.get_rng_state()
    model.train()
    speeds = []
    for number in first.values():
        if number is not None:
            inputs = {key: value.to(model.device) for key, value in rows.batch([[number]]).items()}
            start = time.perf_counter()
            model(**inputs).loss.backward()
            speeds.append((time.perf_counter() - start) / inputs["input_ids"].numel())
    reached = {
        parts_of.part_of(n)
        for n, w in model.named_parameters()
        if w.grad is not None and bool(w.grad.abs().sum() > 0)
    }
    model.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    wanted = {"language"} if parts.language != "frozen" else set()
    if first[True] is not None:  # text alone cannot reach the projector or the vision tower
        wanted |= {name for name in ("projector", "vision") if getattr(parts, name)}
    if missing := wanted - reached:
        raise ModelError(
            f"no gradient reaches the {' and '.join(sorted(missing))}, which was to be trained: check parts"
            " and data"
        )
    return min(speeds)


def check_packing(model: Any, rows: Rows) -> None:
    """ModelError when rows that share a sequence see each other: some models number positions by
    themselves."""
    import torch

    numbers = sorted({0, len(rows) - 1} | {n for n in map(rows.first_with, (True, False)) if n is not None})[
        :4
    ]
    state, was_training = torch.get_rng_state(), model.training
    model.eval()
    with torch.no_grad():

        def loss(sequences: plans.Batch, packed: bool) -> float:
            inputs = rows.batch(sequences, packed=packed)
            count = int((inputs["labels"][:, 1:] != IGNORED).sum())
            moved = {key: value.to(model.device) for key, value in inputs.items()}
            return float(model(**moved, use_cache=False).loss) * count if count else 0.0

        together, alone = loss([numbers], True), sum(loss([[number]], False) for number in numbers)
    model.train(was_training)
    torch.set_rng_state(state)
    if abs(together - alone) > 1e-2 * max(1.0, abs(alone)):
        raise ModelError(
            f"rows packed together see each other in this model (loss {together:.3f}, not {alone:.3f}): set"
            " packing to false"
        )
