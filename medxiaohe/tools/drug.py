"""Interactions of two drugs, and doses of a drug by renal function."""

import json

from medxiaohe.errors import ToolError
from medxiaohe.retrieval.drugs import (
    ANSM,
    RENAL,
    RXNORM,
    SUBSTANCES,
    THESAURUS,
    Interactions,
    RenalDoses,
    key,
)
from medxiaohe.tools import tool
from medxiaohe.types import Evidence, ToolResult

MOST_NAME = 200  # characters
MOST_CLEARANCE = 300.0  # mL/min
MOST_ENTRIES = 20
# tiny files for the contract test; no task gets them
EXAMPLE_RESOURCES = {
    "interactions": Interactions(
        {
            THESAURUS: json.dumps(
                [
                    {
                        "main_drug": "ANTICOAGULANTS ORAUX", "plus_drug": "MICONAZOLE",
                        "severity_levels": [{"level": "CONTRE-INDICATION", "info": ""}],
                        "interaction_mechanism": "Hémorragies imprévisibles.",
                    }
                ]
            ),
            SUBSTANCES: json.dumps(
                [
                    {"substance": "warfarine", "drug_classes": ["anticoagulants oraux"]},
                    {"substance": "miconazole", "drug_classes": []},
                ]
            ),
            RXNORM: "substance\tRxNorm\nwarfarine\t11289\n",
        }
    ),
    "renal_doses": RenalDoses({RENAL: "{}"}),
}  # fmt: skip


@tool(example={"name": "warfarin", "other": "miconazole"})
def drug(
    name: str,
    other: str = "",
    creatinine_clearance: float | None = None,
    *,
    interactions: Interactions,
    renal_doses: RenalDoses,
) -> ToolResult:
    """Interactions of a drug with another one: level, mechanism, advice (a thesaurus of 2020, in French).
    Without another drug: doses by renal function, at a creatinine clearance in mL/min if given. Give generic
    names. What is not listed is not known here, which does not mean that it is safe."""
    for item in (name, other):
        if len(item) > MOST_NAME:
            raise ToolError(f"a drug's name has at most {MOST_NAME} characters")
    if not name.strip():
        raise ToolError("name a drug")
    if creatinine_clearance is not None and not 0 <= creatinine_clearance <= MOST_CLEARANCE:
        raise ToolError(f"{creatinine_clearance} mL/min is no creatinine clearance: 0 to {MOST_CLEARANCE:g}")
    if other.strip():
        return _interaction(name, other, interactions)
    return _dose(name, creatinine_clearance, interactions, renal_doses)


def _interaction(name: str, other: str, interactions: Interactions) -> ToolResult:
    first, second = interactions.substance(name), interactions.substance(other)
    for given_name, listed in ((name, first), (other, second)):
        if not listed:
            return ToolResult(
                "",
                (
                    f"{given_name} is not listed under this name in {ANSM}: nothing is known here about its"
                    " interactions; try its generic name",
                ),
            )
    if key(first) == key(second):
        raise ToolError(f"{name} and {other} are the same drug, {first}")
    entries = interactions.between(first, second)
    if not entries:
        return ToolResult(
            "",
            (
                f"no interaction of {first} and {second} is listed in {ANSM}; not listed does not mean that"
                " there is none",
            ),
        )
    shown = entries[:MOST_ENTRIES]
    lines = [f"{first} + {second}: at its gravest {entries[0].level} ({len(entries)} entries of {ANSM})"]
    lines += [f"[{item.evidence.id}] {item.evidence.text}" for item in shown]
    return ToolResult(
        "",
        ("\n".join(lines),),
        evidence=tuple(item.evidence for item in shown),
        data={"first": first, "second": second, "level": entries[0].level, "entries": len(entries)},
    )


def _dose(
    name: str, clearance: float | None, interactions: Interactions, renal_doses: RenalDoses
) -> ToolResult:
    lines: list[str] = []
    evidence: tuple[Evidence, ...] = ()
    if dose := renal_doses.dose(name, clearance):
        lines, evidence = [f"[{dose.id}] {dose.text}"], (dose,)
    else:
        lines = [
            f"no dose by renal function is listed for {name} among {renal_doses.size} drugs; that does not"
            " mean that none is needed"
        ]
    if listed := interactions.substance(name):
        code = interactions.rxnorm(listed)
        about = f"{listed}{f' (RxNorm {code})' if code else ''}"
        classes = interactions.classes(listed)
        lines.append(
            f"{ANSM}: {about} is in {interactions.count(listed)} entries; name the other drug to see them"
        )
        lines += [f"its classes: {'; '.join(classes)}"] if classes else []
    return ToolResult("", ("\n".join(lines),), evidence=evidence)
