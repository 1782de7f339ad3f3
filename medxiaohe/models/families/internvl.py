"""InternVL in the layout of transformers (InternVL3-...-hf): tiles of all images in one tensor."""

from collections.abc import Sequence
from typing import Any

from medxiaohe.models.families.family import Family


def expanded(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Write the token sequence of each image: `image_seq_length` tokens for each of its tiles.

    Args:
        sizes: (width, height) in pixels.

    Returns:
        one text for each image.
    """
    counts = processor._get_num_multimodal_tokens(image_sizes=[(height, width) for width, height in sizes])
    start, token, end = processor.start_image_token, processor.image_token, processor.end_image_token
    return [f"{start}{token * processor.image_seq_length * n}{end}" for n in counts.num_image_patches]


FAMILY = Family(
    name="InternVL", processors=("InternVLProcessor",), expanded=expanded, packages=("torchvision",)
)
