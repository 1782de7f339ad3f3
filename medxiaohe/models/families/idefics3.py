"""Idefics3 and SmolVLM: an image is cut into tiles, and the model drops tiles of zeros.

`pixel_values` is [conversations, tiles, 3, height, width]: joined, all tiles are those of one
conversation, so that there is no padding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from medxiaohe.models.families.family import Family, stacked

if TYPE_CHECKING:
    import torch


def join(name: str, tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Concatenate tiles of images as those of one conversation.

    Args:
        name: of the model input.
        tensors: each (1, tiles, ...).

    Returns:
        (1, all tiles, ...); heights and widths are padded with zeros, which `pixel_attention_mask` marks.
    """
    return stacked(name, [tile for tensor in tensors for tile in tensor]).unsqueeze(0)


def expanded(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Write the token sequence of each image: rows and columns of tiles by the arithmetic of the processor.

    Args:
        sizes: (width, height) in pixels.

    Returns:
        one text for each image.
    """
    texts = []
    for width, height in sizes:
        _, rows, columns = processor.image_processor.get_number_of_image_patches(height, width, {})
        # one tile alone is the whole image, which has neither rows nor columns
        rows, columns = (rows, columns) if rows * columns > 1 else (0, 0)
        grid = {"rows": [[rows]], "cols": [[columns]], "image_rows": [[rows]], "image_cols": [[columns]]}
        texts.append(str(processor.replace_image_token(grid, 0)))
    return texts


FAMILY = Family(name="Idefics3", processors=("Idefics3Processor",), join=join, expanded=expanded)
