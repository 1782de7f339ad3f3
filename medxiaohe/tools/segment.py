"""Masks: vessels of a fundus photograph, white cells of a blood smear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from medxiaohe.tools import tool
from medxiaohe.tools.vision.drawn import fundus
from medxiaohe.tools.vision.kinds import FUNDUS, SMEAR, require
from medxiaohe.tools.vision.pictures import chosen, pixels, region, returned
from medxiaohe.types import ImageRef, ToolResult

EXAMPLE_PICTURE = fundus  # for the contract test


@tool(effects="reads", example={"image": 1, "what": "vessels"}, seconds=120)
def segment(image: int, what: Literal["vessels", "white cells"], *, images: Sequence[ImageRef]) -> ToolResult:
    """A mask, as a white-on-black image, of the vessels of a fundus photograph or the white cells of a
    stained blood smear, with the share of the picture that it covers and a confidence from 0 to 1. `image`
    counts from 1. Other kinds of picture are refused. The mask can be measured with the tool measure."""
    from medxiaohe.tools.vision.masks import cells, vessels

    ref = chosen(images, image)
    seen = pixels(ref)
    require(seen, FUNDUS if what == "vessels" else SMEAR, f"segment {what}")
    result = vessels(seen) if what == "vessels" else cells(seen)
    text = (
        f"{what} of image {image}: {result.mask.sum()} pixels, {result.share:.1%} of {result.of}, confidence"
        f" {result.confidence:.2f}"
    )
    evidence = region(ref, text, by="segment", score=result.confidence)
    return ToolResult(
        "",
        (f"[{evidence.id}] {text}. The mask:", returned(result.picture())),
        evidence=(evidence,),
        data={
            "what": what, "pixels": int(result.mask.sum()), "share": round(result.share, 4),
            "confidence": round(result.confidence, 2),
        },
    )  # fmt: skip
