"""Cases like the one at hand, by its image or by words."""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.errors import DataError, ToolError
from medxiaohe.retrieval.cases import Cases
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, ImageRef

MOST_TEXT = 2000  # characters that are searched
# a tiny collection for the contract test; no task gets it
EXAMPLE_RESOURCES = {"cases": Cases([Evidence("1", "Bleeding gums: scurvy.", "example", kind="record")])}


@tool(effects="reads", example={"text": "bleeding gums"})
def similar_cases(
    image: int = 0, text: str = "", *, cases: Cases, images: Sequence[ImageRef] = (), top: int = 1
) -> tuple[Evidence, ...]:
    """Earlier cases most like an image of the conversation (`image` counts from 1), or like words, with what
    is known of them. They are a reference, not the basis of a diagnosis. Cite them as [id]."""
    if image and not 1 <= image <= len(images):
        raise ToolError(f"there is no image {image}: there are 1 to {len(images)}")
    if not image and not text.strip():
        raise ToolError("name an image by its number, or give words")
    try:
        if image:
            return cases.like_image(images[image - 1], top, [item.sha256 for item in images])
        return cases.like_text(text[:MOST_TEXT], top)
    except DataError as error:
        raise ToolError(str(error)) from error
