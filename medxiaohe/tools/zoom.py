"""A part of an image of the conversation, enlarged (MX-22): `zoom(images)` is the tool over those images."""

from __future__ import annotations

import io as bytes_io
from collections.abc import Sequence
from dataclasses import replace

from medxiaohe import assets, images, io
from medxiaohe.errors import ToolError
from medxiaohe.tools import tool
from medxiaohe.types import ImageRef, Tool, ToolResult

EXAMPLE = {"image": 1, "left": 25.0, "top": 25.0, "right": 75.0, "bottom": 75.0}
LEAST = 8  # pixels of each side


def zoom(pictures: Sequence[ImageRef] = ()) -> Tool:
    """The tool for `pictures`, in the order of the conversation; for a test picture where there are none."""

    @tool
    def zoom(image: int, left: float, top: float, right: float, bottom: float) -> ToolResult:
        """A part of an image, as an image. `image` counts from 1; the sides are percent of its width and
        height."""
        shown = list(pictures) or [_test_picture()]
        if not 1 <= image <= len(shown):
            raise ToolError(f"there is no image {image}: there are 1 to {len(shown)}")
        if not (0 <= left < right <= 100 and 0 <= top < bottom <= 100):
            raise ToolError(
                "left, top, right and bottom are percent, with left below right and top below bottom"
            )
        ref = shown[image - 1]
        whole = images.open_image(ref)
        at_left, at_top = ref.box[:2] if ref.box else (0, 0)
        sides = (left * whole.width, top * whole.height, right * whole.width, bottom * whole.height)
        x, y, x_end, y_end = (round(side / 100) for side in sides)
        if x_end - x < LEAST or y_end - y < LEAST:
            raise ToolError(f"that part is smaller than {LEAST} pixels: take a larger one")
        part = replace(ref, box=(at_left + x, at_top + y, at_left + x_end, at_top + y_end))
        return ToolResult("", (f"Part of image {image}:", part))

    return zoom


def _test_picture() -> ImageRef:
    from PIL import Image

    out = bytes_io.BytesIO()
    Image.linear_gradient("L").save(out, format="PNG")
    path = assets.cache_root() / "derived" / "tools" / "gradient.png"
    if not path.exists():
        io.write(path, lambda file: file.write(out.getvalue()))
    return ImageRef(str(path))
