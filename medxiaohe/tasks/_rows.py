"""The rows of a benchmark: a local file or folder in the layout it is published in, or a data set of the hub.

Local files are JSON lines, JSON (a list, or a mapping of rows), CSV, TSV and, with the extra `train`,
Parquet. A folder is searched as the hub lays it out: files whose names start with the split, in the folder of
the configuration or in data/.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError
from medxiaohe.models.hub import data_commit, offline
from medxiaohe.tasks._common import place
from medxiaohe.tasks._reads import note, shown

FORMATS = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def local(path: str) -> Path | None:
    """Locate local data by its name.

    Args:
        path: "pack:x/y" below the data pack, "asset:NAME", a path, or a hub id.

    Returns:
        File or folder; None for a hub id.

    Raises:
        DataError: it looks like a path and does not exist.
    """
    if path.startswith("pack:"):
        return place("", path.removeprefix("pack:"))
    if path.startswith("asset:") or Path(path).expanduser().exists():
        return place(path)
    if path.startswith((".", "/", "~")) or path.endswith(FORMATS):
        raise DataError(f"no such file or folder: {path}")
    return None


def rows(root: Path, split: str, config: str = "", files: str = "") -> Sequence[Mapping[str, Any]]:
    """Read the rows of one split from a local folder or file.

    Args:
        root: file, or a folder as the hub lays it out.
        split: first part of the names of files; not used where `root` is a file.
        config: folder of the configuration, "" for none.
        files: name or pattern of files below `root`, in place of `split`.

    Returns:
        Rows of all files, in the order of their names.

    Raises:
        DataError: there is no such file, or it is damaged or of an unknown format.
        MissingExtra: a Parquet file, and the extra `train` is not installed.
    """
    paths = [root] if root.is_file() else _files(root, split, config, files)
    chunks = [_read(file) for file in paths]
    return chunks[0] if len(chunks) == 1 else [row for chunk in chunks for row in chunk]


def hub(name: str, split: str, config: str = "", revision: str | None = None) -> Sequence[Mapping[str, Any]]:
    """Load one split of a data set of the hub, images as the bytes they are stored as.

    The commit that is read is recorded. Of a folder on this machine, by its absolute path, nothing is
    requested.

    Args:
        name: hub id, or absolute path of a folder.
        split: name in the data set.
        config: configuration, "" for the default.
        revision: branch, tag or commit; None for the default branch.

    Returns:
        Rows of the split.

    Raises:
        DataError: offline, not loadable, or the cache holds another commit.
        Pinned: while data is recorded.
        MissingExtra: the extra `train` is not installed.
    """
    own = Path(name).is_absolute() and Path(name).is_dir()
    if own:
        note(shown(Path(name)), Path(name))
        commit = revision
    elif offline():
        note(f"hub:{name}", _kept_commit(name, revision))
        raise DataError(
            f"{name} is on the hub and this process is offline: give the task `path`, the folder of a copy"
        )
    else:
        commit = data_commit(name, revision)
        note(f"hub:{name}", commit)
    plugins.need("datasets", why=f"the data set {name}")
    import datasets

    try:
        dataset = datasets.load_dataset(name, config or None, split=split, revision=commit)
    # the hub, the network, a login that is missing, a loading script: many unrelated classes
    except Exception as error:
        raise DataError(
            f"cannot load {name} ({split}) from the hub: {' '.join(str(error).split())[:200]}; give the task"
            " `path`"
        ) from error
    if not own:
        _check_commit(name, str(commit), dataset)
    return _undecoded(dataset)  # type: ignore[no-any-return]


def _kept_commit(name: str, revision: str | None) -> str:
    """The commit that the hub gave last on this machine."""
    try:
        return data_commit(name, revision)
    except DataError:
        return "no revision"


def _check_commit(name: str, commit: str, dataset: Any) -> None:
    """DataError where `datasets` read another commit: it takes what its cache has when the hub breaks off."""
    read = {Path(file["filename"]).parent.name for file in dataset.cache_files}
    if read - {commit}:
        raise DataError(
            f"the hub gave the commit of {name}, {commit}, but not its files, and the copy in the cache is of"
            f" {', '.join(sorted(read))}: try again, or give the task `path`, the folder of a copy"
        )


def _files(root: Path, split: str, config: str, pattern: str) -> list[Path]:
    if pattern:
        matches = sorted(root.glob(pattern))
        description = f"{pattern}"
    else:
        folders = [
            folder
            for folder in (root / config, root / config / "data", root / "data" / config)
            if folder.is_dir()
        ]
        matches = sorted({p for folder in folders for p in folder.iterdir() if _is_split(p, split)})
        description = f"{split}*.jsonl, .json, .csv, .tsv or .parquet" + (f" in {config}/" if config else "")
    if not matches:
        raise DataError(f"{root} has no {description}")
    return matches


def _is_split(path: Path, split: str) -> bool:
    """test.jsonl, test-00000-of-00002.parquet and test_2.csv are of the split test."""
    return path.suffix in FORMATS and path.name.startswith(split) and not path.name[len(split)].isalnum()


def _read(file: Path) -> Sequence[Mapping[str, Any]]:
    if file.suffix == ".jsonl":
        return list(io.read_jsonl(file))
    if file.suffix == ".json":
        return _json(file)
    if file.suffix in (".csv", ".tsv"):
        return list(table(file))
    if file.suffix == ".parquet":
        plugins.need("datasets", why=f"reading {file.name}")
        import datasets

        rows: Sequence[Mapping[str, Any]] = _undecoded(datasets.Dataset.from_parquet(str(file)))
        return rows
    raise DataError(f"{file}: rows are read from {', '.join(FORMATS)}")


def _json(file: Path) -> list[Mapping[str, Any]]:
    """A list of rows, or a mapping of rows, whose keys become the field `key`."""
    content = io.read_json(file)
    if isinstance(content, Mapping) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, Mapping):
        content = [{"key": key, **row} for key, row in content.items() if isinstance(row, Mapping)]
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise DataError(f"{file}: not a list or a mapping of rows")
    return content


def table(file: Path) -> Iterator[dict[str, Any]]:
    """Parse a CSV or TSV file with a header.

    Args:
        file: UTF-8; tabs separate cells in .tsv.

    Yields:
        Column -> text.

    Raises:
        DataError: it cannot be read, or a row has more or fewer cells than the header.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with open(file, encoding="utf-8-sig", newline="") as opened:
            for number, row in enumerate(
                csv.DictReader(opened, delimiter="\t" if file.suffix == ".tsv" else ","), start=2
            ):
                if None in row or None in row.values():
                    raise DataError(f"{file}, row {number}: as many cells as the header has were expected")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: not a table: {error}") from error


def _undecoded(dataset: Any) -> Any:
    """A data set whose images stay the bytes they are stored as."""
    import datasets

    for name, feature in (dataset.features or {}).items():
        if isinstance(feature, datasets.Image):
            dataset = dataset.cast_column(name, datasets.Image(decode=False))
        elif isinstance(getattr(feature, "feature", None), datasets.Image):
            dataset = dataset.cast_column(name, datasets.List(datasets.Image(decode=False)))
    return dataset
