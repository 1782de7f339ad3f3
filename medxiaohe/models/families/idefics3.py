"""Idefics3 and SmolVLM: an image is cut into tiles, and a tile of zeros is dropped by the model.

`pixel_values` is [conversations, tiles, 3, height, width]: joined, all tiles are those of one conversation,
so
that none is padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from medxiaohe.models.families.family import Family, stacked

if TYPE_CHECKING:
    import torch


def join(name: str, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """[1, all tiles, ...]; heights and widths padded with zeros, which `pixel_attention_mask` says."""
    return stacked(name, [tile for tensor in tensors for tile in tensor]).unsqueeze(0)


FAMILY = Family(name="Idefics3", processors=("Idefics3Processor",), join=join)
