"""Escape control characters of data on a terminal, so that it does not interpret them.

A reply of a model, a row or a recipe may hold escape sequences, which set a terminal's title, hide or repaint
lines, or write to the clipboard (ECMA-48; xterm control sequences).
"""

from __future__ import annotations

import re

# C0 but tab and line feed, DEL, C1, and the characters that reorder text (Unicode 15, UAX 9)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Escape the control characters of a text.

    Returns:
        each control character as its escape, such as \x1b; tabs and line feeds unchanged, CRLF as a line
        feed.
    """
    return CONTROL.sub(lambda mark: mark[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))
