"""Colour on a terminal; plain text in files and pipes, and where NO_COLOR is set (no-color.org)."""

from __future__ import annotations

import os
from typing import TextIO

RED, BOLD = "31", "1"  # ECMA-48, select graphic rendition


def red(text: str, stream: TextIO) -> str:
    """The text in red where the stream is a terminal.

    Returns:
        the text in escape sequences; unchanged in files and pipes, with NO_COLOR, and on a dumb terminal.
    """
    return _styled(text, RED, stream)


def bold(text: str, stream: TextIO) -> str:
    """The text in bold where the stream is a terminal.

    Returns:
        the text in escape sequences; unchanged in files and pipes, with NO_COLOR, and on a dumb terminal.
    """
    return _styled(text, BOLD, stream)


def _styled(text: str, code: str, stream: TextIO) -> str:
    requested = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{code}m{text}\x1b[0m" if requested else text
