"""Elements of an XML file, one at a time, with the line each ends at; memory holds one element."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from medxiaohe import io
from medxiaohe.errors import DataError


def elements(path: Path, wanted: Collection[str]) -> Iterator[tuple[int, Element]]:
    """The outermost elements with one of the names `wanted`, in the order of the file."""
    # the stubs do not know that events come in pairs
    parser: Any = XMLPullParser(("start", "end"))
    open_tags, found = list[str](), False
    top: Element | None = None
    number = 0

    def ended() -> Iterator[Element]:
        nonlocal top
        for event, element in parser.read_events():
            if event == "start":
                top = element if top is None else top
                open_tags.append(element.tag)
            else:
                open_tags.pop()
                if element.tag in wanted and not any(tag in wanted for tag in open_tags):
                    yield element
                    assert top is not None
                    top.clear()  # what was yielded is not needed again

    try:
        for number, line in io.lines(path):
            parser.feed(line + "\n")
            for element in ended():
                found = True
                yield number, element
        parser.close()
        for element in ended():
            found = True
            yield number, element
    except ParseError as error:
        what = str(error).partition(":")[0]
        raise DataError(f"{path}:{error.position[0] or number}: not XML, or truncated: {what}") from error
    if not found:
        raise DataError(
            f"{path}: no {' or '.join(sorted(tag.rpartition('}')[2] for tag in wanted))} in this XML file"
        )


def text(element: Element | None) -> str:
    """The words of an element and everything in it, in one line; "" for None."""
    return "" if element is None else " ".join("".join(element.itertext()).split())
