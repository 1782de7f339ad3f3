"""Texts with the mentions that people marked in them: what a tagger learns from and what it is scored
against."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medxiaohe.errors import DataError
from medxiaohe.types import Sample

KINDS = {  # how corpora call a kind -> how the tree does
    "Disease": "disease", "SpecificDisease": "disease", "DiseaseClass": "disease", "Modifier": "disease",
    "CompositeMention": "disease",
    "Chemical": "chemical",
}  # fmt: skip
NO_ID = {"", "-", "-1"}  # what PubTator files write where an annotator found no concept


@dataclass(frozen=True, slots=True)
class Span:
    start: int
    end: int
    kind: str
    ids: tuple[str, ...] = ()  # MESH:D009369, OMIM:114480; none where the annotators found no concept


@dataclass(frozen=True, slots=True)
class Document:
    id: str
    text: str
    spans: tuple[Span, ...]


def documents(samples: Iterable[Sample], kinds: Mapping[str, str] = KINDS) -> list[Document]:
    """Samples with mentions (`types.Mention`) as documents, each text once; the first stays."""
    found: dict[str, Document] = {}
    for sample in samples:
        text = sample.text
        spans = []
        for start, end, surface, kind, ids in sample.annotations.mentions:
            if text[start:end] != surface:
                raise DataError(
                    f"document {sample.id}: a mention says {surface!r} at {start}, where the text has"
                    f" {text[start:end]!r}"
                )
            spans.append(Span(start, end, kinds.get(kind, kind), concept_ids(ids)))
        found.setdefault(
            sample.id,
            Document(sample.id, text, tuple(sorted(set(spans), key=lambda span: (span.start, -span.end)))),
        )
    return list(found.values())


def concept_ids(written: str) -> tuple[str, ...]:
    """ "D001943|D010051" and "D012878+D009386" are several concepts; "OMIM:114480" is written as it is in the
    tree."""
    codes = (code.strip() for code in re.split(r"[|+]", written))
    return tuple(
        dict.fromkeys(code if ":" in code else f"MESH:{code}" for code in codes if code not in NO_ID)
    )


def without_shared(train: Iterable[Document], test: Iterable[Document]) -> None:
    """Refuse a test set that shares a document, by id or by text, with what was learned from."""
    train = list(train)
    ids, texts = {document.id for document in train}, {document.text for document in train}
    if shared := sorted(document.id for document in test if document.id in ids or document.text in texts):
        raise DataError(
            f"{len(shared)} documents are in the training and in the test files ({', '.join(shared[:5])}): "
            "take them out of one, a score on texts that were learned from says nothing"
        )
