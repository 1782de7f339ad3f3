"""Compare names, and recognise abbreviations."""

import re

WORD = re.compile(r"[^\W_]+")
POSSESSIVE = re.compile(r"['\u2019]s\b")
MAX_ABBREVIATION = 8


def key(name: str) -> str:
    """Normalise a name for comparison: case, punctuation, possessives and an inverted comma are ignored.

    "Syndrome, Refeeding" and "refeeding syndrome" have one key. A comma is inverted only where there is one,
    and where what follows has no digit and does not begin with "type", "with", "due" or "un".

    Returns:
        lower-case words, joined by single blanks
    """
    head, comma, tail = name.partition(", ")
    if (
        comma
        and ", " not in tail
        and not any(c.isdigit() for c in tail)
        and not tail.lower().startswith(("type ", "with ", "due ", "un"))
    ):
        name = f"{tail} {head}"
    return " ".join(WORD.findall(POSSESSIVE.sub("", name).casefold()))


def is_abbreviation(name: str) -> bool:
    """Whether a name looks like an abbreviation: COPD, mRNA, T-ALL, HbA1c.

    Returns:
        True for one word of 2 to MAX_ABBREVIATION characters with at least two capitals or digits, one of
        them a capital
    """
    if not 2 <= len(name) <= MAX_ABBREVIATION or " " in name:  # most names, and quick to see
        return False
    capitals = sum(c.isupper() or c.isdigit() for c in name)
    return name[0].isalnum() and capitals >= 2 and any(map(str.isupper, name))
