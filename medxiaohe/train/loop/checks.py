"""Checks before the first step: gradients reach every trained part, packed rows do not attend to each
other.
"""

from __future__ import annotations

import time
from typing import Any

from medxiaohe.errors import ModelError
from medxiaohe.models.render import IGNORED, on_device
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.rows import Rows


def check_gradients(model: Any, rows: Rows, parts: parts_of.Parts) -> float:
    """Check that gradients reach every trained part: one backward pass on a row with and one without images.

    Random state and gradients are restored afterwards.

    Args:
        model: prepared for training (`parts.prepare`).
        rows: rows of the stage.
        parts: which parts are to be trained.

    Returns:
        Seconds of a forward and backward pass for each token, of the faster of the two rows.

    Raises:
        ModelError: a trained part has no gradient. Projector and vision tower are checked only where a row
            has an image.
    """
    import torch

    first = {has_images: rows.first_with(has_images) for has_images in (True, False)}
    state = torch.get_rng_state()
    model.train()
    speeds = []
    # forward and backward pass of each row, timed in seconds a token
    for number in first.values():
        if number is not None:
            inputs = {key: value.to(model.device) for key, value in rows.batch([[number]]).items()}
            start = time.perf_counter()
            with parts_of.mixed(model):
                loss = model(**inputs).loss
            loss.backward()
            speeds.append((time.perf_counter() - start) / inputs["input_ids"].numel())
    # parts with a gradient other than 0
    reached = {
        parts_of.part_of(n)
        for n, w in model.named_parameters()
        if w.grad is not None and bool(w.grad.abs().sum() > 0)
    }
    model.zero_grad(set_to_none=True)
    torch.set_rng_state(state)
    requested = {"language"} if parts.language != "frozen" else set()
    if first[True] is not None:  # text alone cannot reach the projector or the vision tower
        requested |= {name for name in ("projector", "vision") if getattr(parts, name)}
    if missing := requested - reached:
        raise ModelError(
            f"no gradient reaches the {' and '.join(sorted(missing))}, which was to be trained: check parts"
            " and data"
        )
    return float(min(speeds))


def check_packing(model: Any, rows: Rows) -> None:
    """Compare up to four rows in one sequence with each alone, token by token.

    Raises:
        ModelError: a token's likelihood depends on other rows of its sequence, or on the position of its row.
    """
    import torch

    # the first and last row, the first with and without images; a single row is packed with itself
    numbers = {0, len(rows) - 1} | {n for n in map(rows.first_with, (True, False)) if n is not None}
    several = sorted(numbers)[:4] * (1 if len(numbers) > 1 else 2)
    state, was_training = torch.get_rng_state(), model.training
    model.eval()
    with torch.no_grad():
        # - log p of each token in the packed sequence, and of the same tokens with each row alone
        together = token_nats(model, rows.batch([several], packed=True))
        alone = torch.cat([token_nats(model, rows.batch([[number]])) for number in several])
    model.train(was_training)
    torch.set_rng_state(state)
    apart = (together - alone).abs()
    # bfloat16 rounds each product, so there only the mean can be told from seeing the other rows
    far = float(apart.max()) > 1e-3 if model.device.type == "cpu" else float(apart.mean()) > 0.02
    if far:
        raise ModelError(
            "rows packed together change each other in this model (a token's loss by"
            f" {float(apart.max()):.3f}): set packing to false"
        )


def token_nats(model: Any, inputs: dict[str, Any]) -> Any:
    """Compute the negative log-likelihood of each labelled token.

    Args:
        model: the model, in any mode.
        inputs: a batch of `Rows.batch`, with labels (B, T); its tensors are moved to the model's device.

    Returns:
        A float32 tensor (labelled tokens,) in nats, row after row.
    """
    import torch

    moved = on_device(inputs, model)
    # logits at position t predict the token at t + 1
    labels_BT = moved.pop("labels")[:, 1:]
    with parts_of.mixed(model):
        logits_BTV = model(**moved, use_cache=False).logits[:, :-1].float()
    nats = torch.nn.functional.cross_entropy(
        logits_BTV.transpose(1, 2), labels_BT, ignore_index=IGNORED, reduction="none"
    )
    return nats[labels_BT != IGNORED]
