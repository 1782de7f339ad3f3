"""Settings of speed and memory that every training stage has, under the names of TrainingArguments and TRL.

refuse(settings)                     ConfigError or MissingExtra for what cannot run here, before loading
refuse_kernels(settings, kind)       the same for kernels that the kind of model has none of
compiled(model, settings)            the model, its forward pass compiled where that is asked for
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Literal

from medxiaohe import plugins
from medxiaohe.errors import ConfigError, MissingExtra

Optim = Literal["adamw_torch", "adamw_torch_fused", "adamw_8bit", "paged_adamw_8bit", "adafactor", "sgd"]
Attention = Literal["", "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flex_attention"]
Schedule = Literal["linear", "cosine", "constant", "constant_with_warmup", "cosine_with_min_lr", "polynomial"]
# options that transformers has no default for: the rate falls to a tenth of the first one
SCHEDULE_OPTIONS = {"cosine_with_min_lr": {"min_lr_rate": 0.1}}
# implementation of attention -> import name and package that it needs
ATTENTION_NEEDS = {
    "flash_attention_2": ("flash_attn", "flash-attn"),
    "flash_attention_3": ("flash_attn_interface", "flash-attn-3"),
}
# bytes of optimizer state for each trained weight in float32 (4 bytes a moment; 8-bit ones with their scales)
STATE_BYTES: dict[str, float] = {
    "adamw_torch": 8.0, "adamw_torch_fused": 8.0, "adamw_8bit": 2.06, "paged_adamw_8bit": 2.06,
    "adafactor": 0.1, "sgd": 0.0,
}  # fmt: skip
SHARDED = ("adamw_torch", "adamw_torch_fused", "sgd")  # whose state FSDP2 shards


@dataclass(frozen=True)
class TrainerSettings:
    """Settings of speed and memory of a trainer."""

    # adamw_8bit and paged_adamw_8bit keep moments in 8 bits (bitsandbytes), adafactor in rows and columns
    optim: Optim = "adamw_torch"
    attn_implementation: Attention = ""  # how attention is computed; "": as transformers chooses
    use_liger_kernel: bool = False  # fused kernels of Liger, on a GPU
    torch_compile: bool = False  # compile the forward pass; the first steps take minutes


def refuse(settings: TrainerSettings, device: str, sharding: str = "none") -> None:
    """Refuse settings that this machine has no package or device for.

    Args:
        settings: of the stage.
        device: "cpu", or a CUDA device.
        sharding: "none" or "fsdp".

    Raises:
        MissingExtra: a package is not installed; the message has the pip command.
        ConfigError: Liger or flash attention without a GPU, or an optimizer whose state cannot be sharded.
    """
    if "8bit" in settings.optim:
        plugins.need("bitsandbytes", why=f"optim: {settings.optim}")
    if sharding == "fsdp" and settings.optim not in SHARDED:
        raise ConfigError(
            f"optim: {settings.optim} keeps a state that FSDP2 cannot shard: set optim to adamw_torch, or"
            " sharding to none"
        )
    requested = ATTENTION_NEEDS.get(settings.attn_implementation)
    if requested and importlib.util.find_spec(requested[0]) is None:
        raise MissingExtra(
            f"attn_implementation: {settings.attn_implementation} needs {requested[0]}: pip install"
            f" {requested[1]},"
            " or set attn_implementation to sdpa"
        )
    if settings.use_liger_kernel and importlib.util.find_spec("liger_kernel") is None:
        raise MissingExtra("use_liger_kernel: true needs liger_kernel: pip install liger-kernel")
    if device == "cpu" and (requested or settings.use_liger_kernel):
        name = "use_liger_kernel: true" if settings.use_liger_kernel else settings.attn_implementation
        raise ConfigError(f"{name} needs a GPU, and torch sees none: leave it out")


def refuse_kernels(settings: TrainerSettings, kind: str) -> None:
    """Refuse `use_liger_kernel` for a model without Liger kernels, which transformers would silently not
    change.

    Args:
        settings: of the stage.
        kind: `model_type` of the model's configuration.

    Raises:
        ConfigError: Liger has no kernels for this model type.
    """
    if not settings.use_liger_kernel:
        return
    from liger_kernel.transformers.monkey_patch import MODEL_TYPE_TO_APPLY_LIGER_FN

    if kind not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        near = plugins.nearest(kind, MODEL_TYPE_TO_APPLY_LIGER_FN)
        raise ConfigError(f"use_liger_kernel: Liger has no kernels for a {kind}{near}")


def compiled(model: Any, settings: TrainerSettings) -> Any:
    """Compile the forward pass where `torch_compile` is set; names of weights stay the same.

    Args:
        model: the model to train; it is compiled in place.
        settings: of the stage.

    Returns:
        The same model.
    """
    if settings.torch_compile:
        model.compile()
    return model
