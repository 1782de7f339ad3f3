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
    """`rows`: the key of the rows in a .json file. `explode`: a column with a list; each entry is a row, and
    `item` names it. `images`: the folder of the images, from the table's. `files_named`: which files of a
    folder, such as "train*.csv". `delimiter`: between the columns of a text table; found from its first rows
    when left out. `allow_outside`: folders beside the data's own from which rows may name images.
    """
    options = RowOptions(columns, images, "table", first_index, split, license, meta, allow_outside)
    found = [file for file in files.files(path, *ENDINGS) if file.match(files_named) or not path.is_dir()]
    if not found:
        raise DataError(f"no file {files_named} in {path}")
    within = options.confined(path)

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        for record in records(file, rows, delimiter=delimiter, encoding=encoding):
            if isinstance(record, DeadLetter):
                yield record
                continue
            for one in _exploded(record, explode):
                yield sample_of(one, file.parent, options, within)

    yield from files.each(found, read, path)


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
