"""Read annotations and provenance of Samples from JSON, and from rows of version 0.1, which had both in
`meta`.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from medxiaohe.types import Annotations, Medical, Mention, Provenance, Sample

MADE = ("card", "caption", "choice", "path")
TEXTS = ("made", "made_of", "made_of_source", "asks", "answer", "evidence", "chain")
PROVENANCE = tuple(field.name for field in fields(Provenance))
ANNOTATIONS = tuple(field.name for field in fields(Annotations))


def annotations_from_json(row: Any) -> Annotations:
    """Read annotations that `to_json` wrote.

    Args:
        row: a JSON object.

    Returns:
        The annotations.

    Raises:
        TypeError: a key is unknown or its value does not fit.
    """
    values = _object(row, "annotations", ANNOTATIONS)
    for key in ANNOTATIONS:
        if key in values and not _fits(key, values[key]):
            raise TypeError(f"annotations.{key} cannot be {str(values[key])[:60]!r}")
    return Annotations(**{key: _annotation(key, value) for key, value in values.items()})


def provenance_from_json(row: Any) -> Provenance:
    """Read a provenance that `to_json` wrote.

    Args:
        row: a JSON object.

    Returns:
        The provenance.

    Raises:
        TypeError: a key is unknown or its value does not fit.
    """
    values = _object(row, "provenance", PROVENANCE)
    for key, value in values.items():
        if not _of_provenance(key, value):
            raise TypeError(f"provenance.{key} cannot be {str(value)[:60]!r}")
    return Provenance(**{key: _tuple(value) for key, value in values.items()})


def lifted(sample: Sample) -> Sample:
    """Move the keys of `meta` that version 0.1 read as annotations and provenance to where they are now.

    A value that does not have the form that version 0.1 wrote stays in `meta`. Provenance is taken from rows
    that medxiaohe made, which have `made` or `made_of`; `answer` or `path` of other rows mean something else.

    Returns:
        The changed sample, or the same one where `meta` has no such key.
    """
    meta = dict(sample.meta)
    result = {key: meta[key] for key in ANNOTATIONS if key in meta and _fits(key, meta[key])}
    is_ours = meta.get("made") in MADE or ("made_of" in meta and "made_of_source" in meta)
    selected = {
        key: meta[key] for key in PROVENANCE if is_ours and key in meta and _of_provenance(key, meta[key])
    }
    if not is_ours and isinstance(meta.get("evidence"), str):
        selected["evidence"] = meta["evidence"]  # of a row that teachers explain (data.teach)
    if not result and not selected:
        return sample
    annotations = replace(
        sample.annotations, **{key: _annotation(key, value) for key, value in result.items()}
    )
    return replace(
        sample,
        meta={key: value for key, value in meta.items() if key not in result and key not in selected},
        annotations=annotations,
        provenance=replace(sample.provenance, **{key: _tuple(value) for key, value in selected.items()}),
    )


def _object(row: Any, name: str, keys: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise TypeError(f"{name} must be an object")
    if unknown := [key for key in row if key not in keys]:
        raise TypeError(f"{name} has no {unknown[0]!r}: there are {', '.join(keys)}")
    return row


def _annotation(key: str, value: Any) -> Any:
    if key == "mentions":
        return tuple(Mention(*mention) for mention in value)
    if key == "medical":
        return Medical(**value)
    if key == "reviewed":
        return value if isinstance(value, str) else "yes" if value else ""
    return _tuple(value)


def _fits(key: str, value: Any) -> bool:
    """Check whether a value has the form of an annotation."""
    if key == "mentions":
        return isinstance(value, (list, tuple)) and all(map(_is_mention, value))
    if key == "medical":
        return isinstance(value, Mapping) and set(value) == {"probability", "round"}
    if key in ("alignment", "harness"):
        return isinstance(value, Mapping)
    return key == "reviewed" or _texts(value)


def _is_mention(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or not 4 <= len(value) <= 5:
        return False
    return all(isinstance(item, int) for item in value[:2]) and all(
        isinstance(item, str) for item in value[2:]
    )


def _of_provenance(key: str, value: Any) -> bool:
    if key in TEXTS:
        return isinstance(value, str)
    if key in ("by", "path"):
        return isinstance(value, Mapping)
    if key == "facts":
        return isinstance(value, (list, tuple)) and all(isinstance(item, Mapping) for item in value)
    return _texts(value)


def _texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
