"""Digest the source code a result depends on: a module, every medxiaohe module it imports, their data files.

    dependencies("medxiaohe.data.mixture")    {"medxiaohe.data.mixing.draw": "1f2e...", ...}
    digest("medxiaohe.data.mixture")          16 hex digits of all of them

The closure is static: import statements anywhere in a file count, lazy ones too, and nothing is imported. A
data file counts when a module beside it names it (`"safety.tsv"`, or `"../prompts/*.txt"` for several).
One function serves the identity of stages, the keys of unfinished work and the fingerprints of evaluations.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.io.rows import fingerprint, sha256

PACKAGE = Path(__file__).parent.parent
IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+(medxiaohe[\w.]*)[ \t]+import[ \t]+(\([^)]*\)|[^\n#]+)"
    r"|import[ \t]+(medxiaohe[^\n#]*))",
    re.MULTILINE,
)
BY_NAME = re.compile(r"""["'](medxiaohe(?:\.\w+)+):""")  # a job or decoder named as "module:function"
PLUGIN = re.compile(r"""plugins\.load\(\s*["'](\w+)["']""")
FILE_NAME = re.compile(
    r"""["']([\w./~-]+\.(?:tsv|csv|txt|json|jsonl|yaml|yml|xml|parquet|npz|gz|zip|js|css|html|md))["']"""
)
FILE_GLOB = re.compile(r"""["']((?:[\w.-]+/)+)(\*\.(?:tsv|txt|yaml))["']""")  # "prompts/*.txt": all of them
BARE = re.compile(r"^[ \t]*(?:from|import)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)


def dependencies(*modules: str) -> dict[str, str]:
    """The modules themselves and what they import, transitively.

    Args:
        modules: dotted names of modules of medxiaohe, such as "medxiaohe.data.mixture".

    Returns:
        Dotted module name, or path of a data file below the package -> first 16 hex digits of its SHA-256.
        Names that are no module of medxiaohe are left out.
    """
    result: dict[str, str] = {}
    waiting = [name for name in modules if _file(name)]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if name in result or path is None:
            continue
        source = _source(path)
        result[name] = source.sha256
        inside = (file for file in source.data(_places(path)) if file.resolve().is_relative_to(PACKAGE))
        result |= {file.resolve().relative_to(PACKAGE).as_posix(): _sha256(file) for file in inside}
        waiting += source.modules
    return dict(sorted(result.items()))


def dependencies_of_file(path: Path, name: str = "") -> dict[str, str]:
    """The same for a file that may lie outside the package.

    Args:
        path: a Python file, such as one of the user's that holds a reader, a task or a stage.
        name: what the file is called in the result; by default its file name.

    Returns:
        The digest of the file under its name, those of the files beside it that it imports, those of the data
        files that these name, and `dependencies` of the modules of medxiaohe that they import.
    """
    first = path.resolve()
    if first.is_relative_to(PACKAGE):
        return dependencies(module_name(first))
    name = name or path.name
    result: dict[str, str] = {}
    modules: list[str] = []
    waiting, seen = [first], set[Path]()
    while waiting:
        file = waiting.pop()
        if file in seen:
            continue
        seen.add(file)
        source = _source(file)
        result[name if file == first else _relative(file, first.parent)] = source.sha256
        data = source.data([file.parent, Path.cwd()])
        result |= {_relative(item.resolve(), first.parent): _sha256(item) for item in data}
        modules += source.modules
        waiting += _beside(file, source.bare)
    return dict(sorted((result | dependencies(*modules)).items()))


def _places(path: Path) -> list[Path]:
    """List the folders in which a module of the package may name data files: its own, and `assets` beside
    it or above.
    """
    above = [folder for folder in path.parents if folder.is_relative_to(PACKAGE)]
    return [path.parent, *(folder / "assets" for folder in above)]


def _relative(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _beside(file: Path, names: tuple[str, ...]) -> list[Path]:
    """List Python files and packages beside a user's file that it imports by their bare names."""
    results = [path for name in names if (path := file.with_name(f"{name}.py")).is_file()]
    return results + [path for name in names for path in sorted(file.with_name(name).glob("**/*.py"))]


def digest(*modules: str) -> str:
    """Hash the source of modules and of everything they import, their data files included.

    Args:
        modules: dotted names of modules of medxiaohe.

    Returns:
        16 hexadecimal digits.
    """
    return fingerprint(dependencies(*modules))


def plugin_kinds(*modules: str) -> set[str]:
    """List the kinds of plug-ins that modules, or what they import, load by name.

    Args:
        modules: dotted names of modules of medxiaohe.

    Returns:
        Kinds such as "readers" and "filters".
    """
    paths = [path for name in dependencies(*modules) if (path := _file(name)) is not None]
    return {kind for path in paths for kind in PLUGIN.findall(path.read_text(encoding="utf-8"))}


def modules_below(folder: str) -> list[str]:
    """List every module below a folder of the package.

    Args:
        folder: such as "rewards".

    Returns:
        Dotted names, in the order of their files.
    """
    return [module_name(path) for path in sorted((PACKAGE / folder).rglob("*.py"))]


def _file(name: str) -> Path | None:
    """Return the file of a module of medxiaohe, or None."""
    if name != "medxiaohe" and not name.startswith("medxiaohe."):
        return None
    base = PACKAGE.joinpath(*name.split(".")[1:])
    for path in (base.with_suffix(".py") if base != PACKAGE else base / "__init__.py", base / "__init__.py"):
        if path.is_file():
            return path
    return None


def module_name(path: Path) -> str:
    """Return the dotted name of a file of the package.

    Returns:
        Such as "medxiaohe.io.code"; that of the package for an __init__.py.

    Raises:
        ValueError: the file is not in the package.
    """
    path = path.resolve()
    return ".".join(("medxiaohe", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


@dataclass(frozen=True)
class _Source:
    """The references of a Python file to other files."""

    modules: tuple[str, ...]  # of medxiaohe, that it imports or names as a job
    bare: tuple[str, ...]  # imported names that are not of medxiaohe
    files: tuple[str, ...]  # names of data files
    globs: tuple[tuple[str, str], ...]  # a folder and a pattern of data files in it
    sha256: str

    def data(self, folders: Sequence[Path]) -> list[Path]:
        """List the data files that the source names and that exist.

        Args:
            folders: to search, in order; globs count from the first.

        Returns:
            Each file below the first folder that has it.
        """
        places = [[folder / name for folder in folders] for name in self.files]
        results = [
            file for candidates in places for file in [next(filter(Path.is_file, candidates), None)] if file
        ]
        for folder, pattern in self.globs:
            results += sorted((folders[0] / folder).glob(pattern))
        return results


def _source(path: Path) -> _Source:
    stat = path.stat()
    return _parsed(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _sha256(path: Path) -> str:
    stat = path.stat()
    return _hashed(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@functools.lru_cache(maxsize=4096)
def _hashed(path: Path, mtime_ns: int, size: int, inode: int) -> str:
    return sha256(path)[:16]


@functools.lru_cache(maxsize=4096)
def _parsed(path: Path, mtime_ns: int, size: int, inode: int) -> _Source:
    """Parse the imports and file names of a file, cached in this process until the file is written again."""
    text = path.read_text(encoding="utf-8")
    imported: list[str] = []
    for module, names, plain in IMPORT.findall(text):
        if plain:
            imported += [imported_name.split()[0] for imported_name in plain.split(",")]
            continue
        for imported_name in names.strip("()").split(","):
            words = imported_name.split()
            name = f"{module}.{words[0]}" if words else module
            imported.append(name if words and _file(name) else module)
    imported += BY_NAME.findall(text)
    # a package's __init__ runs when a module below it is imported
    parents = {
        ".".join(name.split(".")[:depth]) for name in imported for depth in range(2, name.count(".") + 1)
    }
    return _Source(
        modules=tuple(dict.fromkeys([*imported, *sorted(parents)])),
        bare=tuple(dict.fromkeys(name for name in BARE.findall(text) if name != "medxiaohe")),
        files=tuple(dict.fromkeys(FILE_NAME.findall(text))),
        globs=tuple(dict.fromkeys(FILE_GLOB.findall(text))),
        sha256=_hashed(path, mtime_ns, size, inode),
    )
