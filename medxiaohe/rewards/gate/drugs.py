"""Find drug names in texts, by drugs.tsv and the synonyms of a tree."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medxiaohe import io
from medxiaohe.rewards.gate.tables import rows

SHORT = 4  # letters; synonyms of a tree up to this length are often other words


@dataclass(frozen=True, slots=True)
class Named:
    """A drug that a text names."""

    drug: str  # id of drugs.tsv
    start: int
    end: int
    written: str


class Lexicon:
    """Names of drugs, and the classes of each."""

    def __init__(self, synonyms: Mapping[str, tuple[str, ...]] | None = None):
        """Read drugs.tsv; `synonyms` has further names of drugs, by id."""
        self.classes: dict[str, frozenset[str]] = {}
        self.names: dict[str, str] = {}
        for drug, english, chinese, classes in rows("drugs.tsv"):
            self.classes[drug] = frozenset((drug, *classes.split()))
            for name in (drug, *english.split("|"), *chinese.split("|"), *(synonyms or {}).get(drug, ())):
                if name:
                    self.names.setdefault(name.lower(), drug)
        longest = sorted(self.names, key=len, reverse=True)
        latin_names = "|".join(re.escape(name) for name in longest if name.isascii())
        chinese_names = "|".join(re.escape(name) for name in longest if not name.isascii())
        self.pattern = re.compile(
            rf"(?<![A-Za-z0-9])(?:{latin_names})(?![A-Za-z0-9])|{chinese_names}", re.IGNORECASE
        )

    def named(self, text: str) -> list[Named]:
        """Find the drugs that a text names.

        Args:
            text: in any case of letters.

        Returns:
            in the order of the text, the longest name at each position
        """
        return [
            Named(self.names[mark.group().lower()], mark.start(), mark.end(), mark.group())
            for mark in self.pattern.finditer(text)
        ]

    def is_a(self, drug: str, kind: str) -> bool:
        """Whether a drug is of a class.

        Args:
            drug: id of drugs.tsv.
            kind: id or class of drugs.tsv.

        Returns:
            True for the drug itself and for each of its classes

        Raises:
            KeyError: drugs.tsv has no such drug.
        """
        return kind in self.classes[drug]


@functools.cache
def lexicon(tree: Path | None = None) -> Lexicon:
    """Names of drugs.tsv, with the synonyms that a tree has for them; cached for each tree.

    Args:
        tree: folder of a built tree; None: no synonyms. An entity adds its synonyms of more than 4 letters if
            its names mean one drug of the table.

    Returns:
        the lexicon

    Raises:
        FileNotFoundError: the folder has no entities.jsonl.
        DataError: a line of entities.jsonl is no JSON object.
    """
    if tree is None:
        return Lexicon()
    drug_of = Lexicon().names
    synonyms: dict[str, tuple[str, ...]] = {}
    for row in io.read_jsonl(tree / "entities.jsonl"):
        names = [str(row.get("name", "")), *map(str, row.get("synonyms", ()))]
        ids = {drug_of[name.lower()] for name in names if name.lower() in drug_of}
        if len(ids) == 1:  # an entity of several drugs has no synonym of one
            (drug,) = ids
            synonyms[drug] = (*synonyms.get(drug, ()), *(name for name in names if len(name) > SHORT))
    return Lexicon(synonyms)
