"""Alpaca: `instruction`, `input`, `output`, .jsonl or .json, with `system` and `history` of [question,
answer] where given.

The rows are read as those of chat_jsonl; a row in another layout is a bad row here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from medxiaohe.data.formats.rows import RowOptions
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.chat_jsonl import BadRows, rows_of
from medxiaohe.types import Sample

ROW = """{"instruction": "Name the valve between the left chambers.", "input": "", "output": "The mitral valve."}"""  # noqa: E501
EXAMPLE = {"alpaca.json": f"[{ROW}]"}


def alpaca(
    path: Path,
    *,
    images: str = "",
    encoding: str = "utf-8",
    meta: Sequence[str] = (),
    bad_rows: BadRows = "skip",
    split: str = "",
    license: str = "not stated",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read Alpaca rows.

    Args:
        path: a .jsonl or .json file, or a folder of them.
        images: folder of the images, from the file's folder.
        encoding: of a text file, such as utf-8 or gb18030.
        meta: columns to keep in `Sample.meta`.
        bad_rows: stop at the first bad row, or skip and list it.
        split: of rows that state none.
        license: of rows that state none.
        allow_outside: folders beside the data's own from which rows may name images.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    options = RowOptions(None, images, "alpaca", 0, split, license, meta, allow_outside)
    yield from rows_of(path, options, bad_rows, encoding)
