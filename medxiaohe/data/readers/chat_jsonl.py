"""Your own data: JSON lines in the Hugging Face chat layout (see data/chat.py), images as paths beside the file.

A bad row stops the reading with its line number; `bad_rows: skip` lists it in dead.jsonl instead.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from medxiaohe import io
from medxiaohe.data import chat
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError
from medxiaohe.types import Sample

EXAMPLE = {
    "mine.jsonl": json.dumps(
        {
            "id": "case-1",
            "messages": [
                {"role": "user", "content": "What is the usual cause of community-acquired lobar pneumonia?"},
                {"role": "assistant", "content": "Streptococcus pneumoniae."},
            ],
            "source": "mine",
            "license": "CC0-1.0",
            "patient_id": "p1",
        }
    )
    + "\n"
}


def chat_jsonl(path: Path, *, bad_rows: Literal["stop", "skip"] = "stop") -> Iterator[Sample | DeadLetter]:
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"no .jsonl file in {path}")
    for file in files:
        for number, line in io.lines(file):
            if not line.strip():
                continue
            where = f"{file.stem}:{number}"
            try:
                sample = chat.sample(_row(line), file.parent, where)
            except DataError as error:
                if bad_rows == "stop":
                    raise DataError(f"{file}:{number}: {error}") from error
                yield DeadLetter(where, str(error))
            else:
                yield sample


def _row(line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"a row must be a JSON object, not {type(row).__name__}")
    return row
