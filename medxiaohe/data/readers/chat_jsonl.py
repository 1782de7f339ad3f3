"""Your own data: .jsonl or .json rows in any chat layout of data/formats/chat.py, images as paths beside the
file, never outside its folder.

OpenAI content parts, ShareGPT, LLaVA, Alpaca and plain documents are told apart row by row. A bad row stops
the reading with its line number; `bad_rows: skip` lists it in dead.jsonl instead. A row that no file can hold
(NaN, half of a surrogate pair) is always listed, and so is one that names a file outside of the folder.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from medxiaohe import io
from medxiaohe.data.formats import chat, files
from medxiaohe.data.formats.records import Record, records
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.types import Sample

APART = (".jsonl",)  # no file of a folder says anything about another
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
BadRows = Literal["stop", "skip"]
ALWAYS_LISTED = ("not_finite", "surrogate", "unsafe_path")


def chat_jsonl(
    path: Path, *, bad_rows: BadRows = "stop", license: str = "", allow_outside: Sequence[str] = ()
) -> Iterator[Sample | DeadLetter]:
    """`allow_outside`: folders beside the data's own from which rows may name images."""
    yield from rows_of(path, "", bad_rows, license, allow_outside)


def rows_of(
    path: Path, layout: str, bad_rows: BadRows, license: str, allow_outside: Sequence[str]
) -> Iterator[Sample | DeadLetter]:
    """Samples of every row; `layout` is the only one allowed, "" allows all."""
    within = io.confined(path, allow_outside)
    for file in files.files(path, *APART) if not layout else files.files(path, ".jsonl", ".json"):
        try:
            yield from _file(file, layout, bad_rows, license, within)
        except Rejected as error:  # the file as a whole
            if bad_rows == "stop":
                raise
            yield DeadLetter(file.name, str(error), error.code, files.digest_of(file), error.offset or 0)


def _file(
    file: Path, layout: str, bad_rows: BadRows, license: str, within: io.Confined
) -> Iterator[Sample | DeadLetter]:
    for record in records(file, otherwise=".jsonl"):
        found: Sample | DeadLetter = (
            record if isinstance(record, DeadLetter) else _sample(record, file, layout, license, within)
        )
        if isinstance(found, DeadLetter) and bad_rows == "stop" and found.code not in ALWAYS_LISTED:
            line = "" if found.code == "truncated" else f":{found.where.rpartition(':')[2]}"
            raise DataError(f"{file}{line}: {found.reason}")
        yield found


def _sample(
    record: Record, file: Path, layout: str, license: str, within: io.Confined
) -> Sample | DeadLetter:
    try:
        if layout and chat.LAYOUTS[layout] not in record.row:
            found = chat.layout(record.row)
            raise Rejected(
                "row",
                f"no `{chat.LAYOUTS[layout]}`" + (f": the row is in the layout of {found}" if found else ""),
            )
        row = record.row if record.row.get("license") or not license else {**record.row, "license": license}
        return chat.sample(row, file.parent, record.where, within)
    except DataError as error:
        return files.rejected(record.where, error, record.raw, record.offset)
