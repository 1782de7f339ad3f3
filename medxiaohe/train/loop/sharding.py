"""Sharding of a model over processes: what FSDP2 needs from us, and why DeepSpeed runs cannot be resumed."""

from __future__ import annotations

from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.recipe import ranks


def keep_head_with_root(trainer: Any) -> None:
    """Have FSDP2 shard an output layer of its own weights together with the root of the model.

    accelerate 1.15 makes a unit of the last norm and the output layer (huggingface/accelerate#4015), and TRL
    1.16 reads the weights of the output layer without calling it, so the unit never learns that it was used
    and its gradients are lost (compare verl-project/verl#7520). The root is called, so its gradients arrive.

    Args:
        trainer: built, not yet trained; its accelerator is patched. Tied embeddings need nothing.
    """
    model, prepare = trainer.model, trainer.accelerator.prepare
    embedded, put_out = model.get_input_embeddings(), model.get_output_embeddings()
    if put_out is None or put_out.weight is embedded.weight:
        return

    def prepared(*args: Any, **options: Any) -> Any:
        """Prepare the model while it reports no output layer."""
        model.get_output_embeddings = lambda: None  # as accelerate asks the model
        try:
            return prepare(*args, **options)
        finally:
            del model.get_output_embeddings

    trainer.accelerator.prepare = prepared


def blocks(model: Any) -> list[str]:
    """List the classes of layers that FSDP2 shards one by one: transformers' `_no_split_modules` in this
    model.

    Args:
        model: prepared for training.

    Returns:
        Names of classes, sorted.
    """
    classes = {type(module).__name__ for module in model.modules()}
    return sorted(classes & set(model._no_split_modules or ()))


def share_out_on_cpu(config: Any) -> None:
    """Make accelerate shard on CPUs, for tests.

    accelerate 1.15 enables FSDP on accelerators only and would use DDP; we override `distributed_type`, so
    that tests on CPUs save and resume the same shards as GPUs would. Nothing changes in a single process.

    Args:
        config: a TrainingArguments of this process.
    """
    from accelerate.utils import DistributedType

    if ranks.world() > 1:
        config.distributed_state.distributed_type = DistributedType.MULTI_GPU


def refuse_checkpoints(save_steps: int, steps: int) -> None:
    """Refuse checkpoints of DeepSpeed, whose optimizer partitions train/loop/resume.py cannot restore
    exactly.

    Args:
        save_steps: optimizer steps between checkpoints.
        steps: of the whole run.

    Raises:
        ConfigError: a checkpoint would be written within the run.
    """
    if save_steps <= steps:
        raise ConfigError(
            f"DeepSpeed runs cannot be resumed here: use sharding: fsdp, or set save_steps above {steps} to"
            " train without"
        )
