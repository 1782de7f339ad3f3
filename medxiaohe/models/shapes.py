"""Sizes of well-known models, for estimates where their hub cannot be reached: numbers of the config.json of
each repository, as of November 2026. Values that are not listed are the defaults of transformers for the
architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError, MedError
from medxiaohe.models import checkpoint

SHAPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "Qwen/Qwen3-VL-4B-Instruct": (
        "qwen3_vl",
        {
            "tie_word_embeddings": True,
            "text_config": {
                "vocab_size": 151_936, "hidden_size": 2560, "intermediate_size": 9728,
                "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            },
            "vision_config": {
                "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "num_heads": 16,
                "patch_size": 16, "out_hidden_size": 2560, "deepstack_visual_indexes": [5, 11, 17],
            },
        },
    ),
    "Qwen/Qwen2.5-VL-7B-Instruct": (
        "qwen2_5_vl",
        {
            "tie_word_embeddings": False,
            "text_config": {
                "vocab_size": 152_064, "hidden_size": 3584, "intermediate_size": 18_944,
                "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
            },
            "vision_config": {
                "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
                "patch_size": 14, "out_hidden_size": 3584,
            },
        },
    ),
    "google/medgemma-4b-it": (
        "gemma3",
        {
            "mm_tokens_per_image": 256,
            "text_config": {
                "vocab_size": 262_208, "hidden_size": 2560, "intermediate_size": 10_240,
                "num_hidden_layers": 34, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
            },
            "vision_config": {
                "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
                "num_attention_heads": 16, "image_size": 896, "patch_size": 14,
            },
        },
    ),
}  # fmt: skip


def config(name: str) -> Any:
    """The configuration of a model, without its weights.

    Args:
        name: `starter`, a folder or a hub id; a hub id of SHAPES needs no hub.

    Returns:
        a transformers configuration.

    Raises:
        ConfigError: there is no such model, or its hub cannot be reached.
    """
    from transformers import AutoConfig

    listed = SHAPES.get(name.partition("@")[0])
    if listed is not None and not Path(name).is_dir():
        return AutoConfig.for_model(listed[0], **listed[1])
    try:
        return AutoConfig.from_pretrained(checkpoint.resolve(name))
    except MedError as error:
        raise ConfigError(
            f"the size of {name!r} is not known here ({error}): name a folder, or one of {', '.join(SHAPES)}"
        ) from error


def empty(name: str, dtype: Any) -> Any:
    """Build a model without memory for its weights (torch's device meta).

    Args:
        name: starter, a folder, a hub id, or a key of `SHAPES`.
        dtype: of torch.

    Returns:
        a model on the device meta
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    settings = config(name)
    sees = hasattr(settings, "vision_config")
    reader = AutoModelForImageTextToText if sees else AutoModelForCausalLM
    with torch.device("meta"):
        return reader.from_config(settings, dtype=dtype)
