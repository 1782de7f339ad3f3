"""Files: every durable write of medxiaohe goes through here, whole or not at all.

A write is a draft beside its place, fsync, rename, fsync of the folder. A folder is published the
same way with a MANIFEST.json of hashes in it. `CRASH_AT=n` in the environment kills the process
(SIGKILL) just before the n-th durable step: tests enumerate n and compare what a resumed run leaves.
"""

import errno
import gzip
import hashlib
import json
import math
import os
import shutil
import signal
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

from medxiaohe.errors import DataError, MedError, StorageError
from medxiaohe.types import ROLES, SPLITS, Evidence, ImageRef, Message, Prompt, Sample, ToolCall, ToolResult, Trace

MANIFEST = "MANIFEST.json"
RECORD = "stage.json"
SAMPLE_TEXTS = ("id", "target", "source", "license", "patient_id", "study_id", "split")
MAX_LINE_BYTES = 64 * 2**20  # a longer JSON line is refused: it would not fit a worker
_steps = 0


def _durable_step() -> None:
    global _steps
    _steps += 1
    if os.environ.get("CRASH_AT") == str(_steps):
        os.kill(os.getpid(), signal.SIGKILL)


def durable_steps() -> int:
    """How many durable steps this process has taken; tests use it to know how far to enumerate."""
    return _steps


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a disk into one sentence, naming the file at fault."""
    try:
        yield
    except OSError as error:
        if isinstance(error, MedError):
            raise
        reason = {
            errno.ENOSPC: "the disk is full: free some space and run again",
            errno.EDQUOT: "the disk quota is used up: free some space and run again",
            errno.EFBIG: "the file would pass the size limit set for this process (ulimit -f)",
            errno.EACCES: "no permission to write there: choose another --out folder",
            errno.EPERM: "no permission to write there: choose another --out folder",
            errno.EROFS: "the file system is read-only: choose another --out folder",
            errno.ENOTDIR: "a part of the path is a file, not a folder: choose another --out folder",
            errno.EEXIST: "there is a file where a folder should be: choose another --out folder",
            errno.ENAMETOOLONG: "the name is too long for this file system: choose a shorter --out folder",
            errno.EIO: "the disk reports an input/output error: check it, or choose another --out folder",
        }.get(error.errno or 0)
        if reason is None:
            raise
        culprit = Path(os.fsdecode(error.filename)) if isinstance(error.filename, (str, bytes)) else path
        if path.parent not in (culprit, *culprit.parents) and culprit not in path.parents:
            raise StorageError(f"{culprit}: {(error.strerror or reason).lower()}") from error  # an input, not the output
        raise StorageError(f"cannot write {path}: {reason}") from error


# ---- writing -------------------------------------------------------------------------------------


def write(path: Path, fill: Callable[[IO[bytes]], Any]) -> Any:
    """Let `fill` write a draft, then publish it as `path`; returns what `fill` returns."""
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        try:
            with open(draft, "wb") as out:
                result = fill(out)
                out.flush()
                _durable_step()
                os.fsync(out.fileno())
            _durable_step()
            os.replace(draft, path)
            _fsync_folder(path.parent)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    return result


def write_text(path: Path, text: str) -> None:
    write(path, lambda out: out.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    write(path, lambda out: out.write(_dump(value, path, indent=2)))


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write rows and return how many; the file appears only when it is complete."""

    def fill(out: IO[bytes]) -> int:
        count = 0
        for row in rows:
            out.write(_dump(row, path))
            count += 1
        return count

    return int(write(path, fill))


def append_jsonl(path: Path, rows: Iterable[Any], sync: bool = True) -> None:
    """Add whole lines to a file of unfinished work; a kill may cut the last one short, which `drop_torn_line` mends.

    Without `sync` the lines survive a kill of this process, but not of the machine.
    """
    data = b"".join(_dump(row, path) for row in rows)
    with storage(path), open(path, "ab") as out:
        _durable_step()
        out.write(data)
        out.flush()
        if sync:
            os.fsync(out.fileno())


def drop_torn_line(path: Path) -> None:
    """Cut off what a kill left of a line that was being appended."""
    if not path.exists():
        return
    with storage(path), open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 2**16)
            file.seek(start)
            cut = file.read(end - start).rfind(b"\n")
            if cut >= 0:
                end = start + cut + 1
                break
            end = start
        file.truncate(end)


def _dump(value: Any, path: Path, indent: int | None = None) -> bytes:
    try:
        return encoded(value, indent)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {_which(value)} cannot be written as JSON: {error}") from error


def encoded(value: Any, indent: int | None = None) -> bytes:
    try:
        return json.dumps(to_json(value), ensure_ascii=False, indent=indent, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half of a surrogate pair, which no UTF-8 file can") from error


def unwritable(value: Any) -> str:
    """Why a row cannot be written as JSON (NaN, half of a surrogate pair, too deep), or ""."""
    try:
        encoded(value)
        return ""
    except (ValueError, RecursionError) as error:
        return str(error)


def _which(value: Any) -> str:
    """The id of a row, for an error message: never its text, which may be a patient's."""
    id = value.get("id") if isinstance(value, Mapping) else getattr(value, "id", None)
    return f"the row {str(id)[:80]!a}" if id is not None else "a row without an id"


@contextmanager
def publish(folder: Path, record: Callable[[], Mapping[str, Any]] | None = None) -> Iterator[Path]:
    """A draft folder to write into; it becomes `folder` when the block ends without an error.

    Every file is fsynced and listed with its sha256 in MANIFEST.json, then one rename publishes all
    of it. `record` is written last, as stage.json, sealed with a hash of itself and of the manifest.
    An existing `folder` is replaced only after the new one is complete, and only when it has a
    manifest: what medxiaohe did not make, it does not delete.
    """
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old")
    with storage(folder):
        recover(folder)
        if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
            raise StorageError(f"{folder} is in the way and was not made by medxiaohe (no {MANIFEST}): move or delete it")
        if draft.exists():
            shutil.rmtree(draft)  # what a killed run left behind
        draft.mkdir(parents=True)
        try:
            yield draft
            files = {}
            for path in sorted(p for p in draft.rglob("*") if p.is_file()):
                files[path.relative_to(draft).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
                _fsync_file(path)
            write_json(draft / MANIFEST, {"files": files})
            if record is not None:
                row = to_json(record())
                write_json(draft / RECORD, {**row, "seal": _seal(draft, row)})
            for sub in sorted({p.parent for p in draft.rglob("*")}):
                _fsync_folder(sub)
            _durable_step()
            if folder.exists():
                os.replace(folder, old)
                _durable_step()
            os.replace(draft, folder)
            for parent in (folder.parent, folder.parent.parent):
                _fsync_folder(parent)
            _durable_step()
            shutil.rmtree(old, ignore_errors=True)
            drop_scratch(folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def recover(folder: Path) -> None:
    """Tidy up after a kill: drop a draft nobody finished, and put back or drop the copy being replaced."""
    draft, old = folder.with_name(f".{folder.name}.draft"), folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    for leftover in (draft, old):
        if leftover.exists():
            shutil.rmtree(leftover)


def scratch(draft: Path, key: Any) -> Path:
    """A folder for a stage's unfinished work, beside its draft: a kill leaves it, publishing the stage deletes it.

    `key` is what the work depends on (settings, inputs, code); what was left under another key is deleted.
    """
    place = _scratch(draft)
    work = place / fingerprint(to_json(key))[:16]
    with storage(work):
        for other in sorted(place.iterdir()) if place.is_dir() else ():
            if other != work:
                shutil.rmtree(other)
        work.mkdir(parents=True, exist_ok=True)
    return work


def drop_scratch(folder: Path) -> None:
    """Delete the unfinished work beside a folder that is published."""
    shutil.rmtree(_scratch(folder), ignore_errors=True)


def _scratch(folder: Path) -> Path:
    return folder.with_name(f".{folder.name.removeprefix('.').removesuffix('.draft')}.work")


def verify(folder: Path) -> None:
    """Check every file of a published folder against its manifest; the first difference is an error."""
    manifest = read_json(folder / MANIFEST)
    hint = f"delete {folder} and run again"
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DataError(f"{folder / MANIFEST} is not what was published: {hint}")
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing: {hint}")
        if not isinstance(expected, dict) or path.stat().st_size != expected.get("bytes") or sha256(path) != expected.get("sha256"):
            raise DataError(f"{path} is not what was published: {hint}")
    if (folder / RECORD).is_file():
        read_record(folder)


def read_record(folder: Path) -> dict[str, Any]:
    """The stage.json of a published folder, checked against its seal."""
    record = read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("seal") != _seal(folder, {k: v for k, v in record.items() if k != "seal"}):
        raise DataError(f"{folder / RECORD} or {MANIFEST} is not what was published: delete {folder} and run again")
    return record


def digest(folder: Path) -> str:
    """What a published folder holds, in 16 hexadecimal digits of its manifest; "" for a folder that was not published."""
    manifest = folder / MANIFEST
    return sha256(manifest)[:16] if manifest.is_file() else ""


def content(folder: Path, name: str) -> str:
    """The sha256 of a file in a folder: from the manifest where the folder was published, so that it is not read once more."""
    manifest = folder / MANIFEST
    known = read_json(manifest)["files"].get(name) if manifest.is_file() else None
    return str(known["sha256"]) if known else sha256(folder / name)


def _seal(folder: Path, record: Mapping[str, Any]) -> str:
    return fingerprint([record, sha256(folder / MANIFEST)])


def _fsync_file(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- reading -------------------------------------------------------------------------------------


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, a number of 5,000 digits
        raise DataError(f"{path}: not JSON: {error}") from error


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no such file: {path}"
    return f"cannot read {path}: {(error.strerror or str(error)).lower()}"


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a UTF-8 file, plain or .gz; a byte-order mark is dropped, CRLF is LF."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(f"{path}:{number}: line longer than {MAX_LINE_BYTES >> 20} MiB: split the row")
                try:
                    yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise DataError(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start})") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: truncated or not gzip: {error}") from error
    except OSError as error:
        raise DataError(_unreadable(path, error)) from error


def blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line."""
    block: list[str] = []
    for number, line in lines(path):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []
    if block:
        yield number - len(block) + 1, block


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a .jsonl file; a bad row is an error that names its file and line."""
    for number, line in lines(path):
        if line.strip():
            try:
                row = parse_row(line)
            except DataError as error:
                raise DataError(f"{path}:{number}: {error}") from error
            yield row


def parse_row(line: str) -> dict[str, Any]:
    """One object of standard JSON: no NaN, no half of a surrogate pair, no number too large to keep."""
    try:
        row = json.loads(line, parse_constant=_finite, parse_float=_finite)
        if "\\u" in line:
            json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError("the text holds half of a surrogate pair, which no UTF-8 file can") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"a row must be a JSON object, not {type(row).__name__}")
    return row


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:20]} is not a finite number")
    return number


def read_samples(path: Path) -> Iterator[Sample]:
    for row in read_jsonl(path):
        yield sample_from_json(row)


# ---- JSON ----------------------------------------------------------------------------------------

_TAGGED = {"ImageRef": ImageRef, "ToolCall": ToolCall, "ToolResult": ToolResult}


def to_json(value: Any) -> Any:
    """Plain JSON of nouns, settings and containers; empty fields of a noun are left out."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        row = {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
        if type(value).__name__ in _TAGGED:
            row = {"type": type(value).__name__, **{k: v for k, v in row.items() if v not in ("", None, [])}}
        elif isinstance(value, (Sample, Message, Prompt, Trace, Evidence)):
            row = {k: v for k, v in row.items() if v not in ("", None, [], {})}
        return row
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_json(item) for item in value)
    if isinstance(value, Path):
        return value.as_posix()
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()  # a numpy or torch scalar
    return value


def sample_from_json(row: Mapping[str, Any]) -> Sample:
    """The inverse of `to_json` for a Sample; DataError when the row is not one."""
    try:
        messages = tuple(map(message_from_json, _list(row, "messages", dict)))
        tuples: dict[str, Any] = {key: tuple(_list(row, key, str)) for key in ("choices", "entities") if key in row}
        texts: dict[str, Any] = {key: row[key] for key in SAMPLE_TEXTS if key in row}
        if wrong := [key for key, value in texts.items() if not isinstance(value, str)]:
            raise TypeError(f"{wrong[0]} must be text, not {texts[wrong[0]]!r}")
        if texts.get("split", "") not in SPLITS:
            raise TypeError(f"split must be one of {', '.join(SPLITS[1:])}, not {texts['split']!r}")
        for key in ("meta", "facts"):
            if not isinstance(row.get(key, {}), dict):
                raise TypeError(f"{key} must be an object")
        return Sample(id=texts.pop("id"), messages=messages, meta=row.get("meta", {}), facts=row.get("facts", {}), **tuples, **texts)
    except KeyError as error:
        raise DataError(f"{_which(row)} is not a Sample: no {error}") from error
    except (TypeError, AttributeError) as error:
        raise DataError(f"{_which(row)} is not a Sample: {error}") from error


def _list(row: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> list[Any]:
    items = row[key] if key == "messages" else row.get(key, [])
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        raise TypeError(f"{key} must be a list of {'text' if kind is str else 'objects'}")
    return items


def message_from_json(row: Mapping[str, Any]) -> Message:
    if row["role"] not in ROLES:
        raise DataError(f"role must be one of {', '.join(ROLES)}, not {row['role']!r}")
    return Message(row["role"], tuple(map(_part, _list(row, "parts", (str, dict)))))


def trace_from_json(row: Mapping[str, Any]) -> Trace:
    """The inverse of `to_json` for a Trace; DataError when the row is not one."""
    try:
        prompt = row["prompt"]
        messages = tuple(map(message_from_json, prompt["messages"]))
        asked = Prompt(prompt["id"], messages, tuple(prompt.get("choices", ())), prompt.get("facts", {}))
        evidence = tuple(map(_evidence, row.get("evidence", ())))
        return Trace(asked, tuple(map(message_from_json, row["messages"])), evidence, row.get("error", ""))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a Trace: {error!r}") from error


def _part(value: Any) -> Any:
    if isinstance(value, str):
        return value
    kind = _TAGGED[value["type"]]
    known = {k: v for k, v in value.items() if k != "type"}
    if kind is ImageRef and not isinstance(known.get("uri"), str):
        raise TypeError("an image needs a uri")
    if kind is ImageRef and known.get("box"):
        known["box"] = tuple(known["box"])
    if kind is ToolResult:
        known["parts"] = tuple(map(_part, known.get("parts", ())))
        known["evidence"] = tuple(map(_evidence, known.get("evidence", ())))
    return kind(**known)


def _evidence(row: Mapping[str, Any]) -> Evidence:
    return Evidence(**{**row, "images": tuple(map(_part, row.get("images", ())))})


# ---- hashes --------------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """16 hex digits that change when the JSON of `value` changes."""
    text = json.dumps(to_json(value), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def unit_interval(*keys: str) -> float:
    """A number in [0, 1) that depends only on the keys: stable hash splits and seeded choices."""
    digest = hashlib.sha256("\x1f".join(keys).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
