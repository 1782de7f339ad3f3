"""Weights that are trained are float32 where the model is bfloat16: small steps are not lost in rounding."""

from pathlib import Path
from typing import Any

import pytest

from medxiaohe.models import checkpoint
from medxiaohe.models.render import Rendered, batch
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.parts import Parts

torch = pytest.importorskip("torch")
STEPS = 50
FULL = Parts(language="full", projector=False)


def share_moved(folder: Path, rate: float, how: str) -> float:
    """Share of the language model's weights that 50 steps of AdamW change, as their trainer computes them."""
    loaded = checkpoint.load(str(folder))
    model = loaded.model if how == "float32" else loaded.model.to(torch.bfloat16)
    if how == "bfloat16":  # what trainers do that do not keep float32 weights
        for name, weight in model.named_parameters():
            weight.requires_grad = parts_of.part_of(name) == "language"
    else:
        model = parts_of.prepare(model, FULL, 0)
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert {weight.dtype for weight in trained.values()} == {
        torch.bfloat16 if how == "bfloat16" else torch.float32
    }
    before = {name: weight.detach().clone() for name, weight in trained.items()}
    chance = torch.Generator().manual_seed(0)
    rows = []
    for _ in range(4):
        tokens = torch.randint(8, 250, (24,), generator=chance).tolist()
        rows.append(Rendered(tuple(tokens), (True,) * 24))
    inputs: dict[str, Any] = batch(rows, loaded.processor)
    optimizer = parts_of.optimizer(model, rate, None, 0.0, kind=torch.optim.AdamW, options={})
    for _ in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "master"):
            loss = model(**inputs).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    moved = sum(int((weight.detach() != before[name]).sum()) for name, weight in trained.items())
    return moved / sum(weight.numel() for weight in trained.values())


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-5, 1e-6])
def test_50_steps_move_what_float32_moves(tiny_vlm: Path, rate: float) -> None:
    exact = share_moved(tiny_vlm, rate, "float32")
    assert share_moved(tiny_vlm, rate, "master") == pytest.approx(exact, rel=0.01)
    assert share_moved(tiny_vlm, rate, "bfloat16") < 0.7 * exact


def test_adapters_and_projector_are_float32_beside_a_bfloat16_model(tiny_vlm: Path) -> None:
    model = parts_of.prepare(checkpoint.load(str(tiny_vlm)).model.to(torch.bfloat16), Parts(lora_r=2), 0)
    kinds = {(weight.requires_grad, weight.dtype) for weight in model.parameters()}
    assert kinds == {(True, torch.float32), (False, torch.bfloat16)}
