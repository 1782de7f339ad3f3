"""Normalise the texts of documents: remove what typesetting, web pages and copying left in them, before any
filter reads them.

Unicode is composed (NFC), ligatures and full-width Latin are letters again, characters that nobody sees are
dropped, all kinds of space are one, three or more empty lines are one, and lines that belong to a web page or
a publisher are left out.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from medxiaohe.types import Message, Sample

UNSEEN = re.compile(
    "[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufffe\uffff\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
SPACES = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")
LIGATURES = str.maketrans(
    {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl", 0xFB05: "st", 0xFB06: "st"}
)
WIDE = str.maketrans(
    {
        code: chr(code - 0xFEE0)
        for code in [*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)]
    }
)
EMPTY_LINES = re.compile(r"\n\s*\n(\s*\n)+")
BOILERPLATE = re.compile(
    r"""\W*(
    (©|\(c\)|copyright)\s*(©|\(c\))?\s*(19|20)\d\d\b.{0,120} | all\ rights\ reserved\W*
    | this\ article\ is\ protected\ by\ copyright.{0,60} | published\ by\ .{0,60}all\ rights\ reserved\W*
    | (accept|we\ use|this\ (web)?site\ uses)\ (all\ )?cookies.{0,160}
    | (privacy\ policy|terms\ (of|and)\ \w+|cookie\ \w+|contact\ us|about\ us)\W*
    | (sign\ (in|up)|log\ in|register|subscribe)(\ (now|here|today|to\ .{0,60}))?\W* | share\ (this|on)\ .{0,40}
    | (download|view)\ (the\ )?(pdf|full\ text|article)\W* | (skip|back|jump)\ to\ (main\ content|navigation|top|content)\W*
    | (next|previous)\ (article|page)\W* | click\ here\b.{0,60} | advertisement\W* | page\ \d+\ of\ \d+\W*
    )$""",  # noqa: E501
    re.IGNORECASE | re.VERBOSE,
)


def normal_form(text: str) -> str:
    """Normalise a text: Unicode (NFC), ligatures, full-width Latin, spaces, empty lines, boilerplate.

    Args:
        text: of a document.

    Returns:
        The normalised text; normalising it again changes nothing.
    """
    # line and paragraph separators of every platform, then characters, then spaces and lines
    text = (
        text.replace("\r\n", "\n")
        .replace("\r", "\n")
        .replace("\u2028", "\n")
        .replace("\u2029", "\n\n")
        .replace("\x85", "\n")
    )
    text = UNSEEN.sub("", unicodedata.normalize("NFC", text).translate(LIGATURES).translate(WIDE))
    lines = [SPACES.sub(" ", line).rstrip() for line in text.split("\n")]
    selected = [line for line in lines if not is_boilerplate(line)]
    return EMPTY_LINES.sub("\n\n", "\n".join(selected)).strip()


def is_boilerplate(line: str) -> bool:
    """Recognise a line of a web page or publisher, such as "All rights reserved." or "Sign in".

    Returns:
        Whether all of the line is boilerplate; lines of more than 240 characters are not.
    """
    return len(line) <= 240 and bool(BOILERPLATE.match(line.strip()))


def normalised(sample: Sample) -> Sample:
    """Normalise the texts of a document.

    Args:
        sample: any row; instructions are left alone, because a question or an answer means what it says,
            and so are documents whose mentions are character offsets.

    Returns:
        A new sample, or the same object where nothing changes.
    """
    if not sample.is_document or sample.annotations.mentions:
        return sample
    messages = tuple(_normalised(message) for message in sample.messages)
    return sample if messages == sample.messages else replace(sample, messages=messages)


def _normalised(message: Message) -> Message:
    return replace(
        message, parts=tuple(normal_form(part) if isinstance(part, str) else part for part in message.parts)
    )
