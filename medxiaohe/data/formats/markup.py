"""Parse XML within limits: no entities of its own, bounded nesting and size; and join the text below an
element."""

from __future__ import annotations

import re
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import files
from medxiaohe.data.readers import Rejected

MAX_XML, MAX_DEPTH, BLOCK = 64 * 2**20, 200, 2**16  # bytes of a file, levels, bytes parsed at once


def parsed(file: Path) -> xml.Element:
    """Parse an XML file within limits.

    Args:
        file: plain or compressed.

    Returns:
        The root element.

    Raises:
        Rejected: xml for what is not XML or declares entities, too_deep for more than MAX_DEPTH levels;
            else as files.content.
    """
    data = files.content(file, MAX_XML)
    if match := re.search(rb"<!ENTITY", data[: 2**20].replace(b"\0", b"")):
        raise Rejected(
            "xml", f"{file.name}: it declares entities of its own, which are not expanded", match.start()
        )
    parser: Any = xml.XMLPullParser(("start", "end"))  # the stubs do not know that events come in pairs
    depth = 0
    root: xml.Element | None = None
    try:
        for start in range(0, len(data), BLOCK):
            parser.feed(data[start : start + BLOCK])
            for event, element in parser.read_events():
                root = element if root is None else root  # type: ignore[assignment]
                depth += 1 if event == "start" else -1
                if depth > MAX_DEPTH:
                    raise Rejected("too_deep", f"{file.name}: nested deeper than {MAX_DEPTH}", start)
        parser.close()
    except xml.ParseError as error:
        line, column = error.position
        raise Rejected("xml", f"{file.name}: not XML: {error}", _byte(data, line, column)) from error
    except (ValueError, LookupError) as error:  # an encoding that does not exist, or none at all
        raise Rejected("xml", f"{file.name}: not XML: {error}", 0) from error
    if root is None:
        raise Rejected("xml", f"{file.name}: not XML: it is empty", 0)
    return root


def _byte(data: bytes, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = data.find(b"\n", start) + 1
    return min(start + column, len(data))


def text(element: xml.Element | None) -> str:
    """Join all text below an element with single spaces.

    Args:
        element: None has no text.

    Returns:
        The text.
    """
    return "" if element is None else " ".join("".join(element.itertext()).split())


def local(element: xml.Element) -> str:
    """Name an element without its namespace.

    Returns:
        The local name; "" for comments.
    """
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
