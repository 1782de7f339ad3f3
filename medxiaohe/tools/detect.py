"""Boxes around the white cells of a blood smear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medxiaohe.tools import tool
from medxiaohe.tools.vision.drawn import smear
from medxiaohe.tools.vision.kinds import SMEAR, require
from medxiaohe.tools.vision.pictures import chosen, pixels, region
from medxiaohe.types import ImageRef, ToolResult

EXAMPLE_PICTURE = smear  # for the contract test


@tool(effects="reads", example={"image": 1, "what": "white cells"})
def detect(
    image: int, what: Literal["white cells"] = "white cells", *, images: Sequence[ImageRef]
) -> ToolResult:
    """Boxes around the white cells of a stained blood smear, as [left, top, right, bottom] in pixels with a
    confidence from 0 to 1. `image` counts from 1. Other kinds of picture are refused. Cite a box as [id]."""
    from medxiaohe.tools.vision.cells import white_cells

    ref = chosen(images, image)
    seen = pixels(ref)
    require(seen, SMEAR, "detect")
    cells = white_cells(seen)
    evidence = tuple(
        region(
            ref,
            f"white cell at {list(cell.box)} of {seen.shape[1]} x {seen.shape[0]} pixels",
            by="detect",
            box=cell.box,
            score=cell.confidence,
        )
        for cell in cells
    )
    lines = [f"{len(cells)} {what} in image {image} of {seen.shape[1]} x {seen.shape[0]} pixels"]
    lines += [
        f"[{proof.id}] {list(cell.box)} confidence {cell.confidence}"
        for proof, cell in zip(evidence, cells, strict=True)
    ]
    boxes = [{"box": list(cell.box), "confidence": cell.confidence} for cell in cells]
    return ToolResult(
        "", ("\n".join(lines),), evidence=evidence, data={"count": len(cells), "what": what, "boxes": boxes}
    )
