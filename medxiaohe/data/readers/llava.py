"""LLaVA: `image` (a path beside the file, or a list) and `conversations` whose text says <image> where it
stands, .jsonl or .json.

The rows are read as those of chat_jsonl; a row in another layout is a bad row here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from medxiaohe.data.formats.rows import RowOptions
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.chat_jsonl import BadRows, rows_of
from medxiaohe.types import Sample

ROW = """{"id": "1", "image": "a.png", "conversations": [
 {"from": "human", "value": "<image>\\nIs there an effusion?"}, {"from": "gpt", "value": "No."}]}"""
EXAMPLE = {"llava.json": f"[{ROW}]"}


def llava(
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
    """`images`: the folder of the images, from the file's. `allow_outside`: folders beside the data's own
    from which rows may name images."""
    options = RowOptions(None, images, "llava", 0, split, license, meta, allow_outside)
    yield from rows_of(path, options, bad_rows, encoding)
