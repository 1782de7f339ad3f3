"""Rows of a Parquet file, decoded in the child process of data/formats/sandbox.py; bytes, such as pictures,
become data: URIs."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.plugins import need


def prepare() -> None:
    need("pyarrow", why="Parquet")
    import pyarrow.parquet  # noqa: F401


def rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=64):
            for row in batch.to_pylist():
                yield {key: _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "data:;base64," + base64.b64encode(value).decode()
    if isinstance(value, dict):
        if isinstance(value.get("bytes"), bytes):  # a picture as `datasets` stores it
            return _plain(value["bytes"])
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
