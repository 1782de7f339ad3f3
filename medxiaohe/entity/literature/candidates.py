"""Term extraction from passages without a model: by C-value, and by likeness to the names of the tree.

    c-value    how often a phrase occurs by itself, and not as a part of longer ones (Frantzi, Ananiadou and
               Mima 2000)
    looks      a softmax regression over words, endings, letters, shape and neighbours of a phrase. It is
               trained on the passages themselves: the names of the tree in them, by kind, and phrases that
               are no names.

What the tree has already is subtracted: a phrase that is a name, or part of one, is no candidate; one that
contains a name is.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from medxiaohe import io
from medxiaohe.entity.linking.link import GENERIC
from medxiaohe.entity.literature.looks import learn
from medxiaohe.entity.literature.passages import Extraction, Found, Passage
from medxiaohe.progress import track

if TYPE_CHECKING:
    from medxiaohe.entity.linking.link import Mention

WORD = re.compile(r"[^\W_]+(?:[-'’/+][^\W_]+)*")
GAP = re.compile(r"\s+")
ADJECTIVE = re.compile(r"\w+(?:ic|al|ary|ous|ive|ed|ly|ing)")
MAX_WORDS = 6
NUM_NEIGHBOURS = 3  # of the words beside a phrase, how many count as features
BY = "statistics"
NONE = ""  # the kind of a phrase that is no name
STOP = frozenset(
    """
    a about above after again against all almost along already also although always am among an and another
    any anything are around as at
    be because been before being below best better between both but by can cannot could did do does doing
    done down due during each either
    else enough etc even ever every few first for from further had has have having he hence her here him his
    how however i if in including
    indeed instead into is it its itself just last least less made make many may me might more moreover most
    much must my namely near
    neither never nevertheless no none nor not nothing now of off often on once one only onto or other others
    our out over own per perhaps
    quite rather really regarding same second several shall she should since so some still such than that the
    their them then there
    thereby therefore these they third this those though three through throughout thus to together too toward
    towards two under until up
    upon us use used using very via was we well were what when where whereas whether which while who whom
    whose why will with within without would yet you your
    """.split()
)


class Phrase(NamedTuple):
    passage: int
    start: int
    end: int
    surface: str
    before: str
    after: str


@dataclass(frozen=True)
class Options:
    least: float = 0.85  # chance that a phrase is a name of any kind
    min_c_value: float = 0.0
    max_phrases: int = 20_000  # phrases that are no names to learn from at once


Find = Callable[[str], Iterable["Mention"]]


def extract(
    passages: Sequence[Passage], find: Find, kind_of: Callable[[str], str], kinds: Sequence[str],
    options: Options = Options(),
) -> Extraction:  # fmt: skip
    """Extract new terms from passages without a model.

    Args:
        passages: texts to search.
        find: returns the mentions of the tree in a text.
        kind_of: entity id -> kind.
        kinds: that a new term may get, and whose mentions are learned from.
        options: thresholds.

    Returns:
        every occurrence of an accepted phrase with the kind that its features fit best; where two overlap in
        a passage the longer one; `counts` has the steps
    """
    result = Extraction()
    labelled, phrases = list[tuple[Phrase, str]](), list[Phrase]()
    for i, passage in enumerate(track(passages, "phrases")):
        mentions = [(m.start, m.end, kind_of(m.entity)) for m in find(passage.text)]
        labelled += [
            (_phrase(i, passage.text, start, end), kind) for start, end, kind in mentions if kind in kinds
        ]
        phrases += (
            p
            for p in phrases_of(i, passage.text)
            if not any(start <= p.start and p.end <= end for start, end, _ in mentions)
        )
    result.counts.update(
        {"passages": len(passages), "mentions of the tree": len(labelled), "phrases": len(phrases)}
    )
    # where the linker passed over a name, it had a reason
    names = {phrase.surface.casefold() for phrase, _ in labelled} | GENERIC
    phrases = [phrase for phrase in phrases if not _says_nothing(phrase.surface.casefold(), names)]
    values = c_values(phrases)
    chance = _chances(labelled, phrases, values, kinds, options)
    accepted = {}
    for surface, of_kinds in chance.items():
        if 1 - of_kinds[NONE] >= options.least and values[surface] > options.min_c_value:
            accepted[surface] = max(
                (kind for kind in of_kinds if kind), key=lambda kind: (of_kinds[kind], kind)
            )
    result.counts.update({"different phrases": len(values), "accepted phrases": len(accepted)})
    for phrase in _longest(p for p in phrases if p.surface.casefold() in accepted):
        kind = accepted[phrase.surface.casefold()]
        result.found.append(
            Found(passages[phrase.passage].id, phrase.start, phrase.end, phrase.surface, kind, BY)
        )
    result.counts["entities"] = len(result.found)
    return result


def phrases_of(passage: int, text: str) -> Iterator[Phrase]:
    """Generate candidate phrases of a text: runs of up to MAX_WORDS words.

    Only white space stands between the words of a run, no word of it is a function word, and its first and
    last words are not numbers.

    Args:
        passage: index of the passage, copied to each phrase.
        text: of the passage.

    Yields:
        phrases in the order of their start, then of their length
    """
    words = list(WORD.finditer(text))
    for i, first in enumerate(words):
        if not _may_stand(first.group()):
            continue
        for j in range(i, min(len(words), i + MAX_WORDS)):
            if j > i and (
                not GAP.fullmatch(text, words[j - 1].end(), words[j].start())
                or words[j].group().casefold() in STOP
            ):
                break
            surface = text[first.start() : words[j].end()]
            if _may_stand(words[j].group()) and any(map(str.isalpha, surface)) and len(surface) > 2:
                before = words[i - 1].group().casefold() if i else ""
                after = words[j + 1].group().casefold() if j + 1 < len(words) else ""
                yield Phrase(passage, first.start(), words[j].end(), surface, before, after)


def c_values(phrases: Iterable[Phrase]) -> dict[str, float]:
    """C-value of each phrase (Frantzi, Ananiadou and Mima 2000).

        C-value(a) = log2(|a| + 1) x (f(a) - mean of f(b) over the different longer phrases b that contain a)

    The 1 is added so that a phrase of one word does not get 0.

    Args:
        phrases: all occurrences in a corpus.

    Returns:
        phrase in lower case -> C-value; 0 or less where it occurs only inside longer phrases
    """
    count = Counter(phrase.surface.casefold() for phrase in phrases)
    longer: dict[str, list[int]] = defaultdict(list)
    for surface, n in count.items():
        words = surface.split()
        for size in range(1, len(words)):
            for start in range(len(words) - size + 1):
                subphrase = " ".join(words[start : start + size])
                if subphrase in count:
                    longer[subphrase].append(n)
    return {
        surface: (
            math.log2(len(surface.split()) + 1)
            * (n - (sum(longer[surface]) / len(longer[surface]) if longer.get(surface) else 0))
        )
        for surface, n in count.items()
    }


def _chances(
    labelled_phrases: Sequence[tuple[Phrase, str]],
    phrases: Sequence[Phrase],
    values: dict[str, float],
    kinds: Sequence[str],
    options: Options,
) -> dict[str, dict[str, float]]:
    """Probability of each kind for each phrase, by cross-fitting over two halves of the phrases.

    A model scores the half that it was not trained on: the phrases include names to find, and a phrase that
    was trained on as no name would be scored as none.
    """
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for phrase, kind in labelled_phrases:
        names[phrase.surface.casefold()][kind] += 1
    neighbours = _neighbours([*(phrase for phrase, _ in labelled_phrases), *phrases])
    labelled = [
        (surface, max(counts, key=lambda k: (counts[k], k))) for surface, counts in sorted(names.items())
    ]
    # two folds by the hash of the phrase: each is scored by a model that was trained on the other
    halves: tuple[list[str], list[str]] = ([], [])
    for surface in sorted(values, key=lambda s: (io.unit_interval("phrase", s), s)):
        halves[io.unit_interval("half", surface) < 0.5].append(surface)
    result: dict[str, Any] = {}
    for own, training in (halves, halves[::-1]):
        often = sorted(training, key=lambda s: (-values[s], s))[: options.max_phrases // 2]
        # half of them by C-value, half by lot
        others = dict.fromkeys([*often, *training[: options.max_phrases // 2]])
        looks = learn([*labelled, *((surface, NONE) for surface in others)], neighbours, (NONE, *kinds))
        result |= looks.chances(own, neighbours)
    return result


def _neighbours(phrases: Iterable[Phrase]) -> dict[str, list[str]]:
    """Features of each phrase from its contexts: the most frequent words before and after it, and its word
    shape.
    """
    sides: dict[str, tuple[Counter[str], ...]] = defaultdict(lambda: (Counter(), Counter(), Counter()))
    for phrase in phrases:
        before, after, shape = sides[phrase.surface.casefold()]
        before[phrase.before] += 1
        after[phrase.after] += 1
        shape[_shape(phrase.surface)] += 1
    return {
        surface: [
            *(f"before {word}" for word, _ in before.most_common(NUM_NEIGHBOURS)),
            *(f"after {word}" for word, _ in after.most_common(NUM_NEIGHBOURS)),
            f"shape {shape.most_common(1)[0][0]}",
        ]
        for surface, (before, after, shape) in sides.items()
    }


def _shape(surface: str) -> str:
    """Word shape of the last word: AIDS, mRNA, Crohn, fever."""
    last = surface.split()[-1]
    if last.isupper():
        return "capitals"
    return (
        "inner capital"
        if any(map(str.isupper, last[1:]))
        else "capital"
        if last[0].isupper() and surface != last
        else "small"
    )


def _phrase(passage: int, text: str, start: int, end: int) -> Phrase:
    before = WORD.findall(text[max(0, start - 40) : start])
    after = WORD.search(text, end, end + 40)
    return Phrase(
        passage,
        start,
        end,
        text[start:end],
        before[-1].casefold() if before else "",
        after.group().casefold() if after else "",
    )


def _longest(phrases: Iterable[Phrase]) -> Iterator[Phrase]:
    """Select phrases that do not overlap a longer selected phrase of their passage."""
    free: dict[int, list[tuple[int, int]]] = defaultdict(list)
    selected = []
    for phrase in sorted(phrases, key=lambda p: (p.passage, -(p.end - p.start), p.start)):
        if all(phrase.end <= start or end <= phrase.start for start, end in free[phrase.passage]):
            free[phrase.passage].append((phrase.start, phrase.end))
            selected.append(phrase)
    return iter(sorted(selected, key=lambda p: (p.passage, p.start)))


def _says_nothing(surface: str, names: set[str]) -> bool:
    """Whether a phrase is a known name, the plural of one, or one word with the ending of an adjective."""
    return surface in names or surface.removesuffix("s") in names or bool(ADJECTIVE.fullmatch(surface))


def _may_stand(word: str) -> bool:
    """Whether a term may begin or end with this word."""
    return word.casefold() not in STOP and not word.isdigit()
