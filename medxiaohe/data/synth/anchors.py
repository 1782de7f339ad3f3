"""What an item says twice: the text that is to be checked, and what else in the row says what it is about.

    an instruction   its answer is checked, against the question
    a document       its body is checked, against its title
    both             against what the reader put beside it: tags, labels, keywords, modality, view, side

A picture is a third witness (similarity.py). What is said once cannot be checked by rules, and is not guessed
at.
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
    id: str
    text: str
    anchors: tuple[str, ...]
    images: tuple[ImageRef, ...] = ()

    @property
    def anchor(self) -> str:
        """The anchors as one text, each a sentence of its own."""
        return "\n".join(f"{one.rstrip('.?!:')}." for one in self.anchors)


def item(sample: Sample, tags: tuple[str, ...] = TAGS) -> Item:
    noted = io.noted(sample)
    said = [
        " ".join(text.replace("/", " ").split())
        for key in tags
        if key in noted
        for text in texts_in(noted[key])
    ]
    messages = [message for message in sample.messages if message.role != "system"]
    if messages and messages[-1].role == "assistant":
        asked = [message.text for message in messages[:-1] if message.role == "user"]
        return Item(sample.id, messages[-1].text, tuple(filter(None, [*asked[-1:], *said])), sample.images)
    title, _, body = sample.text.partition("\n")
    if len(title) <= TITLE and len(body.split(None, BODY)) >= BODY:
        return Item(sample.id, body, tuple(filter(None, [title, *said])), sample.images)
    return Item(sample.id, sample.text, tuple(filter(None, said)), sample.images)
