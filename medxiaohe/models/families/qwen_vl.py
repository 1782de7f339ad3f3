"""Qwen2-VL, Qwen2.5-VL, Qwen3-VL and models that share their processor: patches of all images in one tensor,
M-RoPE.

The patches of an image are rows of `pixel_values` and `image_grid_thw` says how many, so batches need no
padding. Positions are triples (time, row, column; Qwen2-VL, arXiv 2409.12191, section 2.1) that the model
computes by itself for one conversation. Where several share a sequence they are passed, with a plain position
in front from which the model derives the attention mask.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from medxiaohe.models.families.family import Family

if TYPE_CHECKING:
    import torch


def placeholder(processor: Any) -> str:
    """Write an image as the text that the processor expands.

    Returns:
        the image token between the marks of vision.
    """
    return f"<|vision_start|>{processor.image_token}<|vision_end|>"


def limit_pixels(processor: Any, smallest: int, largest: int) -> None:
    """Set the limits of image area, which the processor keeps under the names of edges.

    Args:
        processor: changed in place.
        smallest: least area in pixels; 0 leaves the processor's.
        largest: greatest area in pixels; 0 leaves the processor's.
    """
    size = dict(processor.image_processor.size)
    size["shortest_edge"] = smallest or size["shortest_edge"]
    size["longest_edge"] = largest or size["longest_edge"]
    processor.image_processor.size = size


def positions(processor: Any, tokens: Sequence[int], features: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Compute plain and M-RoPE position ids of a conversation of text and images (Qwen2-VL, arXiv 2409.12191,
    section 2.1).

    Args:
        processor: of the model.
        tokens: of the conversation.
        features: `image_grid_thw` [images, 3], patches of each image in time, height and width.

    Returns:
        [4, tokens]: plain position, then time, row and column. All three count on through text; in an image
        time is constant, and text continues behind the larger of its height and width.
    """
    import torch

    plain = torch.arange(len(tokens))
    # (time, height, width) in patches of each image, in the order of the images in the text
    grids = iter(features["image_grid_thw"].tolist() if "image_grid_thw" in features else [])
    # merge_size x merge_size patches become one token; start is the next free position
    merged, parts, start = processor.image_processor.merge_size, [], 0
    for is_image, group in groupby(tokens, lambda token: token == processor.image_token_id):
        remaining = len(list(group))
        while is_image and remaining:  # images that follow each other directly are one group
            frames, height, width = next(grids)
            # grid of tokens after merging
            sizes = (frames, height // merged, width // merged)
            # time, row and column of each token of the image, row by row: (3, tokens)
            places = torch.stack(torch.meshgrid(*map(torch.arange, sizes), indexing="ij")).reshape(3, -1)
            parts.append(places + start)
            # text after the image continues behind its larger side; `left` counts tokens of further images in
            # the group
            start, remaining = start + max(sizes[1:]), remaining - places.shape[1]
        # text: the three positions are equal and increase by one
        if not is_image:
            parts.append((torch.arange(remaining) + start).expand(3, -1))
            start += remaining
    return torch.cat([plain[None], torch.cat(parts, dim=1)])


FAMILY = Family(
    name="Qwen-VL",
    processors=("Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor"),
    token_types="mm_token_type_ids",
    placeholder=placeholder,
    limit_pixels=limit_pixels,
    positions=positions,
    packages=("torchvision",),
    # without images, M-RoPE counts as plain positions do
    language={"qwen2_vl_text": "qwen2", "qwen2_5_vl_text": "qwen2", "qwen3_vl_text": "qwen3"},
)
