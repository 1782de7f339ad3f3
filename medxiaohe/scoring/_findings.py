"""Extract the findings of a report or note, each with its assertion status, person, side, degree, place,
time, change and size.

Names come from radiology_lexicon.tsv and, where a tree is given, from its diseases, phenotypes, chemicals and
procedures; negation and uncertainty are decided by entity.context. "The lungs are clear" and "heart size is
normal" say that the organ has no abnormality, "has resolved" and "has been removed" that a finding is not
present any more. `_finding_attributes` assigns sides, degrees, places and the other attributes to findings.
"""

from __future__ import annotations

import functools
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from medxiaohe.entity.linking.context import contexts
from medxiaohe.entity.linking.finder import Finder, finder
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.linking.sentences import sentence_ends
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.scoring._finding_attributes import GONE_DEVICE, Finding, Mark, sentence_findings
from medxiaohe.scoring._sentences import GLUED
from medxiaohe.types import Entity

__all__ = ["Finding", "Lexicon", "lexicon", "prepared"]

FILE = Path(__file__).with_name("radiology_lexicon.tsv")
KINDS = ("disease", "phenotype", "chemical", "procedure")  # of a tree, that are findings
SIDE = re.compile(
    r"\b(?P<both>bilateral(?:ly)?|bibasilar|biapical|both|left and right|right and left)\b"
    r"|\b(?P<left>left|lt|lll|lul|lingular?)\b"
    r"|\b(?P<right>(?<!\ball )right(?! (?:now|away|before|after|here|there))|rt|rll|rul|rml|right middle)\b"
    r"|(?P<both_zh>双侧|两侧|双肺|两肺)|(?P<left_zh>左)|(?P<right_zh>右)",
    re.IGNORECASE,
)
DEGREE = re.compile(
    r"\b(?P<mild>mild(?:ly)?|small|tiny|trace|minimal(?:ly)?|slight(?:ly)?|subtle|minor|minute|faint)\b"
    r"|\b(?P<moderate>moderate(?:ly)?|moderate-sized|medium)\b"
    r"|\b(?P<severe>severe(?:ly)?|large|massive|marked(?:ly)?|extensive|gross(?:ly)?|huge|pronounced|advanced|tension)\b"
    r"|(?P<mild_zh>轻度|少量)|(?P<moderate_zh>中度|中量)|(?P<severe_zh>重度|大量)",
    re.IGNORECASE,
)
TIME = re.compile(
    r"\b(?P<acute>acute|acutely|fresh|recent)\b"
    r"|\b(?P<chronic>chronic(?:ally)?|old|remote|healed|healing|long-?standing|prior|previous|age-indeterminate)\b"
    r"|(?P<acute_zh>急性|新鲜)|(?P<chronic_zh>慢性|陈旧性?)",
    re.IGNORECASE,
)
CHANGE = re.compile(
    r"\b(?P<stable>(?:no|without)(?: significant| interval| appreciable| definite)* change|unchanged|stable"
    r"|not (?:significantly )?changed|similar in (?:size|appearance|extent)|persist(?:s|ent|ing)?)\b"
    r"|\b(?P<smaller>(?:interval )?(?:decreas(?:e|ed|ing)|improv(?:ed|ing|ement)|diminish(?:ed|ing)"
    r"|reduc(?:ed|tion)|regress(?:ed|ion|ing))|smaller|shrunk(?:en)?|resolving"
    r"|(?:partial(?:ly)?|near(?:ly)?|almost)(?:[ -]complete(?:ly)?)? (?:resolved|resolution|cleared|clearing)"
    r"|less (?:prominent|extensive|pronounced|conspicuous))\b"
    r"|\b(?P<larger>(?:interval )?(?:increas(?:e|ed|ing)|worsen(?:ed|ing)|progress(?:ed|ion|ive|ing)"
    r"|grow(?:n|th|ing))|larger|enlarging|grew|worse|more (?:prominent|extensive|pronounced|conspicuous))\b"
    r"|\b(?P<new>new(?:ly)?|interval (?:development|appearance)|has developed|have developed)\b"
    r"|(?P<stable_zh>无(?:明显)?变化|稳定)|(?P<smaller_zh>缩小|减少|吸收|好转)|(?P<larger_zh>增大|增多|进展)"
    r"|(?P<new_zh>新发|新出现)",
    re.IGNORECASE,
)
SIZE = re.compile(
    r"(?<![\w.])(?P<numbers>\d+(?:\.\d+)?(?:\s*(?:mm|cm)?\s*[x×*]\s*\d+(?:\.\d+)?){0,2})\s*-?"
    r"(?P<unit>mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|毫米|厘米)\b"
    r"(?!\s*(?:above|below|from|proximal|distal|superior|inferior|away|cephalad|caudal|beyond|deep))",
    re.IGNORECASE,
)
BEFORE_NOW = re.compile(  # a size of an earlier study
    r"\b(?:previously|formerly|prior|compared (?:to|with)|was|from|versus|vs)\s+(?:measur(?:ed|ing)\s+)?$",
    re.IGNORECASE,
)
STATE = re.compile(
    r"\b(?P<normal>within (?:the )?normal limits|normal|(?:not|un)\s?remarkable|clear(?! of\b)"
    r"|negative(?= chest\b)|intact|well[- ]expanded"
    r"|(?:(?<=is )|(?<=are ))without (?:evidence of )?(?:an? )?(?:acute |focal )?abnormalit(?:y|ies))\b"
    r"|\b(?P<open>upper limits? of normal|borderline(?: enlarged)?|top[- ]normal)\b"
    r"|\b(?P<abnormal>enlarged|abnormal|widened|prominent|dilated|engorged|tortuous|ectatic)\b",
    re.IGNORECASE,
)
BESIDE_PLACE = re.compile(r"\b(?:left|right|lung|joint|of|the)\b", re.IGNORECASE)  # lower lobe of left lung
REMEMBERED = 1024  # texts whose findings are kept
MADE_OF = 60  # letters between the two words of a compound: fluid ... pleural space


class Lexicon:
    """Extracts findings by the names of the radiology lexicon and, where one is given, of an entity tree.

    Args:
        tree: folder of an entity.build stage whose names are added; None for the lexicon alone.
    """

    def __init__(self, tree: Path | None = None):
        self._own, self.parents, self._compounds = _own()
        self._tree: Finder | None = finder(tree) if tree is not None else None
        self._entities = _entities(tree) if tree is not None else {}
        self._shared: dict[str, tuple[str, str]] = {}

    def name_of(self, finding: str) -> str:
        """Name a finding in words that `findings` reads again.

        Args:
            finding: `Finding.name`: a name of the lexicon or an entity id of the tree.

        Returns:
            The first form of the lexicon, else the name of the entity; `finding` itself where neither has it.
        """
        if (own := _first_forms().get(finding)) is not None:
            return own
        return self._entities[finding].name if finding in self._entities else finding

    def findings(self, text: str) -> list[Finding]:
        """Extract the findings of a text; the last `REMEMBERED` texts are cached.

        Args:
            text: a report or note, read as `prepared(text)`.

        Returns:
            Findings in the order of the text, repeated where it repeats them; `at` and `around` are offsets
            in `text` itself.
        """
        return list(_read(self, text))

    def read(self, text: str) -> Iterator[Finding]:
        """Extract the findings of a text without the cache of `findings`.

        Args:
            text: a report or note.

        Yields:
            Findings in the order of the text, with the number of their sentence, from 0.
        """
        text, offsets = _prepared(text)
        marks = self._marks(text)
        spoken = [mark for mark in marks if mark.kind in ("finding", "state")]
        context_of = dict(
            zip(spoken, contexts(text, [(mark.start, mark.end) for mark in spoken]), strict=True)
        )
        start = 0
        for number, end in enumerate(sentence_ends(text)):
            here = [mark for mark in marks if start <= mark.start < end]
            for finding in sentence_findings(text, here, context_of, self.parents):
                at, around = offsets.span(finding.at), offsets.span(finding.around)
                yield replace(finding, sentence=number, at=at, around=around)
            start = end

    def _marks(self, text: str) -> list[Mark]:
        names = [Mark(m.start, m.end, *self._own_value(m.entity)) for m in self._own.find(text)]
        if self._tree is not None:
            for m in self._tree.find(text):
                if kind_and_value := self._tree_value(m.entity):
                    names.append(Mark(m.start, m.end, *kind_and_value))
        # names: the longest of overlapping ones, then compounds such as "fluid ... pleural space"
        marks = _compounded(text, _longest(names), self._compounds)
        taken = [m for m in marks if m.kind in ("finding", "organ")]
        patterns = (
            ("side", SIDE), ("degree", DEGREE), ("time", TIME), ("change", CHANGE), ("state", STATE),
        )  # fmt: skip
        for kind, pattern in patterns:
            for match in pattern.finditer(text):
                within = [m.value for m in taken if m.start <= match.start() and match.end() <= m.end]
                if within and kind != "side" and not (kind == "time" and within[0] in self.parents):
                    continue  # "enlarged heart" is a name
                value = (match.lastgroup or "").removesuffix("_zh")
                marks.append(Mark(match.start(), match.end(), kind, value))
        # sizes in millimetres: the largest of "12 x 8 mm"; those of an earlier study are left out
        for match in SIZE.finditer(text):
            if not BEFORE_NOW.search(text, max(0, match.start() - 40), match.start()):
                largest = max(map(float, re.findall(r"\d+(?:\.\d+)?", match["numbers"])))
                scale = 10 if match["unit"].lower().startswith(("c", "厘")) else 1
                marks.append(Mark(match.start(), match.end(), "size", f"{largest * scale:g}"))
        states = [mark for mark in marks if mark.kind == "state"]
        return sorted(m for m in marks if m.value != "acute abnormality" or not _within(m, states))

    def _tree_value(self, id: str) -> tuple[str, str] | None:
        """Kind and value of an entity of the tree: those of the lexicon where it has one of its names, so
        that the two agree; None for what is neither a finding nor a place, or is said by the lexicon in parts
        (a fracture and its bone)."""
        if id not in self._shared:
            entity = self._entities.get(id)
            if entity is None or (entity.kind not in KINDS and entity.kind != "anatomy"):
                return None
            kind = "place" if entity.kind == "anatomy" else "finding"
            self._shared[id] = (kind, id)
            for name in (entity.name, *entity.synonyms):
                plain = BESIDE_PLACE.sub(" ", name) if kind == "place" else name
                plain = " ".join(plain.split())
                matches = [
                    match for match in self._own.find(plain) if (match.start, match.end) == (0, len(plain))
                ]
                if matches and (value := self._own_value(matches[0].entity))[0] in (kind, "organ"):
                    self._shared[id] = value
                    break
                if kind == "finding" and self._is_of_parts(name):
                    self._shared[id] = ("", "")
        return self._shared[id] if self._shared[id][0] else None

    def _is_of_parts(self, name: str) -> bool:
        """Whether a name is made of one finding of the lexicon, places and sides, and nothing else."""
        matches = self._own.find(name)
        kinds = [self._own_value(match.entity)[0] for match in matches]
        for match in reversed(matches):
            name = name[: match.start] + name[match.end :]
        return (
            kinds.count("finding") == 1
            and len(kinds) > 1
            and not re.sub(r"\W", "", BESIDE_PLACE.sub("", name))
        )

    def _own_value(self, id: str) -> tuple[str, str]:
        kind, _, name = id.partition(":")
        if kind == "gone":
            return "finding", f"{GONE_DEVICE}{name}"
        return ("finding" if kind == "device" else kind), name


@functools.lru_cache(maxsize=REMEMBERED)
def _read(words: Lexicon, text: str) -> tuple[Finding, ...]:
    """Findings of a text: scorers and verifiers read the same report many times."""
    return tuple(words.read(text))


@functools.lru_cache(maxsize=4)
def lexicon(tree: Path | None = None) -> Lexicon:
    """Load the lexicon, with or without a tree; the last four are cached.

    Args:
        tree: folder of an entity.build stage; None for the radiology lexicon alone.

    Returns:
        The lexicon, the same object for the same folder.
    """
    return Lexicon(tree)


def prepared(text: str) -> str:
    """Normalise the whitespace of a report: single blanks, lines kept, a blank behind a glued full stop.

    Args:
        text: a report or note.

    Returns:
        The text that sentences and marks are found in.
    """
    return _prepared(text)[0]


@dataclass(frozen=True, slots=True)
class _Offsets:
    """Offsets of the words of a prepared text: in it, and in the original text."""

    prepared: tuple[int, ...]
    original: tuple[int, ...]

    def span(self, at: tuple[int, int]) -> tuple[int, int]:
        """Map a span of the prepared text to the original text.

        The last letter is looked up, not the end, since a blank may follow it.

        Args:
            at: start and end in code points of the prepared text.

        Returns:
            Start and end in code points of the original; (0, 0) for an empty span.
        """
        return (self._one(at[0]), self._one(at[1] - 1) + 1) if at[1] > at[0] else (0, 0)

    def _one(self, position: int) -> int:
        word = bisect_right(self.prepared, position) - 1
        return self.original[word] + position - self.prepared[word]


def _prepared(text: str) -> tuple[str, _Offsets]:
    """The text of `prepared` and the offsets of its words."""
    lines, prepared_starts, original_starts, length = list[str](), list[int](), list[int](), 0
    start = 0
    for line in text.splitlines(keepends=True):
        words = []
        for match in re.finditer(r"\S+", line):
            # a glued full stop ends a word
            cuts = [0, *(m.end() - match.start() for m in GLUED.finditer(line, *match.span())), len(match[0])]
            for a, b in pairwise(cuts):
                prepared_starts.append(length)
                original_starts.append(start + match.start() + a)
                words.append(match[0][a:b])
                length += b - a + 1
        lines.append(" ".join(words))
        length += not words  # the line break of a line without words
        start += len(line)
    return "\n".join(lines), _Offsets(tuple(prepared_starts), tuple(original_starts))


@functools.cache
def _own() -> tuple[Linker, dict[str, str], list[tuple[re.Pattern[str], str]]]:
    """A linker over the lexicon, the parent of each finding and organ that has one, and what finds the
    compounds."""
    entities, parents = [Entity("MET:lexicon", "lexicon", "lexicon")], {}
    compounds = list[tuple[re.Pattern[str], str]]()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith(("#", "kind\t")):
            continue
        kind, name, parent, forms = line.split("\t")
        if kind == "compound":
            compounds += [(_compound(form), name) for form in forms.split("|")]
            continue
        first, *others = forms.split("|")
        others += [
            form.replace(" of the ", f" of the {side} ")
            for form in (first, *others)
            for side in ("left", "right")
        ]
        entities.append(Entity(f"{kind}:{name}", first, kind, ("MET:lexicon",), tuple(others)))
        if parent:
            parents[name if kind != "organ" else f"organ:{name}"] = parent
    return Linker(Tree(entities)), parents, compounds


@functools.cache
def _first_forms() -> dict[str, str]:
    """Finding or place of the lexicon -> its first form."""
    first_forms: dict[str, str] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith(("finding\t", "device\t", "place\t")):
            _, name, _, forms = line.split("\t")
            first_forms.setdefault(name, forms.partition("|")[0])
    return first_forms


def _compound(form: str) -> re.Pattern[str]:
    """What finds "fluid + pleural space": the two words in either order, in one clause."""
    head, tail = (re.escape(word.strip()) for word in form.split("+"))
    between = rf"(?:(?!\b(?:but|however|no|without|and)\b)[^.;:,\n]){{0,{MADE_OF}}}?"
    return re.compile(
        rf"\b(?P<head>{head}){between}\b(?P<tail>{tail}s?)\b"
        rf"|\b(?P<tail_first>{tail}s?){between}\b(?P<head_last>{head})\b",
        re.IGNORECASE,
    )


def _compounded(text: str, marks: list[Mark], compounds: Sequence[tuple[re.Pattern[str], str]]) -> list[Mark]:
    """The marks, with a finding for each compound in the place of the words that it is made of."""
    for pattern, name in compounds:
        for match in pattern.finditer(text):
            head = match.span("head") if match["head"] else match.span("head_last")
            tail = match.span("tail") if match["tail"] else match.span("tail_first")
            inside = [m for m in marks if m.start < max(head[1], tail[1]) and min(head[0], tail[0]) < m.end]
            own = [m for m in inside if _overlaps(m, head) or (_is_named_by(m) and _overlaps(m, tail))]
            if any(m.kind == "finding" and m not in own for m in inside):
                continue  # another finding stands between the two, or goes on around them
            if any(m.kind == "finding" and (m.start, m.end) != head for m in own):
                continue
            marks = [m for m in marks if m not in own]
            marks.append(Mark(*head, "finding", name))
    return marks


def _within(mark: Mark, outers: Iterable[Mark]) -> bool:
    """Whether one of the others has all of a mark in it: "without acute abnormality" is a state."""
    return any(outer.start <= mark.start and mark.end <= outer.end for outer in outers)


def _is_named_by(mark: Mark) -> bool:
    """Whether a compound says all that a mark does: an organ, or a place that only the tree knows."""
    return mark.kind == "organ" or (mark.kind == "place" and ":" in mark.value)


def _overlaps(mark: Mark, span: tuple[int, int]) -> bool:
    return mark.start < span[1] and span[0] < mark.end


@functools.lru_cache(maxsize=2)
def _entities(tree: Path) -> dict[str, Entity]:
    return Tree.load(tree).entities


def _longest(names: Iterable[Mark]) -> list[Mark]:
    """No two overlap: the longer one stays, of equals the first given."""
    selected: list[Mark] = []
    for mark in sorted(names, key=lambda m: m.start - m.end):
        if all(mark.end <= chosen.start or chosen.end <= mark.start for chosen in selected):
            selected.append(mark)
    return selected
