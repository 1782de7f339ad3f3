"""Layers and circles, over files: which module may import which, lazy imports included."""

import ast
import functools
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "medxiaohe"
LAYERS = [
    {"types", "errors"},
    {"arrays", "permission", "threads", "torchvision_ops", "library_bars"},
    {"io", "plugins", "progress"},
    {"images"},
    {"recipe", "assets", "privacy", "shards", "traces"},
    {"entity", "models"},
    {"retrieval", "scoring"},
    {"tools"},
    {"evidence", "rewards"},
    {"agents", "tasks"},
    {"reports", "data", "train", "evals"},
    {"pages"},
    {"serve"},
    {"cli", "api"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FILES = sorted(p for p in ROOT.rglob("*.py") if p not in (ROOT / "__init__.py", ROOT / "__main__.py"))
HEAVY = {
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "PIL", "numpy", "gguf", "safetensors",
    "vllm", "ray", "pydantic",
}  # fmt: skip
MOST_FILES = {"data": 25, "entity": 10, "train": 18}  # at the top of the folder
STAGE_FOLDERS = ("entity", "data", "train", "evals", "pages")


def module_name(path: Path) -> str:
    return ".".join(("medxiaohe", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


@functools.cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@functools.cache
def imports(path: Path) -> dict[str, bool]:
    """Module of medxiaohe that a file imports -> whether for types only; lazy imports count as imports."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    found: dict[str, bool] = {}
    for node in ast.walk(tree):
        targets: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [name if name in modules() else str(node.module) for name in names]
        elif isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        for target in targets:
            if target in modules() and target != module_name(path):
                found[target] = found.get(target, True) and id(node) in typing_only
    return found


def strongly_connected(edges: dict[str, list[str]]) -> list[list[str]]:
    """Import circles: the strongly connected components of more than one module (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges.get(node, []):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = [stack.pop()]
            while component[-1] != node:
                component.append(stack.pop())
            if len(component) > 1:
                components.append(sorted(component))

    for node in edges:
        if node not in index:
            visit(node)
    return components


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_folder_imports_only_from_lower_layers(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for target in imports(path):
        other = target.split(".")[1] if "." in target else ""
        if other and other != own:
            assert LEVEL[other] < LEVEL[own], f"{own} may not import {target} (see LAYERS)"


def test_no_module_imports_itself_through_others() -> None:
    edges = {
        name: [target for target, typing_only in imports(path).items() if not typing_only]
        for name, path in modules().items()
    }
    assert strongly_connected(edges) == []


def test_tarjan_finds_a_circle_that_is_there() -> None:
    assert strongly_connected({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]}) == [["a", "b", "c"]]


@pytest.mark.parametrize("folder", MOST_FILES)
def test_a_stage_folder_holds_stages_and_no_more_files_than_agreed(folder: str) -> None:
    files = [path for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(files) <= MOST_FILES[folder]


@pytest.mark.parametrize("folder", STAGE_FOLDERS)
def test_a_file_at_the_top_of_a_stage_folder_defines_the_stage_of_its_name(folder: str) -> None:
    for path in (ROOT / folder).glob("*.py"):
        if path.name != "__init__.py":
            names = [n.name for n in ast.parse(path.read_text()).body if isinstance(n, ast.FunctionDef)]
            assert path.stem in names, f"{path}: a file here is a stage; helpers have a sub-folder"


def imported_at_top(path: Path) -> set[str]:
    """Modules of medxiaohe that are imported when this file is, for real."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in modules() else str(node.module))
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    parents = {".".join(name.split(".")[: i + 1]) for name in names for i in range(name.count("."))}
    return (names | parents) & modules().keys()


def heavy_at_top(path: Path) -> set[str]:
    """Heavy packages a file imports at its top; those of TYPE_CHECKING blocks do not count."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names & HEAVY


def test_what_the_command_line_imports_first_is_light() -> None:
    """A heavy import may stand at the top of a file, unless `medxiaohe --help` or `import medxiaohe.types`
    loads it: nothing that these import at their tops, directly or through others, may be heavy."""
    first = ["medxiaohe", "medxiaohe.types", "medxiaohe.cli", "medxiaohe.cli.parser", "medxiaohe.plugins"]
    seen: set[str] = set()
    while first:
        name = first.pop()
        if name in seen:
            continue
        seen.add(name)
        assert not heavy_at_top(modules()[name]), f"{name} is loaded at start-up and imports a heavy package"
        first += imported_at_top(modules()[name])
    assert "medxiaohe.cli.parser" in seen and len(seen) > 5


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_with_a_heavy_import_at_its_top_is_itself_imported_lazily(path: Path) -> None:
    if not heavy_at_top(path):
        return
    importers = [p for p in FILES if module_name(path) in imported_at_top(p)]
    assert all(heavy_at_top(p) for p in importers), (
        f"{path} imports a heavy package at its top, and so does everything that imports it at the top: "
        f"import it inside a function in {[str(p) for p in importers if not heavy_at_top(p)]}"
    )
