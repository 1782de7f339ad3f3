"""The rows of a training stage, rendered when a batch needs them; small corpora are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe import images, plugins, progress
from medxiaohe.errors import DataError
from medxiaohe.models.render import Rendered, batch, pack, render_turns
from medxiaohe.tasks import make
from medxiaohe.tools.toolbox import describe_tools
from medxiaohe.train.loop.augment import Augment, augmented
from medxiaohe.train.loop.batch_plan import Batch
from medxiaohe.types import ImageRef, Sample, Tool

if TYPE_CHECKING:
    from PIL.Image import Image

COMPARED = 8  # rows whose counted tokens are compared with their render
KEPT_BYTES = 512 << 20  # of pixels; beyond it images are opened again for every batch


@dataclass(frozen=True)
class Size:
    tokens: int
    trained: int
    num_images: int


class Rows:
    """Samples as the model sees them: one row each, or a row for each of its turns where the chat template
    rewrites earlier ones.

    `sizes` comes from one pass at the start, which finds every row that cannot be rendered before training.
    It counts an image's tokens from the size in its header, by the processor's own arithmetic, and compares
    some rows with their render; a file whose pixels are spoilt is found when its batch is made.

    Args:
        oversize: what becomes of a row with images that is longer than `max_length`: an error, or it is left
            out and counted in `dropped`. Text is cut.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        processor: Any,
        max_length: int,
        label: str,
        augment: Augment | None = None,
        oversize: Literal["error", "drop"] = "error",
    ):
        self._tools = offered(samples)
        self.processor, self.max_length, self.oversize = processor, max_length, oversize
        self._samples = samples
        self._augment = augment if augment is not None and augment.is_on else None
        # processes that share a model must all run its vision tower, or none of them
        self.keep_in_step = False
        self._kept: dict[int, Rendered] = {}
        self._used = 0  # bytes of those kept
        self._count(label, None)
        if not self._counts_are_right():
            self._count(f"{label}, images opened", images.open_image)

    def _count(self, label: str, opener: Callable[[ImageRef], Image] | None) -> None:
        """Fill `sizes`, the sources and the places of all rows; `opener` as in `render_turns`."""
        self.sources: list[str] = []
        self.sizes: list[Size] = []
        self.dropped = 0
        self._of: list[tuple[int, int]] = []  # of each row, its sample and which of the sample's rows it is
        for number, sample in enumerate(progress.track(self._samples, label)):
            for turn, row in enumerate(self._rendered(number, opener)):
                if self.oversize == "drop" and row.num_images and len(row.tokens) > self.max_length:
                    self.dropped += 1
                    continue
                self._of.append((number, turn))
                self.sources.append(sample.source)
                self.sizes.append(Size(len(row.tokens), sum(row.mask), row.num_images))
                if not row.num_images:
                    self._keep(len(self.sizes) - 1, row)

    def _counts_are_right(self) -> bool:
        """Whether some rows with images, from first to last, have as many tokens as were counted."""
        numbers = [number for number, size in enumerate(self.sizes) if size.num_images]
        some = numbers[:: max(1, len(numbers) // COMPARED)]
        return all(
            len(self._render(number, images.open_image).tokens) == self.sizes[number].tokens
            for number in some
        )

    def _keep(self, number: int, row: Rendered) -> None:
        """In memory, while there is room for it."""
        num_bytes = sum(t.nbytes for t in row.features.values()) + 16 * len(row.tokens)
        if self._used + num_bytes <= KEPT_BYTES:
            self._used += num_bytes
            self._kept[number] = row

    def __len__(self) -> int:
        return len(self.sizes)

    def row(self, number: int, key: str = "") -> Rendered:
        """The row, its images changed as `key` says where the stage augments."""
        if self._augment is None or not self.sizes[number].num_images:
            if number not in self._kept:
                row = self._render(number, images.open_image)
                self._keep(number, row)
                return row
            return self._kept[number]
        augment, seen = self._augment, 0

        def opener(image: ImageRef) -> Image:
            nonlocal seen
            seen += 1
            return augmented(images.open_image(image), augment, f"{key} {number} {seen}")

        return self._render(number, opener)

    def batch(self, sequences: Batch, key: str = "", packed: bool = False) -> dict[str, Any]:
        """Tensors of a batch of the plan; with `keep_in_step` a batch of text gets a row with an image that
        carries no loss."""
        rendered = [[self.row(number, key) for number in numbers] for numbers in sequences]
        silent = self.first_with(True)
        if (
            self.keep_in_step
            and silent is not None
            and not any(row.num_images for rows in rendered for row in rows)
        ):
            row = self.row(silent)
            rendered.append([replace(row, mask=(False,) * len(row.mask))])
        return (
            pack(rendered, self.processor) if packed else batch([row for (row,) in rendered], self.processor)
        )

    def first_with(self, has_images: bool) -> int | None:
        return next(
            (number for number, size in enumerate(self.sizes) if bool(size.num_images) == has_images), None
        )

    def _render(self, number: int, opener: Callable[[ImageRef], Image]) -> Rendered:
        sample, turn = self._of[number]
        return self._rendered(sample, opener)[turn]

    def _rendered(self, number: int, opener: Callable[[ImageRef], Image] | None) -> list[Rendered]:
        """All rows of a sample."""
        sample = self._samples[number]
        try:
            tools = self._tools[sample.source] if _calls(sample) else ()
            rows = render_turns(sample.messages, self.processor, opener, tools)
            return [
                row if row.num_images and self.oversize == "drop" else row.cut(self.max_length)
                for row in rows
            ]
        except DataError as error:
            raise DataError(f"row {number + 1} ({sample.id}): {error}") from error


def offered(samples: Sequence[Sample]) -> dict[str, tuple[Tool, ...]]:
    """The tools of each task whose rows call some: a row of calls is shown the tools that its rollout would
    be shown."""
    found: dict[str, tuple[Tool, ...]] = {}
    for sample in samples:
        if sample.source not in found and _calls(sample):
            known = sample.source in plugins.available("tasks")
            found[sample.source] = describe_tools(make(sample.source).tools) if known else ()
    return found


def _calls(sample: Sample) -> bool:
    return any(message.calls for message in sample.messages)
