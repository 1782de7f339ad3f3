"""Words of names and definitions: when two spellings are one, which word is the head, what a definition says
its subject is."""

from __future__ import annotations

import re
from functools import lru_cache

from medxiaohe.entity.linking.variants import GREEK_LETTERS, ROMAN, SPELLINGS
from medxiaohe.entity.tree.names import key

LINKS = frozenset(
    "a an the of in on at to for with without by from due and or as into that which nos other unspecified".split()  # noqa: E501
)
ENUMERATOR = re.compile(r"\d{1,3}[a-z]?|[a-z]\d{0,2}|type|grade|stage|form|group|class|subtype|variant")
SUBJECT = re.compile(
    r"^(?:an?|the|any|one)?\s*(?:(?:form|type|kind|subtype|variant|subgroup|group|class|variety|case)s?\s+of\s+)?",
    re.I,
)
GENUS_END = re.compile(
    r"[,.;:(]|\b(?:that|which|who|whose|where|in which|characteri[sz]ed|caused|resulting|results?_?|due"
    r" to|with|involving|affecting|located"
    r"|associated|occurring|arising|derived|marked|resulting_from|located_in|has_\w+|is|are|was|includes?|and|or)\b",
    re.I,
)
IS_A = re.compile(r"^\s*(?:\([^()]{1,40}\)\s*)?(?:,\s*)?(?:is|are|was|were)\s+(?=an?\s|the\s|one\s)", re.I)
ENDINGS = (
    ("ies", "y"),
    ("oses", "osis"),
    ("yses", "ysis"),
    ("itides", "itis"),
    ("omata", "oma"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("xes", "x"),
)


@lru_cache(2**18)
def stem(word: str) -> str:
    """A word without its plural; British spellings as American ones. Nothing shorter than four letters is
    touched."""
    for old, new in SPELLINGS:
        if old in word:
            word = word.replace(old, new)
    if len(word) > 4 or (len(word) == 4 and word.endswith("s")):
        for ending, replacement in ENDINGS:
            if word.endswith(ending):
                return word.removesuffix(ending) + replacement
        if word.endswith("s") and not word.endswith(("ss", "us", "is")):
            return word[:-1]
    return word


@lru_cache(2**19)
def tokens(name: str) -> tuple[str, ...]:
    """The stemmed words of a name in their order, Greek letters spelt out, Roman numbers (II and more) as
    digits."""
    for letter, word in GREEK_LETTERS.items():
        if letter in name:
            name = name.replace(letter, f" {word} ")
    return tuple(ROMAN.get(word, stem(word)) if len(word) > 1 else word for word in key(name).split())


@lru_cache(2**19)
def content(name: str) -> tuple[str, ...]:
    """Those of the tokens that are no function words."""
    return tuple(token for token in tokens(name) if token not in LINKS)


def variant_key(name: str) -> str:
    """Equal for spellings of one term: case, plural, hyphen, spelling, order of words around a comma or
    "of"."""
    return " ".join(sorted(content(name))) or " ".join(tokens(name))


@lru_cache(2**19)
def head(name: str) -> str:
    """The word that says what a thing is: "lung carcinoma type 2" -> carcinoma, "carcinoma of the lung" ->
    carcinoma."""
    words = list(tokens(name))
    for link in ("of", "in", "with", "without", "due", "to", "by", "from", "for", "on"):
        if link in words[1:]:
            words = words[: words.index(link, 1)]
    while len(words) > 1 and ENUMERATOR.fullmatch(words[-1]):
        words.pop()
    return words[-1] if words else ""


def genus(definition: str) -> str:
    """What a definition says its subject is: "A lung disease that ..." -> "lung disease"; "" without one."""
    text = SUBJECT.sub("", " ".join(definition.split()), count=1)
    end = GENUS_END.search(text)
    phrase = text[: end.start()] if end else text
    return phrase.strip() if 0 < len(phrase.split()) <= 8 else ""


def said_to_be(passage: str, end: int) -> str:
    """The definition that a passage gives of the term that ends at `end` ("... (COPD) is a lung disease that
    ..."), or ""."""
    rest = passage[end : end + 400]
    match = IS_A.match(rest)
    if not match:
        return ""
    sentence = re.split(r"(?<=[a-z)])\.\s", rest[match.end() :], maxsplit=1)[0]
    return sentence.strip().rstrip(".")
