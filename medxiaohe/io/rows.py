"""Convert nouns (medxiaohe.types) to JSON rows and back, and hash them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from medxiaohe.errors import DataError
from medxiaohe.io.notes import annotations_from_json, lifted, provenance_from_json
from medxiaohe.types import (
    EVIDENCE_KINDS,
    ROLES,
    SPLITS,
    STEP_KINDS,
    Annotations,
    Claim,
    Evidence,
    Finding,
    ImageRef,
    Locator,
    Message,
    Prompt,
    Provenance,
    Ruling,
    Sample,
    Step,
    ToolCall,
    ToolResult,
    Trace,
)

SAMPLE_TEXTS = ("id", "target", "source", "license", "patient_id", "study_id", "split")
_TAGGED = {"ImageRef": ImageRef, "ToolCall": ToolCall, "ToolResult": ToolResult}
# of these, fields that hold nothing are left out of a row
_SPARSE = (Sample, Annotations, Provenance, Message, Prompt, Trace, Locator)
# of these, but for the fields named
_KEPT: dict[type, tuple[str, ...]] = {
    Claim: ("id", "text"),
    Finding: ("name", "status", "person"),
    Ruling: ("claim", "label"),
    Evidence: ("id", "text", "source"),
}
_PLAIN = frozenset({str, int, float, bool, type(None)})  # written to JSON unchanged


@lru_cache(maxsize=1024)
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def to_json(value: Any) -> Any:
    """Convert nouns (medxiaohe.types), settings and containers to plain JSON; empty fields of a noun are left
    out.

    Args:
        value: dataclasses, mappings, sequences, sets, paths and scalars of numpy or torch, at any depth.

    Returns:
        Dicts, lists and scalars; sets are sorted. A value of any other type is returned unchanged.
    """
    if value is None or isinstance(value, (str, int, float)):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        row = {name: to_json(getattr(value, name)) for name in _field_names(type(value))}
        if type(value).__name__ in _TAGGED:
            row = {"type": type(value).__name__, **{k: v for k, v in row.items() if v not in ("", None, [])}}
        elif isinstance(value, _SPARSE):
            row = {k: v for k, v in row.items() if v not in ("", None, [], {})}
        elif type(value) in _KEPT:
            row = {k: v for k, v in row.items() if k in _KEPT[type(value)] or v not in ("", None, [])}
            if isinstance(value, Evidence) and value.kind == "passage":
                del row["kind"]  # the one kind of evidence that rows of version 0.1 have
        elif isinstance(value, Step):
            row = {k: v for k, v in row.items() if k in ("n", "kind", "who") or v not in ("", None, [], 0)}
            row |= {k: _marked(held) for k in ("given", "got") if (held := getattr(value, k)) is not None}
        return row
    if isinstance(value, Mapping):
        return {str(key): item if type(item) in _PLAIN else to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _PLAIN else to_json(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(to_json(item) for item in value)
    if isinstance(value, Path):
        return value.as_posix()
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()  # a numpy or torch scalar
    return value


def sample_from_json(row: Mapping[str, Any]) -> Sample:
    """Read a Sample that `to_json` wrote.

    Args:
        row: a JSON object; keys that are not fields of a Sample are ignored.

    Returns:
        The sample; `meta` of version 0.1 is converted (`lifted`).

    Raises:
        DataError: a key is missing or a value has the wrong type; the message has the id of the row.
    """
    try:
        messages = tuple(map(message_from_json, _list(row, "messages", dict)))
        tuples: dict[str, Any] = {
            key: tuple(_list(row, key, str)) for key in ("choices", "entities") if key in row
        }
        texts: dict[str, Any] = {key: row[key] for key in SAMPLE_TEXTS if key in row}
        if wrong := [key for key, value in texts.items() if not isinstance(value, str)]:
            raise TypeError(f"{wrong[0]} must be text, not {texts[wrong[0]]!r}")
        if texts.get("split", "") not in SPLITS:
            raise TypeError(f"split must be one of {', '.join(SPLITS[1:])}, not {texts['split']!r}")
        for key in ("meta", "facts"):
            if not isinstance(row.get(key, {}), dict):
                raise TypeError(f"{key} must be an object")
        if "annotations" in row:
            tuples["annotations"] = annotations_from_json(row["annotations"])
        if "provenance" in row:
            tuples["provenance"] = provenance_from_json(row["provenance"])
        sample = Sample(
            id=texts.pop("id"),
            messages=messages,
            meta=row.get("meta", {}),
            facts=row.get("facts", {}),
            **tuples,
            **texts,
        )
        return lifted(sample) if sample.meta else sample
    except KeyError as error:
        raise DataError(f"{which(row)} is not a Sample: no {error}") from error
    except (TypeError, AttributeError) as error:
        raise DataError(f"{which(row)} is not a Sample: {error}") from error


def noted(sample: Sample) -> dict[str, Any]:
    """Collect everything a row has beside its text, by key: for settings that name keys of it.

    Returns:
        Fields of provenance and annotations that are not empty, and `meta`, which wins.
    """
    return {**to_json(sample.provenance), **to_json(sample.annotations), **sample.meta}


def _list(row: Mapping[str, Any], key: str, kind: type | tuple[type, ...]) -> list[Any]:
    items = row[key] if key == "messages" else row.get(key, [])
    if not isinstance(items, list) or not all(isinstance(item, kind) for item in items):
        raise TypeError(f"{key} must be a list of {'text' if kind is str else 'objects'}")
    return items


def message_from_json(row: Mapping[str, Any]) -> Message:
    """Read a Message that `to_json` wrote.

    Returns:
        The message.

    Raises:
        DataError: its role is not one of ROLES.
        KeyError, TypeError: a key is missing, or a value has the wrong type.
    """
    if row["role"] not in ROLES:
        raise DataError(f"role must be one of {', '.join(ROLES)}, not {row['role']!r}")
    if not isinstance(error := row.get("error", ""), str):
        raise TypeError(f"error must be text, not {error!r}")
    return Message(row["role"], tuple(map(_part, _list(row, "parts", (str, dict)))), error)


def trace_from_json(row: Mapping[str, Any]) -> Trace:
    """Read a Trace that `to_json` wrote.

    Returns:
        The trace; evidence of version 0.1 that no message or step has becomes a last step.

    Raises:
        DataError: a key is missing or a value has the wrong type.
    """
    try:
        prompt = row["prompt"]
        messages = tuple(map(message_from_json, prompt.get("messages", ())))
        original = Prompt(prompt["id"], messages, tuple(prompt.get("choices", ())), prompt.get("facts", {}))
        trace = Trace(
            original,
            tuple(map(message_from_json, row.get("messages", ()))),
            row.get("error", ""),
            tuple(map(step_from_json, row.get("steps", ()))),
            tuple(map(_claim, row.get("claims", ()))),
            tuple(Ruling(**{**r, "evidence": tuple(r.get("evidence", ()))}) for r in row.get("rulings", ())),
            row.get("stop", ""),
            row.get("origin", {}),
        )
        # rows of version 0.1 list their evidence; what no message or step holds is kept as a note
        seen = {item.id for item in trace.evidence}
        extra = tuple(e for e in map(_evidence, row.get("evidence", ())) if e.id not in seen)
        if not extra:
            return trace
        note = Step(len(trace.steps), "note", "evidence", got=ToolResult("", (), extra))
        return replace(trace, steps=(*trace.steps, note))
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a Trace: {error!r}") from error


def _part(value: Any) -> Any:
    if isinstance(value, str):
        return value
    kind = _TAGGED[value["type"]]
    values = {k: v for k, v in value.items() if k != "type"}
    if kind is ImageRef and not isinstance(values.get("uri"), str):
        raise TypeError("an image needs a uri")
    if kind is ImageRef and values.get("box"):
        values["box"] = tuple(values["box"])
    if kind is ToolCall:  # empty fields are left out of rows
        values = {"id": "", "name": "", "arguments": {}, **values}
    if kind is ToolResult:
        values.setdefault("call_id", "")
        values["parts"] = tuple(map(_part, values.get("parts", ())))
        values["evidence"] = tuple(map(_evidence, values.get("evidence", ())))
    return kind(**values)


def _evidence(row: Mapping[str, Any]) -> Evidence:
    values = {**row, "images": tuple(map(_part, row.get("images", ())))}
    if values.get("kind", "passage") not in EVIDENCE_KINDS:
        raise TypeError(
            f"kind of evidence must be one of {', '.join(EVIDENCE_KINDS)}, not {values['kind']!r}"
        )
    if isinstance(values.get("at"), dict):
        at: dict[str, Any] = values["at"]
        values["at"] = Locator(**{k: _tuple(v) for k, v in at.items()})
    return Evidence(**values)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _claim(row: Mapping[str, Any]) -> Claim:
    finding = Finding(**row["finding"]) if row.get("finding") else None
    at = tuple(row["at"]) if row.get("at") else None
    return Claim(**{**row, "at": at, "evidence": tuple(row.get("evidence", ())), "finding": finding})


def step_from_json(row: Mapping[str, Any]) -> Step:
    """Read a Step that `to_json` wrote.

    Returns:
        The step.

    Raises:
        KeyError, TypeError: a key is missing, or a value has the wrong type.
    """
    if row["kind"] not in STEP_KINDS:
        raise TypeError(f"kind of a step must be one of {', '.join(STEP_KINDS)}, not {row['kind']!r}")
    values = {k: _unmarked(row[k]) for k in ("given", "got") if k in row}
    return Step(**{**row, **values, "after": tuple(row.get("after", ()))})


def _marked(value: Any) -> Any:
    """Convert the input or output of a step to JSON that tells messages and tool results from plain data."""
    if isinstance(value, Message):
        return {"type": "Message", **to_json(value)}
    if isinstance(value, (list, tuple)):
        return [_marked(item) for item in value]
    if isinstance(value, Mapping):
        row = {str(key): _marked(item) for key, item in value.items()}
        return {"type": "object", "items": row} if isinstance(row.get("type"), str) else row
    return to_json(value)


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        kind = value["type"] if isinstance(value.get("type"), str) else ""
        if kind == "Message":
            return message_from_json({k: v for k, v in value.items() if k != "type"})
        if kind == "object":  # plain data with a key `type` of its own
            return {key: _unmarked(item) for key, item in value["items"].items()}
        if kind in _TAGGED:
            return _part(value)
        return {key: _unmarked(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_unmarked(item) for item in value)
    return value


def encoded(value: Any, indent: int | None = None) -> bytes:
    """Serialise a value as one line of UTF-8 JSON, or indented.

    Args:
        value: as `to_json` takes it.
        indent: blanks for each level; None: one line.

    Returns:
        The bytes, with a line break at their end.

    Raises:
        ValueError: it has NaN, infinity or half of a surrogate pair.
        RecursionError: it is nested too deep.
        TypeError: it has a value that is not JSON.
    """
    try:
        return json.dumps(to_json(value), ensure_ascii=False, indent=indent, allow_nan=False).encode() + b"\n"
    except UnicodeEncodeError as error:
        raise ValueError("the text holds half of a surrogate pair, which no UTF-8 file can") from error


def unwritable(value: Any) -> str:
    """Check whether a row can be written as JSON.

    Returns:
        "" if it can; else why not: NaN, half of a surrogate pair, too deep.
    """
    try:
        encoded(value)
        return ""
    except (ValueError, RecursionError) as error:
        return str(error)


def which(value: Any) -> str:
    """Name a row for an error message by its id: never by its text, which may be a patient's.

    Returns:
        Such as "the row 'case-1'"; the id is cut to 80 characters.
    """
    id = value.get("id") if isinstance(value, Mapping) else getattr(value, "id", None)
    return f"the row {str(id)[:80]!a}" if id is not None else "a row without an id"


# ---- hashes --------------------------------------------------------------------------------------


def sha256(path: Path) -> str:
    """Hash the bytes of a file.

    Returns:
        64 hexadecimal digits.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """Hash the JSON of a value with sorted keys.

    Returns:
        16 hexadecimal digits (64 bits of SHA-256).
    """
    text = json.dumps(to_json(value), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def unit_interval(*keys: str) -> float:
    """Hash keys to a number: stable splits and seeded choices without a random generator.

    Args:
        *keys: such as a seed, a purpose and an id.

    Returns:
        A number in [0, 1): the first 64 bits of the SHA-256 of the keys, divided by 2**64.
    """
    digest = hashlib.sha256("\x1f".join(keys).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
