"""Merge LoRA adapters into the weights of their model: a checkpoint that `AutoModelForImageTextToText`
loads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.models import checkpoint

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def merge(model: str, adapter: Path, out: Path) -> dict[str, Any]:
    """Merge a PEFT adapter into the weights of its model and write the checkpoint.

    Args:
        model: checkpoint: a folder, a hub id, or `starter`.
        adapter: folder with adapter_config.json and adapter_model.safetensors, from any trainer.
        out: folder to create; it is published whole.

    Returns:
        {base, adapter, merged: number of adapted layers, changed: weights that differ afterwards}

    Raises:
        ConfigError: the folder holds no adapter.
        ModelError: pickled weights, an adapter that does not fit the model, or one that changes nothing.
    """
    plugins.need("torch", "transformers", "peft", why="merging adapters")
    if not (adapter / CONFIG).is_file():
        raise ConfigError(f"{adapter} holds no adapter: it has no {CONFIG}")
    if not (adapter / WEIGHTS).is_file():
        raise ModelError(
            f"{adapter} has no {WEIGHTS}: only safetensors are loaded, so save the adapter again with a"
            " recent peft"
        )
    from peft import PeftModel

    loaded = checkpoint.load(model)
    before = {
        name: weight.clone() for name, weight in loaded.model.named_parameters() if name.endswith("weight")
    }
    try:
        wrapped = PeftModel.from_pretrained(loaded.model, str(adapter))
    except (ValueError, RuntimeError, KeyError) as error:
        raise ModelError(
            f"the adapter {adapter} does not fit {model}: {' '.join(str(error).split())[:200]}"
        ) from error
    count = sum(name.endswith("lora_A.default.weight") for name, _ in wrapped.named_parameters())
    merged = wrapped.merge_and_unload()
    changed = sum(
        not before[name].equal(weight) for name, weight in merged.named_parameters() if name in before
    )
    if not changed:
        raise ModelError(
            f"the adapter {adapter} changes no weight of {model}: it was made for another model, or never"
            " trained"
        )
    with io.publish(out) as draft:
        checkpoint.save(checkpoint.Loaded(merged, loaded.processor, loaded.name), draft)
    return {"base": model, "adapter": str(adapter), "merged": count, "changed": changed}
