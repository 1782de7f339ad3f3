"""Ways to find and name entities that benchmarks/entity_quality.py measures: ours, and what pip offers."""

import collections
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.entity.linking import finder
from medxiaohe.entity.linking.abbreviations import definitions
from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.linking.index import Index
from medxiaohe.entity.linking.normalise import Normaliser
from medxiaohe.entity.linking.spelling import bag
from medxiaohe.entity.readers.mesh_tables import SUPPLEMENTARY
from medxiaohe.entity.tagger import Options, Tagger, knowledge_of
from medxiaohe.entity.tagging.gold import Document, Span
from medxiaohe.entity.tagging.word_classes import word_classes
from medxiaohe.entity.tree.ids import prefix
from medxiaohe.entity.tree.tree import Tree, entity_from_json
from medxiaohe.types import Entity

CODES = ("MESH", "OMIM")


# tree -> marked
KIND = {
    "disease": "disease",
    "phenotype": "disease",
    "chemical": "chemical",
    "anatomy": "Anatomy",
    "cell": "Anatomy",
}


Tag = Callable[[Sequence[str]], list[list[Span]]]


class World:
    """The tree and what is made of it once."""

    def __init__(self, folder: Path, skip: set[str], *, quick: bool):
        self.folder, self.tree = folder, Tree.load(folder)
        rows = (row for row in io.read_jsonl(folder / "terms.jsonl") if prefix(row["id"]) in CODES)
        self.terms = [entity_from_json(row, folder) for row in rows] + _supplementary()
        self.knowledge = knowledge_of(self.tree)
        self.classes = {} if quick else word_classes(_pubmed(skip))
        self._codes: dict[str, tuple[str, ...]] = {}

    def knows(self) -> dict[str, Any]:
        return {
            "classes": self.classes,
            "annotate": Annotator.of(self.folder).annotate_batch,
            "knowledge": self.knowledge,
        }

    def codes(self, id: str) -> tuple[str, ...]:
        """The MeSH code of an entity, or else its OMIM code."""
        if id not in self._codes:
            every = (id, *self.tree.entities[id].xrefs) if id in self.tree else (id,)
            self._codes[id] = next(
                ((code,) for wanted in CODES for code in every if prefix(code) == wanted), ()
            )
        return self._codes[id]

    def span(self, start: int, end: int, entity: str) -> Span:
        kind = self.tree.entities[entity].kind
        return Span(start, end, KIND.get(kind, kind), self.codes(entity))

    def names(self, kinds: Iterable[str]) -> dict[str, str]:
        """Names of at least three letters, in lower case, and the first entity with each."""
        found: dict[str, str] = {}
        for entity in self.tree.entities.values():
            if KIND.get(entity.kind) in kinds and entity.parents:
                for name in (entity.name, *entity.synonyms):
                    if len(name) > 2 and any(map(str.isalpha, name)):
                        found.setdefault(" ".join(name.lower().split()), entity.id)
        return found


def _supplementary() -> list[Entity]:
    """The supplementary concepts of MeSH, which are not in the tree: 250,000 substances, most of them in one
    paper."""
    path = assets.folder("mesh") / SUPPLEMENTARY
    return [
        one
        for one in plugins.load("vocabularies", "mesh_tables")(path)
        if one.kind in ("chemical", "disease")
    ]


def _pubmed(skip: set[str]) -> Iterable[str]:
    reader = plugins.load("readers", "pubmed_xml")
    return (
        s.text
        for name in ("pubmed_2020", "pubmed_2021")
        for s in reader(assets.folder(name), copyrighted=True)
        if s.id not in skip
    )


def exact(world: World, kinds: Sequence[str]) -> Tag:
    names = world.names(kinds)
    index, ids = Index.build(list(names)), list(names.values())

    def tag(texts: Sequence[str]) -> list[list[Span]]:
        found = index.find_batch(texts)
        spans: list[list[Span]] = [[] for _ in texts]
        for document, start, end, value in zip(
            *(x.tolist() for x in (found.document, found.start, found.end, found.value)), strict=True
        ):
            spans[document].append(world.span(start, end, ids[value]))
        return spans

    return tag


def flashtext(world: World, kinds: Sequence[str]) -> Tag:
    from flashtext2 import KeywordProcessor

    made = KeywordProcessor(case_sensitive=False)
    made.add_keywords_with_clean_word_from_iter(world.names(kinds).items())

    def tag(texts: Sequence[str]) -> list[list[Span]]:
        return [
            [world.span(start, end, id) for id, start, end in made.extract_keywords_with_span(text)]
            for text in texts
        ]

    return tag


def phrase_matcher(world: World, kinds: Sequence[str]) -> Tag:
    import spacy
    from spacy.matcher import PhraseMatcher
    from spacy.util import filter_spans

    nlp = spacy.blank("en")
    matcher, names = PhraseMatcher(nlp.vocab, attr="LOWER"), world.names(kinds)
    matcher.add("names", list(nlp.tokenizer.pipe(names)))

    def tag(texts: Sequence[str]) -> list[list[Span]]:
        found = []
        for document in nlp.tokenizer.pipe(texts):
            spans = filter_spans(matcher(document, as_spans=True))
            known = ((span, names.get(" ".join(span.text.lower().split()))) for span in spans)
            found.append([world.span(span.start_char, span.end_char, id) for span, id in known if id])
        return found

    return tag


def dictionary(world: World, kinds: Sequence[str]) -> Tag:
    index = finder.index(world.folder)
    ids = list(world.tree.entities)

    def tag(texts: Sequence[str]) -> list[list[Span]]:
        found = index.find_batch(texts)
        spans: list[list[Span]] = [[] for _ in texts]
        for document, start, end, value in zip(
            *(x.tolist() for x in (found.document, found.start, found.end, found.value)), strict=True
        ):
            spans[document].append(world.span(start, end, ids[value >> 1]))
        return spans

    return tag


def rules(world: World, kinds: Sequence[str], **learned: Any) -> Tag:
    annotator = Annotator.of(world.folder, **learned)

    def tag(texts: Sequence[str]) -> list[list[Span]]:
        found = []
        for annotations in annotator.annotate_batch(list(texts)):
            codes = [
                (a.concept,) if a.concept else world.codes(a.entity) if a.entity else () for a in annotations
            ]
            found.append(
                [
                    Span(a.start, a.end, KIND.get(a.kind, a.kind), ids)
                    for a, ids in zip(annotations, codes, strict=True)
                ]
            )
        return found

    return tag


def with_lexicon(tag: Tag, train: Sequence[Document], kinds: Sequence[str]) -> Tag:
    """What `tag` finds, less surfaces that are mostly not marked in train, and the surfaces that mostly
    are."""
    found = tag([document.text for document in train])
    marked, seen = collections.Counter[tuple[str, str]](), collections.Counter[tuple[str, str]]()
    ids: dict[tuple[str, str], collections.Counter[tuple[str, ...]]] = collections.defaultdict(
        collections.Counter
    )
    for document in train:
        for span in document.spans:
            key = (span.kind, bag(document.text[span.start : span.end]))
            marked[key] += 1
            ids[key][span.ids] += 1
    surfaces = list(
        dict.fromkeys(d.text[s.start : s.end].lower() for d in train for s in d.spans if s.end - s.start > 2)
    )
    kind_of = {d.text[s.start : s.end].lower(): s.kind for d in train for s in d.spans}
    index = Index.build(surfaces)

    def known(texts: Sequence[str]) -> list[list[Span]]:
        hits = index.find_batch(texts)
        spans: list[list[Span]] = [[] for _ in texts]
        for document, start, end, value in zip(
            *(x.tolist() for x in (hits.document, hits.start, hits.end, hits.value)), strict=True
        ):
            spans[document].append(Span(start, end, kind_of[surfaces[value]]))
        return spans

    for document, spans, more in zip(train, found, known([d.text for d in train]), strict=True):
        for start, end, kind in {(s.start, s.end, s.kind) for s in (*spans, *more)}:
            seen[kind, bag(document.text[start:end])] += 1

    def both(texts: Sequence[str]) -> list[list[Span]]:
        result = []
        for text, ours, more in zip(texts, tag(texts), known(texts), strict=True):
            chosen = list[Span]()
            pool = [
                (span, (span.kind, bag(text[span.start : span.end])))
                for span in (*more, *ours)
                if span.kind in kinds
            ]
            good = [(s, key) for s, key in pool if (marked[key] >= 0.5 * seen[key] if seen[key] else True)]
            for span, key in sorted(good, key=lambda one: one[0].start - one[0].end):
                if all(span.end <= other.start or other.end <= span.start for other in chosen):
                    code = max(ids[key], key=ids[key].__getitem__) if key in ids else span.ids
                    chosen.append(Span(span.start, span.end, span.kind, code))
            result.append(sorted(chosen, key=lambda span: span.start))
        return result

    return both


def learned(
    world: World,
    train: Sequence[Document],
    options: Options,
    more: Sequence[Document] = (),
    start: Any = None,
) -> tuple[Tag, Tagger, Normaliser | None]:
    """`more` are marked texts of another corpus, for the tagger alone; `start` is an encoder that was taught
    others before."""
    tagger = Tagger.train([*train, *more], options=options, start=start, **world.knows())
    known = [(d.text[s.start : s.end], s.kind, s.ids[0]) for d in train for s in d.spans if len(s.ids) == 1]
    named = Normaliser.of(world.tree, codes=CODES, terms=world.terms, known=known) if known else None

    def tag(texts: Sequence[str]) -> list[list[Span]]:
        result = []
        for text, spans in zip(texts, tagger.spans_batch(texts), strict=True):
            long = (
                {
                    text[d.short_start : d.short_end]: text[d.long_start : d.long_end]
                    for d in definitions(text)
                }
                if named
                else {}
            )
            surfaces = [(s, text[s.start : s.end]) for s in spans]
            ids = [
                named.concepts(long.get(surface, surface), s.kind) if named else () for s, surface in surfaces
            ]
            result.append(
                [Span(s.start, s.end, s.kind, of) for (s, _), of in zip(surfaces, ids, strict=True)]
            )
        return result

    return tag, tagger, named
