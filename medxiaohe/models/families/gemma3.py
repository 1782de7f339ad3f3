"""Gemma 3 and MedGemma: an image has one token in the text and other tokens for its features, with attention
in both directions inside an image.

`image_token_id` of the processor is that of `<start_of_image>`, which the text has; features stand at the
tokens of `<image_soft_token>`. `token_type_ids` tells the model which tokens are of an image: inside an image
attention goes both ways, and training demands it for rows of text too.

Where several conversations share a sequence, transformers 5.23 looks an image's tokens up at the positions of
their conversation instead of their places in the sequence, so that tokens of an image miss each other in
layers with a sliding window (`masking_utils.create_causal_mask` remaps its `or_mask_function`; compare
huggingface/transformers#46850). The mask is then built here, with the functions of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medxiaohe.models.families.family import Family


def image_token_id(processor: Any) -> int:
    """Look up `<image_soft_token>`, at which image features stand.

    Returns:
        its id.
    """
    return int(processor.tokenizer.image_token_id)


def expanded(processor: Any, sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Write the full token sequence of each image; it does not depend on the size.

    Args:
        sizes: (width, height) in pixels.

    Returns:
        one text for each image.
    """
    return [str(processor.full_image_sequence)] * len(sizes)


def prepare(model: Any) -> None:
    """Register a hook with which the model masks packed conversations by `packed_masks`.

    Args:
        model: changed in place; the hook acts only on packed rows without a mask and without a cache.
    """
    inner = getattr(model, "model", model)

    def masked(module: Any, args: tuple[Any, ...], inputs: dict[str, Any]) -> Any:
        packed = inputs.get("position_ids") is not None and inputs.get("token_type_ids") is not None
        if packed and inputs.get("attention_mask") is None and inputs.get("past_key_values") is None:
            masks = packed_masks(module.config.get_text_config(), inputs, module.dtype)
            return args, inputs | ({"attention_mask": masks} if masks else {})
        return None

    inner.register_forward_pre_hook(masked, with_kwargs=True)


def packed_masks(config: Any, inputs: dict[str, Any], dtype: Any) -> dict[str, Any] | None:
    """Build the attention masks of both kinds of layers for sequences that pack several conversations.

    Args:
        config: of the language model.
        inputs: position_ids and token_type_ids, (batch, length).
        dtype: of the model.

    Returns:
        "full_attention": earlier tokens, and all of the own image; "sliding_attention": the same inside
        the window; both inside the own conversation only. None where every sequence has one conversation.
    """
    import torch
    from transformers import masking_utils as masks
    from transformers.models.gemma3.modeling_gemma3 import get_block_sequence_ids_for_mask

    rows = masks.find_packed_sequence_indices(inputs["position_ids"])
    if rows is None:
        return None
    images = get_block_sequence_ids_for_mask(inputs["token_type_ids"], device=rows.device)
    # the mask functions read batch size, length and dtype from it
    size = torch.empty(*rows.shape, 0, dtype=dtype, device=rows.device)
    own = masks.packed_sequence_mask_function(rows)
    window = masks.sliding_window_overlay(config.sliding_window)

    def made(*inside: Any) -> Any:
        return masks.create_causal_mask(
            config, size, None, None,
            or_mask_function=masks.blockwise_overlay(images), and_mask_function=masks.and_masks(*inside),
        )  # fmt: skip

    return {"full_attention": made(own), "sliding_attention": made(own, window)}


FAMILY = Family(
    name="Gemma 3",
    processors=("Gemma3Processor",),
    token_types="token_type_ids",
    image_token_id=image_token_id,
    expanded=expanded,
    prepare=prepare,
)
