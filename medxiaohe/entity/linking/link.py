"""Link text to the entities of a tree by dictionary: leftmost longest match over all their names.

A name matches whole words, however they are spaced or hyphenated (non small cell, non-small-cell); Chinese
and Japanese have no word boundary. Case does not matter, except that an acronym of up to four letters (AIDS,
ALL), or one with small letters in it (mRNA), must stand as written. Other spellings of a name match too:
entity/linking/variants.py has the rules, and a variant never replaces a real name. Common Chinese names of
entities with an English one are in chinese_names.tsv.

Not matched: the domains themselves (layer 1), entities of UNNAMED kinds, names without a letter, names of
fewer than three letters (two in Chinese), the words of GENERIC, which in a text rarely mean the entity, and
names that consist of GROUPING words alone: they are headings of vocabularies ("Signs and Symptoms",
"Pathologic Processes") and of articles, and mean no more than a kind.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from medxiaohe.entity.linking.variants import acronym_variants, variants
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKEN = re.compile(rf"[{CJK}]|[^\W{CJK}]+|[^\w\s\-\u2010\u2011]")  # hyphens and spaces only part tokens
HAS_CJK = re.compile(f"[{CJK}]")
CHINESE_NAMES = Path(__file__).with_name("chinese_names.tsv")
# lower case must not depend on neighbours or change the length; and characters typed for an apostrophe
SAME = {"Σ": "σ", "ς": "σ", "İ": "i", **dict.fromkeys("\u2019\u2018\u00b4\u2032", "'")}
# Latin letters with an accent are written without one as often: Sjögren, Sjogren
SAME |= {
    letter: parts[0]
    for letter in map(chr, (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)))
    if letter not in SAME and (parts := unicodedata.normalize("NFD", letter))[0].isascii()
}
SAME_LETTERS = str.maketrans(SAME)
# A dash inside of a word is a hyphen: non–small cell, Guillain–Barré. All of them are three bytes of UTF-8.
DASH_IN_WORD = re.compile(r"(?<=[^\W_])[\u2012-\u2014\u2212](?=[^\W\d_])")
MIN_LETTERS, MIN_CJK = 3, 2
ONE = (1,)
MAX_ACRONYM = 4  # longer capitals are read as words
MAX_AMBIGUOUS_ACRONYM = 3  # MS, ALL: one entity of the tree, many meanings in the world
ONE_THING = {"disease", "phenotype"}  # melanoma of MONDO and of HPO: two entities, but no ambiguity
# preference between entities of one name, the lowest first; equal ones in the order of the tree
NAME, SYNONYM, VARIANT = range(3)

# Function words, and names of the vocabularies that are everyday words in a paper: ChEBI's "application" and
# "label" are roles of chemicals, "lipid" and "ester" groups of thousands of them, UBERON's "scale" and "crop"
# are parts of fish and birds. Their plurals are excluded too.
GENERIC = frozenset(
    """
    a all an and any are as at be but by can did do for from had has have he her his if in into is it its let
    may me my
    no nor not of on or our out own same she so some than that the their them then they this to too us was we
    were what when who will with you your
    acceptor acid activator additive adhesive adult agonist antagonist antenna antigen application axis back
    base body buffer cement chi
    cluster collecting condition crop cutting dependence disease disorder donor drug effector electron
    emergency extension facet filler
    fin food fuel generic glass group helix included indicator inertia infectious infertile inhibitor label
    lead life ligand lubricant
    metabolite mixture mono ordering part pale pillow plume pore probe projection protein radical reagent
    region reference role root salt
    scale segment shank shell shield simple sole solution solvent spot sterile strain structure syndrome
    system tail tempo tip tracer trap tris tube wing
    adjuvant amide ester ethyl excipient halide hormone ion lipid metal methyl molecule neurotransmitter oxide
    pharmaceutical photon prodrug stabilizer toxin water
    """.split()
) | {"a factor"}


# What vocabularies call groups of things, in both numbers where s alone does not make the plural.
GROUPING = frozenset(
    """
    abnormality abnormalities anomaly anomalies category categories class classes condition diagnosis
    diagnoses disease disorder entity
    entities finding group illness illnesses manifestation medical method miscellaneous other pathologic
    pathological phenomenon
    phenomena problem procedure process processes prognosis prognoses quality qualities sign state structure
    substance symptom syndrome
    system technique therapeutic therapy therapies treatment type unspecified various
    and by for in of or the with
    """.split()
)
UNNAMED = frozenset(
    {"quality", "abstract"}
)  # adjectives (open, flat), and the top of all ontologies (process, object): no entities of medicine


_WITH_MARKS = re.compile(r"[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name of the tree in a text."""

    start: int  # text[start:end] is the surface
    end: int
    entity: str
    surface: str
    ambiguous: bool  # several entities of a kind have this name, or it is an acronym of up to three letters


class _Meaning(NamedTuple):
    entity: str
    kind: str
    rank: int
    ambiguous: bool


class Linker:
    """Dictionary matcher over the names of a tree, in pure Python; built once for each process."""

    def __init__(self, tree: Tree):
        self.acronyms: dict[str, _Meaning] = {}  # tokens as written, joined by spaces
        self.names: dict[str, _Meaning] = {}  # the same in lower case
        roots = set(tree.roots)
        for entity in tree.entities.values():
            if entity.id not in roots and entity.kind not in UNNAMED:
                self._add(entity)
        self._add_chinese()
        self._starts = {key.split(" ", 1)[0] for key in self.names} | {
            key.split(" ", 1)[0].lower() for key in self.acronyms
        }
        self._lengths = _lengths((*self.names, *map(str.lower, self.acronyms)))

    def find(self, text: str) -> list[Mention]:
        """Find the names of the tree in a text: leftmost, then longest match.

        Args:
            text: to search.

        Returns:
            mentions in order, without overlap; offsets count code points
        """
        marks = list(TOKEN.finditer(plain(text)))
        words = [mark.group() for mark in marks]
        lower = [word.lower() for word in words]
        starts, lengths, acronyms, names = self._starts, self._lengths, self.acronyms, self.names
        mentions, free = list[Mention](), 0
        for i in [i for i, word in enumerate(lower) if word in starts]:
            if i < free:
                continue
            # longest match first, among the lengths of names that begin with these two tokens
            for length in lengths.get(" ".join(lower[i : i + 2]), ONE):
                if i + length > len(words):
                    continue
                meaning = acronyms.get(" ".join(words[i : i + length])) or names.get(
                    " ".join(lower[i : i + length])
                )
                if meaning:
                    free = i + length
                    start, end = marks[i].start(), marks[free - 1].end()
                    mentions.append(Mention(start, end, meaning.entity, text[start:end], meaning.ambiguous))
                    break
        return mentions

    def _add_chinese(self) -> None:
        """Add the names of chinese_names.tsv to entities whose English name is in the index."""
        for line in CHINESE_NAMES.read_text(encoding="utf-8").splitlines():
            if line.startswith("#") or line.startswith("chinese\t"):
                continue
            chinese, english = line.split("\t")
            keys = (" ".join(TOKEN.findall(plain(name))).lower() for name in english.split("|"))
            if meaning := next((self.names[key] for key in keys if key in self.names), None):
                key = " ".join(TOKEN.findall(plain(chinese))).lower()
                _prefer(self.names, key, meaning._replace(rank=VARIANT))

    def _add(self, entity: Entity) -> None:
        """Add the names of an entity, with their variants."""
        names = (entity.name, *entity.synonyms)
        acronyms = {name.lower() for name in names if is_acronym(name)}
        for rank, name in zip((NAME, *[SYNONYM] * len(entity.synonyms)), names, strict=True):
            words = TOKEN.findall(plain(name))
            key = " ".join(words)
            if not _is_telling(words):
                continue
            if is_acronym(name):
                ambiguous = len(name) <= MAX_AMBIGUOUS_ACRONYM
                _prefer(self.acronyms, key, _Meaning(entity.id, entity.kind, rank, ambiguous))
                for variant in acronym_variants(words):
                    _prefer(self.acronyms, variant, _Meaning(entity.id, entity.kind, VARIANT, ambiguous))
            elif name.lower() not in acronyms and not _is_generic(key):
                _prefer(self.names, key.lower(), _Meaning(entity.id, entity.kind, rank, False))
                for variant in variants(words, entity.kind):
                    if not _is_generic(variant):
                        _prefer(self.names, variant.lower(), _Meaning(entity.id, entity.kind, VARIANT, False))


def plain(text: str) -> str:
    """Normalise characters one to one: apostrophes, sigma, dotted I, dashes in a word, and Latin letters with
    accents.

    Returns:
        text of the same length, so that offsets stay
    """
    return text if text.isascii() else DASH_IN_WORD.sub("\u2010", text.translate(SAME_LETTERS))


def composed(text: str) -> tuple[str, list[int]]:
    """Compose accents with their letters (NFC), as PDF and macOS do not.

    Args:
        text: in any normal form.

    Returns:
        (text, offsets): `offsets` has the offset in the input of each character, and of the end; [] where
        nothing changed
    """
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text, []
    parts, places = list[str](), list[int]()
    for mark in _WITH_MARKS.finditer(text):
        letter = unicodedata.normalize("NFC", mark.group())
        if len(letter) > len(mark.group()):  # NFC splits some Asian characters: these are not changed
            letter = mark.group()
        parts.append(letter)
        places += [mark.start() + min(i, len(mark.group()) - 1) for i in range(len(letter))]
    return "".join(parts), [*places, len(text)]


def _is_telling(words: list[str]) -> bool:
    letters = "".join(words)
    return any(c.isalpha() for c in letters) and len(letters) >= (
        MIN_CJK if HAS_CJK.search(letters) else MIN_LETTERS
    )


def _is_generic(key: str) -> bool:
    low = key.lower()
    return low in GENERIC or low.removesuffix("s") in GENERIC or is_grouping(low)


def is_grouping(name: str) -> bool:
    """Whether a name consists of words for groups of things (GROUPING) alone.

    Args:
        name: in lower case.

    Returns:
        False for a name without words
    """
    words = [word for word in TOKEN.findall(name) if word[0].isalnum()]
    return bool(words) and all(word in GROUPING or word.removesuffix("s") in GROUPING for word in words)


def is_acronym(name: str) -> bool:
    """Whether a name must stand as written: up to MAX_ACRONYM capitals, or one word with a capital inside
    (mRNA).

    Returns:
        True for COPD, ALL, mRNA; an entity that is also called "copd" is still looked for as COPD only
    """
    inner_capital = name.isalnum() and name[1:] != name[1:].lower() and not name.isupper()
    return inner_capital or (name.isupper() and len(name) <= MAX_ACRONYM)


def _prefer(table: dict[str, _Meaning], key: str, new: _Meaning) -> None:
    """Keep the better of two meanings of a name; two equally good ones make it ambiguous."""
    old = table.get(key)
    if old is None or new.rank < old.rank:
        table[key] = new
    elif new.rank == old.rank and new.entity != old.entity and {new.kind, old.kind} != ONE_THING:
        table[key] = old._replace(ambiguous=True)


def _lengths(keys: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Lengths of the names that begin with two tokens, longest first, then 1 for the first token alone."""
    sizes: dict[str, set[int]] = {}
    for key in keys:
        words = key.split(" ")
        if len(words) > 1:
            sizes.setdefault(" ".join(words[:2]), {1}).add(len(words))
    return {start: tuple(sorted(lengths, reverse=True)) for start, lengths in sizes.items()}
