"""When two names are the same name, and which names are abbreviations."""

import re

WORD = re.compile(r"[^\W_]+")
POSSESSIVE = re.compile(r"['\u2019]s\b")
MAX_ABBREVIATION = 8


def key(name: str) -> str:
    """What is left of a name without case, punctuation, possessives and the inversion of "Syndrome,
    Refeeding"."""
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
    """COPD, mRNA, T-ALL, HbA1c: one word, more capitals and digits than a written word has."""
    if not 2 <= len(name) <= MAX_ABBREVIATION or " " in name:  # most names, and quick to see
        return False
    capitals = sum(c.isupper() or c.isdigit() for c in name)
    return name[0].isalnum() and capitals >= 2 and any(map(str.isupper, name))
