"""Every calculator by its name."""

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
    """Calculators of all families, in the order of their names."""
    found: dict[str, Calculator] = {}
    for family in FAMILIES:
        module = import_module(f"medxiaohe.tools.calculation.{family}")
        for value in vars(module).values():
            if isinstance(value, Calculator):
                found[value.name] = value
    return MappingProxyType(dict(sorted(found.items())))


def find(name: str) -> Calculator:
    """A calculator by its name; capitals, blanks and hyphens do not matter.

    Raises:
        ToolError: there is none of this name.
    """
    every = calculators()
    wanted = name.strip().lower().replace(" ", "_").replace("-", "_")
    if wanted in every:
        return every[wanted]
    titled = {one.title.lower(): one for one in every.values()}
    if name.strip().lower() in titled:
        return titled[name.strip().lower()]
    raise ToolError(f"there is no calculator {name!r}{nearest(wanted, every)}: there are {', '.join(every)}")
