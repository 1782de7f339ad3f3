"""Search the bytes of a de-identified file for every text of the original (re-scan).

Every text of the original (each attribute of every sequence, private ones, the preamble, the file meta
information, texts inside binary values) is searched for as UTF-8, Latin-1, UTF-16 and GB18030, in any case,
names also by their parts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENCODINGS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "gb18030")
NUMBERS = frozenset("DS FL FD IS SL SS SV UL US UV AT".split())
BINARY = frozenset("OB OW OD OF OL OV UN".split())
PRINTABLE = re.compile(rb"[\x20-\x7e\x80-\xff]{4,}")
WIDE = re.compile(rb"(?:[\x20-\x7e]\x00){4,}|(?:\x00[\x20-\x7e]){4,}")
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
MAX_BLOB = 4 * 2**20  # bytes of one binary value that are read for texts
# characters; shorter than ALONE: as a word only
LEAST_NAME, LEAST_TEXT, LEAST_DIGITS, ALONE, LEAST_IN_PIXELS = 3, 4, 5, 8, 8
DECIMAL = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?|[+-]?\d+\.?")


def values(dataset: Dataset, preamble: bytes = b"") -> set[str]:
    """List the texts of a dataset that could tell who the patient is.

    Args:
        dataset: the original, its file meta information included; pixels are not searched.
        preamble: the 128 bytes before it.

    Returns:
        Whole values and their words, in lower case; numbers and very short texts are left out.
    """
    results = set(_blob(preamble))
    for dataset_part in (getattr(dataset, "file_meta", None), dataset):
        if dataset_part is not None:
            results.update(_dataset(dataset_part))
    return {value for text in results for value in _parts(text)}


def _dataset(dataset: Dataset) -> Iterator[str]:
    for tag in list(dataset.keys()):
        if int(tag) in PIXELS:
            continue
        try:
            element = dataset[tag]
        except Exception:  # pydicom raises whatever its converters raise: the bytes are searched instead
            raw = dataset.get_item(tag)
            yield from _blob(getattr(raw, "value", b"") or b"")
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _dataset(item)
        elif element.VR in BINARY:
            yield from _blob(element.value if isinstance(element.value, bytes) else b"")
        elif element.VR not in NUMBERS:
            yield from _texts(element.value)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        yield value.decode("latin-1") if isinstance(value, bytes) else str(value if value is not None else "")
    elif hasattr(value, "original_string"):  # a PersonName
        yield str(value)
    else:
        for item in value:
            yield from _texts(item)


def _blob(data: bytes) -> Iterator[str]:
    """Extract texts from binary data that have a run of letters or digits."""
    head = data[:MAX_BLOB]
    for run in PRINTABLE.findall(head):
        if re.search(rb"[A-Za-z]{4}|\d{6}", run):
            yield run.decode("latin-1")
    for run in WIDE.findall(head):
        yield run.replace(b"\0", b"").decode("latin-1")


def _parts(text: str) -> Iterator[str]:
    """Normalise a text, and list its words that could identify: names, ids, codes."""
    normalised = " ".join(text.strip("\0 \t\r\n").lower().split())
    if LEAST_TEXT <= len(normalised) <= 1024 and _telling(normalised):
        yield normalised
    for word in re.split(r"[\s^=\\,;:/|\"'()\[\]{}<>_@+]+", normalised):
        bare = word.strip(".-*#!?&")
        if _telling(bare) and LEAST_NAME <= len(bare) <= 128:
            yield bare


def _telling(text: str) -> bool:
    if DECIMAL.fullmatch(text) and "." in text:
        return False  # a number
    digits = sum(c.isdigit() for c in text)
    wide = sum(not c.isascii() and c.isalpha() for c in text)
    letters = sum(c.isalpha() for c in text)
    return letters >= LEAST_NAME or wide >= 2 or digits >= LEAST_DIGITS


def hits(
    texts: Iterable[str], output: bytes, pixels: bytes, written: Collection[str], made: Collection[str]
) -> int:
    """Count the original texts that the new file has.

    Args:
        texts: of the original (`values`).
        output: bytes of the new file.
        pixels: bytes of its pixels; they are searched only for texts of LEAST_IN_PIXELS characters or more,
            because shorter ones occur in half a million random bytes by chance.
        written: terms that the new file may have because anybody may write them (of the keep-list).
        made: values computed with the key, in which a short number may occur by chance.

    Returns:
        How many of `texts` occur in `output`.
    """
    written_text = " \0 ".join(written).lower()
    header = output.replace(pixels, b"\0", 1) if pixels else output
    for item in sorted(made, key=len, reverse=True):
        header = header.replace(item.encode(), b"\0")
    lower, pixel_lower = header.lower(), pixels.lower()
    count = 0
    for text in texts:
        if _stands(text, written_text.encode(), "utf-8"):
            continue
        count += any(_stands(text, lower, encoding) for encoding in ENCODINGS) or (
            len(text) >= LEAST_IN_PIXELS and any(form in pixel_lower for form in _forms(text))
        )
    return count


def _forms(text: str) -> set[bytes]:
    return {text.encode(encoding, "ignore") for encoding in ENCODINGS} - {b""}


def _stands(text: str, lower: bytes, encoding: str) -> bool:
    form = text.encode(encoding, "ignore")
    if len(form) < LEAST_NAME:
        return False
    if len(text) >= ALONE:
        return form in lower
    return re.search(rb"(?<![a-z0-9])" + re.escape(form) + rb"(?![a-z0-9])", lower) is not None
