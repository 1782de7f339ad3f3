"""Search texts for names of entities: a question must not contain those of its answer, a caption must
contain those of its finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from medxiaohe.scoring._equivalence import canon
from medxiaohe.scoring._words import content, stem
from medxiaohe.types import Entity

CLAUSES = re.compile(r"[.;:?!]\s+|\n")
VAGUE = frozenset(  # words that half of all names have: one of them in a text says nothing
    stem(word)
    for word in """disease disorder syndrome condition type form disorders diseases abnormality abnormal
    acquired primary secondary
    congenital hereditary familial inherited acute chronic infantile juvenile adult early late onset
    childhood severe mild due related
    associated other specified unspecified human genetic rare with without part left right upper lower
    anterior posterior
    system structure tissue acid compound group derivative increased decreased reduced elevated""".split()
)


def names_of(entity: Entity) -> tuple[str, ...]:
    """List all names of an entity, each once.

    Returns:
        Its name, synonyms and related names.
    """
    return tuple(dict.fromkeys((entity.name, *entity.synonyms, *entity.related)))


def visible(names: Iterable[str], text: str) -> str:
    """Search a text for names as whole words, whatever their case, plural or spelling.

    Args:
        names: in the order of preference.
        text: to search in.

    Returns:
        The first name that the text has; "" if it has none. Names of up to three letters must match exactly.
    """
    padded = evened(text)
    for name in names:
        for key in _keys(name):
            if f" {key} " in padded if len(key) > 3 else re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text):
                return name
    return ""


@lru_cache(maxsize=4096)
def evened(text: str) -> str:
    """Normalise a text to the spelling that names are compared in.

    Returns:
        The canonical words between blanks; " | " stands at the end of a clause, which no name crosses.
    """
    return f" {' | '.join(canon(clause.replace(',', ' ')) for clause in CLAUSES.split(text))} "


@lru_cache(maxsize=65536)
def _keys(name: str) -> tuple[str, ...]:
    """Return a name as it is written, and with its words reordered: "Refeeding syndrome" of "Syndrome,
    Refeeding".
    """
    return tuple(filter(None, dict.fromkeys((evened(name).strip(), canon(name)))))


def share_a_name(a: Entity, b: Entity) -> bool:
    """Check whether two entities share a name or synonym, after normalisation.

    Returns:
        True if they do.
    """
    return not {canon(name) for name in (a.name, *a.synonyms)}.isdisjoint(
        canon(name) for name in (b.name, *b.synonyms)
    )


@lru_cache(maxsize=4096)
def telling(text: str) -> frozenset[str]:
    """Return the stems of the words that tell one name from another.

    Returns:
        Stems of content words of three letters or more, without those of VAGUE.
    """
    return frozenset(
        word for mark in content(text) if len(mark.group()) > 2 and (word := stem(mark.group())) not in VAGUE
    )


def given_away(answer: str, others: Sequence[str], stem_of_question: str) -> str:
    """Search a question for a word that only the right option has.

    Args:
        answer: the right option.
        others: the wrong options.
        stem_of_question: the question without its options.

    Returns:
        The first such stem in alphabetical order; "" if there is none.
    """
    shared = telling(answer) & telling(stem_of_question)
    for option in others:
        shared -= telling(option)
    return min(shared, default="")


def without(names: Iterable[str], text: str, instead: str) -> str:
    """Replace names in a text, the longest first, in any case and with plural or possessive endings.

    Args:
        names: to replace; those of up to two letters are left.
        text: to change.
        instead: the replacement.

    Returns:
        The changed text.
    """
    for name in sorted(set(names), key=len, reverse=True):
        if len(name) > 2:
            pattern = r"[\s\-]+".join(map(re.escape, re.split(r"[\s\-]+", name.strip())))
            text = re.sub(rf"(?<!\w){pattern}(?:e?s|'s)?(?!\w)", instead, text, flags=re.IGNORECASE)
    return text
