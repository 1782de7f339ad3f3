"""Words of names and definitions: variant keys, head words, and the genus of a definition."""

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
    """Reduce a lower-case word to its singular in American spelling.

    Returns:
        the stem; of words shorter than four letters only the spelling is changed
    """
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
    """Tokenise a name: its stemmed words in order, Greek letters spelled out, Roman numbers from II on as
    digits.

    Returns:
        tokens in lower case; () for a name without letters or digits
    """
    for letter, word in GREEK_LETTERS.items():
        if letter in name:
            name = name.replace(letter, f" {word} ")
    return tuple(ROMAN.get(word, stem(word)) if len(word) > 1 else word for word in key(name).split())


@lru_cache(2**19)
def content(name: str) -> tuple[str, ...]:
    """The tokens of a name without function words (LINKS).

    Returns:
        tokens in order
    """
    return tuple(token for token in tokens(name) if token not in LINKS)


def variant_key(name: str) -> str:
    """Key that is equal for spellings of one term: case, plural, hyphen, spelling and word order are ignored.

    Returns:
        sorted content words, joined by blanks; all tokens in order where there are no content words
    """
    return " ".join(sorted(content(name))) or " ".join(tokens(name))


@lru_cache(2**19)
def head(name: str) -> str:
    """The head word of a name: "lung carcinoma type 2" -> carcinoma, "carcinoma of the lung" -> carcinoma.

    Returns:
        the last token before a preposition, without enumerators; "" for a name without tokens
    """
    words = list(tokens(name))
    for link in ("of", "in", "with", "without", "due", "to", "by", "from", "for", "on"):
        if link in words[1:]:
            words = words[: words.index(link, 1)]
    while len(words) > 1 and ENUMERATOR.fullmatch(words[-1]):
        words.pop()
    return words[-1] if words else ""


def genus(definition: str) -> str:
    """The genus phrase of a definition: "A lung disease that ..." -> "lung disease".

    Returns:
        "" where the phrase is empty or has more than eight words
    """
    text = SUBJECT.sub("", " ".join(definition.split()), count=1)
    end = GENUS_END.search(text)
    phrase = text[: end.start()] if end else text
    return phrase.strip() if 0 < len(phrase.split()) <= 8 else ""


def said_to_be(passage: str, end: int) -> str:
    """The definition that a passage gives of a term: "... (COPD) is a lung disease that ...".

    Args:
        passage: full text.
        end: offset in code points at which the term ends.

    Returns:
        the rest of the sentence from its article on, at most about 400 characters; "" where "is a" (or "are
        the", "was one") does not follow
    """
    rest = passage[end : end + 400]
    match = IS_A.match(rest)
    if not match:
        return ""
    sentence = re.split(r"(?<=[a-z)])\.\s", rest[match.end() :], maxsplit=1)[0]
    return sentence.strip().rstrip(".")
