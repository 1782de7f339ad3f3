"""Estimate memory and time of training before it starts. Formula and measurements: docs/training.md.

    memory = weights + optimizer + reference + the larger of
             gradients + casts + activations + logits (a step) and cache (drawing answers)

    weights      all, in the precision they are loaded in; those that are trained are float32, 4-bit ones of
                 the language model take 0.56 bytes (scales included)
    gradients    those that are trained, in their precision
    optimizer    two float32 moments for each trained weight, or what `optim` keeps instead
    casts        on an accelerator a bfloat16 copy of each trained weight, for as long as a forward pass lasts
    reference    of reinforcement learning with beta above 0: the model once more, unless adapters alone are
                 trained
    cache        keys and values of all answers that are drawn together, bytes a position and layer
    activations  of each layer a gradient passes: 8 hidden + 2 keys and values + 4 intermediate, a position;
                 with checkpointing the input
                 of each layer and all of one
    adapters     the output of each layer that LoRA adapts, once more, a position (measured, not derived);
                 part of the activations
    logits       positions x vocabulary x (precision + 8 bytes): the loss is computed in float32, with its
                 gradient; of reinforcement learning at most a tile of 4096 positions, as TRL cuts them

Nothing here counts what torch itself takes, nor what the allocator leaves between. Time is that of one
forward and backward pass a token, measured on the rows of check_gradients, for all positions, padding
included.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from medxiaohe import progress
from medxiaohe.train.loop import batch_plan as plans
from medxiaohe.train.loop.parts import part_of
from medxiaohe.train.loop.trainer_settings import STATE_BYTES

# 4 bits and a float32 scale for each 64 weights, 0.5 + 4/64; double quantisation takes 0.52: an upper bound
FOUR_BIT = 0.56  # bytes a weight
ALWAYS = ("weights", "gradients", "optimizer", "activations", "logits")  # parts that are always named
TILE = 4096  # positions whose logits TRL 1.16 computes at once
GIB = 2**30  # bytes
PIXELS = 1_000_000  # of an image, where a tower takes any size


@dataclass(frozen=True)
class Estimate:
    """Bytes by what they are for."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    casts: int = 0
    reference: int = 0
    cache: int = 0

    @property
    def total(self) -> int:
        """Peak memory: what is always resident, and the larger of a training step and of drawing answers.

        Returns:
            Bytes.
        """
        step = self.gradients + self.casts + self.activations + self.logits
        return self.weights + self.optimizer + self.reference + max(step, self.cache)


@dataclass(frozen=True)
class PolicyStep:
    """Sizes of a step of reinforcement learning in one process.

    Attributes:
        sequences: prompts with answers that go through the model together.
        answers: drawn together, for all passes of a step.
        prompt: tokens of the longest prompt, image tokens included.
        completion: tokens of the longest answer.
        images: of the prompt with most.
        reference: whether a second model is held, for the KL penalty.
    """

    sequences: int
    answers: int
    prompt: int
    completion: int
    images: int = 0
    reference: bool = False


def policy_memory(
    model: Any,
    step: PolicyStep,
    bytes_each: int,
    checkpointing: bool = False,
    optim: str = "adamw_torch",
    *,
    pixels: int = PIXELS,
) -> Estimate:
    """Estimate the memory of a model prepared for reinforcement learning.

    Args:
        model: as in `memory`.
        step: sequences, answers and lengths of a step in one process.
        bytes_each: bytes of an activation.
        checkpointing: whether activations are recomputed.
        optim: as in TrainerSettings.
        pixels: of an image, where a tower takes any size.

    Returns:
        Bytes by what they are for. Logits are those of the completion only, at most a tile of 4096 positions.
    """
    # a training step sees prompts and answers of one pass
    positions = step.sequences * (step.prompt + step.completion)
    images = step.sequences * step.images
    of_step = memory(model, positions, images, bytes_each, checkpointing, optim, pixels=pixels)
    text = getattr(model.config, "text_config", model.config)
    # logits of answers only, a tile of positions at a time
    scored = min(step.sequences * step.completion, TILE)
    # cache: a key and a value for each layer and head of keys, of all answers that are drawn together
    heads = text.num_attention_heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    keys = 2 * getattr(text, "num_key_value_heads", heads) * width * text.num_hidden_layers
    number = sum(weight.numel() for weight in model.parameters())
    return replace(
        of_step,
        logits=scored * int(text.vocab_size) * (bytes_each + 8),
        reference=number * bytes_each if step.reference else 0,
        cache=step.answers * (step.prompt + step.completion) * keys * bytes_each,
    )


def memory(
    model: Any,
    positions: int,
    images: int,
    bytes_each: int,
    checkpointing: bool = False,
    optim: str = "adamw_torch",
    *,
    pixels: int = PIXELS,
) -> Estimate:
    """Estimate the memory of a model prepared for training; formula at the top of this file.

    Args:
        model: with what is trained marked by `requires_grad`; may be on the meta device.
        positions: of the largest batch that goes through it at once, padding included.
        images: of that batch.
        bytes_each: of an activation: 4 on a CPU, 2 on an accelerator.
        checkpointing: whether activations are recomputed.
        optim: as in TrainerSettings.
        pixels: of an image, where a tower takes any size.

    Returns:
        Bytes by what they are for.
    """
    weights = trained = num_trained = 0.0
    for weight in model.parameters():
        # weights and gradients in the precision of each weight; moments count trained weights, not bytes
        quantized = type(weight).__name__ == "Params4bit"
        number = weight.numel() * (2 if quantized else 1)  # two weights in a byte
        weights += number * (FOUR_BIT if quantized else weight.element_size())
        trained += number * weight.element_size() * weight.requires_grad
        num_trained += number * weight.requires_grad
    # activations that the backward pass needs, of the language model
    text = getattr(model.config, "text_config", model.config)
    activations = _layers(text, positions, bytes_each, checkpointing)
    # a frozen tower keeps no activations
    vision = getattr(model.config, "vision_config", None)
    if vision is not None and any(
        w.requires_grad and part_of(n) == "vision" for n, w in model.named_parameters()
    ):
        activations += _layers(vision, images * patches(vision, pixels), bytes_each, checkpointing)
    # the output of each layer with LoRA once more; recomputed, of one layer at a time
    adapted = sum(
        layer.base_layer.out_features
        for layer in model.modules()
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer")
    )
    activations += positions * bytes_each * int(adapted) // (text.num_hidden_layers if checkpointing else 1)
    # logits in the model's precision, in float32 for the loss, and their float32 gradient: bytes + 4 + 4
    vocabulary = int(getattr(text, "vocab_size", 0))
    return Estimate(
        round(weights),
        round(trained),
        round(STATE_BYTES[optim] * num_trained),
        activations,
        positions * vocabulary * (bytes_each + 8),
        casts=round(2 * num_trained) if bytes_each == 2 else 0,
    )


def _layers(config: Any, positions: int, bytes_each: int, checkpointing: bool) -> int:
    hidden, layers = config.hidden_size, config.num_hidden_layers
    heads = getattr(config, "num_attention_heads", 1)
    # width of keys and values: with grouped-query attention fewer heads than queries have
    keys = hidden * getattr(config, "num_key_value_heads", heads) // heads
    wide = getattr(config, "intermediate_size", 4 * hidden)
    layer = 8 * hidden + 2 * keys + 4 * wide
    # recomputed: the input of every layer, and all of the one that is being recomputed
    return int(positions * bytes_each * (layers * hidden + layer if checkpointing else layers * layer))


def patches(vision: Any, pixels: int = PIXELS) -> int:
    """Count the patches of an image in a vision tower.

    Args:
        vision: configuration of the tower (`image_size`, `patch_size`, in pixels).
        pixels: area of an image, where the tower takes any size.

    Returns:
        (side / patch)^2 + 1 for the class token of a tower of fixed size, else pixels / patch^2.
    """
    # towers of fixed size give `image_size`, some as (height, width)
    sizes: list[Any] = [getattr(vision, "image_size", None), getattr(vision, "patch_size", 14)]
    side, patch = (value[0] if isinstance(value, (list, tuple)) else value for value in sizes)
    return int((side // patch) ** 2 + 1 if side else pixels // patch**2)


def largest(batches: Iterable[plans.Batch], lengths: Sequence[int], images: Sequence[int]) -> tuple[int, int]:
    """Find the batch with most positions.

    Args:
        batches: batches of sequences of row numbers, at least one.
        lengths: tokens of each row.
        images: images of each row.

    Returns:
        (positions, padding included; images) of that batch; of equal ones, the one with most images.
    """
    return max(
        (
            len(batch) * max(sum(lengths[row] for row in rows) for rows in batch),
            sum(images[row] for rows in batch for row in rows),
        )
        for batch in batches
    )


def positions(batches: Iterable[plans.Batch], lengths: Sequence[int]) -> int:
    """Count the positions of all batches, padding included.

    Args:
        batches: batches of sequences of row numbers; each is padded to its longest sequence.
        lengths: tokens of each row.

    Returns:
        Tokens and padding together.
    """
    return sum(len(batch) * max(sum(lengths[row] for row in rows) for rows in batch) for batch in batches)


def sentence(label: str, needed: Estimate, seconds: float | None, room: int | None) -> str:
    """Format the estimate that is printed before the first step.

    Args:
        label: of the stage.
        needed: the estimate.
        seconds: of the run, None where they cannot be told beforehand.
        room: the free memory of the device in bytes; None where it is not known.

    Returns:
        One line in GiB; with advice where the estimate exceeds the free memory.
    """
    parts = [field.name for field in fields(needed)]
    named = ", ".join(
        f"{n} {getattr(needed, n) / GIB:.2f}" for n in parts if getattr(needed, n) or n in ALWAYS
    )
    text = f"{label}: about {needed.total / GIB:.2f} GiB ({named})"
    text += f" and {progress.clock(seconds)}" if seconds is not None else ""
    if room is not None and needed.total > room:
        text += (
            f"; only {room / GIB:.2f} GiB are free, so it may not fit: lower per_device_train_batch_size and"
            " raise gradient_accumulation_steps, lower max_length, recompute activations"
            " (gradient_checkpointing), train fewer parts, or set optim: adamw_8bit or quantize: 4bit"
        )
    return text


def room_on(device: str) -> int | None:
    """Measure the free memory of a device.

    Args:
        device: "cpu", or any name of the current CUDA device.

    Returns:
        Free bytes (on a CPU MemAvailable of /proc/meminfo); None where the system does not say.
    """
    import torch

    if device != "cpu":
        return int(torch.cuda.mem_get_info()[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
