"""Limit JSON before it is parsed: a list or an object of two characters takes 56 to 232 bytes of memory.

CPython 3.11: `sys.getsizeof([])` is 56, that of an object with one key 184 and of its key about 50. So text
of nothing but brackets takes 20 to 30 times its size, all of it before anything can be checked.
"""

from __future__ import annotations

from medxiaohe.errors import Rejected

FEW = 250_000  # lists and objects of any text; 58 MB of objects with one key each
MANY, DENSE, SPARSE = 1_000_000, 12, 64  # up to MANY, one for each 12 bytes; beyond, one for each 64


def check(text: str | bytes, most: int = 0) -> None:
    """Refuse text with more lists and objects than its size explains.

    Args:
        text: JSON, not parsed yet. Brackets within strings count too, which no real text has so many of.
        most: number of lists and objects; 0 takes FEW, or what the length allows where that is more.

    Raises:
        Rejected: bomb.
    """
    if isinstance(text, str):
        count = text.count("[") + text.count("{")
    else:
        count = text.count(b"[") + text.count(b"{")
    most = most or max(FEW, min(len(text) // DENSE, MANY), len(text) // SPARSE)
    if count > most:
        raise Rejected("bomb", f"not read: {count:,} lists and objects in {len(text):,} characters of JSON")
