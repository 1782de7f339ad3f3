"""Clinical calculators by name: 54 published formulae and scores."""

from __future__ import annotations

from hashlib import sha256

from medxiaohe.errors import ToolError
from medxiaohe.tools import tool
from medxiaohe.tools.calculation.declare import evaluate
from medxiaohe.tools.calculation.registry import find
from medxiaohe.types import Evidence, ToolResult

MOST = 60  # inputs
LONGEST = 200  # characters of one


@tool(
    example={
        "name": "anion_gap",
        "inputs": ["sodium: 140 mEq/L", "chloride: 104 mEq/L", "bicarbonate: 24 mmol/L"],
    }
)
def calculators(name: str, inputs: list[str]) -> ToolResult:
    """A clinical formula or score by name, such as anion_gap, gfr_ckd_epi, creatinine_clearance, sofa,
    wells_embolism, child_pugh, qtc_bazett, due_date. `inputs` are lines "name: value unit" or "name: yes";
    with none the answer says which are needed. Cite the result as [id]."""
    calculator = find(name)
    values_by_name = _read(inputs)
    result = evaluate(calculator, values_by_name)
    unit = "" if calculator.unit == "date" else f" {calculator.unit}".rstrip()
    values = ", ".join(f"{key} {value}" for key, value in values_by_name.items())
    text = f"{calculator.title}: {result}{unit} ({values})"
    if calculator.limits:
        text += f". For {calculator.limits}"
    digest = sha256(text.encode()).hexdigest()
    evidence = Evidence(
        f"calculation/{calculator.name}/{digest[:12]}",
        text,
        calculator.source,
        kind="calculation",
        by="calculators",
    )
    return ToolResult(
        "",
        (f"[{evidence.id}] {text}. Source: {calculator.source}",),
        evidence=(evidence,),
        data={
            "calculator": calculator.name,
            "value": result,
            "unit": calculator.unit,
            "inputs": values_by_name,
        },
    )


def _read(inputs: list[str]) -> dict[str, str]:
    """Lines "name: value unit" as a mapping."""
    if len(inputs) > MOST:
        raise ToolError(f"at most {MOST} inputs, not {len(inputs)}")
    values: dict[str, str] = {}
    for line in inputs:
        name, mark, value = line.partition(":" if ":" in line else "=")
        name = name.strip().lower().replace(" ", "_").replace("-", "_")
        if not mark or not value.strip() or len(line) > LONGEST:
            raise ToolError(
                f"{line[:80]!r} is no input: write 'name: value unit', such as 'sodium: 140 mEq/L'"
            )
        if name in values:
            raise ToolError(f"{name} is given twice")
        values[name] = value.strip()
    return values
