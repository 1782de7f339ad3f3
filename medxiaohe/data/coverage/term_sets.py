"""Read sets of terms to compare (AMCS) from a tree, a text file, a vocabulary or a gold set.

What may be written, and what it means:

    out/tree/tree/1                              the names of a tree's entities, its domains left out
    terms.txt                                    a term a line
    medic:ontology/medic_06Jul2012.txt           a vocabulary and its file; `mondo` alone is the package file
    medquad_xml:corpus/medquad#focus             a corpus reader, its path, and the key of `meta` that has
                                                 terms
    pubtator:entity_gold/ncbi_disease#mentions.2 ... here the third column of its mentions
    asset:cmekg/relations.jsonl#subject          JSON lines, of the user or of an asset, and a key of their
                                                 rows; #relations.英文名 has English names of CMeKG
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import assets, io, plugins
from medxiaohe.entity.readers._terms import entities, read_all
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.embed import Embedder
from medxiaohe.types import Entity, Sample

if TYPE_CHECKING:
    import numpy as np

JSON_LINES = ".jsonl"
BLOCK = 8192  # terms that are encoded and stored together


@dataclass(frozen=True)
class TermSet:
    """Distinct terms under a name."""

    name: str
    terms: tuple[str, ...]  # each once, whatever its case, as first written


def term_set(spec: str, *, kind: str = "", synonyms: bool = False) -> TermSet:
    """Read a set of terms.

    Args:
        spec: as in the docstring of this module.
        kind: of trees and vocabularies, only entities of this kind; "": all.
        synonyms: of trees and vocabularies, all names of an entity; False: its main name.

    Returns:
        The distinct terms, whatever their case, in the order of first mention.

    Raises:
        ConfigError: the spec names no tree, file, vocabulary or reader.
        DataError: there are no terms.
    """
    location, _, field = spec.partition("#")
    reader, colon, path = location.partition(":")
    if (Path(location) / "entities.jsonl").is_file():
        tree = Tree.load(Path(location))
        names = _names((tree.entities[id] for id in tree.entities if tree.layer(id) > 1), kind, synonyms)
        label = f"tree {'/'.join(Path(location).resolve().parts[-2:])}"
    elif field and location.endswith(JSON_LINES) and reader not in plugins.available("readers"):
        file = _path(location)
        names = (name for row in io.read_jsonl(file) for name in _found(row, field.split(".")))
        owner = (
            location.removeprefix("asset:").partition("/")[0] if location.startswith("asset:") else file.stem
        )
        label, kind, synonyms = f"{owner} {field.rpartition('.')[2]}", "", False
    elif field:
        if reader not in plugins.available("readers") or not path:
            raise ConfigError(f"{spec}: write READER:PATH#KEY with a reader of `medxiaohe list readers`")
        rows = plugins.load("readers", reader)(_path(path))
        names = (
            name
            for row in rows
            if isinstance(row, Sample)
            for name in _found(io.noted(row), field.split("."))
        )
        label, kind, synonyms = f"{Path(path).name} {field.partition('.')[0]}", "", False
    elif Path(location).is_file():
        names = (line for _, line in io.lines(Path(location)))
        label, kind, synonyms = Path(location).name, "", False
    elif reader in plugins.available("vocabularies"):
        records, _skipped = read_all(plugins.load("vocabularies", reader)(_path(path) if colon else None))
        names = _names(entities(records), kind, synonyms)
        label = Path(path).name or reader
    else:
        raise ConfigError(
            f"{spec}: neither a tree, a text file, VOCABULARY, VOCABULARY:PATH, READER:PATH#KEY nor"
            " FILE.jsonl#KEY"
        )
    terms = tuple(_once(names))
    if not terms:
        raise DataError(f"{spec}: no terms" + (f" of kind {kind}" if kind else ""))
    return TermSet(label + (f", {kind}" if kind else "") + (", all names" if synonyms else ""), terms)


def _path(text: str) -> Path:
    if not text.startswith("asset:"):
        return Path(text)
    name, _, below = text.removeprefix("asset:").partition("/")
    return assets.folder(name) / below


def _names(items: Iterable[Entity], kind: str, synonyms: bool) -> Iterator[str]:
    for entity in items:
        if not kind or entity.kind == kind:
            yield from (entity.name, *entity.synonyms) if synonyms else (entity.name,)


def _found(value: Any, keys: Sequence[str]) -> Iterator[str]:
    """Collect the texts below a path of keys; lists of rows are searched row by row, and a number picks a
    column.
    """
    if not keys:
        yield from [value] if isinstance(value, str) else (v for v in value or () if isinstance(v, str))
    elif isinstance(value, list) and value and all(isinstance(row, (list, dict)) for row in value):
        for row in value:
            yield from _found(row, keys)
    elif isinstance(value, dict):
        yield from _found(value.get(keys[0]), keys[1:])
    elif isinstance(value, list) and keys[0].isdigit() and int(keys[0]) < len(value):
        yield from _found(value[int(keys[0])], keys[1:])


def _once(names: Iterable[str]) -> Iterator[str]:
    seen = set()
    for name in names:
        name = " ".join(name.split())
        if name and name.casefold() not in seen:
            seen.add(name.casefold())
            yield name


@contextmanager
def vectors(terms: Sequence[str], embedder: Embedder, keep: Path | None = None) -> Iterator[np.ndarray]:
    """Encode terms in blocks of BLOCK into a memory-mapped file, so that memory does not grow with the number
    of terms.

    Args:
        terms: any order; they are encoded by length, which pads less.
        embedder: gives unit vectors.
        keep: folder that stores each encoded block, so that a killed run continues and the same terms are
            not encoded again; None: nothing is stored.

    Yields:
        (len(terms), embedder.dim) float32 with rows of length 1; the file is deleted when the context
        ends.
    """
    import numpy as np

    # batches of terms of one length are padded least
    ordered = sorted(range(len(terms)), key=lambda i: (len(terms[i]), terms[i]))
    with tempfile.TemporaryDirectory() as folder:
        result = np.lib.format.open_memmap(
            Path(folder) / "vectors.npy", "w+", np.float32, (len(terms), embedder.dim)
        )
        for start in range(0, len(terms), BLOCK):
            chosen = ordered[start : start + BLOCK]
            result[chosen] = _block([terms[i] for i in chosen], embedder, keep)
        yield result


def _block(terms: Sequence[str], embedder: Embedder, keep: Path | None) -> np.ndarray:
    import numpy as np

    path = keep / f"{io.fingerprint([embedder.name, *terms])}.npy" if keep else None
    if path and path.is_file():
        stored: np.ndarray = np.load(path, allow_pickle=False)
        return stored
    encoded = embedder.encode(terms)
    if path:
        io.write(path, lambda file: np.save(file, encoded, allow_pickle=False))
    return encoded
