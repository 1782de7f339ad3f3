"""LLaVA-OneVision: (images, tiles, 3, height, width), padded to the largest number of tiles in the batch.

`batch_num_images` says how many images were rendered together: one alone is cut into tiles, several are not.
"""

from collections.abc import Sequence
from typing import Any

from medxiaohe.models.families.family import Family
from medxiaohe.models.families.family import expanded as tokens


def expanded(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Write the token sequence of each image: tiles for an image that is alone, one view for each of several.

    Args:
        sizes: (width, height) in pixels of the images that are rendered together.

    Returns:
        one text for each image.
    """
    if len(sizes) == 1:
        return tokens(processor, sizes)
    dropped = processor.vision_feature_select_strategy == "default"
    number = processor.num_image_tokens + 1 - dropped  # a mark ends the only row
    return [processor.image_token * number] * len(sizes)


FAMILY = Family(
    name="LLaVA-OneVision",
    processors=("LlavaOnevisionProcessor",),
    expanded=expanded,
    packages=("torchvision",),
)
