"""The ontologies that cellxgene-ontology-guide ships: one JSON object per vocabulary, id -> term, plain or
.zst.

{"MONDO:0005550": {"label": ..., "description": ..., "synonyms": [...], "deprecated": false,
                   "ancestors": {"MONDO:7770006": 1, ...}}}       1 is a parent, more is farther
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medxiaohe import assets
from medxiaohe.entity.readers._terms import Terms, below
from medxiaohe.errors import DataError
from medxiaohe.io import packed
from medxiaohe.types import Entity

TAG = re.compile(r"</?[A-Za-z]+>")  # ChEBI definitions are sprinkled with <small>, <i>, <sub>
Term = Mapping[str, Any]
MAX_BYTES = 2**30  # unpacked; that of ChEBI has 0.3 GiB


def read(
    path: Path | None,
    *,
    name: str,
    kind: str,
    license: str,
    outside: tuple[str, ...] = (),
    keep: Callable[[Term], bool] = lambda term: True,
) -> Terms:
    """Read a vocabulary of cellxgene-ontology-guide.

    Obsolete terms, unnamed terms, the branches below `outside` and terms that `keep` refuses are skipped; a
    term below a skipped one moves up to the nearest terms that stay.

    Args:
        path: a file, or a folder in which the newest NAME-ontology-VERSION file is read; None: the package
            asset.
        name: of the vocabulary, for example MONDO.
        kind: of its entities.
        license: of its entities.
        outside: ids of branches that are not read.
        keep: decides from a term of the file whether it stays.

    Yields:
        entities in the order of the file

    Returns:
        how many terms were skipped, by reason

    Raises:
        DataError: the file is missing, truncated, larger than MAX_BYTES or of another format.
    """
    file = _file(path or assets.folder(name.lower()), name)
    version = file.name.removeprefix(f"{name}-ontology-").split(".json")[0]
    terms = _terms(file)
    beside = below(outside, {id: term["ancestors"] for id, term in terms.items()})
    skipped = Counter[str]()
    selected = set()
    for id, term in terms.items():
        if term.get("deprecated"):
            skipped["obsolete"] += 1
        elif not term["label"]:
            skipped["unnamed"] += 1
        elif id in beside:
            skipped["outside the domain"] += 1
        elif not keep(term):
            skipped["not described"] += 1
        else:
            selected.add(id)
    for id, term in terms.items():
        if id in selected:
            synonyms = tuple(dict.fromkeys(s for s in term.get("synonyms", ()) if s != term["label"]))
            definition = TAG.sub("", term.get("description", ""))
            yield Entity(
                id,
                term["label"],
                kind,
                _parents(id, terms, selected),
                synonyms,
                definition,
                (),
                f"{name} {version}",
                license,
            )
    return skipped


def _parents(id: str, terms: Mapping[str, Term], selected: set[str]) -> tuple[str, ...]:
    """The nearest selected ancestors on every path up."""
    ancestors, seen, queue = list[str](), {id}, list(terms[id]["ancestors"])
    for parent in queue:
        # a parent the file does not have is for entity.build to count
        if parent in selected or parent not in terms:
            ancestors.append(parent)
        elif parent not in seen:
            queue.extend(terms[parent]["ancestors"])
        seen.add(parent)
    return tuple(p for p in dict.fromkeys(ancestors) if p != id)


def _file(path: Path, name: str) -> Path:
    if not path.is_dir():
        return path
    results = sorted(p for p in path.rglob(f"{name}-ontology-*") if p.name.endswith((".json", ".json.zst")))
    if not results:
        raise DataError(f"{path}: no file {name}-ontology-VERSION.json.zst in this folder")
    return results[-1]  # versions are dates: the newest


def _terms(path: Path) -> Mapping[str, Term]:
    raw = packed.read(path, MAX_BYTES)
    try:
        terms = json.loads(raw, object_hook=_slim)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON, or truncated: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}:{raw.count(10, 0, error.start) + 1}: not UTF-8 ({error.reason} at byte {error.start})"
        ) from error
    except RecursionError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(terms, dict) or not terms:
        raise DataError(f"{path}: must be a JSON object of terms, id -> term")
    for id, term in terms.items():
        if (
            not isinstance(term, dict)
            or not isinstance(term.get("label"), str)
            or not isinstance(term.get("ancestors"), tuple)
        ):
            raise DataError(
                f"{path}: the term {id!r} has no label or no ancestors: not an ontology of"
                " cellxgene-ontology-guide"
            )
    return terms


def _slim(fields: dict[str, Any]) -> dict[str, Any]:
    """Keep only the parents of a term's ancestors: the ancestor tables of ChEBI take half a gigabyte."""
    if isinstance(ancestors := fields.get("ancestors"), dict):
        fields["ancestors"] = tuple(id for id, distance in ancestors.items() if distance == 1)
    return fields
