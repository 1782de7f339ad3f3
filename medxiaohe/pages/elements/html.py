"""Build HTML that is escaped by default: a plain string is text, only `Html` is markup."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

VOID = ("br", "col", "hr", "img", "input", "meta")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MINUS = "\u2212"


class Html(str):
    """Markup that is already escaped."""

    __slots__ = ()


def clean(value: Any) -> str:
    """Replace characters that HTML cannot hold: control characters and lone surrogates.

    Returns:
        text that UTF-8 can encode; tab, line feed and carriage return are unchanged.
    """
    return CONTROL.sub("\ufffd", str(value).encode("utf-8", "replace").decode("utf-8"))


def text(value: Any) -> Html:
    """Convert a value to escaped markup.

    Args:
        value: `Html` is returned unchanged, the items of an iterable are joined, None is empty; the
            string of all else is escaped.
    """
    if isinstance(value, Html):
        return value
    if value is None:
        return Html("")
    if isinstance(value, Iterable) and not isinstance(value, (str, Mapping)):
        return Html("".join(text(item) for item in value))
    return Html(html.escape(clean(value), quote=True))


def tag(name: str, /, *children: Any, **attributes: Any) -> Html:
    """Build an HTML element; children and attributes are escaped.

    Args:
        name: of the element.
        children: as for `text`; elements of `VOID` ignore them.
        attributes: `class_` is class, `aria_label` is aria-label; None and False leave an attribute out,
            True has no value, floats have at most 2 decimals.
    """
    parts = [name]
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False:
            parts.append(f'{key}="{text(_short_number(value))}"')
    head = f"<{' '.join(parts)}>"
    return Html(head) if name in VOID else Html(f"{head}{text(children)}</{name}>")


def _short_number(value: Any) -> Any:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def table(
    caption: str, head: Sequence[Any], rows: Iterable[Sequence[Any]], *, numbers: Sequence[int] = ()
) -> Html:
    """Build a captioned table in a box that scrolls horizontally.

    Args:
        caption: also its name for screen readers.
        head: headings of the columns.
        rows: cells; the first of each row is its heading.
        numbers: indices of right-aligned columns.
    """

    def cell(name: str, column: int, value: Any) -> Html:
        scope = "row" if name == "th" else None
        return tag(name, value, scope=scope, class_="number" if column in numbers else None)

    body = [tag("tr", [cell("td" if i else "th", i, value) for i, value in enumerate(row)]) for row in rows]
    heads = [
        tag("th", value, scope="col", class_="number" if i in numbers else None)
        for i, value in enumerate(head)
    ]
    element = tag(
        "table", tag("caption", tag("span", caption)), tag("thead", tag("tr", heads)), tag("tbody", body)
    )
    return tag("div", element, class_="scroll", tabindex=0, role="region", aria_label=caption)


def details(summary: Any, *children: Any, open_: bool = False) -> Html:
    """Build an element that unfolds.

    Args:
        summary: what is visible when it is folded.
        children: the rest.
        open_: whether it is unfolded at first.
    """
    return tag("details", tag("summary", summary), children, open=open_ or None)


def section(name: str, title: str, *children: Any) -> Html:
    """Build a section with a heading of level 2.

    Args:
        name: its id, for links of the page.
        title: the heading, which also names the section for screen readers.
        children: content.
    """
    return tag(
        "section", tag("h2", title, id=f"{name}-title"), children, id=name, aria_labelledby=f"{name}-title"
    )


# ---- numbers, as a reader wants them ---------------------------------------------------------------


def count(value: float | None) -> str:
    """Format a number as an integer with thousands separators.

    Returns:
        "" for None.
    """
    return "" if value is None else f"{value:,.0f}"


def plural(value: int, noun: str, nouns: str = "") -> str:
    """Format a number with its noun in the singular or plural.

    Args:
        value: the number.
        noun: singular.
        nouns: plural; "" adds an s.
    """
    return f"{value:,} {noun if value == 1 else nouns or noun + 's'}"


def share(part: float, whole: float) -> str:
    """Format a percentage with one decimal that never rounds to 0 or 100 unless it is.

    Args:
        part: numerator.
        whole: denominator.

    Returns:
        such as `12.3 %`, `< 0.1 %` or `> 99.9 %`; "" if `whole` is 0.
    """
    if not whole:
        return ""
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if 99.9 < percent < 100 else f"{percent:.1f} %"


def decimal(value: float | None, digits: int = 3) -> str:
    """Format a number with a fixed number of decimals and a true minus sign.

    Returns:
        "" for None; no minus sign before a rounded zero.
    """
    if value is None:
        return ""
    words = f"{value:.{digits}f}"
    return words.replace("-", MINUS if float(words) else "")  # no minus before a zero


def signed(value: float) -> str:
    """Format a difference with its sign and 3 decimals.

    Returns:
        such as +0.012; zero has a plus sign.
    """
    return f"{MINUS if value < 0 else '+'}{abs(value):.3f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval in the form that terminal, tables and pages share: [0.457, 0.640].

    Returns:
        "" if a bound is None.
    """
    return "" if low is None or high is None else f"[{decimal(low)}, {decimal(high)}]"


def p_value(value: float | None) -> str:
    """Format a p value with its relation: `= 0.41`, `= 0.012` or `< 0.001`.

    Returns:
        "not computed" for None.
    """
    if value is None:
        return "not computed"
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.1 else f"= {value:.2f}"


def significant(value: Any) -> str:
    """Format a number of a log or a setting with 4 significant digits.

    Returns:
        whole numbers with thousands separators instead; other values as their string.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{value:,.0f}"
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def plain(value: Any) -> str:
    """Format a setting or a summary on one line.

    Args:
        value: mappings, lists and tuples are joined with commas, recursively.

    Returns:
        yes, no or none for booleans and empty values; the last two parts of an absolute path.
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value))
    if isinstance(value, str) and value.startswith(("/", "~")):
        return "/".join(Path(value).parts[-2:]).lstrip("/")
    if value is None or value == "":
        return "none"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else significant(value)


def excerpt(value: str, length: int) -> str:
    """Shorten a text, between words if a space is in the last third.

    Args:
        value: text.
        length: maximum number of characters, with the ellipsis.
    """
    if len(value) <= length:
        return value
    cut = value[:length]
    space = cut.rfind(" ")
    return cut[: space if space > 2 * length // 3 else length - 1].rstrip() + "\u2026"
