"""Forecast memory and hours of every training stage of a recipe on other GPUs, before anything runs.

    memory    `estimate.memory` of the model on torch's device meta: no weight is loaded
    hours     operations / (GPUs x peak x MFU)

Operations of a token (Chowdhery et al. 2022, PaLM, appendix B; Kaplan et al. 2020): 2 for each weight
forward, 2 backward, 2 for the gradient of each weight that is trained, 2 more where activations are
recomputed; attention 12 x layers x width x length. A vision tower takes 2 for each weight and patch, 6
where it is trained. A sampled token of reinforcement learning reads every weight from memory once for all
sequences that are drawn together.

MFU (model FLOP utilisation) and the share of the bandwidth that sampling reaches are assumptions: `MFU`,
`READS`. They were not measured; `python benchmarks/gpu.py` measures the first on a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.models import shapes
from medxiaohe.recipe.load import Recipe, Stage
from medxiaohe.train.loop import estimate
from medxiaohe.train.loop import parts as parts_of
from medxiaohe.train.loop.gpus import Gpu

ROWS = {"train.cpt": "documents", "train.sft": "instructions"}  # of the mixture, for each kind of stage
SAMPLES = ("train.rl", "train.agentic")
KINDS = (*ROWS, "train.dpo", *SAMPLES)
MFU = 0.35  # of training; assumed
READS = 0.5  # share of the memory bandwidth that sampling reaches; assumed
USABLE = 0.92  # of a GPU's memory; the rest is what CUDA and its allocator take
BYTES = 2  # bfloat16
STEP = ("gradients", "casts", "activations", "logits")  # there while a step is computed


@dataclass(frozen=True)
class Rows:
    """What is assumed of the rows.

    Attributes:
        tokens: of a row, or of a prompt, on average, images included; at most max_length.
        pixels: of an image.
        images: of a row.
    """

    tokens: int = 1024
    pixels: int = 1_000_000
    images: float = 1


@dataclass(frozen=True)
class Forecast:
    """Of one stage; bytes are of the fullest GPU.

    Attributes:
        needs: bytes by what they are for.
        steps: of the optimizer; None where the number of rows is not known.
        hours: None likewise.
        changes: settings under which it fits, in the order in which they were tried; empty where it fits as
        is.
        fits: with `changes`.
    """

    stage: str
    uses: str
    model: str
    needs: Mapping[str, int]
    room: int
    steps: int | None
    hours: float | None
    changes: tuple[str, ...] = ()
    needs_then: int = 0
    fits: bool = True

    @property
    def total(self) -> int:
        """Peak memory of the fullest GPU under the stage's own settings.

        Returns:
            Bytes.
        """
        return sum(self.needs.values())


def of_recipe(recipe: Recipe, gpu: Gpu, count: int, rows: Rows, mfu: float = MFU) -> list[Forecast]:
    """Forecast memory and hours of each training stage of a recipe.

    Args:
        recipe: loaded and checked.
        gpu: of which there are `count`.
        count: processes that train together.
        rows: what is assumed of the data.
        mfu: share of the peak that training reaches.

    Returns:
        A forecast for each training stage, in the order of the recipe.

    Raises:
        ConfigError: the recipe trains nothing, or the size of its model is not known.
    """
    stages = {stage.name: stage for stage in recipe.stages}
    results = [
        _of_stage(stage, stages, gpu, count, rows, mfu) for stage in recipe.stages if stage.uses in KINDS
    ]
    if not results:
        raise ConfigError(f"{recipe.name} has no stage to estimate: one of {', '.join(KINDS)}")
    return results


def _of_stage(
    stage: Stage, stages: Mapping[str, Stage], gpu: Gpu, count: int, rows: Rows, mfu: float
) -> Forecast:
    name, settings, room = base_of(stage, stages), stage.settings, int(gpu.memory * USABLE)
    needs = memory(stage.uses, settings, name, gpu, count, rows)
    steps = _steps(stage, stages, count)
    seconds = (
        None if steps is None else steps * step_seconds(stage.uses, settings, name, gpu, count, rows, mfu)
    )
    result = Forecast(
        stage.name, stage.uses, name, needs, room, steps, None if seconds is None else seconds / 3600
    )
    if result.total <= room:
        return result
    # apply remedies one on top of the other until the stage fits
    changes, total = [], result.total
    for change, changed in _remedies(settings, count):
        changes.append(change)
        total = sum(memory(stage.uses, changed, name, gpu, count, rows).values())
        if total <= room:
            break
    return replace(result, changes=tuple(changes), needs_then=total, fits=total <= room)


def base_of(stage: Stage, stages: Mapping[str, Stage]) -> str:
    """Find the model whose size a stage trains: its own, or that of the stage it continues.

    Args:
        stage: of the recipe.
        stages: all stages of the recipe by name.

    Returns:
        Name of a checkpoint, as in `settings.model`.

    Raises:
        ConfigError: neither this stage nor an earlier one names a model.
    """
    while not stage.settings.model:
        earlier = stages.get(stage.needs.get("model", ""))
        if earlier is None or not hasattr(earlier.settings, "model"):
            raise ConfigError(f"{stage.name}: no model is named, and no earlier stage trains one")
        stage = earlier
    return str(stage.settings.model)


# ---- memory ------------------------------------------------------------------------------------------


def memory(uses: str, settings: Any, name: str, gpu: Gpu, count: int, rows: Rows) -> dict[str, int]:
    """Estimate the memory of one GPU by what it is for, of what is resident at the same time.

    Args:
        uses: kind of the stage, such as `train.sft`.
        settings: of the stage.
        name: of the model.
        gpu: for the share that vLLM reserves.
        count: processes; FSDP divides weights, gradients, optimizer state and casts by it.
        rows: what is assumed of the data.

    Returns:
        Bytes by name, entries of 0 left out. Of the answers' cache and the training step only the larger is
        listed, since answers are drawn before the step.
    """
    model, is_full = prepared(settings, name), settings.parts.language == "full"
    batch, optim = settings.per_device_train_batch_size, getattr(settings, "optim", "adamw_torch")
    options: dict[str, Any] = {"checkpointing": _recomputes(settings), "optim": optim, "pixels": rows.pixels}
    images = math.ceil(batch * rows.images)
    if uses in SAMPLES:
        length = _longest(uses, settings, rows)
        step = estimate.PolicyStep(
            sequences=batch,
            answers=batch * getattr(settings, "gradient_accumulation_steps", 1),
            prompt=length - settings.max_completion_length,
            completion=settings.max_completion_length,
            images=math.ceil(rows.images),
            reference=is_full and settings.beta > 0,  # with LoRA it is the model without its adapters
        )
        needed = estimate.policy_memory(model, step, BYTES, **options)
    else:
        # DPO passes the chosen and the rejected conversation of each pair together
        pairs = 2 if uses == "train.dpo" else 1
        positions = pairs * batch * _longest(uses, settings, rows)
        needed = estimate.memory(model, positions, pairs * images, BYTES, **options)
    result = {field.name: int(getattr(needed, field.name)) for field in fields(needed)}
    # a full fine-tune needs a frozen copy as reference; adapters are switched off instead
    if uses == "train.dpo" and is_full:
        result["reference"] = parts_of.sizes(model)["total_parameters"] * BYTES
    # vLLM reserves its share of the GPU, its cache included
    if getattr(settings, "use_vllm", False):
        result |= {"cache": 0, "vllm": int(settings.vllm_gpu_memory_utilization * gpu.memory)}
    # FSDP2: each process holds 1 / count, and one layer at a time is gathered in full
    if getattr(settings, "sharding", "none") == "fsdp":
        gathered = result["weights"] // model.config.get_text_config().num_hidden_layers  # of one layer
        result |= {entry: result[entry] // count for entry in ("weights", "gradients", "optimizer", "casts")}
        result["gathered"] = gathered
    # answers are drawn before a step is computed: the larger of the two counts
    step_bytes = sum(result[entry] for entry in STEP)
    result |= {"cache": 0} if result["cache"] <= step_bytes else dict.fromkeys(STEP, 0)
    return {entry: size for entry, size in result.items() if size}


def prepared(settings: Any, name: str) -> Any:
    """Build the model as the stage trains it, on torch's device meta: shapes without weights.

    Args:
        settings: of the stage (`parts`, `sharding`).
        name: of the model.

    Returns:
        A model with `requires_grad` set; float32 where the language model is trained in full or sharded.
    """
    import torch

    master = settings.parts.language == "full" or getattr(settings, "sharding", "none") == "fsdp"
    model = shapes.empty(name, torch.float32 if master else torch.bfloat16)
    return parts_of.prepare(model, settings.parts, 0)


def _longest(uses: str, settings: Any, rows: Rows) -> int:
    if uses == "train.rl":
        return int(rows.tokens + settings.max_completion_length)
    return int(settings.max_length)


def _recomputes(settings: Any) -> bool:
    requested = getattr(settings, "gradient_checkpointing", None)
    return True if requested is None else bool(requested)  # null: on an accelerator


def _remedies(settings: Any, count: int) -> Iterator[tuple[str, Any]]:
    """Settings that take less memory, each on top of those before, with what to write."""

    def may(**values: Any) -> bool:
        """Whether the settings have all these fields, with other values."""
        return all(hasattr(now, key) and getattr(now, key) != value for key, value in values.items())

    now = settings
    if hasattr(now, "gradient_checkpointing") and not _recomputes(now):
        now = replace(now, gradient_checkpointing=True)
        yield "gradient_checkpointing: true", now
    batch = now.per_device_train_batch_size
    if batch > 1 and hasattr(now, "gradient_accumulation_steps"):
        times = now.gradient_accumulation_steps * batch
        now = replace(now, per_device_train_batch_size=1, gradient_accumulation_steps=times)
        yield f"per_device_train_batch_size: 1, gradient_accumulation_steps: {times}", now
    if count > 1 and may(sharding="fsdp"):
        now = replace(now, sharding="fsdp")
        yield "sharding: fsdp", now
    if now.parts.language == "full":
        now = replace(now, parts=replace(now.parts, language="lora"))
        yield "parts.language: lora", now
    if now.parts.vision:
        now = replace(now, parts=replace(now.parts, vision=False))
        yield "parts.vision: false", now
    if now.parts.language == "lora" and may(quantize="4bit"):
        now = replace(now, quantize="4bit")
        yield "quantize: 4bit", now


# ---- time --------------------------------------------------------------------------------------------


def _steps(stage: Stage, stages: Mapping[str, Stage], count: int) -> int | None:
    """Optimizer steps: those that are set, or those that the rows of the mixture take."""
    settings = stage.settings
    if settings.max_steps:
        return int(settings.max_steps)
    mixture = stages.get(stage.needs.get("data", ""))
    number = getattr(mixture.settings, ROWS.get(stage.uses, ""), 0) if mixture else 0
    if not number:
        return None
    batch = settings.per_device_train_batch_size * settings.gradient_accumulation_steps * count
    if getattr(settings, "packing", False):
        batch *= max(1, settings.max_length // min(settings.max_length, Rows.tokens))
    return max(1, math.ceil(int(number) * float(settings.num_train_epochs) / int(batch)))


def step_seconds(
    uses: str, settings: Any, name: str, gpu: Gpu, count: int, rows: Rows, mfu: float = MFU
) -> float:
    """Estimate the seconds of an optimizer step: operations / (peak x MFU), and reads of weights for
    sampling.

    Args:
        uses: kind of the stage, such as `train.sft`.
        settings: of the stage.
        name: of the model.
        gpu: peak in operations a second, bandwidth in bytes a second.
        count: processes; each does its own share of the batch, so it does not change the seconds.
        rows: what is assumed of the data.
        mfu: share of the peak that training reaches.

    Returns:
        Seconds.
    """
    model = prepared(settings, name)
    accumulated = getattr(settings, "gradient_accumulation_steps", 1)
    # tokens of a step in one process: sequences x length (x 2 for pairs)
    sequences = settings.per_device_train_batch_size * accumulated
    longest = _longest(uses, settings, rows)
    length = longest if getattr(settings, "packing", False) or uses in SAMPLES else min(longest, rows.tokens)
    pairs = 2 if uses == "train.dpo" else 1
    forward = _forward(model, rows, length)
    # operations a token: forward and backward, and forward again where activations are recomputed
    each = operations(model, rows, length) + (forward if _recomputes(settings) else 0.0)
    passes = pairs * sequences * length * each
    if uses == "train.dpo" or (uses in SAMPLES and settings.beta > 0):  # the reference, forward only
        passes += pairs * sequences * length * forward
    # compute-bound: operations / (peak x MFU)
    seconds = passes / (gpu.flops * mfu)
    if uses in SAMPLES:
        # memory-bound: each new token reads all weights once, for all sequences together. One generation
        # serves `num_iterations` steps. Prompts are read in a compute-bound forward pass
        weights = parts_of.sizes(model)["total_parameters"] * BYTES
        reads = settings.max_completion_length * weights / (gpu.bandwidth * READS)
        seconds += reads / max(1, settings.num_iterations)
        seconds += sequences * rows.tokens * forward / (gpu.flops * mfu)
    return float(seconds)


def operations(model: Any, rows: Rows, length: int) -> float:
    """Count floating-point operations of a token, forward and backward, attention and its share of images
    included.

    Args:
        model: as it is trained.
        rows: images of a row.
        length: tokens of a row.

    Returns:
        Operations a token: 2 N forward, 2 N and 2 for each trained weight backward, 12 L d T for attention
        (PaLM, arXiv 2204.02311, appendix B).
    """
    text = model.config.get_text_config()
    sums, patches = _weights(model), _patches(model, rows) / length
    (language, trained), (projector, learnt), (vision, seen) = sums.values()
    # backward: 2 a weight for the gradient of its input, 2 more where the weight itself is trained; the
    # projector and a trained tower by patch, of which a token has its share
    backward = 2.0 * (language + trained) + 2.0 * patches * (projector + learnt)
    backward += 4.0 * patches * vision if seen else 0.0
    # queries x keys and weights x values: 4 L d T forward, twice that backward
    attention = 12.0 * float(text.num_hidden_layers * text.hidden_size) * length
    return _forward(model, rows, length) + backward + attention


def _forward(model: Any, rows: Rows, length: int) -> float:
    (language, _), (projector, _), (vision, _) = _weights(model).values()
    return float(2.0 * language + 2.0 * _patches(model, rows) / length * (vision + projector))


def _weights(model: Any) -> dict[str, tuple[int, int]]:
    """Of language, projector and vision: weights that are multiplied, and those of them that are trained."""
    sums = {"language": (0, 0), "projector": (0, 0), "vision": (0, 0)}
    for key, weight in model.named_parameters():
        if "embed_tokens" in key and not getattr(model.config, "tie_word_embeddings", False):
            continue  # looked up, not multiplied
        component, number = parts_of.part_of(key), weight.numel()
        sums[component] = (sums[component][0] + number, sums[component][1] + number * weight.requires_grad)
    return sums


def _patches(model: Any, rows: Rows) -> float:
    """Of all images of a row."""
    vision = getattr(model.config, "vision_config", None)
    return 0.0 if vision is None else float(rows.images * estimate.patches(vision, rows.pixels))
