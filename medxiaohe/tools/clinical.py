"""Summaries of clinical guidelines, and differential diagnoses by complaint."""

import json
from typing import Literal

from medxiaohe.errors import DataError, ToolError
from medxiaohe.retrieval.guidelines import DIFFERENTIALS, Guidelines
from medxiaohe.retrieval.store import check
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, ToolResult

MOST = 20  # diagnoses of a differential
# tiny files for the contract test; no task gets them
EXAMPLE_RESOURCES = {
    "guidelines": Guidelines(
        {
            "guidelines/registry.json": json.dumps(
                [
                    {
                        "id": "g", "title": "Scurvy", "doi": "1/2", "year": 1999, "organization": "X",
                        "sections": ["s"],
                    }
                ]
            ),
            "guidelines/content/g/s.md": "Give vitamin C.",
            f"{DIFFERENTIALS}/bleeding_gums.json": json.dumps(
                {
                    "title": "Bleeding gums", "keywords": [], "source_description": "X", "source_doi": "1/2",
                    "diagnoses": [{"name": "Scurvy", "likelihood": "rare", "key_features": ["Weakness"]}],
                }
            ),
        }
    )
}  # fmt: skip


@tool(example={"question": "bleeding gums", "kind": "differential"})
def clinical(
    question: str,
    kind: Literal["guideline", "differential"] = "guideline",
    *,
    guidelines: Guidelines,
    top: int = 5,
) -> ToolResult | tuple[Evidence, ...]:
    """Parts of summaries of clinical guidelines that match a question, or, with kind differential, the
    diagnoses to think of for a complaint, those that must not be missed first. Cite them as [id]."""
    try:
        check([question], top)
    except DataError as error:
        raise ToolError(str(error)) from error
    if kind == "guideline":
        return guidelines.sections(question, top)
    complaints = ", ".join(complaint.replace("_", " ") for complaint in guidelines.complaints)
    return guidelines.differential(question, MOST) or ToolResult(
        "", (f"no differential is listed for this; there are those of {complaints}",)
    )
