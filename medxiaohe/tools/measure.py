"""Areas, diameters and counts of what a mask shows, and distances between points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot, isfinite, pi, sqrt
from typing import TYPE_CHECKING

from medxiaohe.errors import ToolError
from medxiaohe.tools import tool
from medxiaohe.tools.vision.pictures import chosen, pixels, region
from medxiaohe.types import ImageRef, ToolResult

if TYPE_CHECKING:
    from medxiaohe.tools.vision.masks import Part

SHOWN = 10  # parts
WIDEST = 100.0  # mm of a pixel


@tool(effects="reads", example={"image": 1, "line": [10.0, 20.0, 13.0, 24.0]})
def measure(
    image: int,
    line: list[float] | None = None,
    other_image: int | None = None,
    spacing_mm: float | None = None,
    least_pixels: int = 1,
    *,
    images: Sequence[ImageRef],
) -> ToolResult:
    """Sizes in an image. With `line`, [x1, y1, x2, y2] in pixels: its length. Else the image must be a mask
    (white on black, as segment returns): number of parts, area, diameter of the circle of equal area; with
    `other_image`, another mask, also the ratio of the areas. Millimetres are given only where `spacing_mm`,
    the width of a pixel, is; else pixels."""
    from medxiaohe.tools.vision.masks import mask_of, parts

    ref = chosen(images, image)
    if spacing_mm is not None and not (isfinite(spacing_mm) and 0 < spacing_mm <= WIDEST):
        raise ToolError(f"{spacing_mm} mm is no width of a pixel: over 0 and at most {WIDEST:g}")
    if least_pixels < 1:
        raise ToolError("least_pixels is at least 1")
    unit, scale = ("mm", spacing_mm) if spacing_mm else ("pixels", 1.0)
    seen = pixels(ref)
    height, width = seen.shape[:2]
    if line is not None:
        if len(line) != 4:
            raise ToolError(f"line is [x1, y1, x2, y2], four numbers, not {len(line)}")
        x1, y1, x2, y2 = line
        if not all(0 <= x <= width for x in (x1, x2)) or not all(0 <= y <= height for y in (y1, y2)):
            raise ToolError(f"the line leaves the image of {width} x {height} pixels")
        length = hypot(x2 - x1, y2 - y1) * scale
        text = f"the line from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) of image {image}"
        return _result(ref, f"{text} is {length:.4g} {unit} long", {"length": round(length, 4), "unit": unit})
    components = parts(mask_of(seen), least_pixels)
    # areas scale with the square of the pixel width
    pixel_area = sum(part.area for part in components)
    area = pixel_area * scale**2
    square = "mm2" if spacing_mm else "pixels"
    data: dict[str, object] = {
        "count": len(components),
        "area": round(area, 4),
        "area_unit": square,
        "unit": unit,
        "share": round(pixel_area / (width * height), 6),
        "parts": [_sizes(part, scale) for part in components[:SHOWN]],
    }
    text = f"the mask of image {image} has {len(components)} parts of {area:.6g} {square} in all"
    if components:
        text += f"; the largest has {components[0].area * scale**2:.6g} {square}, a diameter of"
        text += f" {sqrt(4 * components[0].area / pi) * scale:.4g} {unit}"
    if other_image is not None:
        other_area = sum(
            part.area for part in parts(mask_of(pixels(chosen(images, other_image))), least_pixels)
        )
        if not other_area:
            raise ToolError(f"the mask of image {other_image} is empty: there is no ratio to it")
        data["ratio"] = round(pixel_area / other_area, 6)
        text += f"; the ratio of its area to that of image {other_image} is {pixel_area / other_area:.4g}"
    return _result(ref, text, data)


def _sizes(part: Part, scale: float) -> dict[str, object]:
    return {
        "area": round(part.area * scale**2, 4),
        "diameter": round(sqrt(4 * part.area / pi) * scale, 4),
        "width": round(part.width * scale, 4),
        "height": round(part.height * scale, 4),
        "box": list(part.box),
    }


def _result(ref: ImageRef, text: str, data: dict[str, object]) -> ToolResult:
    evidence = replace(region(ref, text, by="measure"), kind="measurement")
    return ToolResult("", (f"[{evidence.id}] {text}",), evidence=(evidence,), data=data)
