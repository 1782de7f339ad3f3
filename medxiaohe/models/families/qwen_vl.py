"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and what shares their processor: patches of all images in one tensor,
M-RoPE.

The patches of an image are rows of `pixel_values` and `image_grid_thw` says how many, so batches need no
padding. Positions are triples (time, row, column) that the model works out from `mm_token_type_ids`; plain
positions, by which packed rows are told apart, would be wrong for images (last position 326 instead of 46).
"""

from typing import Any

from medxiaohe.models.families.family import Family


def placeholder(processor: Any) -> str:
    return f"<|vision_start|>{processor.image_token}<|vision_end|>"


def limit_pixels(processor: Any, smallest: int, largest: int) -> None:
    """Areas in pixels, as the `size` of the processor has them under the names of edges."""
    size = dict(processor.image_processor.size)
    size["shortest_edge"] = smallest or size["shortest_edge"]
    size["longest_edge"] = largest or size["longest_edge"]
    processor.image_processor.size = size


FAMILY = Family(
    name="Qwen-VL",
    processors=("Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor"),
    token_types="mm_token_type_ids",
    placeholder=placeholder,
    limit_pixels=limit_pixels,
    cannot_pack="its positions are those of M-RoPE, which packed rows would not keep",
    packages=("torchvision",),
    # without images, M-RoPE counts as plain positions do
    language={"qwen2_vl_text": "qwen2", "qwen2_5_vl_text": "qwen2", "qwen3_vl_text": "qwen3"},
)
