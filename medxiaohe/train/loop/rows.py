"""The rows of a training stage, rendered when a batch needs them; small corpora are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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

KEPT_BYTES = 512 << 20  # of pixels; beyond it images are opened again for every batch


@dataclass(frozen=True)
class Size:
    tokens: int
    trained: int
    num_images: int


class Rows:
    """Samples as the model sees them: one row each, or a row for each of its turns where the chat template
    rewrites earlier ones. `sizes` comes from one pass at the start, which finds every bad row before
    training."""

    def __init__(
        self,
        samples: Sequence[Sample],
        processor: Any,
        max_length: int,
        label: str,
        augment: Augment | None = None,
    ):
        self._tools = offered(samples)
        self.processor, self.max_length = processor, max_length
        self._samples = samples
        self.sources: list[str] = []
        self._of: list[tuple[int, int]] = []  # of each row, its sample and which of the sample's rows it is
        self._augment = augment if augment is not None and augment.is_on else None
        self._kept: dict[int, Rendered] = {}
        # processes that share a model must all run its vision tower, or none of them
        self.keep_in_step = False
        self.sizes: list[Size] = []
        used = 0
        for number, sample in enumerate(progress.track(samples, label)):
            for turn, row in enumerate(self._rendered(number, images.open_image)):
                self._of.append((number, turn))
                self.sources.append(sample.source)
                self.sizes.append(Size(len(row.tokens), sum(row.mask), row.num_images))
                num_bytes = sum(t.nbytes for t in row.features.values()) + 16 * len(row.tokens)
                if used + num_bytes <= KEPT_BYTES:
                    used += num_bytes
                    self._kept[len(self.sizes) - 1] = row

    def __len__(self) -> int:
        return len(self.sizes)

    def row(self, number: int, key: str = "") -> Rendered:
        """The row, its images changed as `key` says where the stage augments."""
        if self._augment is None or not self.sizes[number].num_images:
            return self._kept[number] if number in self._kept else self._render(number, images.open_image)
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

    def _rendered(self, number: int, opener: Callable[[ImageRef], Image]) -> list[Rendered]:
        """All rows of a sample."""
        sample = self._samples[number]
        try:
            tools = self._tools[sample.source] if _calls(sample) else ()
            rows = render_turns(sample.messages, self.processor, opener, tools)
            return [row.cut(self.max_length) for row in rows]
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
