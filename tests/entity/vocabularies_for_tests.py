"""Vocabulary files for tests: examples of readers, tables, and the trees that are built of them."""

from collections import Counter
from pathlib import Path

from medxiaohe import io, plugins
from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.entity.readers._terms import Assertion, read_all
from medxiaohe.entity.tree.tree import Tree


def read(name: str, path: Path) -> tuple[list[Assertion], Counter[str]]:
    return read_all(plugins.load("vocabularies", name)(path))


def example(name: str, folder: Path) -> Path:
    files = __import__(f"medxiaohe.entity.readers.{name}", fromlist=["EXAMPLE"]).EXAMPLE
    for file, content in files.items():
        (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / next(iter(files)) if len(files) == 1 else folder


def tree_of(folder: Path, *vocabularies: tuple[str, str, str], **options: object) -> tuple[dict, Tree]:
    """The tree of (reader, file name, content) in this order."""
    made = []
    for reader, file, content in vocabularies:
        (folder / file).write_text(content, encoding="utf-8")
        made.append(Vocabulary(reader, str(folder / file), **options))
    return build(BuildSettings(tuple(made)), folder / "out"), Tree.load(folder / "out")


def table(*rows: str) -> str:
    """The tab-separated file of rows like "D:2; asthma; D:1; synonyms; xrefs", all diseases."""
    cells = [[cell.strip() for cell in row.split(";")] for row in rows]
    lines = [["id", "name", "parents", "synonyms", "xrefs", "kind", "license"]]
    return "".join(
        "\t".join(row) + "\n"
        for row in [*lines, *([*(c + [""] * 5)[:5], "disease", "CC0-1.0"] for c in cells)]
    )


def rows(folder: Path, name: str) -> list[dict]:
    return list(io.read_jsonl(folder / "out" / name))
