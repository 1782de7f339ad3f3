"""What a question is asked with in preference learning: reports of similar images, passages, and the image
least like its own.

HeteroRAG finds reports with an encoder of its own for each modality (HR-3). We compare images by the vision
tower of the model that is trained: it sees what the model sees, and needs no other weights. Passages are
found by BM25 (HR-5 has MedCPT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import images, progress
from medxiaohe.errors import DataError
from medxiaohe.models.checkpoint import Loaded
from medxiaohe.retrieval import passages
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.types import Evidence, ImageRef, Message, Sample

if TYPE_CHECKING:
    import numpy as np

# HR-7
REPORTS = (
    "Reports of similar images, for reference only: they are of other patients and no basis of the answer."
)
DOCS = "Passages of the library, which may or may not help:"
AT_ONCE = 16  # images through the vision tower


class Knowledge:
    """`reports` and `docs` are files of passages (retrieval/passages.py), those of reports with images; "" is
    none of that kind."""

    def __init__(
        self,
        samples: Sequence[Sample],
        loaded: Loaded,
        reports: str,
        docs: str,
        top_reports: int,
        top_docs: int,
    ):
        self.docs = BM25(passages.read(Path(docs))) if docs else None
        self.reports = passages.read(Path(reports)) if reports else []
        self.top_reports, self.top_docs = top_reports, top_docs
        if missing := next((one.id for one in self.reports if not one.images), ""):
            raise DataError(
                f"{reports}: the report {missing!r} has no image, by which reports are found: give it one, or"
                " use docs"
            )
        own = {ref.uri: ref for sample in samples for ref in sample.images[:1]}
        self.pool = list(own.values())
        refs = [*self.pool, *(one.images[0] for one in self.reports)]
        self.vectors = (
            dict(zip((ref.uri for ref in refs), vectors(refs, loaded), strict=True)) if refs else {}
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        return (*(["reports"] if self.reports else []), *(["docs"] if self.docs is not None else []))

    def of(self, sample: Sample) -> dict[str, tuple[Evidence, ...]]:
        """What is fetched for a sample, by kind: reports by its first image, passages by its question."""
        found: dict[str, tuple[Evidence, ...]] = {}
        if self.reports and sample.images:
            found["reports"] = self._nearest(sample.images[0])
        if self.docs is not None:
            found["docs"] = self.docs.search(sample.prompt.messages[-1].text, self.top_docs)
        return {kind: evidence for kind, evidence in found.items() if evidence}

    def least_like(self, image: ImageRef) -> ImageRef | None:
        """The image of the other samples that is least like this one; the first of equals."""
        others = [ref for ref in self.pool if ref.uri != image.uri]
        return (
            min(others, key=lambda ref: float(self.vectors[ref.uri] @ self.vectors[image.uri]))
            if others
            else None
        )

    def _nearest(self, image: ImageRef) -> tuple[Evidence, ...]:
        others = [one for one in self.reports if one.images[0].uri != image.uri]  # not its own report
        near = sorted(
            others, key=lambda one: -float(self.vectors[one.images[0].uri] @ self.vectors[image.uri])
        )
        return tuple(near[: self.top_reports])


def asked(
    sample: Sample,
    known: dict[str, tuple[Evidence, ...]],
    without: Sequence[str] = (),
    image: ImageRef | None = None,
) -> tuple[Message, ...]:
    """The prompt with what is known put in front of its last question; `image` takes the place of the first
    one."""
    messages = list(sample.prompt.messages)
    if image is not None:
        swapped = False
        for number, message in enumerate(messages):
            parts = list(message.parts)
            for i, part in enumerate(parts):
                if isinstance(part, ImageRef) and not swapped:
                    parts[i], swapped = image, True
            messages[number] = replace(message, parts=tuple(parts))
    blocks = [
        "\n".join([heading, *(f"[{one.id}] {one.text}" for one in known[kind])])
        for kind, heading in (("reports", REPORTS), ("docs", DOCS))
        if kind in known and kind not in without
    ]
    last = messages[-1]
    pictures = tuple(part for part in last.parts if not isinstance(part, str))
    words = tuple(part for part in last.parts if isinstance(part, str))
    messages[-1] = replace(last, parts=(*pictures, *(f"{block}\n" for block in blocks), *words))
    return tuple(messages)


def vectors(refs: Sequence[ImageRef], loaded: Loaded) -> list[np.ndarray]:
    """The mean features of the model's vision tower, of length one, in order. DataError for a model without
    one."""
    import numpy as np
    import torch

    towers = [
        module
        for name, module in loaded.model.named_modules()
        if name.rpartition(".")[2] in ("vision_tower", "vision_model", "visual")
    ]
    if not towers:
        raise DataError(
            f"{loaded.name} has no vision tower to compare images with: leave images out, or take another"
            " model"
        )
    found: list[Any] = []
    meter = progress.Meter("compare images", len(refs))
    for start in range(0, len(refs), AT_ONCE):
        opened = [images.open_image(ref) for ref in refs[start : start + AT_ONCE]]
        pixels = loaded.processor.image_processor(opened, return_tensors="pt")["pixel_values"]
        try:
            with torch.inference_mode():
                features = (
                    towers[0](pixels.to(loaded.model.device, loaded.model.dtype))
                    .last_hidden_state.float()
                    .mean(1)
                )
        except TypeError as error:
            raise DataError(
                f"the vision tower of {loaded.name} takes more than pixels, so it compares no images here:"
                f" {error}"
            ) from error
        found += list(torch.nn.functional.normalize(features, dim=1).cpu().numpy().astype(np.float32))
        meter.advance(len(found) - start)
    meter.close()
    return found
