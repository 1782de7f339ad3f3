"""The cheap stage of alignment: does a text contradict what else its row says? Rules over names, sides and
the tree (arXiv 2604.25296).

    empty       no text, or next to none
    side        a finding is on the left in one and on the right in the other
    sibling     the text names a sibling of something that is asked about, which nobody asked about, and that
                thing itself nowhere
    unrelated   both name something, and nothing that one names is near what the other does; not a telling
                word in common

They read no meaning. Whatever has nothing to compare is unchecked, which is not the same as aligned.
`unrelated` is weak: an answer need not repeat its question. Where texts are compared by similarity too, that
decides (data.align). A rule for findings that one denies and the other has was tried and left out: hardly one
in two of what it flagged was wrong (docs/results/synthesis.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from medxiaohe.data.synth.anchors import Item
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.names import names_of, telling, visible
from medxiaohe.entity.linking.finder import Finder
from medxiaohe.scoring._equivalence import sides
from medxiaohe.scoring._findings import Finding, Lexicon
from medxiaohe.scoring._sentences import sentences

KINDS = ("disease", "phenotype", "anatomy", "chemical", "modality", "procedure", "organism")
CONFLICTS = ("empty", "side", "sibling", "unrelated")
MIN_LETTERS = 15
OPPOSITE = {"left": "right", "right": "left"}
LOWEST = 3  # layer of an ancestor that still says what something is


@dataclass(frozen=True, slots=True)
class Mismatch:
    """`kind` is one of CONFLICTS, or "" when the rules find nothing; `checked` is false where there was
    nothing to compare."""

    kind: str = ""
    detail: str = ""
    checked: bool = True


@dataclass(frozen=True)
class Rules:
    """The rules; call them with an item for its Mismatch.

    Attributes:
        graph: facts of the tree.
        names: finder of its entities.
        words: lexicon of findings.
    """

    graph: Graph
    names: Finder
    words: Lexicon

    def __call__(self, item: Item) -> Mismatch:
        if len("".join(item.text.split())) < MIN_LETTERS and not item.images:
            return Mismatch("empty", item.text.strip())
        if not item.anchors:
            return Mismatch(checked=False)
        said, there = self.words.findings(item.anchor), self.words.findings(item.text)
        if detail := _other_side(said, there) or _sides_alone(item):
            return Mismatch("side", detail)
        asked, named = self._entities(item.anchor), self._entities(item.text)
        if detail := self._sibling(asked, named, item.text) or self._opens_with_sibling(asked, item.text):
            return Mismatch("sibling", detail)
        if detail := self._unrelated(asked, named, item):
            return Mismatch("unrelated", detail)
        return Mismatch(checked=bool(asked and named) or bool(telling(item.anchor) & telling(item.text)))

    def _entities(self, text: str) -> list[str]:
        tree = self.graph.tree
        found = dict.fromkeys(mention.entity for mention in self.names.find(text) if not mention.ambiguous)
        return [id for id in found if id in tree and tree.entities[id].kind in KINDS]

    def _sibling(self, asked: list[str], named: list[str], text: str) -> str:
        """Something asked about is named nowhere, by no word of its name, and a sibling of it that nobody
        asked about is."""
        tree, low = self.graph.tree, text.lower()
        for one in asked:
            entity = tree.entities[one]
            parents = {parent for parent in entity.parents if tree.layer(parent) >= LOWEST}
            twins = [
                tree.entities[id]
                for id in named
                if id not in asked and parents & set(tree.entities[id].parents)
            ]
            twins = [twin for twin in twins if twin.kind == entity.kind and not self._covers(twin.id, asked)]
            if not twins or self._covers(one, named) or visible(names_of(entity), text):
                continue
            own = telling(entity.name) - frozenset().union(*(telling(twin.name) for twin in twins))
            if not any(len(word) > 3 and word in low for word in own):
                return f"it names {twins[0].name}, not {entity.name}"
        return ""

    def _opens_with_sibling(self, asked: list[str], text: str) -> str:
        """The same of the first sentence, which says what a text is about."""
        first = next(iter(sentences(text)), "")
        return self._sibling(asked, self._entities(first), first) if len(first) < len(text) else ""

    def _covers(self, one: str, named: Iterable[str]) -> bool:
        """Whether something that is named is the entity, or above or below it."""
        tree = self.graph.tree
        above = {id for id in tree.ancestors(one) if tree.layer(id) >= LOWEST}
        return any(id == one or id in above or one in tree.ancestors(id) for id in named)

    def _unrelated(self, asked: list[str], named: list[str], item: Item) -> str:
        if not asked or len(telling(item.text)) < 3 or telling(item.anchor) & telling(item.text):
            return ""
        if any(self._covers(one, named) or self._facts(one) & set(named) for one in asked):
            return ""
        tree = self.graph.tree
        first = tree.entities[asked[0]].name
        return f"nothing about {first}" + (f", but {tree.entities[named[0]].name}" if named else "")

    def _facts(self, id: str) -> set[str]:
        out = {edge.object for edge in self.graph.out.get(id, ())}
        return out | {edge.subject for edge in self.graph.into.get(id, ())}


def _other_side(said: list[Finding], there: list[Finding]) -> str:
    """The same finding, and every time on the other side; organs and places with sides count as findings
    do."""
    for one in said:
        same = [other for other in there if other.name == one.name and other.status != "absent"]
        if (
            one.side in OPPOSITE
            and one.status != "absent"
            and same
            and all(other.side == OPPOSITE[one.side] for other in same)
        ):
            return f"{one.said} against {same[0].said}"
    return ""


def _sides_alone(item: Item) -> str:
    """One side alone in the anchors, the other alone in the text."""
    asked, told = sides(item.anchor), sides(item.text)
    if len(asked) == len(told) == 1 and (side := next(iter(asked))) in OPPOSITE and told == {OPPOSITE[side]}:
        return f"{side} against {OPPOSITE[side]}"
    return ""
