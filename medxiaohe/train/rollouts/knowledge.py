"""Evidence for preference learning: reports of similar images, passages, and the image least similar to a
prompt's own.

HeteroRAG retrieves reports with an encoder of its own for each modality. We compare images by the vision
tower of the model that is trained: it sees what the model sees, and needs no other weights. Passages are
retrieved by BM25 (HeteroRAG has MedCPT).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from medxiaohe import progress
from medxiaohe.errors import DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.checkpoint import Loaded
from medxiaohe.models.render import on_device, render_turns
from medxiaohe.models.text_only import TextProcessor
from medxiaohe.retrieval import passages
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.types import Evidence, ImageRef, Message, Sample

if TYPE_CHECKING:
    import numpy as np

# the role that HeteroRAG gives to reports: reference, never the basis of a diagnosis
REPORTS = (
    "Reports of similar images, for reference only: they are of other patients and no basis of the answer."
)
DOCS = "Passages of the library, which may or may not help:"


class Knowledge:
    """Reports and passages to retrieve, with image vectors.

    `reports` and `docs` are files of passages (retrieval/passages.py), those of reports with images; "" for
    no evidence of that kind.
    """

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
        if missing := next((report.id for report in self.reports if not report.images), ""):
            raise DataError(
                f"{reports}: the report {missing!r} has no image, by which reports are found: give it one, or"
                " use docs"
            )
        own = {ref.uri: ref for sample in samples for ref in sample.images[:1]}
        self.pool = list(own.values())
        refs = [*self.pool, *(report.images[0] for report in self.reports)]
        self.vectors = (
            dict(zip((ref.uri for ref in refs), vectors(refs, loaded), strict=True)) if refs else {}
        )

    @property
    def kinds(self) -> tuple[str, ...]:
        """List the kinds of evidence that can be fetched.

        Returns:
            Of "reports" and "docs", those that have a file.
        """
        return (*(["reports"] if self.reports else []), *(["docs"] if self.docs is not None else []))

    def of(self, sample: Sample) -> dict[str, tuple[Evidence, ...]]:
        """Retrieve evidence for a sample: reports by its first image, passages by its question.

        Args:
            sample: the prompt.

        Returns:
            Evidence by kind, best first; kinds without a result are left out.
        """
        result: dict[str, tuple[Evidence, ...]] = {}
        if self.reports and sample.images:
            result["reports"] = self._nearest(sample.images[0])
        if self.docs is not None:
            (result["docs"],) = self.docs.search([sample.prompt.messages[-1].text], self.top_docs)
        return {kind: evidence for kind, evidence in result.items() if evidence}

    def least_like(self, image: ImageRef) -> ImageRef | None:
        """Find the image of the other samples with the lowest cosine similarity; the first of equals.

        Args:
            image: the first image of a sample.

        Returns:
            An image; None where there is no other.
        """
        # vectors have length one: their product is the cosine
        others = [ref for ref in self.pool if ref.uri != image.uri]
        return (
            min(others, key=lambda ref: float(self.vectors[ref.uri] @ self.vectors[image.uri]))
            if others
            else None
        )

    def _nearest(self, image: ImageRef) -> tuple[Evidence, ...]:
        query = self.vectors[image.uri]
        # all reports but the image's own, by descending cosine: vectors have length one
        others = [report for report in self.reports if report.images[0].uri != image.uri]
        near = sorted(others, key=lambda report: -float(self.vectors[report.images[0].uri] @ query))
        return tuple(near[: self.top_reports])


def asked(
    sample: Sample,
    fetched: dict[str, tuple[Evidence, ...]],
    without: Sequence[str] = (),
    image: ImageRef | None = None,
) -> tuple[Message, ...]:
    """Build the prompt with the evidence in front of its last question.

    Args:
        sample: the prompt.
        fetched: evidence by kind.
        without: kinds to leave out.
        image: takes the place of the first image; None: images stay.

    Returns:
        Messages; in the last one images come first, then evidence, then the question.
    """
    messages = list(sample.prompt.messages)
    if image is not None:
        swapped = False
        for number, message in enumerate(messages):
            parts = list(message.parts)
            for i, content in enumerate(parts):
                if isinstance(content, ImageRef) and not swapped:
                    parts[i], swapped = image, True
            messages[number] = replace(message, parts=tuple(parts))
    blocks = [
        "\n".join([heading, *(f"[{item.id}] {item.text}" for item in fetched[kind])])
        for kind, heading in (("reports", REPORTS), ("docs", DOCS))
        if kind in fetched and kind not in without
    ]
    last = messages[-1]
    pictures = tuple(content for content in last.parts if not isinstance(content, str))
    words = tuple(content for content in last.parts if isinstance(content, str))
    messages[-1] = replace(last, parts=(*pictures, *(f"{block}\n" for block in blocks), *words))
    return tuple(messages)


BLIND = "has no vision tower to compare images with: leave images out, or take another model"


def refuse_blind(name: str, samples: Sequence[Sample], reports: str) -> None:
    """Refuse images for a model that reads text only, before its weights are loaded.

    Args:
        name: of the checkpoint.
        samples: the prompts.
        reports: file of reports with images, or "".

    Raises:
        DataError: there are images, and the model has no vision tower.
    """
    seen = bool(reports) or any(sample.images for sample in samples)
    if seen and isinstance(checkpoint.processor(name), TextProcessor):
        raise DataError(f"{name} {BLIND}")


def vectors(refs: Sequence[ImageRef], loaded: Loaded) -> list[np.ndarray]:
    """Embed images by the model's vision tower: the mean over tiles and patches, L2-normalised.

    Images are rendered as the model sees them, one at a time, for their shapes differ.

    Args:
        refs: n images.
        loaded: the model with its processor.

    Returns:
        n vectors (width of the tower,), float32, in order.

    Raises:
        DataError: the model reads no images.
    """
    import torch

    if not hasattr(loaded.model, "get_image_features"):
        raise DataError(f"{loaded.name} {BLIND}")
    results: list[np.ndarray] = []
    for ref in progress.track(refs, "compare images"):
        row = render_turns([Message("document", (ref,))], loaded.processor)[0]
        with torch.inference_mode():
            seen = loaded.model.get_image_features(**on_device(row.features, loaded.model)).last_hidden_state
        mean = seen.float().reshape(-1, seen.shape[-1]).mean(0)  # over tiles and patches
        results.append(torch.nn.functional.normalize(mean, dim=0).cpu().numpy())
    return results
