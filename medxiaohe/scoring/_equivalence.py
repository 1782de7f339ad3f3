"""Whether two medical names mean the same thing: by spelling, or because the entity tree gives both to one
entity.

What a name is about and what is said of it are compared apart: a negation, a side and a number must agree
whatever the names. "Left" is never dropped, "type II" is "type 2", "oedema" is "edema", and an abbreviation
counts as it is written. What tells types apart is part of the name wherever it stands: "hepatitis A" is no
"hepatitis", and "hepatitis (A)" is the former.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from medxiaohe.entity.tree import names
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

ROMAN = {r: str(i) for i, r in enumerate("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv".split(), 1)}
NUMBERED = {
    "type",
    "stage",
    "grade",
    "class",
    "factor",
    "phase",
    "group",
    "category",
    "level",
    "nerve",
    "syndrome",
}
SIDES = {
    "left": "left",
    "right": "right",
    "bilateral": "both",
    "both": "both",
    "bilaterally": "both",
    "unilateral": "one",
}
SIDES |= {"lt": "left", "rt": "right"}
SIDES_ZH = {"左": "left", "右": "right", "双侧": "both", "两侧": "both", "单侧": "one"}
NOT = re.compile(
    r"\b(?:no (?:evidence|sign|signs|indication|history|findings?|features?) of|absence of|negative for|free"
    r" of|ruled? out|"
    r"no|not|without|absent|"
    r"never|denies|exclude[sd]?|neither|nor|unlikely)\b|n't\b|未见|没有|无|不是|非|排除",
    re.IGNORECASE,
)
SIDE = re.compile(
    r"(?:\b(?:on|in|at|of)(?: the)? )?\b(?:" + "|".join(SIDES) + r")(?:[- ]?(?:sided?|hand))?\b",
    re.IGNORECASE,
)
ASIDE = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]")
PLURAL = re.compile(r"(?<=[a-z])\(e?s\)")  # tumor(s)
# where no article can stand, the letter is part of the name: hepatitis A, A-beta lipoprotein, A. fumigatus
ARTICLE = re.compile(
    r"(?:^(?i:an?)|(?:(?<=\b(?:of|in|on|at|to|by|is|as|or) )|(?<=\b(?:for|has|and) )|(?<=\b(?:with|from)"
    r" )|(?<=\bwithout ))an?)"
    r"(?= (?!(?i:and|or|in|of)\b)\w\w)"
)
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi "
        "omicron pi rho sigma tau upsilon phi chi psi omega".split(),
        strict=True,
    )
)
# HER2+, CD4-
SIGNED = re.compile(r"(?<=\w)(\+)(?=$|[\s,;)\]/])|(?<=[A-Z\d])(-)(?=$|[,;)\]/]| (?!and\b|or\b))")
MARK = r"(?:[a-z]|[ivx]+[a-z]?|\d{1,3}[a-z]?|" + "|".join((*GREEK, *GREEK.values())) + ")"
TYPE = re.compile(
    rf"(?:(?:sub)?type|form|variant|{'|'.join(NUMBERED)})?[\s-]*{MARK}\s*[+-]?|[+-]|positive|negative|\w{{1,8}}[型期级度类]",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"\s*(?:no|not|absent|excluded|ruled out|negated|denied|unlikely|未见|无|排除)\s*", re.IGNORECASE
)


def canon(name: str) -> str:
    """Normalise a medical name: case, punctuation, possessives, plurals, Roman numerals, Greek letters, and
    British or American spelling.

    Args:
        name: as written.

    Returns:
        Words joined by single spaces; names with equal results are spelling variants.
    """
    name = unicodedata.normalize("NFKC", name)
    if "+" in name or "-" in name:
        name = SIGNED.sub(lambda mark: " positive" if mark[1] else " negative", name)
    words = names.key(name).split()
    if "a" in words or "an" in words:
        plain = " ".join((name.lower() if name.isupper() and " " in name.strip() else name).split())
        words = names.key(ARTICLE.sub("", plain)).split() or words
    return " ".join(_word(word, words[i - 1] if i else "") for i, word in enumerate(words) if word != "the")


@lru_cache(maxsize=200_000)
def _word(word: str, before: str) -> str:
    if word in ROMAN and (len(word) > 1 or before in NUMBERED):
        return ROMAN[word]
    if not word.isascii() or len(word) < 4:
        return GREEK.get(word, word)
    word = word.replace("ae", "e").replace("oe", "e").replace("sulph", "sulf")
    word = re.sub(r"our(?=s?$)", "or", re.sub(r"tre$", "ter", word))
    word = re.sub(r"is(?=(?:e|ed|es|ing|ation)$)", "iz", word)
    if word.endswith("ies") and len(word) > 5:
        return f"{word[:-3]}y"
    if word.endswith("ses") and len(word) > 5:
        return f"{word[:-2]}is"  # metastases
    return (
        word[:-1] if len(word) > 4 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
    )


def negated(name: str) -> bool:
    """Detect a negation within a name: "no effusion", "absence of fever".

    Returns:
        Whether the name holds a word of negation, in English or Chinese.
    """
    return bool(NOT.search(name))


def sides(name: str) -> frozenset[str]:
    """Extract the laterality of a name.

    Returns:
        Of left, right, both, one; {"both"} for a name with left and right, empty without a side.
    """
    results = {SIDES[word] for word in re.findall(r"[a-z]+", name.lower()) if word in SIDES}
    results |= {side for mark, side in SIDES_ZH.items() if mark in name}
    return frozenset({"both"} if {"left", "right"} <= results else results)


def numbers(name: str) -> frozenset[str]:
    """Extract the numbers of a name, Roman ones included.

    Returns:
        Digits with a letter behind them: of "type II" 2, of "NF1" 1, of "4a" 4a.
    """
    return frozenset(re.findall(r"\d+[a-z]?\b|\d+", canon(name)))


def marks(name: str) -> tuple[str, ...]:
    """Extract the letters and Greek letters of a name that stand alone: "a" of hepatitis A, "alpha" of
    alpha-thalassemia.

    Returns:
        In the order of the name, normalised by `canon`.
    """
    return tuple(
        word
        for word in canon(name).split()
        if (len(word) == 1 and word.isalpha() and word.isascii()) or word in GREEK.values()
    )


class Names:
    """Index of the names and synonyms of an entity tree by normalised spelling, with the entity ids of each.

    Without a tree, spelling alone decides whether two names are the same.
    """

    def __init__(self, entities: Iterable[Entity] = ()) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.written: dict[str, tuple[str, ...]] = {}  # abbreviations, as they are written
        for entity in entities:
            for name in dict.fromkeys((entity.name, *entity.synonyms)):
                short = len(name) <= names.MAX_ABBREVIATION and names.is_abbreviation(name)
                table, key = (self.written, _letters(name)) if short else (self.names, canon(name))
                if key and entity.id not in table.get(key, ()):
                    table[key] = (*table.get(key, ()), entity.id)

    def ids(self, name: str) -> frozenset[str]:
        """Look up the entities that have a name or synonym of this spelling.

        Args:
            name: as written; an abbreviation must agree in case.

        Returns:
            Entity ids, empty for an unknown name.
        """
        name = name.strip()
        return frozenset((*self.names.get(canon(name), ()), *self.written.get(_letters(name), ())))

    def known(self, name: str) -> bool:
        """Look up whether any entity has this name.

        Returns:
            True for a name or synonym of the tree.
        """
        return bool(self.ids(name))

    def same(self, first: str, second: str) -> str:
        """Decide whether two names mean the same entity; negation, side and numbers must agree.

        Args:
            first: a name, with or without an aside in brackets.
            second: the name it is compared with.

        Returns:
            "spelling", "synonym" (one entity of the tree has both), or "" where they differ or it is not
            known.
        """
        first, second = (self._main(unicodedata.normalize("NFKC", name)) for name in (first, second))
        # assertion, then the names themselves, then the names without side and negation
        if negated(first) != negated(second):
            return ""
        if why := self._whole(first, second):
            return why
        comparable = sides(first) == sides(second) and (sides(first) or negated(first))
        return self._whole(_core(first), _core(second)) if comparable else ""

    def _whole(self, first: str, second: str) -> str:
        if sides(first) == sides(second) and canon(first) == canon(second) != "":
            return "spelling"
        return "synonym" if self._synonyms(first, second) else ""

    def _synonyms(self, first: str, second: str) -> bool:
        """One entity has both names, and they do not name different sides, numbers or, if that is all,
        letters."""
        if not self.ids(first) & self.ids(second):
            return False
        # an attribute that both names state must be the same; one that only one states is no conflict
        apart = (sides(first) and sides(second) and sides(first) != sides(second)) or (
            numbers(first) and numbers(second) and numbers(first) != numbers(second)
        )
        return not apart and not (
            marks(first)
            and marks(second)
            and marks(first) != marks(second)
            and _unmarked(first) == _unmarked(second)
        )

    def _main(self, name: str) -> str:
        """The name without asides; one that names something else, or says type, side or that it is not there,
        stays."""
        name = PLURAL.sub("s", name)
        main = ASIDE.sub("", name).strip()
        for match in ASIDE.finditer(name):
            aside_ids, main_ids = self.ids(match[1]), self.ids(main)
            if aside_ids and main_ids:
                if not aside_ids & main_ids:
                    return name
            elif TYPE.fullmatch(match[1].strip()) or DENIED.fullmatch(match[1]) or sides(match[1]):
                return name
        return main or name


def _core(name: str) -> str:
    """The name without what is said of it: sides and negations."""
    bare = SIDE.sub(" ", NOT.sub(" ", name))
    for mark in (*SIDES_ZH, "侧"):
        bare = bare.replace(mark, "")
    return bare.strip()


def _unmarked(name: str) -> str:
    apart = marks(name)
    return " ".join(word for word in canon(name).split() if word not in apart)


def _letters(name: str) -> str:
    """An abbreviation as it is written, hyphens, points and spaces left out: "T-ALL", "C.O.P.D."."""
    return re.sub(r"[\s.\-]", "", unicodedata.normalize("NFKC", name))


def tree_names(tree: Path) -> Names:
    """Load the names of a built tree; two trees are cached for a process, by the time of their file.

    Args:
        tree: folder of an entity.build stage.

    Returns:
        The index of its names.

    Raises:
        DataError: the folder holds no readable tree.
    """
    return _read(
        Path(tree),
        (Path(tree) / "entities.jsonl").stat().st_mtime_ns if (Path(tree) / "entities.jsonl").exists() else 0,
    )


@lru_cache(maxsize=2)
def _read(tree: Path, changed: int) -> Names:
    return Names(Tree.load(tree).entities.values())
