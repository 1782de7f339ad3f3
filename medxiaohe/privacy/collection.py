"""De-identify a folder of DICOM, images, texts, tables and JSON: each file is cleaned or put on the
quarantine list.

The new folder has files.jsonl (one row for each file of the old one) and manifest.json. Neither has a name, a
path or a value of the old folder: a file is its number in the sorted listing, and a keyed hash of its path. A
second call resumes where a killed one stopped.
"""

from __future__ import annotations

import csv
import hashlib
import io as memory
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError, MedError
from medxiaohe.privacy import dicom, pictures
from medxiaohe.privacy.pixels import Policy
from medxiaohe.privacy.quarantine import Quarantined
from medxiaohe.privacy.secret import Key
from medxiaohe.privacy.text import Redactor
from medxiaohe.progress import track
from medxiaohe.types import ROLES, SPLITS

FILES, MANIFEST = "files.jsonl", "manifest.json"
PICTURES = frozenset((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif"))
TEXTS, TABLES, ROWS = (
    frozenset((".txt", ".md", ".text")),
    {".csv": ",", ".tsv": "\t"},
    frozenset((".jsonl", ".json")),
)
# become pseudonyms, so that rows still belong together
IDS = frozenset("id patient_id study_id call_id".split())
STRUCTURE = {
    "role": frozenset(ROLES),
    "split": frozenset(SPLITS),
    "type": frozenset(("ImageRef", "ToolCall", "ToolResult", "text", "image_url")),
}
MAX_TEXT = 256 * 2**20


def clean(
    source: Path, out: Path, *, key: Key, policy: Policy, keep: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """De-identify a file or a folder of DICOM, images, texts, tables and JSON.

    A second call resumes where a killed one stopped: files whose content, key and policy are the same are not
    cleaned again.

    Args:
        source: a file, or a folder with all files below it.
        out: folder for the cleaned files, files.jsonl and manifest.json; new, empty, or begun by a former
            call.
        key: of the pseudonyms and date shifts.
        policy: how text in pixels is handled.
        keep: JSON fields and table columns whose values are copied unchanged, such as "license".

    Returns:
        The content of manifest.json (see `summarise`).

    Raises:
        ConfigError: `source` has no files, or `out` is within it or has other files.
        MissingExtra: a package that a format needs is not installed.
        StorageError: `out` cannot be written.
    """
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    if not source.exists() or not files:
        raise ConfigError(f"nothing to de-identify: {source} has no files")
    if out.resolve() == source.resolve() or source.resolve() in out.resolve().parents:
        raise ConfigError("--out must not be inside of what is de-identified: choose another folder")
    begun = out / FILES
    if out.exists() and not begun.exists() and any(not p.name.startswith(".") for p in out.iterdir()):
        raise ConfigError(f"{out} has other files in it: choose an empty folder")
    if not begun.exists():
        io.write_jsonl(begun, [])
    io.drop_torn_line(begun)
    done = {(row["file"], row["content"]): row for row in io.read_jsonl(begun)}
    made_with = {
        "key": key.name("key", ""),
        "policy": hashlib.sha256(repr((policy, sorted(keep))).encode()).hexdigest()[:16],
    }
    rows = []
    # whose every file under `out` is, so that two with one SOPInstanceUID do not overwrite each other
    owners = {output: row["file"] for row in done.values() for output in row["made"]}
    for number, path in enumerate(track(files, "de-identified"), start=1):
        name = path.relative_to(source).as_posix() if source.is_dir() else path.name
        try:
            content = key.name("content", io.sha256(path))
        except OSError:
            content = ""
        row = done.get((key.name("file", name), content))
        if (
            row is None
            or row["made_with"] != made_with
            or not all((out / output).is_file() for output in row["made"])
        ):
            row = {"number": number, "file": key.name("file", name), "content": content,
            "made_with": made_with,
                   **_one(path, out, key.name("file", name), key, policy, keep, owners)}  # fmt: skip
            io.append_jsonl(begun, [row])
            owners.update(dict.fromkeys(row["made"], row["file"]))
        rows.append({**row, "number": number})
    summary = summarise(rows)
    io.write_jsonl(begun, rows)
    io.write_json(out / MANIFEST, summary)
    return summary


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count the files of a collection by kind and status.

    Args:
        rows: of files.jsonl.

    Returns:
        `files`, `written`, `quarantined` (numbers), `kinds` (kind -> status -> files), `counts` (what was
        done) and `quarantine` ([{number, file, kind, reason}]).
    """
    kinds: dict[str, Counter[str]] = {}
    counts: Counter[str] = Counter()
    for row in rows:
        kinds.setdefault(row["kind"], Counter())[row["status"]] += 1
        counts.update(row["counts"])
    held = [
        {k: row[k] for k in ("number", "file", "kind", "reason")}
        for row in rows
        if row["status"] == "quarantined"
    ]
    return {"files": len(rows), "written": len(rows) - len(held), "quarantined": len(held),
            "kinds": {k: dict(v) for k, v in sorted(kinds.items())},
            "counts": dict(sorted(counts.items())), "quarantine": held}  # fmt: skip


def _one(
    path: Path,
    out: Path,
    name: str,
    key: Key,
    policy: Policy,
    keep: frozenset[str],
    owners: Mapping[str, str],
) -> dict[str, Any]:
    """De-identify one file and return its row: status, kind, reason, made (paths under `out`), counts."""
    kind = "other"
    try:
        kind = _kind(path)
        outputs, counts = _cleaned(kind, path, out, name, key, policy, keep, owners)
        return {"status": "written", "kind": kind, "reason": "", "made": outputs, "counts": dict(counts)}
    except Quarantined as reason:
        why = str(reason)
    except UnicodeDecodeError:
        why = "not UTF-8"
    except MedError as error:
        if not isinstance(error, DataError):
            raise  # a full disk, a missing extra: not the fault of this file
        why = f"not readable ({type(error).__name__})"  # the message may quote the file
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        why = f"not readable ({type(error).__name__})"
    return {"status": "quarantined", "kind": kind, "reason": why, "made": [], "counts": {}}


def _kind(path: Path) -> str:
    with open(path, "rb") as file:
        if file.read(132)[128:] == b"DICM":
            return "dicom"
    suffix = path.suffix.lower()
    kinds = (
        ("dicom", (".dcm", ".dicom", ".ima")),
        ("picture", PICTURES),
        ("text", TEXTS),
        ("table", TABLES),
        ("rows", ROWS),
    )
    return next((kind for kind, suffixes in kinds if suffix in suffixes), "other")


def _cleaned(
    kind: str,
    path: Path,
    out: Path,
    name: str,
    key: Key,
    policy: Policy,
    keep: frozenset[str],
    owners: Mapping[str, str],
) -> tuple[list[str], Mapping[str, int]]:
    if kind == "other":
        raise Quarantined("no de-identifier for such files")
    if kind in ("text", "table", "rows") and path.stat().st_size > MAX_TEXT:
        raise Quarantined(f"larger than {MAX_TEXT >> 20} MiB")
    if kind == "dicom":
        cleaned = dicom.clean(path.read_bytes(), key=key, policy=policy)
        location = f"dicom/{cleaned.patient}/{cleaned.study}/{cleaned.uid}.dcm"
        counts = Counter(cleaned.counts)
        if owners.get(location, name) != name:
            location = f"dicom/{cleaned.patient}/{cleaned.study}/{cleaned.uid}-{name}.dcm"
            counts["same_sop_instance_uid"] += 1
        io.write(out / location, lambda file: file.write(cleaned.data))
        return [location], counts
    if kind == "picture":
        return [str(picture) for picture in _pictures(path, out, name, policy)], {}
    if kind == "text":
        redacted = Redactor()(path.read_bytes().decode("utf-8-sig"))
        io.write_text(out / f"text/{name}.txt", redacted.text)
        return [f"text/{name}.txt"], Counter(f"text_{span.kind.lower()}" for span in redacted.spans)
    if kind == "table":
        return _table(path, out, name, key, keep)
    work = _Rows(path.parent, out, key, policy, keep)
    location = f"rows/{name}{path.suffix.lower()}"
    if path.suffix.lower() == ".json":
        io.write_json(out / location, work.row(io.read_json(path)))
    else:
        io.write_jsonl(out / location, (work.row(row) for row in io.read_jsonl(path)))
    return [location, *sorted(work.made)], work.counts


def _pictures(path: Path, out: Path, name: str, policy: Policy) -> Iterator[str]:
    cleaned = pictures.clean(path, policy)
    for number, (suffix, data) in enumerate(cleaned):
        location = f"pictures/{name}{f'-{number:03}' if len(cleaned) > 1 else ''}{suffix}"
        io.write(out / location, lambda file, data=data: file.write(data))  # type: ignore[misc]
        yield location


def _table(
    path: Path, out: Path, name: str, key: Key, keep: frozenset[str]
) -> tuple[list[str], Mapping[str, int]]:
    """De-identify a table: names of columns stay when they are words, ids become pseudonyms, other cells
    are redacted.
    """
    mark, counts = TABLES[path.suffix.lower()], Counter[str]()
    written = memory.StringIO()
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, delimiter=mark, strict=True)
        head = next(rows, [])
        into = csv.writer(written, delimiter=mark, lineterminator="\n")
        into.writerow([column if column in keep | IDS else Redactor().key(column) for column in head])
        for row in rows:
            if len(row) != len(head):
                raise Quarantined("a row of the table has not as many cells as its head")
            redact = Redactor()
            into.writerow(
                [
                    c if n in keep else key.name(n, c) if n in IDS and c else redact(c).text
                    for n, c in zip(head, row, strict=True)
                ]
            )
            counts["rows"] += 1
    location = f"tables/{name}{path.suffix.lower()}"
    io.write_text(out / location, written.getvalue())
    return [location], counts


class _Rows:
    """De-identifier of JSON rows: texts redacted, ids replaced, pictures cleaned and referred to by their
    new paths.
    """

    def __init__(self, folder: Path, out: Path, key: Key, policy: Policy, keep: frozenset[str]):
        self.folder, self.out, self.key, self.policy, self.keep = folder, out, key, policy, keep
        self.made: set[str] = set()
        self.counts: Counter[str] = Counter()

    def row(self, row: Any) -> Any:
        """De-identify one JSON row; a name has one number within the row.

        Returns:
            The cleaned row.

        Raises:
            Quarantined: a picture of the row cannot be published.
        """
        self.counts["rows"] += 1
        return self.value("", row, Redactor())

    def value(self, name: str, value: Any, redact: Redactor) -> Any:
        """De-identify a JSON value by the name of its field.

        Args:
            name: of the field; "" for the row itself. The items of a list have the name of the list.
            value: any JSON value.
            redact: redactor of the row.

        Returns:
            The value, cleaned at any depth: fields to keep are copied, ids become pseudonyms, texts are
            redacted.
        """
        if name in self.keep or (isinstance(value, str) and value in STRUCTURE.get(name, ())):
            return value
        if isinstance(value, dict):
            if value.get("type") == "ImageRef":
                return self.picture(value)
            return {
                (k if k in self.keep | IDS | STRUCTURE.keys() else redact.key(k)): self.value(k, v, redact)
                for k, v in value.items()
            }
        if isinstance(value, list):
            return [self.value(name, item, redact) for item in value]
        if name in IDS and isinstance(value, (str, int)) and not isinstance(value, bool) and value != "":
            return self.key.name(name, str(value))
        return redact.value(value)

    def picture(self, ref: dict[str, Any]) -> dict[str, Any]:
        """Clean the picture that an ImageRef names.

        Returns:
            An ImageRef of the cleaned picture, with its hash and box.

        Raises:
            Quarantined: there is no such picture, it has several frames, or it cannot be published; then the
                whole file of rows is not.
        """
        path = self.folder / str(ref.get("uri", ""))
        if not path.is_file():
            raise Quarantined("a row points to a picture that is not there")
        name = self.key.name("picture", str(path.resolve()))
        places = list(_pictures(path, self.out, name, self.policy))
        if len(places) > 1:
            raise Quarantined("a row points to a picture of several frames")
        self.made.update(places)
        self.counts["pictures"] += 1
        box = {"box": ref["box"]} if json.dumps(ref.get("box")) != "null" else {}
        return {
            "type": "ImageRef",
            "uri": f"../{places[0]}",
            "sha256": io.sha256(self.out / places[0]),
            **box,
        }
