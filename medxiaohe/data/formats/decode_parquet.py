"""Decode the rows of a Parquet file, in the child process of data/formats/sandbox.py; bytes, such as
pictures, become data: URIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.readers import Rejected
from medxiaohe.io.packed import RATIO
from medxiaohe.plugins import need

FLOOR = 64 * 2**20  # bytes that any file may unpack to
BATCH_ROWS, BATCH_VALUES = 64, 2**21  # of a batch in memory, whichever is less
FEW_VALUES = 2**23  # of the entries of lists; beyond these a file has at most RATIO a byte
SMALL_ROWS = 100_000  # beyond these a file needs a byte for each row
MAX_GROUP_ROWS, MAX_GROUP_BYTES = 2**21, 2**29  # writers make groups of 2**20 rows, or of 128 MiB


def prepare() -> None:
    """Import the decoder before the memory of the child process is limited.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    need("pyarrow", why="Parquet")
    import pyarrow.parquet  # noqa: F401


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Decode the rows of a Parquet file, a batch in memory at a time.

    Args:
        path: the file.

    Yields:
        Column -> value of a JSON type; bytes as data: URIs, class labels by name.

    Raises:
        Rejected: bomb for more rows than bytes, or pages that unpack to far more than the file; too_large
            for a row group that does not fit.
    """
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path, memory_map=True, pre_buffer=False) as file:
        _affordable(file.metadata, path.stat().st_size)
        names = class_names(file.schema_arrow.metadata)
        for batch in file.iter_batches(batch_size=_batch(file.metadata), use_threads=False):
            for row in batch.to_pylist():
                yield {key: _named(_plain(value), names.get(key)) for key, value in row.items()}


def arrow_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Decode the rows of an Arrow stream, as `datasets` caches and saves data sets, a batch in memory at a
    time.

    Args:
        path: the file.

    Yields:
        As of `rows`.

    Raises:
        Rejected: truncated for a file that is no Arrow stream, or breaks off.
    """
    import pyarrow

    try:
        with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as stream:
            names = class_names(stream.schema.metadata)
            for batch in stream:
                batch.validate(full=True)
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    for row in batch.slice(start, BATCH_ROWS).to_pylist():
                        yield {key: _named(_plain(value), names.get(key)) for key, value in row.items()}
    except pyarrow.ArrowException as error:
        raise Rejected("truncated", f"not an Arrow stream, or cut: {str(error)[:160]}") from error


def class_names(metadata: dict[bytes, bytes] | None) -> dict[str, list[str]]:
    """Read the names of class labels from the features that `datasets` writes into a schema
    (datasets.Features.arrow_schema, key "huggingface").

    Args:
        metadata: of an Arrow schema.

    Returns:
        Column -> names of its classes in the order of their numbers; empty for metadata of another
        writer, or damaged.
    """
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {
            str(column): [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}  # metadata of another writer, or damaged: numbers stay numbers


def _named(value: Any, names: list[str] | None) -> Any:
    """Replace a class label by its name."""
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return value


def _affordable(metadata: Any, size: int) -> None:
    """Refuse a file whose footer states more rows or unpacked bytes than its size explains."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    if metadata.num_rows > max(SMALL_ROWS, size):
        raise Rejected("bomb", f"{metadata.num_rows:,} rows in {size:,} bytes")
    if (unpacked := sum(group.total_byte_size for group in groups)) > max(FLOOR, RATIO * size):
        raise Rejected("bomb", f"unpacks to {unpacked >> 20} MiB, more than {RATIO} times its size")
    if (values := max((sum(_entries(groups, i)) for i in range(metadata.num_columns)), default=0)) > max(
        FEW_VALUES, RATIO * size
    ):
        raise Rejected("bomb", f"a column of {values:,} values in {size:,} bytes")
    for number, group in enumerate(groups):
        if group.num_rows > MAX_GROUP_ROWS or group.total_byte_size > MAX_GROUP_BYTES:
            raise Rejected(
                "too_large",
                f"row group {number} has {group.num_rows:,} rows and {group.total_byte_size >> 20} MiB, at"
                f" most {MAX_GROUP_ROWS:,} and {MAX_GROUP_BYTES >> 20} are read: write smaller row groups",
            )


def _entries(groups: list[Any], column: int) -> list[int]:
    """Count the values of a column in each row group; each entry of a list counts."""
    return [int(group.column(column).num_values) for group in groups]


def _batch(metadata: Any) -> int:
    """Compute the number of rows that are decoded at once: fewer where rows have long lists."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    most = max((max(_entries(groups, i), default=0) for i in range(metadata.num_columns)), default=0)
    rows = max((group.num_rows for group in groups), default=1)
    return max(1, min(BATCH_ROWS, BATCH_VALUES * rows // max(1, most)))


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
