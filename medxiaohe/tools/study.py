"""What is on record about the study of this conversation."""

from collections.abc import Sequence
from typing import Literal

from medxiaohe.tools import tool
from medxiaohe.types import Evidence

# a tiny record for the contract test
EXAMPLE_RESOURCES = {
    "study_evidence": (
        Evidence("note#1", "The lungs are clear.", "note"),
        Evidence("prior#1", "There is a small left effusion.", "prior", kind="prior"),
    )
}


@tool(example={"kind": "all"})
def study(
    kind: Literal["all", "passage", "record", "prior"], *, study_evidence: Sequence[Evidence]
) -> tuple[Evidence, ...]:
    """What is on record about this study: texts (passage), structured fields (record), the report of an
    earlier study (prior), or all of it. Cite it as [id]."""
    return tuple(item for item in study_evidence if kind in ("all", item.kind))
