"""A data set that `datasets` wrote with save_to_disk: a Dataset, or a DatasetDict with its splits.

    {reader: save_to_disk, path: saved, options: {columns: {question: query, answer: reply}}}

The rows are read from the .arrow files themselves, without `datasets`; rows are understood as those of
chat_jsonl. Class labels are their names. The split is the folder's, where the data set has splits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import chat, files
from medxiaohe.data.formats.records import ARROW_MIB, Record
from medxiaohe.data.formats.rows import RowOptions, sample_of
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError
from medxiaohe.types import Sample

MAX_STATE = 2**22  # bytes of dataset_dict.json, state.json and dataset_info.json


def arrow(*rows: Mapping[str, Any]) -> Callable[[], bytes]:
    """Return a function that writes rows as an Arrow IPC stream, as save_to_disk does, for tests and EXAMPLE.

    Args:
        *rows: column -> value.

    Returns:
        A function that returns the bytes of the file; it imports pyarrow when it is called.
    """

    def written() -> bytes:
        import pyarrow

        table, out = pyarrow.Table.from_pylist(list(rows)), pyarrow.BufferOutputStream()
        with pyarrow.ipc.new_stream(out, table.schema) as writer:
            writer.write_table(table)
        return bytes(out.getvalue().to_pybytes())

    return written


EXAMPLE = {
    "dataset_dict.json": '{"splits": ["train"]}',
    "train/dataset_info.json": '{"license": "cc0-1.0"}',
    "train/state.json": '{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}',
    "train/data-00000-of-00001.arrow": arrow(
        {"question": "Which valve lies between the left chambers?", "answer": "The mitral valve."}
    ),
}


def save_to_disk(
    path: Path,
    *,
    columns: Mapping[str, Any] | None = None,
    images: str = "",
    meta: Sequence[str] = (),
    first_index: int = 0,
    split: str = "",
    license: str = "",
    allow_outside: Sequence[str] = (),
) -> Iterator[Sample | DeadLetter]:
    """Read a data set that `datasets` saved.

    Args:
        path: the folder that save_to_disk wrote.
        columns: which column is what (data/formats/columns.py); left out: usual names.
        images: folder of the images, from the file's folder.
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
    if not path.is_dir():
        raise DataError(f"{path} is not a folder: give the one that save_to_disk wrote")
    saved = _splits(path)
    for name, folder in saved:
        stated = license or _license(folder)
        options = RowOptions(columns, images, "", first_index, split or name, stated, meta, allow_outside)
        within = options.confined(path)

        def read(
            file: Path, options: RowOptions = options, within: Any = within, folder_name: str = folder.name
        ) -> Iterator[Sample | DeadLetter]:
            """Decode one .arrow file in the sandbox.

            Yields:
                A Sample for each row, or why there is none.
            """
            rows = decode(
                "medxiaohe.data.formats.decode_parquet:arrow_rows", file, memory_mib=ARROW_MIB, seconds=30.0
            )
            for number, row in enumerate(rows, start=1):
                location = f"{folder_name}/{file.stem}:{number}"
                yield sample_of(Record(location, row), path, options, within)

        yield from files.each(_data_files(folder), read, path)


def is_saved(path: Path) -> bool:
    """Check whether a folder was written by save_to_disk.

    Returns:
        True if it has dataset_dict.json, or both state.json and dataset_info.json.
    """
    return (path / "dataset_dict.json").is_file() or (
        (path / "state.json").is_file() and (path / "dataset_info.json").is_file()
    )


def _splits(path: Path) -> list[tuple[str, Path]]:
    """List the splits of the data set with their folders; the name is "" for a Dataset, which has none, and
    for splits of other names than train, validation and test."""
    if not is_saved(path):
        raise DataError(f"{path} has no dataset_dict.json or state.json: it was not written by save_to_disk")
    if not (path / "dataset_dict.json").is_file():
        return [("", path)]
    names = _json(path / "dataset_dict.json").get("splits", [])
    folders = list[tuple[str, Path]]()
    for name in names if isinstance(names, list) else []:
        if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
            raise DataError(f"{path / 'dataset_dict.json'}: {str(name)[:60]!r} is not the name of a folder")
        folders.append((name if name.lower() in chat.SPLIT_NAMES else "", path / name))
    if not folders:
        raise DataError(f"{path / 'dataset_dict.json'}: no splits")
    return folders


def _data_files(folder: Path) -> list[Path]:
    """List the .arrow files in the order of state.json."""
    state = _json(folder / "state.json").get("_data_files", [])
    names = (
        [entry.get("filename") for entry in state if isinstance(entry, Mapping)]
        if isinstance(state, list)
        else []
    )
    return [files.inside(str(name), folder) for name in names] or files.files(folder, ".arrow")


def _license(folder: Path) -> str:
    stated = _json(folder / "dataset_info.json").get("license", "")
    return stated if isinstance(stated, str) else ""


def _json(file: Path) -> dict[str, Any]:
    """Read a small JSON object; {} if the file does not exist."""
    if not file.is_file():
        return {}
    try:
        value = json.loads(files.content(file, MAX_STATE))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON: {str(error)[:100]}") from error
    return value if isinstance(value, dict) else {}
