"""Gemma 3 and MedGemma: an image has one token in the text and another for its features, which see each
other.

`image_token_id` of the processor is that of `<start_of_image>`, which the text has; features stand at the
tokens of `<image_soft_token>`. `token_type_ids` tells the model which tokens are of an image: inside an image
attention goes both ways, and training demands it for rows of text too.
"""

from collections.abc import Sequence
from typing import Any

from medxiaohe.models.families.family import Family


def image_token_id(processor: Any) -> int:
    return int(processor.tokenizer.image_token_id)


def expanded(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[str]:
    return [str(processor.full_image_sequence)] * len(sizes)


FAMILY = Family(
    name="Gemma 3",
    processors=("Gemma3Processor",),
    token_types="token_type_ids",
    image_token_id=image_token_id,
    expanded=expanded,
    cannot_pack="transformers 5 looks an image's tokens up by their place in the row, which packing changes",
)
