"""Annotate a text with the entities of a tree: names, rules, context, and optionally a learned tagger.

    annotator = Annotator.of(tree)         # a tree or its folder; index=, tagger=, normaliser=, embedder=
    for a in annotator.annotate("No evidence of breast or ovarian cancer."):
        print(a.surface, a.entity, a.negated, a.reason, a.score)

1  names of the tree, longest match (entity.index, or entity.link without the extra `fast`)
2  abbreviations that the text defines: every use means its long form; one that stands for something that the
   tree does not have is no mention
3  names around a bracket or with an abbreviation in them: von Hippel-Lindau (VHL) disease, VHL disease
4  names that share a word: breast and ovarian cancer
5  for the kinds of a learned tagger, its spans and no others; linked by a normaliser, or else by 1 to 4
6  disambiguation of names that several entities have; negation, uncertainty, experiencer and temporality

Mentions do not overlap; those of one coordination have one span and differ in `parts`.

The score is the share of mentions with this method whose span the annotators marked too, in the training
parts of NCBI-disease and BC5CDR (diseases and chemicals): an estimate for ranking and thresholds from two
corpora of abstracts, not a probability that the entity is right. The score of a tagger takes precedence.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from medxiaohe.entity.linking import context, finder
from medxiaohe.entity.linking.disambiguate import Around, Choice, Embedder, Meanings, related_entities
from medxiaohe.entity.linking.document_rules import MAX_ACRONYM, Page
from medxiaohe.entity.linking.link import TOKEN, plain
from medxiaohe.entity.linking.mentions import Draft, Names
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import MissingExtra

SCORES = {
    "name": 0.85, "synonym": 0.75, "variant": 0.6, "acronym": 0.2, "abbreviation": 0.9, "around": 0.9,
    "coordination": 0.8,
    "tagger": 0.8, "short form": 0.7,
}  # fmt: skip
MAX_KEPT = 200_000  # surfaces whose reason is remembered


class Tagger(Protocol):
    """Protocol of a mention tagger (entity/tagger.py): finds spans, links nothing."""

    @property
    def kinds(self) -> Sequence[str]:
        """Kinds that it was trained on; it finds nothing else.

        Returns:
            for example ("chemical", "disease")
        """
        ...

    def spans_batch(self, texts: Sequence[str]) -> list[list[tuple[int, int, str, float]]]:
        """Find the mentions of many texts.

        Returns:
            for each text (start, end, kind, score in [0, 1]), in order, without overlap
        """
        ...


class Normaliser(Protocol):
    """Protocol of a normaliser (entity/linking/normalise.py): links a span, finds nothing."""

    def candidates(self, surface: str, kind: str) -> list[tuple[str, float]]:
        """Entities that a mention may name.

        Args:
            surface: of the mention, or its long form.
            kind: of the mention.

        Returns:
            (id of an entity or code of one, score in [0, 1]), best first; [] where no name is near
        """
        ...

    def concepts(self, surface: str, kind: str) -> tuple[str, ...]:
        """Normalise a mention.

        Args:
            surface: of the mention, or its long form.
            kind: of the mention.

        Returns:
            its id; several for "breast and ovarian cancer"; () where no name is near
        """
        ...


@dataclass(frozen=True, slots=True)
class Annotation:
    start: int  # text[start:end] is the surface; for a coordinated or interrupted name the hull of its parts
    end: int
    entity: str  # id in the tree; "" when a tagger found what nobody could name
    surface: str
    kind: str
    score: float  # 0 to 1, as the file says
    # in words: "name", "abbreviation of ... (defined at 120)", "coordination: breast cancer", "tagger; ..."
    reason: str
    ambiguous: bool
    candidates: tuple[str, ...]  # all entities with this name, the chosen one first
    parts: tuple[tuple[int, int], ...] = ()  # of a name that is not in one piece, or shares a piece
    negated: bool = False
    uncertain: bool = False
    experiencer: str = "patient"  # patient, family, other
    temporality: str = "current"  # current, historical, hypothetical
    concept: str = ""  # what the normaliser calls it, where that is another id than the entity's: a MeSH code


class Annotator:
    """Entity annotator, built once for each process.

    `annotate` and `annotate_batch` give the same for one text, whatever other texts are in the batch.
    """

    def __init__(
        self,
        tree: Tree,
        names: Names,
        meanings: Meanings,
        *,
        tagger: Tagger | None = None,
        normaliser: Normaliser | None = None,
        embedder: Embedder | None = None,
    ):
        self.tree = tree
        self._names, self._meanings = names, meanings
        self._tagger, self._normaliser, self._embedder = tagger, normaliser, embedder
        self._tagged_kinds = {_one_kind(kind) for kind in tagger.kinds} if tagger else set()
        self._of_code: dict[str, str] | None = None  # made when a normaliser first gives a code
        self._described: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {}

    @classmethod
    def of(
        cls,
        tree: Tree | Path | str,
        *,
        index: Any = None,
        tagger: Tagger | None = None,
        normaliser: Normaliser | None = None,
        embedder: Embedder | None = None,
    ) -> Annotator:
        """Build an annotator from a tree or the folder of one.

        Args:
            tree: a Tree, or a folder, whose relations then help to choose between entities of one name.
            index: an entity.index.Index or a Linker of the same tree. None takes that of
                entity/linking/finder.py for a folder, which is cached, and builds a new one for a tree; a
                Linker where numba is missing.
            tagger: decides what is a mention of its kinds; None leaves it to names and rules.
            normaliser: names the spans of the tagger; None leaves it to names and rules.
            embedder: compares the text with the definitions of entities that share a name; None does not.

        Raises:
            DataError: the folder has no tree.
        """
        folder = None if isinstance(tree, Tree) else Path(tree)
        tree = tree if isinstance(tree, Tree) else Tree.load(Path(tree))
        meanings = Meanings(tree)
        if folder:
            meanings.related = related_entities(
                folder, {id for ids in meanings.shared.values() for id in ids}
            )
            if index is None:
                with contextlib.suppress(MissingExtra):
                    index = finder.index(folder)
        names = Names(tree, index)
        # a tree is millions of objects and never garbage: every full collection would look at all of them
        gc.freeze()
        return cls(tree, names, meanings, tagger=tagger, normaliser=normaliser, embedder=embedder)

    def annotate(self, text: str) -> list[Annotation]:
        """Find the entities of a text.

        Args:
            text: to annotate; offsets count code points.

        Returns:
            in the order of the text
        """
        return self.annotate_batch([text])[0]

    def annotate_batch(self, texts: Sequence[str]) -> list[list[Annotation]]:
        """Find the entities of many texts: the names that the rules need are looked up for all of them
        together.

        Args:
            texts: to annotate.

        Returns:
            for each text what `annotate` returns
        """
        # rules first list the names that they need; these are looked up for all texts at once
        pages = [Page(text, drafts) for text, drafts in zip(texts, self._names.find(texts), strict=True)]
        looked_up = self._names.known({name for page in pages for name in page.questions()})
        tagged: Sequence[Sequence[tuple[int, int, str, float]]] = (
            self._tagger.spans_batch(texts) if self._tagger else [()] * len(texts)
        )
        return [self._finished(page, looked_up, spans) for page, spans in zip(pages, tagged, strict=True)]

    def _finished(
        self, page: Page, looked_up: dict[str, str], spans: Sequence[tuple[int, int, str, float]]
    ) -> list[Annotation]:
        drafts = page.resolved(self._names, looked_up)
        if self._tagger:
            drafts = self._with_tagged(page, drafts, spans)
        choose = self._chooser(page.text, drafts)
        contexts = page.contexts(drafts)
        annotations = [
            self._annotation(page.text, draft, choose, context)
            for draft, context in zip(drafts, contexts, strict=True)
        ]
        # a gene of the dictionary may turn out to be the disease of that name
        tagged = {span[:2] for span in spans}
        return [
            a
            for a in annotations
            if _one_kind(a.kind) not in self._tagged_kinds or (a.start, a.end) in tagged
        ]

    # ---- a learned tagger ------------------------------------------------------------------------

    def _with_tagged(
        self, page: Page, drafts: list[Draft], spans: Sequence[tuple[int, int, str, float]]
    ) -> list[Draft]:
        """Replace mentions of the tagger's kinds by its spans: it alone decides what is a mention of these
        kinds.
        """
        long = page.long_forms() if self._normaliser else {}
        tagged = list[Draft]()
        for start, end, kind, score in spans:
            if self._normaliser:
                tagged += self._by_normaliser(page.text, start, end, kind, score, long)
            else:
                same = [
                    d
                    for d in drafts
                    if d.span == (start, end) and self._names.kind(d.entity) == _one_kind(kind)
                ]
                tagged += [draft._replace(score=score) for draft in same] or [
                    self._named(page.text, start, end, kind, score, drafts)
                ]
        rest = [d for d in drafts if self._names.kind(d.entity) not in self._tagged_kinds]
        rest = [
            draft for draft in rest if not any(draft.start < d.end and d.start < draft.end for d in tagged)
        ]
        return sorted(tagged + rest, key=lambda draft: (draft.start, draft.parts))

    def _by_normaliser(
        self, text: str, start: int, end: int, kind: str, score: float, long: Mapping[str, str]
    ) -> list[Draft]:
        """Link a tagger's span, or its long form, with the normaliser; several drafts where it returns
        several ids.
        """
        assert self._normaliser
        surface = text[start:end]
        meant = long.get(surface, surface)
        near = self._normaliser.candidates(meant, kind)
        scores, result = dict(near), list[Draft]()
        ids = self._normaliser.concepts(meant, kind)
        for id in ids:
            entity = self._entity_of(id)
            others = (
                tuple(dict.fromkeys(self._entity_of(other_id) for other_id, _ in near))
                if len(ids) == 1
                else ()
            )
            name = self.tree.entities[entity].name if entity else id
            suffix = f" of {meant}" if meant != surface else ""
            reason = (
                f"nearest name{suffix}: {name} ({scores[id]:.2f})"
                if id in scores
                else f"one of several names{suffix}: {name}"
            )
            candidates = tuple(other_id for other_id in others if other_id) or ((entity,) if entity else ())
            concept = "" if id == entity else id
            result.append(
                Draft(
                    start,
                    end,
                    entity,
                    False,
                    "tagger",
                    f"tagger; {reason}",
                    kind=kind,
                    score=score,
                    candidates=candidates,
                    concept=concept,
                )
            )
        nothing = Draft(start, end, "", False, "tagger", "tagger; no name is near", kind=kind, score=score)
        return result or [nothing]

    def _entity_of(self, id: str) -> str:
        """Entity with this id, otherwise the first with this code; "" where the tree has neither."""
        if id in self.tree:
            return id
        if self._of_code is None:
            self._of_code = {}
            for entity in self.tree.entities.values():
                for code in entity.xrefs:
                    self._of_code.setdefault(code, entity.id)
        return self._of_code.get(id, "")

    def _named(
        self, text: str, start: int, end: int, kind: str, score: float, drafts: Sequence[Draft]
    ) -> Draft:
        """Link a tagger's span with the best name that dictionary and rules have for it."""
        surface, kinds = text[start:end], self._names.kind
        inside = [
            d
            for d in drafts
            if start <= d.start and d.end <= end and d.entity and kinds(d.entity) == _one_kind(kind)
        ]
        entity = self._names.known([surface]).get(surface, "")
        if entity and kinds(entity) == _one_kind(kind):
            reason = "tagger; name"
        elif inside:
            entity = max(inside, key=lambda draft: draft.end - draft.start).entity
            reason = f"tagger; the name in it: {self.tree.entities[entity].name}"
        else:
            return Draft(start, end, "", False, "tagger", "tagger; no name is near", kind=kind, score=score)
        return Draft(start, end, entity, False, "tagger", reason, score=score, candidates=(entity,))

    # ---- which entity, and in words why ----------------------------------------------------------

    def _annotation(
        self, text: str, draft: Draft, choose: Callable[[str, tuple[str, ...]], Choice], ctx: context.Context
    ) -> Annotation:
        surface, entity, ambiguous, reason = (
            text[draft.start : draft.end],
            draft.entity,
            draft.ambiguous,
            draft.reason,
        )
        candidates, method = draft.candidates or ((entity,) if entity else ()), draft.how
        if not method:
            method, candidates = self._plain(surface, entity)
            reason = f"variant of {self.tree.entities[entity].name}" if method == "variant" else method
            if len(candidates) > 1:
                choice = choose(surface, candidates)
                entity, reason = choice.entity, f"{reason}; {choice.why}"
                ambiguous = ambiguous and not choice.sure
                candidates = (entity, *(id for id in candidates if id != entity))
            if method != "name" and surface.isupper() and len(surface) <= MAX_ACRONYM and surface.isascii():
                method, reason = "acronym", f"{reason}; an acronym that the text does not explain"
        return Annotation(
            draft.start, draft.end, entity, surface, draft.kind or self.tree.entities[entity].kind,
            draft.score or SCORES[method], reason,
            ambiguous, candidates, draft.parts, ctx.negated, ctx.uncertain, ctx.experiencer,
            ctx.temporality, draft.concept,
        )  # fmt: skip

    def _plain(self, surface: str, entity: str) -> tuple[str, tuple[str, ...]]:
        """Whether a surface is the name, a synonym or a variant of an entity, and all entities it names."""
        key = (surface, entity)
        if key not in self._described:
            if len(self._described) >= MAX_KEPT:
                self._described.clear()
            node, low = self.tree.entities[entity], _key(surface)
            match = (
                "name"
                if low == _key(node.name)
                else "synonym"
                if any(low == _key(name) for name in node.synonyms)
                else "variant"
            )
            self._described[key] = match, self._meanings.of(surface, entity)
        return self._described[key]

    def _chooser(self, text: str, drafts: Sequence[Draft]) -> Callable[[str, tuple[str, ...]], Choice]:
        """Function that disambiguates a shared name, with one answer for the text."""
        around: list[Around] = []
        chosen: dict[tuple[str, tuple[str, ...]], Choice] = {}

        def choose(surface: str, candidates: tuple[str, ...]) -> Choice:
            """Choose between the entities of one name, once for all its mentions in the text.

            Returns:
                the choice of `Meanings.choose`
            """
            if (surface, candidates) not in chosen:
                if not around:
                    around.append(
                        Around(
                            self._meanings,
                            {draft.entity for draft in drafts if draft.entity and not draft.ambiguous},
                        )
                    )
                choice = self._meanings.choose(
                    surface, candidates, around[0], embedder=self._embedder, text=text
                )
                chosen[surface, candidates] = choice
            return chosen[surface, candidates]

        return choose


def _one_kind(kind: str) -> str:
    return "disease" if kind == "phenotype" else kind


def _key(name: str) -> str:
    return " ".join(TOKEN.findall(plain(name))).lower()
