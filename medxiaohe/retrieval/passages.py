"""Read passages from a JSON lines file: {"id", "text", "source"} a line, and optionally "image" (a file in
the same folder), "license", "date" and "level".
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.types import Evidence, ImageRef


def read(path: Path) -> list[Evidence]:
    """Read all passages of a file, in order.

    Args:
        path: a JSON lines file.

    Returns:
        the passages

    Raises:
        DataError: a row without id or text, two rows of one id, or no row.
    """
    passages = list(rows(path))
    if not passages:
        raise DataError(f"{path} holds no passage: a retriever over nothing finds nothing")
    ids = [passage.id for passage in passages]
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise DataError(f"{path}: two passages have the id {twice!r}: give each its own")
    return passages


def rows(path: Path) -> Iterator[Evidence]:
    """Read passages one by one, without a check for duplicate ids.

    Args:
        path: a JSON lines file; images are paths beside it.

    Yields:
        one passage a row

    Raises:
        DataError: a row without id or text.
    """
    within = io.confined(path)
    for number, row in enumerate(io.read_jsonl(path), 1):
        for key in ("id", "text"):
            if not isinstance(row.get(key), str) or not row[key]:
                raise DataError(f"{path}:{number}: a passage has id, text and source; this one has no {key}")
        pictures = (ImageRef(str(within.path(str(row["image"]), path.parent))),) if row.get("image") else ()
        license, date, level = (str(row.get(key, "")) for key in ("license", "date", "level"))
        yield Evidence(
            row["id"],
            row["text"],
            str(row.get("source", "")),
            pictures,
            level=level,
            license=license,
            date=date,
        )
