"""Which weights a stage trains: LoRA or all of the language model, the projector, the vision tower.

MX-20 unfreezes the vision tower and trains jointly; that is `vision: true`. The shipped CPU recipes keep it
frozen: it is the best part of the starter and the most expensive one to train.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from medxiaohe.errors import ConfigError

LANGUAGE = r".*(language_model|text_model).*"
LORA_TARGETS = {
    "attention": LANGUAGE + r"\.(q_proj|v_proj)",
    "all": LANGUAGE + r"\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
}
PROJECTOR_NAMES = ("multi_modal_projector", "connector", "merger", "projector")
VISION_NAMES = ("vision_tower", "vision_model", "visual")


@dataclass(frozen=True)
class Parts:
    """`language`: LoRA adapters (merged when saved), every weight, or nothing."""

    language: Literal["lora", "full", "frozen"] = "lora"
    lora_r: int = 16
    lora_targets: Literal["attention", "all"] = "all"  # the query and value projections, or every linear layer
    projector: bool = True
    vision: bool = False

    def __post_init__(self) -> None:
        if self.language == "frozen" and not self.projector and not self.vision:
            raise ConfigError("nothing to train: set language to lora or full, or projector or vision to true")
        if self.lora_r < 1:
            raise ConfigError(f"lora_r must be at least 1, not {self.lora_r}")


def part_of(name: str) -> str:
    """`projector`, `vision` or `language`: the part a parameter belongs to, by its name."""
    if any(key in name for key in PROJECTOR_NAMES):
        return "projector"
    return "vision" if any(key in name for key in VISION_NAMES) else "language"


def prepare(model: Any, parts: Parts, seed: int) -> Any:
    """Freeze and unfreeze; with LoRA the returned model wraps the given one."""
    import torch

    torch.manual_seed(seed)
    if parts.language == "lora":
        from peft import LoraConfig, get_peft_model

        targets = LORA_TARGETS[parts.lora_targets]
        adapters = LoraConfig(r=parts.lora_r, lora_alpha=2 * parts.lora_r, target_modules=targets, lora_dropout=0.0)
        model = get_peft_model(model, adapters)
    train = {"language": parts.language == "full", "projector": parts.projector, "vision": parts.vision}
    for name, weight in model.named_parameters():
        weight.requires_grad = True if "lora_" in name else train[part_of(name)]
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ConfigError("no weight is trained: the model has none of the parts that were asked for")
    return model


def merged(model: Any) -> Any:
    """The plain model again, LoRA folded into its weights."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def optimizer(model: Any, learning_rate: float, projector_learning_rate: float | None, weight_decay: float) -> Any:
    """AdamW with a rate of its own for the projector, which starts from nothing."""
    import torch

    groups: dict[float, list[Any]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            own = projector_learning_rate if part_of(name) == "projector" and projector_learning_rate else learning_rate
            groups.setdefault(own, []).append(weight)
    return torch.optim.AdamW([{"params": weights, "lr": rate} for rate, weights in groups.items()], weight_decay=weight_decay)


def sizes(model: Any) -> dict[str, int]:
    """Number of trained and of all parameters."""
    weights = list(model.parameters())
    return {
        "trained_parameters": sum(w.numel() for w in weights if w.requires_grad),
        "total_parameters": sum(w.numel() for w in weights),
    }
