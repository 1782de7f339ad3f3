"""What kind of picture an image is."""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.tools import tool
from medxiaohe.tools.vision.kinds import kind_of
from medxiaohe.tools.vision.pictures import chosen, pixels, region
from medxiaohe.types import ImageRef, ToolResult


@tool(effects="reads", example={"image": 1})
def classify(image: int, *, images: Sequence[ImageRef]) -> ToolResult:
    """What kind of picture an image is, by its colours: blood smear, fundus photograph, grey picture
    (radiograph, CT, MR) or other colour picture. It names no disease. `image` counts from 1."""
    ref = chosen(images, image)
    kind = kind_of(pixels(ref))
    evidence = region(ref, f"image {image} looks like a {kind}", by="classify")
    return ToolResult("", (f"[{evidence.id}] {evidence.text}",), evidence=(evidence,), data={"kind": kind})
