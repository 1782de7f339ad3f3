"""Draft mentions, and the names of a tree: found in texts, or looked up as complete names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from medxiaohe.entity.linking.link import ONE_THING, Linker, composed
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import MissingExtra


class Draft(NamedTuple):
    """A mention before its entity and its context are final."""

    start: int
    end: int
    entity: str
    ambiguous: bool
    how: str  # a key of annotate.SCORES, "" for what the dictionary found
    reason: str = ""
    parts: tuple[tuple[int, int], ...] = ()
    kind: str = ""  # of a span without an entity
    score: float = 0.0
    candidates: tuple[str, ...] = ()
    concept: str = ""  # what a normaliser calls it, where that is no id of the tree

    @property
    def span(self) -> tuple[int, int]:
        """Start and end of the mention.

        Returns:
            (start, end) in code points
        """
        return self.start, self.end


class Names:
    """Names of a tree: a compiled index where numba is installed, otherwise a Linker; both find the same.

    `index` is either of them, built before; None builds one.
    """

    def __init__(self, tree: Tree, index: Any = None):
        self._tree = tree
        self._linker: Any = index if isinstance(index, Linker) else None
        self._index: Any = None if isinstance(index, Linker) else index
        if index is None:
            try:
                from medxiaohe.entity.linking.index import Index

                self._index = Index.of(tree)
            except MissingExtra:
                self._linker = Linker(tree)

    def kind(self, entity: str) -> str:
        """Kind of an entity, where a phenotype counts as a disease: the melanoma of MONDO and that of the HPO
        are one thing.

        Args:
            entity: id in the tree.

        Returns:
            for example "disease"
        """
        kind = self._tree.entities[entity].kind
        return "disease" if kind in ONE_THING else kind

    def find(self, texts: Sequence[str]) -> list[list[Draft]]:
        """Find the leftmost longest names of many texts. Accents may stand behind their letters.

        Args:
            texts: to search.

        Returns:
            for each text its mentions in order, without overlap
        """
        pairs = [composed(text) for text in texts]
        drafts = self._find([text for text, _ in pairs])
        return [
            [draft._replace(start=at[draft.start], end=at[draft.end]) for draft in in_text] if at else in_text
            for in_text, (_, at) in zip(drafts, pairs, strict=True)
        ]

    def _find(self, texts: Sequence[str]) -> list[list[Draft]]:
        if self._linker:
            return [
                [Draft(m.start, m.end, m.entity, m.ambiguous, "") for m in self._linker.find(text)]
                for text in texts
            ]
        columns = self._index.find_batch(texts)
        id = self._index.id
        drafts = [
            Draft(start, end, id(value >> 1), value & 1 == 1, "")
            for start, end, value in zip(
                columns.start.tolist(), columns.end.tolist(), columns.value.tolist(), strict=True
            )
        ]
        rows = columns.rows.tolist()
        return [drafts[begin:end] for begin, end in pairwise(rows)]

    def known(self, names: Iterable[str]) -> dict[str, str]:
        """Look names up in the tree: each must be one mention from its first to its last character.

        Args:
            names: to look up.

        Returns:
            name -> entity, for those that the tree has
        """
        queries = sorted(names)
        return {
            name: drafts[0].entity
            for name, drafts in zip(queries, self.find(queries), strict=True)
            if len(drafts) == 1 and drafts[0].span == (0, len(name))
        }


def in_place_of(
    drafts: Sequence[Draft], new: Sequence[Draft], gone: Iterable[tuple[int, int]] = ()
) -> list[Draft]:
    """Merge new mentions into old ones without overlap: a longer one wins over a shorter, a new one over an
    old.

    Args:
        drafts: old mentions.
        new: mentions of a rule.
        gone: spans; an old mention with exactly such a span is left out.

    Returns:
        mentions in order of start
    """
    spans = set(gone)
    ranked = [(draft.start - draft.end, 0, draft.start, draft) for draft in new]
    ranked += [
        (draft.start - draft.end, 1, draft.start, draft) for draft in drafts if draft.span not in spans
    ]
    ranked.sort(key=lambda item: item[:3])
    return without_overlap(draft for *_, draft in ranked)


def without_overlap(drafts: Iterable[Draft]) -> list[Draft]:
    """Select mentions greedily: each that overlaps none of those before it.

    Args:
        drafts: in order of preference.

    Returns:
        the selected mentions in order of start
    """
    selected, taken = list[Draft](), set[int]()
    for draft in drafts:
        letters = range(draft.start, draft.end)
        if taken.isdisjoint(letters):
            taken.update(letters)
            selected.append(draft)
    return sorted(selected, key=lambda draft: draft.start)
