"""Spelling variants of names, generated once, when the names of a tree are prepared for matching.

A variant is tokens joined by blanks, as entity.link sees a text, without hyphens. Each rule rewrites the
name, and its results are the input of the next rule, so "haemolytic anaemia type II" has the form "hemolytic
anemias type 2". A variant never replaces a name that a vocabulary has (entity.link prefers those), and no
rule guesses at the inside of a word: stemming costs 15 to 17 points of precision, a word list none.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator

MAX_VARIANTS = 12
NO_PLURAL = ("ss", "us", "is", "os")  # words that end in s without being one
MIN_LETTERS = 3  # of a word that has a plural
MAX_WORDS = 9  # longer names are descriptions: nobody writes them in another way

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "theta": "θ",
    "kappa": "κ", "lambda": "λ",
    "omega": "ω", "sigma": "σ",
}  # fmt: skip
GREEK_LETTERS = {letter: name for name, letter in GREEK.items()}
ROMAN = dict(
    zip(
        "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX".lower().split(),
        map(str, range(1, 21)),
        strict=True,
    )
)
ARABIC = {number: roman for roman, number in ROMAN.items()}
# what a numeral is the number of
NUMBERED = frozenset("type types stage grade class factor complex phase subtype".split())
NUMERAL = re.compile(r"([ivx]+|\d{1,2})([a-d]?)")

# British parts of words -> American ones, and back. Only parts that occur in no other word of medicine.
SPELLINGS = (
    ("oesophag", "esophag"), ("oedem", "edem"), ("rrhoea", "rrhea"), ("foet", "fet"), ("oestr", "estr"),
    ("pnoea", "pnea"),
    ("coeliac", "celiac"), ("coelom", "celom"), ("amoeb", "ameb"), ("haem", "hem"), ("aemi", "emi"), ("paed",
    "ped"), ("gynaec", "gynec"),
    ("caec", "cec"), ("faec", "fec"), ("anaesth", "anesth"), ("ischaem", "ischem"), ("leucocyt", "leukocyt"),
    ("tumour", "tumor"),
    ("colour", "color"), ("odour", "odor"), ("behaviour", "behavior"), ("sulph", "sulf"), ("aluminium",
    "aluminum"),
    ("fibre", "fiber"), ("goitre", "goiter"), ("aetiolog", "etiolog"), ("caesar", "cesar"), ("isation",
    "ization"), ("palaeo", "paleo"),
    ("homoeo", "homeo"), ("orthopaed", "orthoped"), ("chaet", "chet"),
)  # fmt: skip
# "hem" and "ped" are in many words: these go back to British only where more of the word is known.
BACK = {
    "hem": r"\bhem(?=[ao])|(?<=isc)hem|(?<=met)hem(?=o)",
    "emi": r"(?<=[a-z]{2})(?<!acad)(?<!epid)(?<!end)(?<!pand)(?<!ch)emi(?=[ac]s?\b|cs?\b)|(?<=an)emi(?=a)",
    "ped": r"(?<=ortho)ped|\bped(?=iatr)",
    "fet": r"\bfet(?=al|us|o)",
    "estr": r"\bestr(?=o)",
    "edem": r"edem(?=a)",
    "cec": r"\bcec(?=um|al)",
    "fec": r"\bfec(?=al|es)",
    "fiber": r"fiber(?=s?\b)",
    "ameb": r"\bameb",
    "color": r"\bcolor(?!ec)",
    "odor": r"\bodor",
    "etiolog": r"\betiolog",
    "chet": "$^",
    "esophag": r"\besophag",
    "sulf": r"sulf",
}
_TO_US = re.compile("|".join(sorted((uk for uk, _ in SPELLINGS), key=len, reverse=True)))
_US = {uk: us for uk, us in SPELLINGS}
_TO_UK = re.compile("|".join(f"(?P<r{i}>{BACK.get(us, us)})" for i, (_, us) in enumerate(SPELLINGS)))
_NON = re.compile(r"(?<![^ ])non(?=[a-z]{4})(?!no)", re.IGNORECASE)
# prefixes that are written with a hyphen, a space or neither
_JOINED = tuple("non post pre anti intra extra peri micro multi inter sub hyper hypo".split())
_PREFIX = re.compile(
    r"(?<![^ ])(post|pre|intra|extra|peri|micro|multi|inter|sub|hyper|hypo) (?=[a-z]{5})", re.IGNORECASE
)
_PREFIXED = re.compile(r"(?<![^ ])(post|micro)(?=(?!erior|ural|ure)[a-z]{6})", re.IGNORECASE)
_GREEK_NUMBER = re.compile(
    rf"(?<![^ ])({'|'.join((*GREEK, *GREEK.values()))}) ([0-9]{{1,2}})(?![^ ])", re.IGNORECASE
)
_GLUED = re.compile(r"([A-Za-z]{2,5})([0-9]{1,3}|[α-ω])")
_INVERTED = re.compile(r"([^,]+?) , ([^,\d]+)")
_NOT_BEFORE = (
    "type ", "with ", "without ", "due ", "in ", "of ", "not ", "un", "and ", "or ", "other", "nos",
    "susceptibility", "included",
)  # fmt: skip
_EPONYM = re.compile(
    r"[A-Z][a-z]{3,}"
    r" (?:disease|syndrome|sarcoma|lymphoma|palsy|chorea|tumor|tumour|contracture|thyroiditis|encephalopathy)\b"  # noqa: E501
)
_ADJECTIVES = (("tension", "tensive"), ("toxicity", "toxic"), ("sclerosis", "sclerotic"), ("phrenia",
"phrenic"), ("lepsy", "leptic"),
               ("betes", "betic"), ("chosis", "chotic"), ("phrosis", "phrotic"), ("necrosis", "necrotic"),
               ("allergy", "allergic"),
               ("megaly", "megalic"), ("parkinsonism", "parkinsonian"))  # fmt: skip


def variants(words: list[str], kind: str = "") -> Iterator[str]:
    """Other spellings of a name.

    Args:
        words: tokens of the name.
        kind: of the entity; some rules are for one kind.

    Yields:
        up to MAX_VARIANTS forms, tokens joined by blanks, in the case of the name or in lower case; none is
        the name itself, and a name of more than MAX_WORDS words has none
    """
    if len(words) > MAX_WORDS:
        return
    name = " ".join(words)
    forms = {name: None}
    for rule in _rules_for(name, words):
        for form in list(forms):
            forms.update(dict.fromkeys(rule(form)))
    if kind == "chemical" and name.endswith(" atom"):
        forms[name.removesuffix(" atom")] = None  # ChEBI's name of the element
    if len(words) == 1 and kind in ("disease", "phenotype"):
        forms.update(
            {
                name.removesuffix(noun) + adjective: None
                for noun, adjective in _ADJECTIVES
                if name.lower().endswith(noun)
            }
        )
    for form in list(forms):
        forms.update(dict.fromkeys(_numbers(form)))
    del forms[name]
    yield from list(forms)[:MAX_VARIANTS]


def _rules_for(name: str, words: list[str]) -> Iterator[Callable[[str], Iterator[str]]]:
    """Rules that can change this name: most names have nothing that a rule applies to."""
    low = {word.lower() for word in words}
    if "," in low:
        yield _uninverted
    if "'" in low or name[0].isupper():
        yield _possessives
    if not low.isdisjoint(NUMBERED):
        yield _numerals
    if not (name.isascii() and low.isdisjoint(GREEK)):
        yield _greek
    if len(words) <= 2 or any(word.startswith(_JOINED) for word in low):
        yield _joined
    if any(map(_in_american_and_british, low)):
        yield _spelled


def acronym_variants(words: list[str]) -> Iterator[str]:
    """Other spellings of an acronym: IL-6 = IL6, TNFα = TNF-alpha, and the plural NSAIDs.

    Args:
        words: tokens of the acronym.

    Yields:
        forms as they must stand, tokens joined by blanks
    """
    name = " ".join(words)
    forms = dict.fromkeys((*_greek(name), *_joined(name)))
    if len(words) == 1 and len(name) >= MIN_LETTERS and name.isalpha() and name.isupper():
        forms[f"{name}s"] = None
    yield from forms


def _uninverted(name: str) -> Iterator[str]:
    """Undo an inversion: "Neoplasms, Breast"; "ataxia, type 2"."""
    if " , " in name:
        if (mark := _INVERTED.fullmatch(name)) and not mark[2].lower().startswith(_NOT_BEFORE):
            yield f"{mark[2]} {mark[1]}"
        elif " , type " in name:
            yield name.replace(" , type ", " type ")


def _possessives(name: str) -> Iterator[str]:
    if " ' s " in name:
        yield name.replace(" ' s ", " ")
        yield name.replace(" ' s ", "s ")
    elif _EPONYM.match(name):
        first, rest = name.split(" ", 1)
        if not first.endswith("s"):
            yield f"{first} ' s {rest}"
            yield f"{first}s {rest}"


def _numerals(name: str) -> Iterator[str]:
    """Exchange Roman and Arabic numerals right behind the words of NUMBERED: type II = type 2."""
    words = name.split(" ")
    changed = list(words)
    for i in range(1, len(words)):
        if words[i - 1].lower() in NUMBERED and (mark := NUMERAL.fullmatch(words[i].lower())):
            number = ROMAN.get(mark[1]) or ARABIC.get(mark[1])
            if number:
                changed[i] = number + mark[2]
    if changed != words:
        yield " ".join(changed)


def _greek(name: str) -> Iterator[str]:
    """Exchange Greek letters and their names, alone or right behind an abbreviation: TNF-alpha, TNFα."""
    words = name.split(" ")
    changed = [GREEK.get(word.lower(), GREEK_LETTERS.get(word.lower(), word)) for word in words]
    if changed != words:
        yield " ".join(changed)
    # alpha 1-antitrypsin is written alpha1-antitrypsin and α1-antitrypsin
    for form in {name, " ".join(changed)}:
        if glued := _GREEK_NUMBER.sub(r"\1\2", form):
            if glued != form:
                yield glued
    if name.isascii():
        return
    for word in words:
        if len(word) > 1 and (
            letter := next((c for c in (word[0].lower(), word[-1].lower()) if c in GREEK_LETTERS), "")
        ):
            spelled = (
                f"{GREEK_LETTERS[letter]} {word[1:]}"
                if word[0].lower() == letter
                else f"{word[:-1]} {GREEK_LETTERS[letter]}"
            )
            yield name.replace(word, spelled, 1)


def _joined(name: str) -> Iterator[str]:
    """Join or separate prefixes and numbers: nonsyndromic = non-syndromic, BRCA1 = BRCA-1, IL-6 = IL6, TNF-α
    = TNFα.
    """
    if (low := name.lower()).startswith("non ") or " non " in low:
        yield re.sub(r"\b([Nn]on) (?=[A-Za-z])", r"\1", name)
    elif "non" in low and _NON.search(name):
        yield _NON.sub(lambda mark: f"{mark.group()} ", name)
    if _PREFIX.search(name):
        yield _PREFIX.sub(r"\1", name)
    elif _PREFIXED.search(name):
        yield _PREFIXED.sub(r"\1 ", name)
    words = name.split(" ")
    if len(words) == 1 and (mark := _GLUED.fullmatch(name)) and mark[1].isupper():
        yield f"{mark[1]} {mark[2]}"
    elif len(words) == 2 and words[0].isupper() and words[0].isalpha() and _GLUED.fullmatch("".join(words)):
        yield "".join(words)


def _spelled(name: str) -> Iterator[str]:
    """The name in American spelling, and in British."""
    words = name.lower().split(" ")
    for spelling in (0, 1):
        yield " ".join((_in_american_and_british(word) or (word, word))[spelling] for word in words)


@functools.lru_cache(maxsize=1 << 18)
def _in_american_and_british(word: str) -> tuple[str, str] | None:
    """American and British spelling of a word; None where they are equal."""
    american = _TO_US.sub(lambda mark: _US[mark.group()], word)
    british = _TO_UK.sub(lambda mark: SPELLINGS[int((mark.lastgroup or "r0")[1:])][0], american)
    return (american, british) if american != british else None


def _numbers(name: str) -> Iterator[str]:
    """Plural of the last word, or of the word before "of"; singular of the last word of several."""
    head, link, rest = name.partition(" of ")
    if link and rest:
        yield from (f"{plural}{link}{rest}" for plural in _plurals(head))
    yield from _plurals(name)
    last = name.rsplit(" ", 1)[-1]
    if (
        " " in name
        and len(last) > 5
        and last.isascii()
        and last.isalpha()
        and last.endswith("s")
        and not last.endswith(NO_PLURAL)
    ):
        if last.endswith("ies"):
            yield f"{name[:-3]}y"
        else:
            yield name[:-2] if last.endswith(("xes", "ches", "shes", "sses")) else name[:-1]


def _plurals(name: str) -> Iterator[str]:
    last = name.rsplit(" ", 1)[-1]
    if last.isascii() and last.isalpha() and last[1:].islower() and len(last) >= MIN_LETTERS:
        if last.endswith("sis"):
            yield f"{name[:-2]}es"
        elif last.endswith(("x", "ch", "sh")):
            yield f"{name}es"
        elif last.endswith("y") and last[-2] not in "aeiou":
            yield f"{name[:-1]}ies"
        elif not last.endswith("s"):
            yield f"{name}s"
