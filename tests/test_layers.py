"""Who may import whom. A folder may import from the rows above its own, never sideways or down."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "medxiaohe"
LAYERS = [
    {"types", "errors"},
    {"io", "images", "plugins", "progress"},
    {"recipe", "assets", "privacy", "shards"},
    {"entity", "models"},
    {"retrieval", "scoring"},
    {"tools", "reports", "rewards"},
    {"agents", "tasks"},
    {"data", "train", "evals"},
    {"serve"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(p for p in ROOT.rglob("*.py") if p not in (ROOT / "__init__.py", ROOT / "__main__.py"))
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "PIL", "numpy", "gguf", "safetensors", "vllm", "ray", "pydantic"}


def imported(path: Path) -> set[str]:
    """First-level medxiaohe names a file imports, at any depth of the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative import"
        if isinstance(node, ast.ImportFrom) and node.module == "medxiaohe":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("medxiaohe."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("medxiaohe.")}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_up(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for other in imported(path) - {own}:
        assert LEVEL[other] < LEVEL[own], f"{own} may not import {other} (see LAYERS)"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    for node in ast.parse(path.read_text()).body:  # module level only; TYPE_CHECKING blocks are fine
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {n.split(".")[0] for n in names} & HEAVY, f"{path} imports a heavy package at the top"
