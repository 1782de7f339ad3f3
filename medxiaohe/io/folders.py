"""Publish folders atomically: a draft is written, hashed into MANIFEST.json and renamed."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medxiaohe.errors import DataError, StorageError
from medxiaohe.io.reading import read_json
from medxiaohe.io.rows import fingerprint, sha256, to_json
from medxiaohe.io.writing import durable_step, fsync_file, fsync_folder, make_folder, storage, write_json

MANIFEST = "MANIFEST.json"
RECORD = "stage.json"


@contextmanager
def publish(folder: Path, record: Callable[[], Mapping[str, Any]] | None = None) -> Iterator[Path]:
    """Write a folder atomically: a draft, which becomes `folder` when the block ends without an error.

    Every file is fsynced and listed with its sha256 in MANIFEST.json, then one rename publishes all of it.
    An existing `folder` is replaced only after the new one is complete, and only when it has a manifest: what
    medxiaohe did not make, it does not delete.

    Args:
        folder: to publish.
        record: returns the content of stage.json, which is written last and sealed with a hash of itself and
            of the manifest; None: no stage.json.

    Yields:
        The draft folder to write into; an error deletes it.

    Raises:
        StorageError: `folder` has files and no manifest, or the disk cannot be written.
    """
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old")
    with storage(folder):
        recover(folder)
        if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
            raise StorageError(
                f"{folder} is in the way and was not made by medxiaohe (no {MANIFEST}): move or delete it"
            )
        if draft.exists():
            shutil.rmtree(draft)  # what a killed run left behind
        try:  # an interruption while the draft is made leaves none either
            make_folder(draft)
            yield draft
            # hash and sync every file, then list them in the manifest
            files = {}
            for path in sorted(p for p in draft.rglob("*") if p.is_file()):
                files[path.relative_to(draft).as_posix()] = {
                    "bytes": path.stat().st_size,
                    "sha256": sha256(path),
                }
                fsync_file(path)
            write_json(draft / MANIFEST, {"files": files})
            # stage.json comes last: its presence means that everything before it is complete
            if record is not None:
                row = to_json(record())
                write_json(draft / RECORD, {**row, "seal": _seal(draft, row)})
            # entries of folders must be on the disk before the rename
            for sub in sorted({p.parent for p in draft.rglob("*")}):
                fsync_folder(sub)
            durable_step()
            # keep the former folder until the new one has its name; `recover` ends an interrupted exchange
            if folder.exists():
                os.replace(folder, old)
                durable_step()
            os.replace(draft, folder)
            for parent in (folder.parent, folder.parent.parent):
                fsync_folder(parent)
            durable_step()
            shutil.rmtree(old, ignore_errors=True)
            drop_scratch(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def recover(folder: Path) -> None:
    """Clean up after a killed `publish`: delete an unfinished draft, and restore or delete the copy being
    replaced.

    Args:
        folder: that was being published.
    """
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    for leftover in (draft, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def scratch(draft: Path, key: Any) -> Path:
    """Open the folder of a stage's unfinished work, beside its draft: a kill leaves it, publishing the stage
    deletes it.

    Args:
        draft: of the stage.
        key: what the work depends on (settings, inputs, code); work of another key is deleted.

    Returns:
        The folder, with the work of a former run of this key.

    Raises:
        StorageError: the disk cannot be written.
    """
    root = _scratch(draft)
    work = root / fingerprint(to_json(key))[:16]
    with storage(work):
        for stale in sorted(root.iterdir()) if root.is_dir() else ():
            if stale != work:
                shutil.rmtree(stale)
        make_folder(work)
    return work


def drop_scratch(folder: Path) -> None:
    """Delete the unfinished work beside a folder that is published.

    Args:
        folder: that was published.
    """
    shutil.rmtree(_scratch(folder), ignore_errors=True)


def _scratch(folder: Path) -> Path:
    return folder.with_name(f".{folder.name.removeprefix('.').removesuffix('.draft')}.work")


def verify(folder: Path) -> None:
    """Check every file of a published folder against its manifest, and the seal of stage.json.

    Files that the manifest does not list are not looked at.

    Raises:
        DataError: a file is missing or differs; the message names the first.
    """
    manifest = read_json(folder / MANIFEST)
    hint = f"delete {folder} and run again"
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DataError(f"{folder / MANIFEST} is not what was published: {hint}")
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing: {hint}")
        if (
            not isinstance(expected, dict)
            or path.stat().st_size != expected.get("bytes")
            or sha256(path) != expected.get("sha256")
        ):
            raise DataError(f"{path} is not what was published: {hint}")
    if (folder / RECORD).is_file():
        read_record(folder)


def read_record(folder: Path) -> dict[str, Any]:
    """Read the stage.json of a published folder and check its seal.

    Returns:
        The record, its seal included.

    Raises:
        DataError: there is none, or it or the manifest has changed.
    """
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("seal") != _seal(
        folder, {k: v for k, v in record.items() if k != "seal"}
    ):
        raise DataError(
            f"{folder / RECORD} or {MANIFEST} is not what was published: delete {folder} and run again"
        )
    return record


def digest(folder: Path) -> str:
    """Hash the manifest of a published folder.

    Returns:
        16 hexadecimal digits; "" for a folder that was not published.
    """
    manifest = folder / MANIFEST
    return sha256(manifest)[:16] if manifest.is_file() else ""


def content(folder: Path, name: str) -> str:
    """Return the sha256 of a file in a folder, from the manifest where the folder was published.

    Args:
        folder: published or not.
        name: path of the file below it.

    Returns:
        64 hexadecimal digits; those of the manifest are not verified.
    """
    manifest = folder / MANIFEST
    entry = read_json(manifest)["files"].get(name) if manifest.is_file() else None
    return str(entry["sha256"]) if entry else sha256(folder / name)


def _seal(folder: Path, record: Mapping[str, Any]) -> str:
    return fingerprint([record, sha256(folder / MANIFEST)])
