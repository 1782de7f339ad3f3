"""Digest the source code a result depends on: a module, every medxiaohe module it imports, their data files.

    dependencies("medxiaohe.data.mixture")    {"medxiaohe.data.mixing.draw": "1f2e...", ...}
    digest("medxiaohe.data.mixture")          16 hex digits of all of them

The closure is static: import statements anywhere in a file count, lazy ones too, and nothing is imported. A
data file counts when it lies beside a module that names it (`"safety.tsv"`), so does a folder of data files.
One function serves the identity of stages, the keys of unfinished work and the fingerprints of evaluations.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import Path

from medxiaohe.io.rows import fingerprint, sha256

PACKAGE = Path(__file__).parent.parent
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(medxiaohe[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)"
    r"|import[ \t]+(medxiaohe[^\n#]*))",
    re.MULTILINE,
)
BY_NAME = re.compile(r"""["'](medxiaohe(?:\.\w+)+):\w+["']""")  # a job or decoder named as "module:function"
PLUGIN = re.compile(r"""plugins\.load\(\s*["'](\w+)["']""")
FILE_NAME = re.compile(r"""["']([\w.-]+\.(?:tsv|csv|txt|json|jsonl|yaml|yml|gz|js|css|html|md))["']""")


def dependencies(*modules: str) -> dict[str, str]:
    """The modules themselves and what they import, transitively.

    Args:
        modules: dotted names of modules of medxiaohe, such as "medxiaohe.data.mixture".

    Returns:
        Dotted module name, or path of a data file below the package -> first 16 hex digits of its SHA-256.
        Names that are no module of medxiaohe are left out.
    """
    found: dict[str, str] = {}
    waiting = [name for name in modules if _file(name)]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in found or path is None:
            continue
        imported, data, found[name] = _read(path, path.stat().st_mtime_ns, path.stat().st_size)
        found.update(data)
        waiting += imported
    return dict(sorted(found.items()))


def dependencies_of_file(path: Path) -> dict[str, str]:
    """The same for a file that may lie outside the package: its own hash under its name, then what it
    imports."""
    with_parents = path.resolve()
    if with_parents.is_relative_to(PACKAGE):
        return dependencies(module_name(with_parents))
    imported, data, own = _read(with_parents, path.stat().st_mtime_ns, path.stat().st_size)
    return {path.name: own, **data, **dependencies(*imported)}


def digest(*modules: str) -> str:
    """16 hex digits that change when the source of the modules, or of anything they import, does."""
    return fingerprint(dependencies(*modules))


def plugin_kinds(*modules: str) -> set[str]:
    """Kinds of plug-ins ("readers", "filters", ...) that the modules, or what they import, load by name."""
    paths = [path for name in dependencies(*modules) if (path := _file(name)) is not None]
    return {kind for path in paths for kind in PLUGIN.findall(path.read_text(encoding="utf-8"))}


def modules_below(folder: str) -> list[str]:
    """Every module below a folder of the package: "rewards" -> medxiaohe.rewards.hybrid, ..."""
    return [module_name(path) for path in sorted((PACKAGE / folder).rglob("*.py"))]


def _file(name: str) -> Path | None:
    """The file of a module of medxiaohe, or None."""
    if name != "medxiaohe" and not name.startswith("medxiaohe."):
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    for path in (base.with_suffix(".py") if base != PACKAGE else base / "__init__.py", base / "__init__.py"):
        if path.is_file():
            return path
    return None


def module_name(path: Path) -> str:
    """Dotted name of a file of the package."""
    path = path.resolve()
    return ".".join(("medxiaohe", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@functools.lru_cache(maxsize=4096)
def _read(path: Path, mtime_ns: int, size: int) -> tuple[tuple[str, ...], dict[str, str], str]:
    """Imported modules, data files {name: digest} and the digest of one source file; cached by time and
    size."""
    text = path.read_text(encoding="utf-8")
    imported: list[str] = []
    for module, names, plain in IMPORT.findall(text):
        if plain:
            imported += [part.split()[0] for part in plain.split(",")]
            continue
        for part in names.strip("()").split(","):
            words = part.split()
            name = f"{module}.{words[0]}" if words else module
            imported.append(name if words and _file(name) else module)
    imported += BY_NAME.findall(text)
    # a package's __init__ runs when a module below it is imported
    parents = {
        ".".join(name.split(".")[:depth]) for name in imported for depth in range(2, name.count(".") + 1)
    }
    return tuple(dict.fromkeys([*imported, *sorted(parents)])), _data_files(path, text), sha256(path)[:16]


def _data_files(path: Path, text: str) -> dict[str, str]:
    """Data files beside a module that its text names."""
    files: Iterable[Path] = (path.with_name(name) for name in dict.fromkeys(FILE_NAME.findall(text)))
    return {
        str(file.relative_to(PACKAGE) if file.is_relative_to(PACKAGE) else file.name): sha256(file)[:16]
        for file in files
        if file.is_file()
    }
