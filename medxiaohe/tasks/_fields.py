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


def check(template: str, origin: str) -> None:
    """Refuse what a jinja template may hold and this does not run.

    Args:
        template: text with {{field}}.
        origin: name of the file, for messages.

    Raises:
        ConfigError: it has an expression, a filter or a statement, or a field without a valid name.
    """
    if CODE.search(template) or FIELD.sub("", template).count("{{"):
        raise ConfigError(
            f"{origin}: {template[:80]!r} is more than {{{{field}}}}: no code is run; write the task as a .py"
            " file"
        )
    for path in FIELD.findall(template):
        if "".join(match[0] for match in STEP.finditer(path)) != path or not path:
            raise ConfigError(
                f"{origin}: {{{{{path}}}}} is not the name of a field such as question, options.A or"
                " images[0]"
            )


def value(row: Mapping[str, Any], path: str) -> Any:
    """Look up a field of a row; a column whose name holds dots or spaces is found by its whole name.

    Args:
        row: of the data set.
        path: "answer", "options.A" or "images[0]".

    Returns:
        The value, of any type.

    Raises:
        DataError: the row has no such field.
    """
    if path in row:
        return row[path]
    result: Any = row
    for step in STEP.finditer(path):
        key: Any = int(step[2]) if step[2] else step[1].strip()
        try:
            result = result[key]
        except (KeyError, IndexError, TypeError) as error:
            available = result if isinstance(result, Mapping) else ()
            raise DataError(f"no field {path!r}{nearest(str(key), map(str, available))}") from error
    return result


def filled(template: str, row: Mapping[str, Any]) -> str:
    """Fill a template with the fields of a row.

    Args:
        template: text with {{field}}, or the name of a column.
        row: of the data set.

    Returns:
        The text; None becomes "".

    Raises:
        DataError: the row has no such field, or it is not text or a number.
    """
    if "{{" not in template:
        return text(value(row, template))
    return FIELD.sub(lambda match: text(value(row, match[1])), template)


def given(template: str, row: Mapping[str, Any]) -> Any:
    """Look up a template that is one field or the name of a column, or fill it.

    Args:
        template: text with {{field}}, or the name of a column.
        row: of the data set.

    Returns:
        The value itself for one field, else the filled text.

    Raises:
        DataError: the row has no such field, or a filled one is not text or a number.
    """
    single = FIELD.fullmatch(template)
    if single or "{{" not in template:
        return value(row, single[1] if single else template)
    return filled(template, row)


def text(value: Any) -> str:
    """Convert a value to text.

    Args:
        value: text, number or None.

    Returns:
        The text; "" for None.

    Raises:
        DataError: it is a boolean, a list or a mapping.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f"a text was expected, not {str(value)[:60]!r}")
    return str(value)
