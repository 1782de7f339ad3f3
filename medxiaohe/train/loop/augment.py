"""Random augmentation of training images, a function of a key, so that a resumed run sees the same pixels.

Nothing is mirrored: left and right are findings.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medxiaohe.errors import ConfigError

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Augment:
    """The largest change of each kind; 0 switches it off."""

    rotate: float = 0.0  # degrees, either way
    crop: float = 0.0  # share of the width and of the height that may be cut off, at most 0.2
    brightness: float = 0.0  # 0.1: factors from 0.9 to 1.1
    contrast: float = 0.0

    def __post_init__(self) -> None:
        if (
            not 0 <= self.rotate <= 45
            or not 0 <= self.crop <= 0.2
            or not 0 <= self.brightness < 1
            or not 0 <= self.contrast < 1
        ):
            raise ConfigError(
                "augment: rotate is 0 to 45 degrees, crop 0 to 0.2, brightness and contrast 0 to below 1"
            )

    @property
    def is_on(self) -> bool:
        """Whether any kind of change is set.

        Returns:
            True where one of the four settings is above 0.
        """
        return any((self.rotate, self.crop, self.brightness, self.contrast))


def augmented(image: Image, augment: Augment, key: str) -> Image:
    """Change an image at random, with the key as seed: equal keys give equal pixels.

    Args:
        image: RGB or grey image, any size; it is not modified.
        augment: the largest rotation, crop, and change of brightness and contrast.
        key: seed of the five uniform draws, all of which are made whatever is switched on.

    Returns:
        A new image; a crop makes it smaller by `augment.crop` of each side.
    """
    from PIL import Image as pil
    from PIL import ImageEnhance

    # u ~ U(-1, 1), five draws in any case: switching one change on does not alter the others
    draw = random.Random(key)
    angle, across, down, bright, contrast = (draw.uniform(-1, 1) for _ in range(5))
    # degrees = u x rotate; the size stays, corners become black
    if augment.rotate:
        image = image.rotate(angle * augment.rotate, resample=pil.Resampling.BILINEAR)
    # a window of (1 - crop) of each side, its corner uniform over the free pixels
    if augment.crop:
        width, height = image.size
        x, y = int(augment.crop * width), int(augment.crop * height)
        at_x, at_y = int(abs(across) * x), int(abs(down) * y)
        image = image.crop((at_x, at_y, at_x + width - x, at_y + height - y))
    # pixels x (1 + u brightness)
    if augment.brightness:
        image = ImageEnhance.Brightness(image).enhance(1 + bright * augment.brightness)
    # mean grey + (pixels - mean grey) x (1 + u contrast)
    if augment.contrast:
        image = ImageEnhance.Contrast(image).enhance(1 + contrast * augment.contrast)
    return image
