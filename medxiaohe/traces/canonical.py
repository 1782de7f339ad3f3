"""Serialise JSON canonically (RFC 8785, JCS): equal values have equal bytes, so that a digest of a value
is meaningful.

Numbers are integers that a double holds exactly. Floats are refused: two programs print them in two ways.
`packed` writes them as decimal text, which `unpacked` reads back without loss.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from medxiaohe.errors import DataError

MAX_DEPTH = 64  # levels; deeper JSON could exhaust the stack of a verifier
MAX_INTEGER = 2**53 - 1  # RFC 8785, section 3.2.2.3 and appendix D
# characters whose order differs between UTF-16 code units and code points
_RARE = re.compile("[\ud800-\U0010ffff]")
_TAGS = {"$float", "$int", "$object"}


def dumps(value: Any) -> bytes:
    """Serialise JSON data canonically (RFC 8785): sorted keys, no blanks, UTF-8.

    Args:
        value: of str, int, bool, None, list, tuple and Mapping with text keys.

    Returns:
        bytes; equal data give equal bytes.

    Raises:
        DataError: a float, an integer above 2**53 - 1, half of a surrogate pair, nested deeper than 64, or
            what JSON cannot hold.
    """
    rare = _check(value, 0)
    # keys are sorted by UTF-16 code units; for keys below U+D800 that is the order of code points
    ordered = _sorted(value) if rare else value
    try:
        text = json.dumps(ordered, ensure_ascii=False, sort_keys=not rare, separators=(",", ":"))
        return text.encode()
    except UnicodeEncodeError as error:
        raise DataError("the text holds half of a surrogate pair, which no UTF-8 file can") from error


def loads(data: bytes) -> Any:
    """Parse canonical JSON; anything that `dumps` would not have written is refused.

    Args:
        data: UTF-8 bytes.

    Returns:
        the value.

    Raises:
        DataError: not JSON, not canonical, a key twice, or what `dumps` refuses.
    """
    value, again = parse(data)
    if again(value) != data:
        raise DataError("not canonical JSON (RFC 8785): sorted keys, each once, without blanks between")
    return value


def parse(data: bytes) -> tuple[Any, Callable[[Any], bytes]]:
    """Parse JSON that may not be canonical.

    Args:
        data: UTF-8 bytes.

    Returns:
        (value, function that serialises it or a part of it canonically). The caller compares that with
        `data`, which detects keys out of order and duplicate keys.

    Raises:
        DataError: not JSON, or what `dumps` refuses.
    """
    try:
        text = data.decode()
        value = json.loads(text, parse_float=_refused, parse_constant=_refused, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, DataError) else DataError(f"not JSON: {error}") from error
    _shallow(value, 0)
    rare = "\\u" in text or _RARE.search(text) is not None
    return value, dumps if rare else _written


def _written(value: Any) -> bytes:
    """Canonical bytes of what `parse` has read and checked, where no key needs another order."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _shallow(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise DataError(f"nested deeper than {MAX_DEPTH}")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(item, (dict, list)):
            _shallow(item, depth + 1)


def _integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > MAX_INTEGER:
        raise DataError(f"the integer {text[:30]} is above 2**53 - 1: write it as text")
    return number


def packed(value: Any) -> Any:
    """Encode floats and large integers as tagged text, which canonical JSON can hold; `unpacked` is the
    inverse.

    Args:
        value: JSON data.

    Returns:
        {"$float": text} for a float, {"$int": text} for an integer above 2**53 - 1; an object that looks
        like a tag is wrapped as {"$object": ...}.

    Raises:
        DataError: NaN or infinity.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DataError(f"{value} is not a finite number, so it cannot be recorded")
        return {"$float": repr(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_INTEGER:
        return {"$int": str(value)}
    if isinstance(value, Mapping):
        row = {str(key): packed(item) for key, item in value.items()}
        return {"$object": row} if len(row) == 1 and not _TAGS.isdisjoint(row) else row
    if isinstance(value, (list, tuple)):
        return [packed(item) for item in value]
    return value


def unpacked(value: Any) -> Any:
    """Invert `packed`.

    Args:
        value: what `packed` returned.

    Returns:
        JSON with floats and large integers

    Raises:
        DataError: a packed number is not a number.
    """
    if isinstance(value, dict):
        if len(value) == 1 and not _TAGS.isdisjoint(value):
            ((tag, item),) = value.items()
            if tag == "$object" and isinstance(item, dict):
                return {key: unpacked(inner) for key, inner in item.items()}
            try:
                return float(item) if tag == "$float" else int(item)
            except (TypeError, ValueError) as error:
                raise DataError(f"{str(item)[:40]!r} is no number") from error
        return {key: unpacked(item) for key, item in value.items()}
    return [unpacked(item) for item in value] if isinstance(value, list) else value


def _check(value: Any, depth: int) -> bool:
    """Refuse what has no canonical form; whether a key must be sorted by UTF-16 code units."""
    if depth > MAX_DEPTH:
        raise DataError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return False
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise DataError(f"the integer {str(value)[:30]} is above 2**53 - 1: write it as text")
        return False
    if isinstance(value, (list, tuple)):
        return any([_check(item, depth + 1) for item in value])
    if isinstance(value, Mapping):
        rare = False
        for key, item in value.items():
            if not isinstance(key, str):
                raise DataError(f"the key {str(key)[:40]!r} is not text")
            rare |= not key.isascii() and max(key) >= "\ud800"
            rare |= _check(item, depth + 1)
        return rare
    if isinstance(value, float):
        raise DataError(f"the number {value!r} is not an integer: write it as text (canonical.packed)")
    raise DataError(f"a {type(value).__name__} is not JSON")


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            # RFC 8785, section 3.2.3: keys in the order of their UTF-16 code units
            key: _sorted(value[key])
            for key in sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass"))
        }
    return [_sorted(item) for item in value] if isinstance(value, (list, tuple)) else value


def _refused(text: str) -> NoReturn:
    raise DataError(f"the number {text[:40]} is not an integer: floats, NaN and infinity are refused")
