"""Documents with gold mentions: what a tagger is trained on and evaluated with."""

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
NO_ID = {"", "-", "-1"}  # PubTator: the annotator found no concept


@dataclass(frozen=True, slots=True)
class Span:
    """A gold mention, in code points of the text."""

    start: int
    end: int
    kind: str
    ids: tuple[str, ...] = ()  # MESH:D009369, OMIM:114480; none where the annotators found no concept


@dataclass(frozen=True, slots=True)
class Document:
    """A text with gold mentions."""

    id: str
    text: str
    spans: tuple[Span, ...]


def documents(samples: Iterable[Sample], kinds: Mapping[str, str] = KINDS) -> list[Document]:
    """Convert samples with mentions (`types.Mention`) to annotated documents; of several with one id the
    first stays.

    Args:
        samples: from a reader of annotated corpora.
        kinds: type of a mention in the corpus -> kind of the tree; other types stay.

    Returns:
        documents in the order of the samples, spans by start, the longer first

    Raises:
        DataError: the surface of a mention is not what the text has at its offsets.
    """
    by_id: dict[str, Document] = {}
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
        by_id.setdefault(
            sample.id,
            Document(sample.id, text, tuple(sorted(set(spans), key=lambda span: (span.start, -span.end)))),
        )
    return list(by_id.values())


def concept_ids(written: str) -> tuple[str, ...]:
    """Split the concept ids of a PubTator annotation at | and +, and add MESH: where there is no prefix.

    Returns:
        ids without duplicates; () where the annotator gave none
    """
    codes = (code.strip() for code in re.split(r"[|+]", written))
    return tuple(
        dict.fromkeys(code if ":" in code else f"MESH:{code}" for code in codes if code not in NO_ID)
    )


def without_shared(train: Iterable[Document], test: Iterable[Document]) -> None:
    """Refuse a test set that shares a document with the training set.

    Raises:
        DataError: a test document has the id or the exact text of a training document.
    """
    train = list(train)
    ids, texts = {document.id for document in train}, {document.text for document in train}
    if shared := sorted(document.id for document in test if document.id in ids or document.text in texts):
        raise DataError(
            f"{len(shared)} documents are in the training and in the test files ({', '.join(shared[:5])}): "
            "take them out of one, a score on texts that were learned from says nothing"
        )
