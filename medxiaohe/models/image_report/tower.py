"""Vision tower and projector of a LLaVA checkpoint, without its language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from medxiaohe import images
from medxiaohe.errors import ModelError
from medxiaohe.models.checkpoint import Loaded
from medxiaohe.types import ImageRef


class Tower:
    """Encoder of pixels: `features` by the tower, `tokens` by tower and projector."""

    def __init__(self, loaded: Loaded):
        """Take a checkpoint; ModelError for one without a tower and a projector of their own."""
        inner = getattr(loaded.model, "model", None)
        self.projector: Any = getattr(inner, "multi_modal_projector", None)
        self.vision: Any = getattr(inner, "vision_tower", None)
        if inner is None or self.projector is None or self.vision is None:
            raise ModelError(
                f"{loaded.name!r} has no vision_tower and multi_modal_projector: take a LLaVA checkpoint,"
                " such as starter"
            )
        self._features = inner.get_image_features
        self.processor = loaded.processor.image_processor

    def pixels(self, refs: Sequence[ImageRef]) -> Any:
        """Read and preprocess images with the processor of the checkpoint.

        Returns:
            (images, 3, height, width).

        Raises:
            DataError: an image cannot be read.
        """
        opened = [images.open_image(ref) for ref in refs]
        return self.processor(images=opened, return_tensors="pt")["pixel_values"]

    def features(self, pixels: Any) -> Any:
        """Run the vision tower and capture the input of the projector.

        Args:
            pixels: (images, 3, height, width).

        Returns:
            (images, tokens, width of the tower).
        """
        captured: list[Any] = []
        hook = self.projector.register_forward_pre_hook(lambda _, args: captured.append(args[0]))
        try:
            self._features(pixel_values=pixels.to(next(self.projector.parameters()).dtype))
        finally:
            hook.remove()
        return torch.cat(captured).view(len(pixels), -1, captured[0].shape[-1])

    def tokens(self, features: Any) -> Any:
        """Project features of the tower to image tokens, as the language model would see them.

        Args:
            features: (images, tokens, width of the tower).

        Returns:
            (images, tokens, width of the language model's embeddings).
        """
        return self.projector(features)
