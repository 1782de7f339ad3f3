"""Parse parts of a JSON text with their spans, so that evidence from a table has a locator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

BETWEEN = re.compile(r"[\s,:]*")


def json_parts(text: str, key: str = "") -> Iterator[tuple[str, Any, tuple[int, int]]]:
    """Iterate over the members of an object or array of a JSON text, with their spans.

    Args:
        text: a JSON text, whose outermost value is an object or array.
        key: of the outermost object: walk through its value instead.

    Yields:
        (name, value, span): the name of a member ("" in an array), its value, and (start, end) of the value
        in code points of `text`.

    Raises:
        ValueError: not JSON, or no such key.
    """
    decoder = json.JSONDecoder()
    start = len(text) - len(text.lstrip())
    if key:
        matches = [span for name, _, span in json_parts(text) if name == key]
        if not matches:
            raise ValueError(f"no key {key!r}")
        start = matches[0][0]
    named = text[start : start + 1] == "{"
    if not named and text[start : start + 1] != "[":
        raise ValueError("neither an object nor an array")
    at = _next(text, start + 1)
    while text[at : at + 1] not in ("}", "]"):
        name = ""
        if named:
            name, at = decoder.raw_decode(text, at)
            at = _next(text, at)
        value, end = decoder.raw_decode(text, at)
        yield name, value, (at, end)
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    match = BETWEEN.match(text, at)
    assert match is not None
    return match.end()
