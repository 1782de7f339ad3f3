"""A reader of one's own: the docstrings of Python modules, as text that is not about medicine (a seed of
data.classify).

    sources: [{reader: "examples/docstrings.py:docstrings", path: examples/modules.txt, name: docstrings}]

The path is a file with the name of a module in each line; the modules are read, not run.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.data.readers import DeadLetter
from medxiaohe.types import Message, Sample

LICENSE = "PSF-2.0"
MIN_WORDS = 25


def docstrings(path: Path) -> Iterator[Sample | DeadLetter]:
    for name in path.read_text(encoding="utf-8").split():
        spec = importlib.util.find_spec(name.partition(".")[0])
        if spec is None or not spec.origin or not spec.origin.endswith(".py"):
            yield DeadLetter(name, "no such module, or none in Python", "missing")
            continue
        root = Path(spec.origin).parent if spec.submodule_search_locations else None
        files = sorted(file for file in root.glob("*.py")) if root else [Path(spec.origin)]
        for file in files:
            yield from _of(file, f"{name}/{file.stem}")


def _of(file: Path, where: str) -> Iterator[Sample]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text, line = ast.get_docstring(node) or "", getattr(node, "lineno", 0)
            if len(text.split()) >= MIN_WORDS:
                yield Sample(f"{where}:{line}", (Message("document", (text,)),), license=LICENSE)


if __name__ == "__main__":
    for sample in docstrings(Path(__file__).with_name("modules.txt")):
        if isinstance(sample, Sample) and sample.id.startswith("json/"):
            print(f"{sample.id}  {' '.join(sample.messages[0].text.split())[:100]}")
