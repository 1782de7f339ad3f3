"""Your own data: .jsonl or .json rows in any layout of data/formats/rows.py, images as paths beside the file,
never outside its folder.

OpenAI content parts, ShareGPT, LLaVA, Alpaca, TRL's prompt and completion, questions with answers and plain
documents are told apart row by row. A bad row stops the reading with its line number; `bad_rows: skip` lists
it in dead.jsonl instead. A row that no file can hold (NaN, half of a surrogate pair) is always listed, and so
is one that names a file outside of the folder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io
from medxiaohe.data.formats import files
from medxiaohe.data.formats.records import records
from medxiaohe.data.formats.rows import RowOptions, samples
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
    path: Path,
    *,
    columns: Mapping[str, Any] | None = None,
    images: str = "",
    encoding: str = "utf-8",
    meta: Sequence[str] = (),
    bad_rows: BadRows = "stop",
    split: str = "",
    license: str = "",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read rows in any chat layout, told apart row by row.

    Args:
        path: a .jsonl or .json file, or a folder of them.
        columns: which column is what (data/formats/columns.py); left out: usual names.
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
    options = RowOptions(columns, images, "", 0, split, license, meta, allow_outside)
    yield from rows_of(path, options, bad_rows, encoding)


def rows_of(
    path: Path, options: RowOptions, bad_rows: BadRows, encoding: str = "utf-8"
) -> Iterator[Sample | DeadLetter]:
    """Read every row of a .jsonl or .json file, or of the files of a folder.

    Args:
        path: a file or folder; of a folder, .json files are read only if `options.layout` is set.
        options: how rows become samples.
        bad_rows: `stop`: raise at the first bad row; `skip`: list it. Rows whose code is in ALWAYS_LISTED are
            listed in both cases.
        encoding: of the text, such as utf-8 or gb18030.

    Yields:
        One Sample a row; a DeadLetter for each row or file that cannot be used.

    Raises:
        DataError: there is no such file, or a row or file is bad and `bad_rows` is `stop`.
    """
    within = options.confined(path)
    paths = files.files(path, *APART) if not options.layout else files.files(path, ".jsonl", ".json")
    for file in paths:
        try:
            yield from _file(file, options, bad_rows, encoding, within)
        except Rejected as error:  # the file as a whole
            if bad_rows == "stop":
                raise
            yield DeadLetter(file.name, str(error), error.code, files.digest_of(file), error.offset or 0)


def _file(
    file: Path, options: RowOptions, bad_rows: BadRows, encoding: str, within: io.Confined
) -> Iterator[Sample | DeadLetter]:
    for row in samples(records(file, otherwise=".jsonl", encoding=encoding), file.parent, options, within):
        if isinstance(row, DeadLetter) and bad_rows == "stop" and row.code not in ALWAYS_LISTED:
            line = "" if row.code == "truncated" else f":{row.where.rpartition(':')[2]}"
            raise DataError(f"{file}{line}: {row.reason}")
        yield row
