"""`{{field}}` in the texts of a YAML task: a value of the row, nothing else. No expression, filter or code is
run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from medxiaohe.errors import ConfigError, DataError
from medxiaohe.plugins import nearest

FIELD = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
CODE = re.compile(r"\{%|\{#|\|\s*\w+\s*\}\}|\{\{[^{}]*\(")


def check(template: str, where: str) -> None:
    """ConfigError for what a jinja template may hold and this does not run."""
    if CODE.search(template) or FIELD.sub("", template).count("{{"):
        raise ConfigError(
            f"{where}: {template[:80]!r} is more than {{{{field}}}}: no code is run; write the task as a .py"
            " file"
        )
    for path in FIELD.findall(template):
        if "".join(match[0] for match in STEP.finditer(path)) != path or not path:
            raise ConfigError(
                f"{where}: {{{{{path}}}}} is not the name of a field such as question, options.A or images[0]"
            )


def value(row: Mapping[str, Any], path: str) -> Any:
    """The value at "answer", "options.A" or "images[0]"; a column whose name holds dots or spaces is found by
    its whole name."""
    if path in row:
        return row[path]
    result: Any = row
    for step in STEP.finditer(path):
        key: Any = int(step[2]) if step[2] else step[1].strip()
        try:
            result = result[key]
        except (KeyError, IndexError, TypeError) as error:
            there = result if isinstance(result, Mapping) else ()
            raise DataError(f"no field {path!r}{nearest(str(key), map(str, there))}") from error
    return result


def filled(template: str, row: Mapping[str, Any]) -> str:
    """The template with every `{{field}}` replaced; without one it is the name of a column. An empty value is
    ""."""
    if "{{" not in template:
        return text(value(row, template))
    return FIELD.sub(lambda match: text(value(row, match[1])), template)


def given(template: str, row: Mapping[str, Any]) -> Any:
    """The value itself where the template is one field or a column's name, else the filled text."""
    whole = FIELD.fullmatch(template)
    if whole or "{{" not in template:
        return value(row, whole[1] if whole else template)
    return filled(template, row)


def text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f"a text was expected, not {str(value)[:60]!r}")
    return str(value)
