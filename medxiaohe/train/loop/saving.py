"""The checkpoint a training stage ends with: shards gathered, adapters merged, every weight finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.errors import ModelError
from medxiaohe.models import checkpoint, starter
from medxiaohe.recipe import ranks
from medxiaohe.train.loop import parts as parts_of


def save(
    trainer: Any,
    loaded: checkpoint.Loaded,
    parts: parts_of.Parts,
    out: Path,
    label: str,
    adapter: bool = False,
) -> None:
    """Save the trained checkpoint to `out`/model, adapters merged; every process takes part, rank 0 writes.

    Args:
        trainer: after training.
        loaded: the base, for its name and processor.
        parts: which parts were trained.
        out: folder of the stage.
        label: name of the stage in messages.
        adapter: whether to write the LoRA adapter alone to `out`/adapter as well.

    Raises:
        ModelError: a weight is not finite, or the gathered weights lack a trained one.
    """
    model = trainer.model
    if ranks.world() > 1:
        gathered = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        if not ranks.is_first():
            return
        model = _again(loaded, parts, gathered, getattr(model, "config", None), label)
    # merged into the weights as they were before they were rounded to four bits
    elif parts_of.is_quantized(model):
        model = _again(loaded, parts, dict(model.named_parameters()), None, label)
    if adapter:
        model.save_pretrained(out / "adapter")
    model = parts_of.merged(model)
    refuse_nan(model, label)
    checkpoint.save(checkpoint.Loaded(model, loaded.processor, loaded.name), out / "model")


def _again(
    loaded: checkpoint.Loaded, parts: parts_of.Parts, weights: dict[str, Any], config: Any, label: str
) -> Any:
    """The base loaded anew, with the weights that were trained."""
    model = parts_of.prepare(checkpoint.load(loaded.name).model, parts, 0)
    if config is not None:
        model.config = config
    elif parts.projector:
        setattr(model.config, starter.FRESH, False)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    selected = {name: weight for name, weight in weights.items() if config is not None or name in trained}
    missing = model.load_state_dict(selected, strict=False).missing_keys
    if unknown := trained.intersection(missing):
        raise ModelError(
            f"{label}: the trained weights lack {sorted(unknown)[0]}: report this with the name of the model"
        )
    return model


def refuse_nan(model: Any, label: str) -> None:
    """Check that every weight of a model is finite.

    Args:
        model: after training.
        label: name of the stage in the message.

    Raises:
        ModelError: a weight has NaN or infinity.
    """
    import torch

    for name, weight in model.named_parameters():
        if not bool(torch.isfinite(weight).all()):
            raise ModelError(f"{label}: {name} is not finite after training: lower the learning rate")
