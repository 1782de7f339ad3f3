"""Prompts of workflows: text files of `agents/prompts/`, each of which a user may replace.

A workflow has the setting `prompts`, a folder: a file there of the same name is used in place of the one that
ships. A file has `{fields}`; it must have those of the file that it replaces, and no others.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Sequence
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.types import Message

FILES = "../prompts/*.txt"  # counted among the code of every workflow (io/code.py)
SHIPPED = (Path(__file__).parent / FILES).parent.resolve()


def prompt(name: str, folder: str = "", **values: object) -> str:
    """The text of a prompt with its fields filled in.

    Args:
        name: of the file, without `.txt`.
        folder: with prompts of the user's; "" for none.

    Raises:
        ConfigError: the folder is not there, or the fields of its file differ from those that are filled in.
    """
    text, path = _read(name, folder)
    fields = {field for _, field, _, _ in _parsed(text, path) if field is not None}
    if fields != set(values):
        wanted = ", ".join(f"{{{field}}}" for field in sorted(values)) or "none"
        raise ConfigError(f"{path}: the prompt must have these fields and no others: {wanted}")
    return text.format(**values)


def prompt_files(folder: str) -> dict[str, str]:
    """The prompts of a user's folder and their digests: part of what a stage's result depends on.

    Raises:
        ConfigError: the folder is not there.
    """
    return {str(path): io.sha256(path)[:16] for path in sorted(_own(folder).glob("*.txt"))} if folder else {}


def instructed(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """A conversation that begins with an instruction, behind the system message that it may have."""
    first = messages[0] if messages and messages[0].role == "system" else None
    if first is None:
        return (Message("system", (text,)), *messages)
    return (Message("system", (*first.parts, f"\n\n{text}")), *messages[1:])


def user(name: str, folder: str = "", **values: object) -> Message:
    """The same as a message of the user."""
    return Message("user", (prompt(name, folder, **values),))


def _read(name: str, folder: str) -> tuple[str, Path]:
    if not folder:
        return _shipped(name)
    path = _own(folder) / f"{name}.txt"
    return (path.read_text(encoding="utf-8").strip(), path) if path.is_file() else _shipped(name)


def _own(folder: str) -> Path:
    own = Path(folder).expanduser()
    if not own.is_dir():
        raise ConfigError(f"prompts: {folder} is no folder: give one with files such as cot.txt")
    return own


@functools.cache
def _shipped(name: str) -> tuple[str, Path]:
    path = SHIPPED / f"{name}.txt"
    return path.read_text(encoding="utf-8").strip(), path


def _parsed(text: str, path: Path) -> list[tuple[str, str | None, str | None, str | None]]:
    try:
        return list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}: write a brace that is no field twice") from error
