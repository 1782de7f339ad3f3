"""Detect rows whose text contradicts the rest of the row by rules over names, sides and the tree: the cheap
step of alignment (arXiv 2604.25296).

    empty       no text, or next to none
    side        a finding is on the left in the anchors and on the right in the text, or the other way round
    sibling     the text names a sibling of an entity of the anchors that the anchors do not name, and that
                entity itself not
    unrelated   both name entities, and none of the anchors is near one of the text; no telling word in common

The rules do not read meaning. A row with nothing to compare is unchecked, which is not the same as aligned.
`unrelated` is weak: an answer need not repeat its question. Where texts are compared by similarity too, that
decides (data.align). A rule for findings that one denies and the other has was tried and left out: hardly one
in two of the rows that it flagged was wrong (docs/results/synthesis.md).
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
    """The result of the rules: `kind` is one of CONFLICTS, or "" for no mismatch; `checked` is false where
    there was nothing to compare.
    """

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
        anchor_findings, text_findings = self.words.findings(item.anchor), self.words.findings(item.text)
        if detail := _other_side(anchor_findings, text_findings) or _sides_alone(item):
            return Mismatch("side", detail)
        anchor_ids, text_ids = self._entities(item.anchor), self._entities(item.text)
        if detail := self._sibling(anchor_ids, text_ids, item.text) or self._opens_with_sibling(
            anchor_ids, item.text
        ):
            return Mismatch("sibling", detail)
        if detail := self._unrelated(anchor_ids, text_ids, item):
            return Mismatch("unrelated", detail)
        return Mismatch(
            checked=bool(anchor_ids and text_ids) or bool(telling(item.anchor) & telling(item.text))
        )

    def _entities(self, text: str) -> list[str]:
        tree = self.graph.tree
        ids = dict.fromkeys(mention.entity for mention in self.names.find(text) if not mention.ambiguous)
        return [id for id in ids if id in tree and tree.entities[id].kind in KINDS]

    def _sibling(self, anchor_ids: list[str], text_ids: list[str], text: str) -> str:
        """Search for an entity of the anchors that the text does not name, by no word of its name, while
        it names a sibling of it that the anchors do not name.
        """
        tree, low = self.graph.tree, text.lower()
        for anchor_id in anchor_ids:
            entity = tree.entities[anchor_id]
            parents = {parent for parent in entity.parents if tree.layer(parent) >= LOWEST}
            twins = [
                tree.entities[id]
                for id in text_ids
                if id not in anchor_ids and parents & set(tree.entities[id].parents)
            ]
            twins = [
                twin for twin in twins if twin.kind == entity.kind and not self._covers(twin.id, anchor_ids)
            ]
            if not twins or self._covers(anchor_id, text_ids) or visible(names_of(entity), text):
                continue
            own = telling(entity.name) - frozenset().union(*(telling(twin.name) for twin in twins))
            if not any(len(word) > 3 and word in low for word in own):
                return f"it names {twins[0].name}, not {entity.name}"
        return ""

    def _opens_with_sibling(self, anchor_ids: list[str], text: str) -> str:
        """Apply `_sibling` to the first sentence, which says what a text is about."""
        first = next(iter(sentences(text)), "")
        return self._sibling(anchor_ids, self._entities(first), first) if len(first) < len(text) else ""

    def _covers(self, entity: str, ids: Iterable[str]) -> bool:
        """Check whether one of `ids` is the entity, or above or below it."""
        tree = self.graph.tree
        above = {id for id in tree.ancestors(entity) if tree.layer(id) >= LOWEST}
        return any(id == entity or id in above or entity in tree.ancestors(id) for id in ids)

    def _unrelated(self, anchor_ids: list[str], text_ids: list[str], item: Item) -> str:
        if not anchor_ids or len(telling(item.text)) < 3 or telling(item.anchor) & telling(item.text):
            return ""
        if any(
            self._covers(anchor_id, text_ids) or self._facts(anchor_id) & set(text_ids)
            for anchor_id in anchor_ids
        ):
            return ""
        tree = self.graph.tree
        first = tree.entities[anchor_ids[0]].name
        return f"nothing about {first}" + (f", but {tree.entities[text_ids[0]].name}" if text_ids else "")

    def _facts(self, id: str) -> set[str]:
        out = {edge.object for edge in self.graph.out.get(id, ())}
        return out | {edge.subject for edge in self.graph.into.get(id, ())}


def _other_side(anchor_findings: list[Finding], text_findings: list[Finding]) -> str:
    """Search for a finding that the text has on the other side every time; organs and regions with sides
    count as findings.
    """
    for finding in anchor_findings:
        same = [
            candidate
            for candidate in text_findings
            if candidate.name == finding.name and candidate.status != "absent"
        ]
        if (
            finding.side in OPPOSITE
            and finding.status != "absent"
            and same
            and all(candidate.side == OPPOSITE[finding.side] for candidate in same)
        ):
            return f"{finding.said} against {same[0].said}"
    return ""


def _sides_alone(item: Item) -> str:
    """Check whether the anchors name one side alone and the text the other side alone."""
    anchor_sides, text_sides = sides(item.anchor), sides(item.text)
    if (
        len(anchor_sides) == len(text_sides) == 1
        and (side := next(iter(anchor_sides))) in OPPOSITE
        and text_sides == {OPPOSITE[side]}
    ):
        return f"{side} against {OPPOSITE[side]}"
    return ""
