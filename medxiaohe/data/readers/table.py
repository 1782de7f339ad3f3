"""Any table: .csv, .tsv, .jsonl, .json or .parquet rows become documents or questions by naming columns.

    {reader: table, path: cases.csv, options: {columns: {question: "{vignette} What is it?", answer: answer,
    id: case_id}}}

data/formats/columns.py says what `columns` may hold. Where it is left out, the usual names are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import files
from medxiaohe.data.formats.records import ENDINGS, Record, at, records
from medxiaohe.data.formats.rows import RowOptions, sample_of
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.types import Sample

EXAMPLE = {
    "cards.csv": (
        "id,question,answer,patient_id\n1,Which valve lies between the left chambers?,The mitral valve.,p1\n"
    ),
    "notes.tsv": "id\ttext\nn1\tNo effusion is seen.\n",
}


def table(
    path: Path,
    *,
    columns: Mapping[str, Any] | None = None,
    rows: str = "",
    explode: str = "",
    files_named: str = "*",
    images: str = "",
    delimiter: str = "",
    encoding: str = "utf-8",
    meta: Sequence[str] = (),
    first_index: int = 0,
    split: str = "",
    license: str = "not stated",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read rows of a table as documents or questions.

    Args:
        path: a .csv, .tsv, .jsonl, .json or .parquet file, or a folder of them.
        columns: which column is what (data/formats/columns.py); left out: usual names.
        rows: key of the rows in a .json file.
        explode: a column with a list; each entry becomes a row, named `item`.
        files_named: which files of a folder, such as "train*.csv".
        images: folder of the images, from the file's folder.
        delimiter: between the columns of a text table; "": found from its first rows.
        encoding: of a text file, such as utf-8 or gb18030.
        meta: columns to keep in `Sample.meta`.
        first_index: what a numeric answer counts from, 0 or 1.
        split: of rows that state none.
        license: of rows that state none.
        allow_outside: folders beside the data's own from which rows may name images.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    options = RowOptions(columns, images, "table", first_index, split, license, meta, allow_outside)
    paths = [file for file in files.files(path, *ENDINGS) if file.match(files_named) or not path.is_dir()]
    if not paths:
        raise DataError(f"no file {files_named} in {path}")
    within = options.confined(path)

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        """Read the rows of one file.

        Yields:
            A Sample for each row or entry of `explode`, or why there is none.
        """
        for record in records(file, rows, delimiter=delimiter, encoding=encoding):
            if isinstance(record, DeadLetter):
                yield record
                continue
            for exploded in _exploded(record, explode):
                yield sample_of(exploded, file.parent, options, within)

    yield from files.each(paths, read, path)


def _exploded(record: Record, explode: str) -> Iterator[Record]:
    if not explode:
        yield record
        return
    try:
        items = at(record.row, explode)
    except Rejected:
        items = []
    for number, item in enumerate(items if isinstance(items, list) else [], start=1):
        yield replace(record, where=f"{record.where}.{number}", row={**record.row, "item": item})
