"""LLaVA: `image` (a path beside the file, or a list) and `conversations` whose text says <image> where it
stands, .jsonl or .json.

The rows are read as those of chat_jsonl; a row in another layout is a bad row here.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.chat_jsonl import BadRows, rows_of
from medxiaohe.types import Sample

ROW = """{"id": "1", "image": "a.png", "conversations": [
 {"from": "human", "value": "<image>\\nIs there an effusion?"}, {"from": "gpt", "value": "No."}]}"""
EXAMPLE = {"llava.json": f"[{ROW}]"}


def llava(
    path: Path,
    *,
    bad_rows: BadRows = "skip",
    license: str = "not stated",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    yield from rows_of(path, "llava", bad_rows, license, allow_outside)
