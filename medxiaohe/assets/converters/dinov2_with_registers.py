"""DINOv2 with registers, from the names of its authors' code to those of `Dinov2WithRegistersModel`.

The tensors keep their values; the fused query, key and value projection is split in three, as in the
conversion script that comes with transformers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from medxiaohe.errors import AssetError

if TYPE_CHECKING:
    from torch import Tensor

OUTSIDE = {
    "cls_token": "embeddings.cls_token",
    "mask_token": "embeddings.mask_token",
    "register_tokens": "embeddings.register_tokens",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
INSIDE = {
    "attn.proj": "attention.output.dense",
    "ls1.gamma": "layer_scale1.lambda1",
    "ls2.gamma": "layer_scale2.lambda1",
}
BLOCK = re.compile(
    r"blocks\.(\d+)\.(norm1|attn\.qkv|attn\.proj|ls1\.gamma|norm2|mlp\.fc1|mlp\.fc2|ls2\.gamma)(\.weight|\.bias)?"
)
HEAD_SIZE = 64


def dinov2_with_registers(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Rename the tensors of DINOv2 with registers to those of `Dinov2WithRegistersModel`.

    Args:
        state: name -> tensor, of the authors' checkpoint.

    Returns:
        (name -> tensor, name of a JSON file -> its content).

    Raises:
        AssetError: a tensor has an unknown name.
    """
    tensors = dict(pair for key, value in state.items() for pair in _renamed(key, value))
    return tensors, {"config.json": _config(state), "preprocessor_config.json": PREPROCESSOR}


def _renamed(key: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    if key in OUTSIDE:
        yield OUTSIDE[key], value
        return
    match = BLOCK.fullmatch(key)
    if match is None:
        raise AssetError(f"{key} is no tensor of DINOv2 with registers")
    layer, module, end = match[1], match[2], match[3] or ""
    if module == "attn.qkv":
        for name, third in zip(("query", "key", "value"), value.chunk(3), strict=True):
            yield f"encoder.layer.{layer}.attention.attention.{name}{end}", third
    else:
        yield f"encoder.layer.{layer}.{INSIDE.get(module, module)}{end}", value


def _config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    # patch projection: (hidden, channels, patch, patch); positions: (1, 1 + side ** 2, hidden)
    width, channels, patch, _ = state["patch_embed.proj.weight"].shape
    side = round((state["pos_embed"].shape[1] - 1) ** 0.5)
    return {
        "architectures": ["Dinov2WithRegistersModel"],
        "model_type": "dinov2_with_registers",
        "hidden_size": width,
        "num_hidden_layers": sum(key.endswith("attn.qkv.weight") for key in state),
        "num_attention_heads": width // HEAD_SIZE,
        "mlp_ratio": state["blocks.0.mlp.fc1.weight"].shape[0] // width,
        "num_register_tokens": state["register_tokens"].shape[1],
        "num_channels": channels,
        "patch_size": patch,
        "image_size": side * patch,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "layerscale_value": 1.0,
        "qkv_bias": True,
        "use_swiglu_ffn": False,
        "torch_dtype": "float32",
    }


PREPROCESSOR = {  # as DINOv2 was trained and as its published checkpoints say
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
