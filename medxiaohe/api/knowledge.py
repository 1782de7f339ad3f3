"""Load a Medical Entity Tree and link texts to it."""

from __future__ import annotations

from functools import lru_cache
from os import PathLike
from pathlib import Path

from medxiaohe import io
from medxiaohe.entity.linking.annotate import Annotation, Annotator
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError


def load_tree(path: str | PathLike[str]) -> Tree:
    """Load the tree of a finished stage.

    Args:
        path: the folder of `entity.build`, such as out/quickstart/tree/1, or the folder above it.

    Returns:
        the Medical Entity Tree

    Raises:
        DataError: there is no tree.
    """
    return Tree.load(_folder(Path(path)))


def link(text: str, tree: Tree | str | PathLike[str]) -> list[Annotation]:
    """Find mentions of entities in a text, each with its span, entity, score and context (such as negated).

    Args:
        text: English or Chinese.
        tree: a loaded tree, or its folder. A folder's index is kept between runs, so it is the faster way.

    Returns:
        mentions in the order of the text; spans are offsets in characters

    Raises:
        DataError: the folder has no tree.
    """
    annotator = Annotator.of(tree) if isinstance(tree, Tree) else _annotator(_folder(Path(tree)))
    return annotator.annotate(text)


@lru_cache(maxsize=2)
def _annotator(folder: Path) -> Annotator:
    return Annotator.of(folder)


def _folder(path: Path) -> Path:
    """Find the folder with the entities: the path, or the only version below it."""
    folders = [path] if (path / "entities.jsonl").is_file() else []
    folders = folders or [item.parent for item in sorted(path.glob("*/entities.jsonl"))]
    if len(folders) != 1:
        raise DataError(f"{path} is not a tree: no entities.jsonl (build one with `medxiaohe tree build`)")
    if (folders[0] / io.MANIFEST).is_file():
        io.verify(folders[0])
    return folders[0]
