"""Rows: nouns to JSON and back, and hashes of what they say."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.types import ROLES, SPLITS, Evidence, ImageRef, Message, Prompt, Sample, ToolCall, ToolResult, Trace

SAMPLE_TEXTS = ("id", "target", "source", "license", "patient_id", "study_id", "split")
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
        raise DataError(f"{which(row)} is not a Sample: no {error}") from error
    except (TypeError, AttributeError) as error:
        raise DataError(f"{which(row)} is not a Sample: {error}") from error


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


def which(value: Any) -> str:
    """The id of a row, for an error message: never its text, which may be a patient's."""
    id = value.get("id") if isinstance(value, Mapping) else getattr(value, "id", None)
    return f"the row {str(id)[:80]!a}" if id is not None else "a row without an id"


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
