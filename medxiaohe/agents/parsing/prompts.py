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
        values: of the fields, all of them.

    Returns:
        the text of the file with its fields filled in

    Raises:
        ConfigError: the folder is not there, or the fields of its file differ from those that are filled in.
    """
    text, path = _read(name, folder)
    fields = {field for _, field, _, _ in _parsed(text, path) if field is not None}
    if fields != set(values):
        expected = ", ".join(f"{{{field}}}" for field in sorted(values)) or "none"
        raise ConfigError(f"{path}: the prompt must have these fields and no others: {expected}")
    return text.format(**values)


def prompt_files(folder: str) -> dict[str, str]:
    """List the prompts of a user's folder with their digests, on which the result of a stage depends.

    Args:
        folder: "" for none.

    Returns:
        path -> first 16 hex digits of the file's SHA-256

    Raises:
        ConfigError: the folder is not there.
    """
    return {str(path): io.sha256(path)[:16] for path in sorted(_own(folder).glob("*.txt"))} if folder else {}


def instructed(messages: Sequence[Message], text: str) -> tuple[Message, ...]:
    """Add an instruction to the beginning of a conversation.

    Args:
        messages: the conversation.
        text: the instruction; it is appended to a system message that exists.

    Returns:
        messages, the first of which is a system message.
    """
    first = messages[0] if messages and messages[0].role == "system" else None
    if first is None:
        return (Message("system", (text,)), *messages)
    return (Message("system", (*first.parts, f"\n\n{text}")), *messages[1:])


def user(name: str, folder: str = "", **values: object) -> Message:
    """Fill in a prompt as a message of the user.

    Args:
        name: of the file, without `.txt`.
        folder: with the user's own prompts; "" for none.
        values: of the fields of the prompt.

    Raises:
        ConfigError: as for `prompt`.
    """
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
