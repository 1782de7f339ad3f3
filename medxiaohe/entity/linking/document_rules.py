"""Rules over the mentions of one text: abbreviations that it defines, interrupted names, names that share
words.

The rules need many names that may or may not be in the tree. A page is therefore processed in two steps,
`questions` and `resolved`, and the names of all pages are looked up together between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from medxiaohe.entity.linking import context, coordination, longer_names
from medxiaohe.entity.linking.abbreviations import Definition, definitions
from medxiaohe.entity.linking.link import HAS_CJK
from medxiaohe.entity.linking.mentions import Draft, Names, in_place_of, without_overlap
from medxiaohe.entity.linking.sentences import sentence_ends, sentence_of
from medxiaohe.entity.linking.short_forms import Sense, is_in_capitals, is_other_sense, senses
from medxiaohe.privacy.text_words import lists

# words before and after an abbreviation that may be of a name
EXPANDED = ((0, 2), (1, 1), (0, 1), (2, 0), (1, 0), (0, 3))
# von Hippel-Lindau (VHL) means the disease; G6PD is an enzyme without "deficiency"
NOUNS = ("disease", "syndrome")
# what a disease comes of
CAUSED = re.compile(r"(?:[\w,'()+]+[\s-]+){1,4}?(?:induced|associated|related|dependent|mediated)\b")
# words before a name that do not make it another disease; "feline asthma (FA)" is no asthma of the tree
QUALIFIERS = frozenset(
    """acute active adolescent adult advanced childhood chronic classic classical clinical congenital early
    familial genetic hereditary human idiopathic inherited isolated late linked mild moderate
    new non onset permanent persistent primary recurrent severe spontaneous sporadic
    subjective systemic the typical x a an""".split()
)
# forms of a substance that leave it the same: "unfractionated heparin (UFH)", "low-molecular-weight heparin"
FORMS = frozenset(
    """anhydrous conjugated depot liposomal low micronised micronized molecular pegylated purified racemic
    recombinant synthetic unfractionated weight""".split()
)
HEAD_KINDS = frozenset({"disease", "chemical"})
# letters, all capitals or digits: a gene, a phrase or a heading as often as the entity, unless the text
# explains it
MAX_ACRONYM = 6
NEXT_WORD = re.compile(r"[ \-‐]([^\W_]+)")
LAST_WORD = re.compile(r"([^\W_]+)[ \-‐]$")
CJK_SHORT = re.compile(r"[(（]\s*([A-Z][A-Za-z0-9\-]{1,9})\s*[)）]")
# HFE is a synonym of hemochromatosis; before these words it is the gene.
OF_A_GENE = re.compile(
    r" (?:candidate"
    r" )?(?:genes?|proteins?|mRNA|cDNA|alleles?|locus|loci|exons?|promoter|transcripts?|knockout|null|polymorphisms?|"  # noqa: E501
    r"genotypes?|kinase|enzyme|mutations?|expression)\b|-/-|\+/[+-]"
)


class Use(NamedTuple):
    """One occurrence of an abbreviation, with the names (name, start, end) it may be a part of, the preferred
    first.
    """

    start: int
    end: int
    expanded: tuple[tuple[str, int, int], ...]


class Page:
    """One text while the rules work on it: its mentions, and its sentences and words, each parsed once."""

    def __init__(self, text: str, drafts: list[Draft]):
        self.text, self.drafts = text, drafts
        self._ends: list[int] = []
        self._words: dict[tuple[int, int], context.Words] = {}
        self._uses: list[tuple[Definition, list[Use]]] = []
        self._proposals: list[tuple[list[tuple[int, int]], list[coordination.Proposal]]] = []
        self._senses: list[Sense] = []

    def questions(self) -> Iterator[str]:
        """Names that the rules need looked up in the tree.

        Yields:
            names, possibly repeated; must be consumed before `resolved`
        """
        text = self.text
        if any(bracket in text for bracket in "(（[=［"):
            self._uses = [(definition, uses(text, definition)) for definition in self._definitions()]
            for definition, occurrences in self._uses:
                yield from _long_names(text, definition)
                yield from (name for use in occurrences for name, _, _ in use.expanded)
        explained = {text[d.short_start : d.short_end] for d, _ in self._uses}
        self._senses = [sense for sense in senses(text) if text[sense.start : sense.end] not in explained]
        for sense in self._senses:
            yield from sense.names
        yield from longer_names.asked(text, self.drafts)
        for sentence, drafts in self._by_sentence(self.drafts).items():
            mentions = [draft.span for draft in drafts if coordination.may_share(text, draft.span)]
            if mentions and (proposed := coordination.proposals(self._words_of(sentence), mentions)):
                self._proposals.append((mentions, proposed))
                yield from (name for proposal in proposed for name, _, _ in proposal.options)

    def resolved(self, names: Names, looked_up: dict[str, str]) -> list[Draft]:
        """Apply all rules to the mentions.

        Args:
            names: of the tree.
            looked_up: name -> entity, for the names of `questions` that the tree has.

        Returns:
            mentions in order; those of a coordination have one span, no others overlap
        """
        drafts = [draft for draft in self.drafts if not self._is_something_else(draft)]
        drafts = longer_names.whole(self.text, drafts, names.kind, looked_up)
        if self._senses:
            drafts = self._with_senses(drafts, looked_up)
        if self._uses:
            drafts = self._with_abbreviations(drafts, names, looked_up)
        if self._proposals:
            drafts = self._with_coordinations(drafts, names, looked_up)
        return drafts

    def contexts(self, drafts: Sequence[Draft]) -> list[context.Context]:
        """Contexts of mentions, as `context.contexts`, with the sentences and words that the page has parsed
        already.

        Args:
            drafts: mentions in order.

        Returns:
            one Context for each
        """
        below = context.sections(self.text)
        by_span: dict[tuple[int, int], context.Context] = {}
        for sentence, here in self._by_sentence(drafts).items():
            if below or context.says_something(self.text[slice(*sentence)]):
                spans = list(dict.fromkeys(draft.span for draft in here))
                by_span.update(
                    zip(
                        spans,
                        context.in_sentence(self.text, self._words_of(sentence), spans, below),
                        strict=True,
                    )
                )
        return [by_span.get(draft.span, context.PLAIN) for draft in drafts]

    def long_forms(self) -> dict[str, str]:
        """Long form of every abbreviation that the text defines.

        Returns:
            short form -> long form, both as written; the first definition counts
        """
        text = self.text
        return {
            text[d.short_start : d.short_end]: text[d.long_start : d.long_end] for d in self._definitions()
        }

    def _definitions(self) -> list[Definition]:
        """Abbreviations that the text defines, each by its first definition."""
        text, first = self.text, dict[str, Definition]()
        for definition in definitions(text) + defined_in_cjk(text, self.drafts):
            first.setdefault(text[definition.short_start : definition.short_end], definition)
        return list(first.values())

    def _is_something_else(self, draft: Draft) -> bool:
        """Whether a mention means something else: a gene that names a disease (HFE gene), a name changed by
        the word beside it (heat stroke), or a word of a sentence or heading in capitals (PLAN, ALL).
        """
        text, start = self.text, draft.start
        if draft.ambiguous and OF_A_GENE.match(text, draft.end):
            return True
        if is_other_sense(text, start, draft.end):
            return True
        if draft.end - start > MAX_ACRONYM or not text[start : draft.end].isupper():
            return False
        if is_everyday(text[start : draft.end]) and is_in_capitals(text, start, draft.end):
            return True
        if "\n" not in text:
            return False
        line = text.rfind("\n", 0, start) + 1
        heading = text[line : text.find("\n", start) if "\n" in text[start:] else len(text)].partition(":")[0]
        return start < line + len(heading) and heading.isupper()

    def _with_senses(self, drafts: list[Draft], looked_up: dict[str, str]) -> list[Draft]:
        """Add the short forms of clinical notes (short_forms.tsv)."""
        new = list[Draft]()
        for start, end, meant in self._senses:
            if name := next((name for name in meant if name in looked_up), ""):
                reason = f"short form of {name} (short_forms.tsv)"
                new.append(Draft(start, end, looked_up[name], False, "short form", reason))
        return in_place_of(drafts, new)

    def _with_abbreviations(
        self, drafts: list[Draft], names: Names, looked_up: dict[str, str]
    ) -> list[Draft]:
        """Link every use of a defined abbreviation to its long form; drop uses whose long form the tree does
        not have.
        """
        text, new, gone = self.text, list[Draft](), list[tuple[int, int]]()
        ending = {draft.end: draft for draft in drafts}
        for definition, occurrences in self._uses:
            long = text[definition.long_start : definition.long_end]
            entity = next(
                (looked_up[name] for name in _long_names(text, definition) if name in looked_up), ""
            )
            head = ending.get(definition.long_end)
            if head and (
                head.start < definition.long_start
                or (
                    not entity
                    and names.kind(head.entity) in HEAD_KINDS
                    and _only_qualified(text[definition.long_start : head.start], names.kind(head.entity))
                )
            ):
                # a longer name than the letters need, or one with a word of degree: chronic [anemia]
                entity = head.entity
            defined_at = f"(defined at {definition.short_start})"
            for use in occurrences:
                name, start, end = next(
                    (option for option in use.expanded if option[0] in looked_up), ("", use.start, use.end)
                )
                if name and start <= definition.long_start < use.start == definition.short_start:
                    parts = ((start, definition.long_end), (_next_letter(text, use.end), end))
                    new.append(
                        Draft(
                            start,
                            end,
                            looked_up[name],
                            False,
                            "around",
                            f"name around an abbreviation: {name}",
                            parts,
                        )
                    )
                elif name:
                    reason = f"{name}, with the abbreviation of {long} {defined_at}"
                    new.append(Draft(start, end, looked_up[name], False, "abbreviation", reason))
                elif entity:
                    new.append(
                        Draft(
                            use.start,
                            use.end,
                            entity,
                            False,
                            "abbreviation",
                            f"abbreviation of {long} {defined_at}",
                        )
                    )
                else:
                    gone.append((use.start, use.end))  # the tree does not have its long form
        return in_place_of(drafts, new, gone)

    def _with_coordinations(
        self, drafts: list[Draft], names: Names, looked_up: dict[str, str]
    ) -> list[Draft]:
        """Replace mentions by the members of the coordinations that the tree has names for."""
        entities = {draft.span: draft.entity for draft in drafts}
        new: list[Draft] = []
        for mentions, proposed in self._proposals:
            still = [proposal for proposal in proposed if mentions[proposal.anchor] in entities]
            for group in coordination.accepted(still, mentions, entities, looked_up, names.kind):
                for member in group.members:
                    entity = looked_up[member.name] if member.name else entities[mentions[group.anchor]]
                    name = member.name or self.text[slice(*mentions[group.anchor])]
                    new.append(
                        Draft(
                            member.start,
                            member.end,
                            entity,
                            False,
                            "coordination",
                            f"coordination: {name}",
                            member.parts,
                        )
                    )
        if not new:
            return drafts
        hulls = sorted(
            {draft.span: draft for draft in new}.values(),
            key=lambda draft: (draft.start - draft.end, draft.start),
        )
        spans = [draft.span for draft in without_overlap(hulls)]
        outside = [
            draft
            for draft in drafts
            if not any(draft.start < end and start < draft.end for start, end in spans)
        ]
        return sorted(
            [*outside, *(draft for draft in new if draft.span in spans)],
            key=lambda draft: (draft.start, draft.parts),
        )

    def _by_sentence(self, drafts: Sequence[Draft]) -> dict[tuple[int, int], list[Draft]]:
        """Group mentions by their sentence."""
        self._ends = self._ends or sentence_ends(self.text)
        result: dict[tuple[int, int], list[Draft]] = {}
        begin = stop = -1
        for draft in drafts:
            if not begin <= draft.start < stop:
                begin, stop = sentence_of(self._ends, draft.start)
            result.setdefault((begin, stop), []).append(draft)
        return result

    def _words_of(self, sentence: tuple[int, int]) -> context.Words:
        if sentence not in self._words:
            self._words[sentence] = context.words_of(self.text, *sentence)
        return self._words[sentence]


def is_everyday(word: str) -> bool:
    """Whether the small letters of an acronym are a word of English: ALL, MEN, WAS.

    Returns:
        True when the word list has it
    """
    return word.lower() in lists().words


def uses(text: str, definition: Definition) -> list[Use]:
    """Find all uses of a defined abbreviation, and the longer names that each may be a part of.

    Args:
        text: of the document.
        definition: of the abbreviation.

    Returns:
        uses in order, a plural s included; the definition itself is one of them
    """
    short = text[definition.short_start : definition.short_end]
    long = text[definition.long_start : definition.long_end]
    result, at = [], -1
    while (at := text.find(short, at + 1)) >= 0:
        end = at + len(short)
        end += text[end : end + 1] == "s" and short[-1].isupper()
        if _is_of_word(text, at - 1) or _is_of_word(text, end):
            continue
        if at == definition.short_start:
            after = _following(text, end + 1) if text[end : end + 1] in (")", "]") else []
            names = [(f"{long} {tail}", definition.long_start, stop) for tail, stop in reversed(after)]
        else:
            beside = [("", end), *((f" {tail}", stop) for tail, stop in _following(text, end))]
            before = [("", at), *((f"{head} ", start) for head, start in _preceding(text, at))]
            names = [
                (before[a][0] + long + beside[b][0], before[a][1], beside[b][1])
                for a, b in EXPANDED
                if a < len(before) and b < len(beside)
            ]
        result.append(Use(at, end, tuple(names)))
    return result


def defined_in_cjk(text: str, drafts: Sequence[Draft]) -> list[Definition]:
    """Find abbreviations defined behind a Chinese or Japanese name: 慢性阻塞性肺疾病（COPD）.

    Letters cannot be aligned with characters, so a name of the tree must end right before the bracket.

    Args:
        text: of the document.
        drafts: mentions of names in it.

    Returns:
        definitions in order; [] for a text without such characters
    """
    if not HAS_CJK.search(text):
        return []
    ending = {draft.end: draft for draft in drafts if HAS_CJK.search(text, draft.start, draft.end)}
    marks = [mark for mark in CJK_SHORT.finditer(text) if mark.start() in ending]
    return [Definition(*mark.span(1), ending[mark.start()].start, mark.start()) for mark in marks]


def _long_names(text: str, definition: Definition) -> Iterable[str]:
    long = text[definition.long_start : definition.long_end]
    return (long, *(f"{long} {noun}" for noun in NOUNS))


def _only_qualified(words: str, kind: str) -> bool:
    """Whether words before a name keep its meaning: a degree or cause of a disease, a form of a substance."""
    rest = CAUSED.sub(" ", words.lower())  # "levodopa-induced [dyskinesias]", "contrast media-induced"
    same = QUALIFIERS | FORMS if kind == "chemical" else QUALIFIERS
    return same.issuperset(rest.replace("-", " ").split())


def _is_of_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_") and not HAS_CJK.match(text[at])


def _following(text: str, at: int) -> list[tuple[str, int]]:
    """The next one, two and three words after an offset, each with its end."""
    result, so_far = list[tuple[str, int]](), ""
    while len(result) < 3 and (mark := NEXT_WORD.match(text, at)):
        so_far, at = f"{so_far} {mark[1]}".strip(), mark.end()
        result.append((so_far, at))
    return result


def _preceding(text: str, at: int) -> list[tuple[str, int]]:
    """The last one and two words before an offset, each with its start."""
    result, so_far = list[tuple[str, int]](), ""
    while len(result) < 2 and (mark := LAST_WORD.search(text, max(0, at - 40), at)):
        so_far, at = f"{mark[1]} {so_far}".strip(), mark.start(1)
        result.append((so_far, at))
    return result


def _next_letter(text: str, at: int) -> int:
    while at < len(text) and not text[at].isalnum():
        at += 1
    return at
