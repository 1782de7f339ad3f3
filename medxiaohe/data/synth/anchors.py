"""Divide a row into the text to check and its anchors: other text of the row that says what it is about.

    an instruction   its answer is checked against the question
    a document       its body is checked against its title
    both             against what the reader added: tags, labels, keywords, modality, view, side

An image is a further anchor (similarity.py). A row without an anchor cannot be checked by rules: it is
unchecked, and not guessed at.
"""

from __future__ import annotations

from dataclasses import dataclass

from medxiaohe import io
from medxiaohe.data.coverage.entity_counts import texts_in
from medxiaohe.types import ImageRef, Sample

TAGS = (
    "keywords", "tags", "mesh", "labels", "label", "finding", "findings", "problems", "diagnosis", "focus",
    "modality", "view",
    "laterality", "side", "body_part", "organ", "plane",
)  # fmt: skip
TITLE, BODY = 300, 8  # letters of a title at most, words of a body at least


@dataclass(frozen=True, slots=True)
class Item:
    """A text to check, what it is checked against, and its images."""

    id: str
    text: str
    anchors: tuple[str, ...]
    images: tuple[ImageRef, ...] = ()

    @property
    def anchor(self) -> str:
        """The anchors as one text.

        Returns:
            One anchor a line, each ending in a full stop.
        """
        return "\n".join(f"{text.rstrip('.?!:')}." for text in self.anchors)


def item(sample: Sample, tags: tuple[str, ...] = TAGS) -> Item:
    """Divide a row into the text to check and its anchors.

    Args:
        sample: the row.
        tags: keys of its notes that are anchors.

    Returns:
        Of an instruction the last answer with its question; of a document the body with its title, where the
        first line is one (at most TITLE characters, at least BODY words below it); tags are added to both.
    """
    noted = io.noted(sample)
    tag_texts = [
        " ".join(text.replace("/", " ").split())
        for key in tags
        if key in noted
        for text in texts_in(noted[key])
    ]
    messages = [message for message in sample.messages if message.role != "system"]
    if messages and messages[-1].role == "assistant":
        questions = [message.text for message in messages[:-1] if message.role == "user"]
        return Item(
            sample.id, messages[-1].text, tuple(filter(None, [*questions[-1:], *tag_texts])), sample.images
        )
    title, _, body = sample.text.partition("\n")
    if len(title) <= TITLE and len(body.split(None, BODY)) >= BODY:
        return Item(sample.id, body, tuple(filter(None, [title, *tag_texts])), sample.images)
    return Item(sample.id, sample.text, tuple(filter(None, tag_texts)), sample.images)
