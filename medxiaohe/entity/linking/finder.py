"""The fastest matcher of a tree's names on this machine: the compiled index, cached between runs, or the
linker.

Both find the same mentions (tests/entity/test_index.py). The index of a tree is built once, in the cache of
medxiaohe, and mapped by every process that uses the tree; a changed tree, or changed rules of entity.link,
have another file.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from medxiaohe import assets, io
from medxiaohe.entity.linking.link import Linker, Mention
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError

if TYPE_CHECKING:
    from medxiaohe.entity.linking.index import Index

KEPT = 8  # indexes in the cache; the one not used for longest goes first


class Finder(Protocol):
    """Protocol of Index and Linker."""

    def find(self, text: str) -> list[Mention]:
        """Find the names of the tree in a text.

        Returns:
            mentions in order, without overlap
        """
        ...


def finder(folder: Path) -> Finder:
    """The fastest finder of a tree that this machine has.

    Args:
        folder: of the tree.

    Returns:
        the compiled index where numba is installed, else a Linker

    Raises:
        DataError: the folder has no tree.
    """
    if importlib.util.find_spec("numba") is None:
        return Linker(Tree.load(folder))
    return index(folder)


def index(folder: Path) -> Index:
    """Load the compiled index of a tree from the cache, or build it there first.

    Args:
        folder: of the tree.

    Raises:
        MissingExtra: numba is not installed.
        DataError: the folder has no tree.
    """
    from medxiaohe.entity.linking.index import Index

    path = _path(folder)
    if (cached := _kept(path)) is None:
        # a second process that needs the same index waits, then finds it built; others are not held up
        with io.in_turn(path):
            if (cached := _kept(path)) is None:
                Index.of(Tree.load(folder)).save(path)
                for old in sorted(path.parent.glob("*.index"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
                    old.unlink(missing_ok=True)
                    old.with_name(f".{old.name}.lock").unlink(missing_ok=True)
                cached = Index.load(path)
    return cached


def _kept(path: Path) -> Index | None:
    """Load the index from the cache; None where it is missing or damaged."""
    from medxiaohe.entity.linking.index import Index

    try:
        cached = Index.load(path) if path.is_file() else None
    except DataError:  # damaged, or half of it lost with the disk: it can be built again
        path.unlink(missing_ok=True)
        return None
    if cached is not None:
        path.touch()
    return cached


def _path(folder: Path) -> Path:
    entities = folder / "entities.jsonl"
    if not entities.is_file():
        raise DataError(
            f"{folder}: not the folder of a tree (no entities.jsonl): build one with `medxiaohe tree build`"
        )
    code = io.code.digest("medxiaohe.entity.linking.index")
    key = io.fingerprint([io.digest(folder) or io.sha256(entities), code])[:24]
    return assets.cache_root() / "indexes" / f"{key}.index"
