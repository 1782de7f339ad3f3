"""Elements of an XML file, one at a time, with the line each ends at; memory holds one element."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from medxiaohe import io
from medxiaohe.errors import DataError


def elements(path: Path, tags: Collection[str]) -> Iterator[tuple[int, Element]]:
    """Parse an XML file incrementally, one element at a time.

    Args:
        path: of the file, plain or compressed.
        tags: names of the elements, with namespace; an element inside another of them is not yielded.

    Yields:
        (number of the line that the element ends in, element); each is cleared when the next one is asked for

    Raises:
        DataError: the file is not XML, is truncated, or has none of these elements.
    """
    # the stubs do not know that events come in pairs
    parser: Any = XMLPullParser(("start", "end"))
    open_tags, any_element = list[str](), False
    top: Element | None = None
    number = 0

    def ended() -> Iterator[Element]:
        """Elements that are complete with the lines fed so far.

        Yields:
            outermost elements of `tags`; then the open tree is cleared
        """
        nonlocal top
        for event, element in parser.read_events():
            if event == "start":
                top = element if top is None else top
                open_tags.append(element.tag)
            else:
                open_tags.pop()
                if element.tag in tags and not any(tag in tags for tag in open_tags):
                    yield element
                    assert top is not None
                    top.clear()  # what was yielded is not needed again

    try:
        for number, line in io.lines(path):
            parser.feed(line + "\n")
            for element in ended():
                any_element = True
                yield number, element
        parser.close()
        for element in ended():
            any_element = True
            yield number, element
    except ParseError as error:
        reason = str(error).partition(":")[0]
        raise DataError(f"{path}:{error.position[0] or number}: not XML, or truncated: {reason}") from error
    if not any_element:
        raise DataError(
            f"{path}: no {' or '.join(sorted(tag.rpartition('}')[2] for tag in tags))} in this XML file"
        )


def text(element: Element | None) -> str:
    """Text of an element and its descendants, with white space collapsed.

    Returns:
        one line; "" for None
    """
    return "" if element is None else " ".join("".join(element.itertext()).split())
