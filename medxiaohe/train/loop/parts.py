"""Which weights a stage trains: LoRA or all of the language model, the projector, the vision tower.

MedXIAOHE unfreezes the vision tower and trains jointly; that is `vision: true`. The shipped CPU recipes
keep it frozen: it is the best part of the starter and the most expensive one to train.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.models import starter

PROJECTOR_NAMES = ("multi_modal_projector", "connector", "merger", "projector")
VISION_NAMES = ("vision_tower", "vision_model", "visual")
LANGUAGE = rf"(?!.*({'|'.join(PROJECTOR_NAMES + VISION_NAMES)})).*"  # all but what sees
LORA_TARGETS = {
    "attention": LANGUAGE + r"\.(q_proj|v_proj)",
    "all": LANGUAGE + r"\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
}


@dataclass(frozen=True)
class Parts:
    """Which parts are trained. `language`: LoRA adapters (merged when saved), every weight, or nothing."""

    language: Literal["lora", "full", "frozen"] = "lora"
    lora_r: int = 16
    # the query and value projections, or every linear layer
    lora_targets: Literal["attention", "all"] = "all"
    projector: bool = True
    vision: bool = False

    def __post_init__(self) -> None:
        if self.language == "frozen" and not self.projector and not self.vision:
            raise ConfigError(
                "nothing to train: set language to lora or full, or projector or vision to true"
            )
        if self.lora_r < 1:
            raise ConfigError(f"lora_r must be at least 1, not {self.lora_r}")


def part_of(name: str) -> str:
    """Classify a parameter by its name.

    Args:
        name: as in `named_parameters`.

    Returns:
        "projector", "vision" or "language".
    """
    if any(key in name for key in PROJECTOR_NAMES):
        return "projector"
    return "vision" if any(key in name for key in VISION_NAMES) else "language"


def prepare(model: Any, parts: Parts, seed: int) -> Any:
    """Freeze and unfreeze weights, and add LoRA adapters; with LoRA the returned model wraps the given one.

    Trained weights are float32 whatever the others are: a step of 1e-5 is less than half the spacing of
    bfloat16 at the size of most weights, and would be rounded away. Products are still bfloat16 on an
    accelerator: `mixed`.

    Args:
        model: as loaded; it is modified.
        parts: which parts are trained. LoRA scales by alpha / r with alpha = 2 r.
        seed: of the adapters' first weights.

    Returns:
        The model to train.

    Raises:
        ModelError: LoRA finds no layer of the names in `LORA_TARGETS`.
        ConfigError: no weight would be trained.
    """
    import torch

    torch.manual_seed(seed)
    if parts.language == "lora":
        from peft import LoraConfig, get_peft_model

        # W + (alpha / r) B A with alpha = 2 r (LoRA, arXiv 2106.09685)
        targets = LORA_TARGETS[parts.lora_targets]
        adapters = LoraConfig(
            r=parts.lora_r, lora_alpha=2 * parts.lora_r, target_modules=targets, lora_dropout=0.0
        )
        try:
            model = get_peft_model(model, adapters)
        except ValueError as error:  # peft found no layer of these names
            raise ModelError(
                f"lora_targets {parts.lora_targets} match no layer of a {type(model).__name__}: set"
                " parts.language to full or frozen"
            ) from error
    train = {"language": parts.language == "full", "projector": parts.projector, "vision": parts.vision}
    for name, weight in model.named_parameters():
        weight.requires_grad = True if "lora_" in name else train[part_of(name)]
        if weight.requires_grad and weight.dtype == torch.bfloat16:
            weight.data = weight.data.float()
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ConfigError("no weight is trained: the model has none of the parts that were asked for")
    return model


def mixed(model: Any) -> Any:
    """Open the mixed precision that trainers use: bfloat16 products on an accelerator.

    Args:
        model: whose device decides.

    Returns:
        A torch.autocast context, disabled on a CPU.
    """
    import torch

    kind = model.device.type
    return torch.autocast(kind, torch.bfloat16, enabled=kind != "cpu")


def merged(model: Any) -> Any:
    """Merge LoRA adapters into their weights: W + (alpha / r) B A.

    Args:
        model: with or without adapters.

    Returns:
        The plain model.
    """
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def optimizer(
    model: Any,
    learning_rate: float,
    projector_learning_rate: float | None,
    weight_decay: float,
    *,
    kind: Any,
    options: Mapping[str, Any],
) -> Any:
    """Build an optimizer with a learning rate of its own for the projector, which starts untrained.

    Args:
        model: prepared for training.
        learning_rate: of all weights but the projector's.
        projector_learning_rate: None or 0: that of the others.
        weight_decay: of all weights.
        kind: class of the optimizer.
        options: of its constructor, besides rates and decay.

    Returns:
        The optimizer, with one group of parameters for each rate.
    """
    groups: dict[float, list[Any]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            own = (
                projector_learning_rate
                if part_of(name) == "projector" and projector_learning_rate
                else learning_rate
            )
            groups.setdefault(own, []).append(weight)
    each = [{"params": weights, "lr": rate} for rate, weights in groups.items()]
    return kind(each, **{**options, "weight_decay": weight_decay})


def sizes(model: Any) -> dict[str, int]:
    """Count parameters.

    Args:
        model: prepared for training.

    Returns:
        {trained_parameters, total_parameters}; 4-bit weights are counted unpacked, two in a byte.
    """
    weights = list(model.parameters())
    return {
        "trained_parameters": sum(w.numel() for w in weights if w.requires_grad),
        "total_parameters": sum(w.numel() * (2 if _is_four_bit(w) else 1) for w in weights),
    }


def is_quantized(model: Any) -> bool:
    """Whether any weight is stored in 4 bits by bitsandbytes.

    Args:
        model: as loaded.

    Returns:
        True for QLoRA.
    """
    return any(map(_is_four_bit, model.parameters()))


def _is_four_bit(weight: Any) -> bool:
    """Whether bitsandbytes keeps two weights in each of its bytes."""
    return type(weight).__name__ == "Params4bit"


def projector_is_fresh(model: Any) -> bool:
    """Whether the checkpoint marks its projector as never trained, as the starter does.

    Args:
        model: with its configuration.

    Returns:
        The mark in the configuration; False without one.
    """
    return bool(getattr(model.config, starter.FRESH, False))


def calibrate_projector(model: Any, pixels: Any) -> None:
    """Initialise a fresh LLaVA projector from data: input features with mean 0 and standard deviation 1,
    output
    with the standard deviation of the token embeddings (in the manner of LSUV, Mishkin and Matas 2016).

    The standard deviation of the tower's features differs widely between dimensions, so a projector drawn at
    random transmits only the largest. The checkpoint is no longer marked as fresh afterwards.

    Args:
        model: a LLaVA model; it is modified.
        pixels: (images, 3, height, width), as its processor makes them.

    Raises:
        ConfigError: a projector that is not LLaVA's (`linear_1`, `linear_2`).
    """
    import torch

    inner = getattr(model, "model", None)
    projector = getattr(inner, "multi_modal_projector", None)
    if not hasattr(projector, "linear_1") or not hasattr(projector, "linear_2"):
        raise ConfigError("only a LLaVA projector (linear_1, linear_2) can be calibrated")
    assert inner is not None and projector is not None
    # inputs x of the first layer: features of the tower, (patches, d)
    captured: list[Any] = []
    hook = projector.linear_1.register_forward_pre_hook(
        lambda _, inputs: captured.append(inputs[0].flatten(0, -2))
    )
    with torch.no_grad():
        inner.get_image_features(pixel_values=pixels.to(projector.linear_1.weight.dtype))
        hook.remove()
        features = torch.cat(captured).float()
        # W1 = N(0, 1 / d) / std(x), b1 = - W1 mean(x): standardised inputs give outputs of unit variance
        mean, spread = features.mean(0), features.std(0).clamp_min(1e-6)
        weight = torch.randn(projector.linear_1.weight.shape, generator=torch.Generator().manual_seed(0))
        weight = (weight / weight.shape[1] ** 0.5).to(spread) / spread
        projector.linear_1.weight.copy_(weight)
        projector.linear_1.bias.copy_(-weight @ mean)
        # W2 ~ N(0, 1), then scaled: std(output) = std(token embeddings)
        projector.linear_2.weight.normal_(0.0, 1.0, generator=torch.Generator().manual_seed(1))
        projector.linear_2.bias.zero_()
        out = projector(features.to(projector.linear_1.weight.dtype))
        volume = model.get_input_embeddings().weight.std()
        projector.linear_2.weight.mul_(volume / out.std())
    setattr(model.config, starter.FRESH, False)
