"""How much memory and time training will take, before it starts (pain 15). Formula and measurements:
docs/training.md.

    memory = weights + gradients + optimizer + activations + logits

    weights      all, in the precision they are loaded in; those that are trained are float32, 4-bit ones of
                 the language model take 0.56 bytes (scales included)
    gradients    those that are trained, in their precision
    optimizer    two moments for each trained weight, in its precision
    activations  of each layer a gradient passes: 8 hidden + 2 keys and values + 4 intermediate, a position;
                 with checkpointing the input
                 of each layer and all of one
    adapters     the output of each layer that LoRA adapts, once more, a position (measured, not derived);
                 part of the activations
    logits       positions x vocabulary x (precision + 8 bytes): the loss is computed in float32, with its
                 gradient

Nothing here counts what torch itself takes, nor what the allocator leaves between. Time is that of one
forward and backward pass a token, measured on the rows of check_gradients, for all positions, padding
included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe import progress
from medxiaohe.train.loop import batch_plan as plans
from medxiaohe.train.loop.parts import part_of

FOUR_BIT = 0.56  # bytes a weight
GIB = 2**30


@dataclass(frozen=True)
class Estimate:
    """Bytes."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int

    @property
    def total(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations + self.logits


def memory(model: Any, positions: int, images: int, bytes_each: int, checkpointing: bool = False) -> Estimate:
    """Of a model prepared for training, whose largest batch has so many positions (padding included) and
    images."""
    weights = trained = 0.0
    for weight in model.parameters():
        quantized = type(weight).__name__ == "Params4bit"
        number = weight.numel() * (2 if quantized else 1)  # two weights in a byte
        weights += number * (FOUR_BIT if quantized else weight.element_size())
        trained += number * weight.element_size() * weight.requires_grad
    text = getattr(model.config, "text_config", model.config)
    activations = _layers(text, positions, bytes_each, checkpointing)
    vision = getattr(model.config, "vision_config", None)
    if vision is not None and any(
        w.requires_grad and part_of(n) == "vision" for n, w in model.named_parameters()
    ):
        activations += _layers(vision, images * _patches(vision), bytes_each, checkpointing)
    adapted = sum(
        layer.base_layer.out_features
        for layer in model.modules()
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer")
    )
    activations += positions * bytes_each * int(adapted) // (text.num_hidden_layers if checkpointing else 1)
    vocabulary = int(getattr(text, "vocab_size", 0))
    return Estimate(
        round(weights),
        round(trained),
        round(2 * trained),
        activations,
        positions * vocabulary * (bytes_each + 8),
    )


def _layers(config: Any, positions: int, bytes_each: int, checkpointing: bool) -> int:
    hidden, layers = config.hidden_size, config.num_hidden_layers
    heads = getattr(config, "num_attention_heads", 1)
    keys = hidden * getattr(config, "num_key_value_heads", heads) // heads
    wide = getattr(config, "intermediate_size", 4 * hidden)
    one = 8 * hidden + 2 * keys + 4 * wide
    return int(positions * bytes_each * (layers * hidden + one if checkpointing else layers * one))


def _patches(vision: Any) -> int:
    side, patch = getattr(vision, "image_size", 224), getattr(vision, "patch_size", 14)
    side, patch = (value[0] if isinstance(value, (list, tuple)) else value for value in (side, patch))
    return (side // patch) ** 2 + 1


def largest(batches: Iterable[plans.Batch], lengths: Sequence[int], images: Sequence[int]) -> tuple[int, int]:
    """Positions and images of the batch with most positions."""
    return max(
        (
            len(batch) * max(sum(lengths[row] for row in rows) for rows in batch),
            sum(images[row] for rows in batch for row in rows),
        )
        for batch in batches
    )


def positions(batches: Iterable[plans.Batch], lengths: Sequence[int]) -> int:
    """Of all batches, padding included."""
    return sum(len(batch) * max(sum(lengths[row] for row in rows) for rows in batch) for batch in batches)


def sentence(label: str, found: Estimate, seconds: float, room: int | None) -> str:
    """What is printed before the first step; `room` is the free memory of the device in bytes, where it is
    known."""
    parts = ("weights", "gradients", "optimizer", "activations", "logits")
    named = ", ".join(f"{name} {getattr(found, name) / GIB:.2f}" for name in parts)
    said = f"{label}: about {found.total / GIB:.2f} GiB ({named}) and {progress.clock(seconds)}"
    if room is not None and found.total > room:
        said += (
            f"; only {room / GIB:.2f} GiB are free, so it may not fit: lower per_device_train_batch_size or"
            " max_length, train fewer parts, or set quantize: 4bit"
        )
    return said


def room_on(device: str) -> int | None:
    """Free bytes of the device; None where the system does not say."""
    import torch

    if device != "cpu":
        return int(torch.cuda.mem_get_info()[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
