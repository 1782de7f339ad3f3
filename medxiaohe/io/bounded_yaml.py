"""Parse YAML within limits: a file of a few kilobytes can stand for a billion values.

Aliases share a value, and a program that walks it meets it once for each alias; merges (`<<`) copy; numbers
of base 60 (`1:2:3`) and very long ones take time that grows with the square of their length. All are counted
before a value is made (YAML 1.1, sections 3.2.2 and 10.2; the type repository for `<<`, int and float).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medxiaohe.io.confine import open_regular

MAX_BYTES = 2**18  # of a file; recipes and tasks have 1 to 10 KiB
MAX_EXPLAINED = 2**14
MAX_NODES = 20_000  # values, those behind an alias counted at each of its places
MAX_DEPTH = 50
MAX_NUMBER = 100  # characters


Constructors = Mapping[str, Callable[[Any, Any], Any]]


def read(path: Path, *, unique_keys: bool = False, constructors: Constructors | None = None) -> Any:
    """Parse a YAML file within limits.

    Args:
        path: a regular file of UTF-8, at most MAX_BYTES.
        unique_keys: as in `load`.
        constructors: as in `load`.

    Returns:
        The value; None for an empty document.

    Raises:
        yaml.YAMLError: as `load`.
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
        Rejected: it is a device, a FIFO or a socket.
    """
    with open_regular(path) as file:
        text = file.read(MAX_BYTES + 1).decode("utf-8")
    return load(text, unique_keys=unique_keys, constructors=constructors)


def load(text: str, *, unique_keys: bool = False, constructors: Constructors | None = None) -> Any:
    """Parse a YAML document within limits.

    Args:
        text: the document.
        unique_keys: refuse a key that appears twice, because one of the two would be lost.
        constructors: tag, such as "!function" -> what makes the value from the loader and a node that has it;
            any other tag is refused.

    Returns:
        The value, of plain types and those of `constructors`; None for an empty document.

    Raises:
        yaml.YAMLError: not YAML, or past a limit; the message names the line where it is known.
    """
    import yaml

    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise yaml.YAMLError(f"longer than {MAX_BYTES >> 10} KiB")
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times faster
    try:
        _count_events(text, base)
    except yaml.MarkedYAMLError:
        if len(text) <= MAX_EXPLAINED:
            _count_events(text, yaml.SafeLoader)  # fails as well, and its words say where more clearly
        raise

    class Loader(base):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            """Make a mapping, after the check for repeated keys.

            Returns:
                The mapping.
            """
            if unique_keys:
                _no_key_twice(node)
            return dict(super().construct_mapping(node, deep))

        def construct_object(self, node: Any, deep: bool = False) -> Any:
            """Make the value of a node, unless it is a very long number.

            Returns:
                The value.
            """
            number = node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
            if number and isinstance(node.value, str) and len(node.value) > MAX_NUMBER:
                raise yaml.constructor.ConstructorError(
                    None, None, f"a number of {len(node.value):,} characters", node.start_mark
                )
            return super().construct_object(node, deep)

    for tag, make in (constructors or {}).items():
        Loader.add_constructor(tag, make)
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _weight(node, {}) > MAX_NODES:
            raise yaml.YAMLError(
                f"more than {MAX_NODES:,} values, those behind aliases counted at each place"
            )
        return loader.construct_document(node)
    except (RecursionError, ValueError, OverflowError, AttributeError) as error:
        # a date such as 2024-99-99, a number that Python does not make, a key that cannot be one
        raise yaml.YAMLError(f"not a value: {error}") from error
    finally:
        loader.dispose()


def _count_events(text: str, loader: Any) -> None:
    """Limit depth and number of the nodes of the text, before any of it is kept."""
    import yaml

    depth = number = 0
    for event in yaml.parse(text, Loader=loader):
        number += isinstance(event, (yaml.NodeEvent, yaml.CollectionStartEvent))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or number > MAX_NODES:
            limit = f"depth {MAX_DEPTH}" if depth > MAX_DEPTH else f"{MAX_NODES:,} values"
            location = f" at line {event.start_mark.line + 1}" if event.start_mark else ""
            raise yaml.YAMLError(f"more than {limit}{location}")


def _weight(node: Any, weights: dict[int, float]) -> float:
    """Count the values of a node, those behind aliases each time; a node that contains itself is infinite."""
    if id(node) not in weights:
        weights[id(node)] = float("inf")  # until its own is known: it may hold itself
        value = node.value if isinstance(node.value, list) else []
        inner = (child for item in value for child in (item if isinstance(item, tuple) else (item,)))
        weights[id(node)] = 1 + sum(_weight(child, weights) for child in inner)
    return weights[id(node)]


def _no_key_twice(node: Any) -> None:
    import yaml

    seen = set[str]()
    for key, _ in node.value:
        if str(key.value) in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key.value!r} appears twice", key.start_mark
            )
        seen.add(str(key.value))
