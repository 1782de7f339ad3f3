"""Look up calculators by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import MappingProxyType

from medxiaohe.errors import ToolError
from medxiaohe.plugins import nearest
from medxiaohe.tools.calculation.declare import Calculator

FAMILIES = (
    "acid_base",
    "body",
    "comorbidity",
    "dosage",
    "heart",
    "infection",
    "kidney",
    "liver",
    "pregnancy",
    "severity",
    "thrombosis",
)


@cache
def calculators() -> MappingProxyType[str, Calculator]:
    """Collect the calculators of all families.

    Returns:
        name -> calculator, in the order of the names; read-only.
    """
    result: dict[str, Calculator] = {}
    for family in FAMILIES:
        module = import_module(f"medxiaohe.tools.calculation.{family}")
        for value in vars(module).values():
            if isinstance(value, Calculator):
                result[value.name] = value
    return MappingProxyType(dict(sorted(result.items())))


def find(name: str) -> Calculator:
    """Look up a calculator by its name or title.

    Args:
        name: case, blanks and hyphens do not matter.

    Returns:
        the calculator.

    Raises:
        ToolError: there is none of this name.
    """
    every = calculators()
    requested = name.strip().lower().replace(" ", "_").replace("-", "_")
    if requested in every:
        return every[requested]
    titled = {item.title.lower(): item for item in every.values()}
    if name.strip().lower() in titled:
        return titled[name.strip().lower()]
    raise ToolError(
        f"there is no calculator {name!r}{nearest(requested, every)}: there are {', '.join(every)}"
    )
