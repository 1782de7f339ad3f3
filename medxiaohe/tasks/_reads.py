"""What the numbers of a task depend on beside its own file: the data it reads, and the code that scores.

    with recorded() as read:            # path, pack:PATH, asset:NAME or hub:NAME -> where it is
        next(iter(task.samples("test")), None)

Data is found by making one sample. `place` and `_rows` note the folder or file they are asked for, whole; an
asset and a data set of the hub are pinned by their specification and revision, so making stops there. Files
that a task opens by itself are noted by an audit hook of the interpreter.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from medxiaohe import assets, io
from medxiaohe.assets import digests
from medxiaohe.recipe.identity import PACKAGE, Reads, plugin_files
from medxiaohe.types import Task

DATA = "MEDXIAOHE_DATA"  # folder of data sets fetched by hand, in the layout of docs/data.md
CODE = (".py", ".pyc", ".so")
Found = dict[str, Path | str]  # name -> where it is, or the digest by which it is pinned
_reading: ContextVar[Found | None] = ContextVar("reading", default=None)


class Pinned(Exception):
    """Raised while data is recorded, where data is pinned by a digest and would take long to open."""


def note(name: str, source: Path | str) -> None:
    """Record that the current task reads `source`; a text is the digest of something pinned.

    Raises:
        Pinned: data is being recorded, and this is not on disk as a plain file.
    """
    recording = _reading.get()
    if recording is None:
        return
    recording[name] = source
    if isinstance(source, str):
        raise Pinned(name)


@contextmanager
def recorded() -> Iterator[Found]:
    """Context that records what is read inside it; `Pinned` ends the block.

    Yields:
        Name (path, pack:PATH, asset:NAME, hub:NAME) -> path or digest, filled while the block runs.
    """
    _listen()
    recording: Found = {}
    token = _reading.set(recording)
    try:
        with suppress(Pinned):
            yield recording
    finally:
        _reading.reset(token)


@functools.cache
def _listen() -> None:
    """Install the hook that notes files opened while data is recorded; it cannot be removed, and does nothing
    at other times."""

    def opened(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or (recording := _reading.get()) is None:
            return
        path, mode = arguments[0], arguments[1]
        if isinstance(path, (str, bytes)) and isinstance(mode, str) and not set(mode) & set("wax+"):
            recording.setdefault(f"\0{os.fsdecode(path)}", Path(os.fsdecode(path)))

    sys.addaudithook(opened)


def reads(task: Task, split: str, accounted: Collection[Path] = ()) -> Reads:
    """Find the data and the code that the numbers of a task depend on.

    Args:
        task: as `tasks.make` returns it.
        split: whose items are made; one is enough.
        accounted: folders whose content the caller accounts for, such as that of the tree.

    Returns:
        Digests of data and of code, by name; an error of the task is recorded as "unreadable", not raised.
    """
    with recorded() as recording:
        try:
            next(iter(task.samples(split)), None)
        except Pinned:
            raise
        except (
            Exception
        ) as error:  # of data that is missing, or of a task of the user's: a run would raise it
            recording.setdefault("unreadable", io.fingerprint([type(error).__name__, str(error)]))
    return Reads(_digests(recording, accounted), code(task))


def _digests(recording: Found, accounted: Collection[Path]) -> dict[str, str]:
    noted = {name: source for name, source in recording.items() if not name.startswith("\0")}
    own = [source.resolve() for source in noted.values() if isinstance(source, Path)]
    elsewhere = [path.resolve() for path in (*accounted, *_system(), *own)]
    for name, source in recording.items():
        path = Path(source).absolute()
        inside = any(path.resolve().is_relative_to(folder) for folder in elsewhere)
        if name.startswith("\0") and path.is_file() and path.suffix not in CODE and not inside:
            noted[shown(path)] = path
    return {
        f"{name}": source
        if isinstance(source, str)
        else digests.content(source)
        if source.exists()
        else "missing"
        for name, source in sorted(noted.items())
    }


def _system() -> list[Path]:
    """Folders whose files are no data of a task: the package, Python, caches, devices."""
    places = [sys.prefix, sys.base_prefix, "/proc", "/dev", "/sys", "/etc", "/usr"]
    return [PACKAGE, assets.cache_root(), Path.home() / ".cache", *map(Path, places)]


def shown(path: Path) -> str:
    """Name a path for a record.

    Args:
        path: of a file or folder.

    Returns:
        "pack:..." below the data pack, a relative path below the working directory, else the path itself.
    """
    pack = Path(os.environ[DATA]).expanduser().absolute() if DATA in os.environ else None
    if pack is not None and path.absolute().is_relative_to(pack):
        return f"pack:{path.absolute().relative_to(pack).as_posix()}"
    return os.path.relpath(path) if path.absolute().is_relative_to(Path.cwd()) else str(path)


def code(task: Task) -> dict[str, str]:
    """Hash the source files of the scorers, the tools and the workflow of a task.

    Args:
        task: as `tasks.make` returns it.

    Returns:
        Name of the file -> 16 hex digits.
    """
    result: dict[str, str] = {}
    for scorer in task.scorers:
        result |= source_files(scorer)
    for name in task.tools:
        result |= plugin_files("tools", name)
    return result | plugin_files("workflows", task.workflow)


def source_files(function: Any) -> dict[str, str]:
    """Hash the files of a function, or of an object and the functions it holds, and of all they import.

    Args:
        function: a function, a partial, a class or a dataclass object.

    Returns:
        Name of the file -> 16 hex digits; {} for what has no source file.
    """
    target = unwrapped(function)
    members = [target if inspect.isroutine(target) or inspect.isclass(target) else type(target)]
    if dataclasses.is_dataclass(target) and not isinstance(target, type):
        held = [unwrapped(getattr(target, field.name)) for field in dataclasses.fields(target)]
        members += [member for member in held if inspect.isroutine(member)]
    result: dict[str, str] = {}
    for member in members:
        if file := inspect.getsourcefile(member):
            result |= io.code.dependencies_of_file(Path(file))
    return result


def unwrapped(function: Any) -> Any:
    """Follow partials and decorators to the function that is called.

    Args:
        function: any object.

    Returns:
        The function; the object itself where it is not callable.
    """
    while isinstance(function, functools.partial):
        function = function.func
    return inspect.unwrap(function) if callable(function) else function


def paths(options: Mapping[str, Any]) -> dict[str, Path]:
    """Find the files and folders that the options of a task name.

    Args:
        options: of a task.

    Returns:
        Shown name -> path, of texts that are existing paths.
    """
    texts = [value for value in options.values() if isinstance(value, str) and value]
    return {shown(path): path for text in texts if (path := Path(text).expanduser()).exists()}
