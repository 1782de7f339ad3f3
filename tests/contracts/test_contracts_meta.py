"""`Sample.meta` is free: no code of the package reads a key of it by name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "medxiaohe"
PASS_ON = {  # files that hand `meta` on as it is, or lift the keys of version 0.1 out of it
    "io/rows.py",
    "io/notes.py",
    "data/deidentify.py",
    "data/formats/chat.py",
}
OTHER = {  # files with another `meta`: of YAML tasks, of OBO graphs
    "tasks/_definition.py",
    "tasks/_yaml.py",
    "entity/readers/obograph.py",
}
FILES = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path.relative_to(ROOT).as_posix() not in PASS_ON | OTHER and "meta" in path.read_text()
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_code_reads_meta(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        attribute = isinstance(node, ast.Attribute) and node.attr == "meta" and isinstance(node.ctx, ast.Load)
        key = isinstance(node, ast.Subscript) and ast.unparse(node.slice) == "'meta'"
        got = isinstance(node, ast.Call) and ast.unparse(node).partition("(")[2].startswith("'meta'")
        got = got and ast.unparse(node.func).endswith(".get")
        assert not attribute and not key and not got, (
            f"{path.name}:{node.lineno} reads meta: give what it reads a field of types.Annotations or"
            " types.Provenance"
        )
