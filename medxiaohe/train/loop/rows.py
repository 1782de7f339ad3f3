"""Rows of a training stage, rendered when a batch needs them and cached in memory up to a limit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.models.render import Rendered, batch, pack
from medxiaohe.train.loop import row_index
from medxiaohe.train.loop.augment import Augment, augmented
from medxiaohe.train.loop.batch_plan import Batch
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    from PIL.Image import Image

COMPARED = 8  # rows whose counted tokens are compared with their render
KEPT_BYTES = 512 << 20  # of rendered rows, in all processes that render; beyond it rows are rendered again
TOKEN_BYTES = 44  # of a token in a Rendered: an integer of Python, and pointers to it and to its mask


class Rows:
    """Rows of a file of Samples as the model sees them: one for each sample, or for each of its turns where
    the
    chat template rewrites earlier ones.

    Samples stay on disk (`row_index`): `tokens`, `images` and the other columns of `index` come from one
    pass at the start, which finds every row that cannot be rendered before training. It counts an image's
    tokens from the size in its header, by the processor's own arithmetic, and compares some rows with their
    render; a damaged image file is found when its batch is made.

    Args:
        file: JSONL of Samples.
        processor: the one that `reading` names.
        reading: the longest row, what becomes of longer ones, and what workers need to open the processor.
        label: of the progress bar.
        augment: changes of images.
        work: a folder for the index, which a resumed run finds again; None: a temporary folder.
        workers: processes that count rows now and render batches later.
    """

    def __init__(
        self,
        file: Path,
        processor: Any,
        reading: Reading,
        label: str,
        augment: Augment | None = None,
        *,
        work: Path | None = None,
        workers: int = 0,
    ):
        self.processor, self.reading = processor, reading
        self._samples = row_index.StoredSamples(file)
        self._augment = augment if augment is not None and augment.is_on else None
        # processes that share a model must all run its vision tower, or none of them
        self.keep_in_step = False
        self._kept: dict[int, Rendered] = {}
        self._used = 0  # bytes of those kept
        self._room = KEPT_BYTES // max(1, workers)
        if work is None:
            self._folder = tempfile.TemporaryDirectory(prefix="medxiaohe-rows-")
            work = Path(self._folder.name)
        options = {"processor": processor, "workers": workers}
        self.index = row_index.build(file, work / "rows", reading, label, **options)
        if not self._counts_are_right():
            label = f"{label}, images opened"
            self.index = row_index.build(file, work / "rows-opened", reading, label, **options, opened=True)
        self.tokens, self.images = self.index.tokens, self.index.images

    def _counts_are_right(self) -> bool:
        """Whether some rows with images, from first to last, have as many tokens as were counted."""
        numbers = [number for number, images in enumerate(self.index.images) if images]
        checked = numbers[:: max(1, len(numbers) // COMPARED)]
        return all(
            len(self._render(number, images.open_image).tokens) == self.index.tokens[number]
            for number in checked
        )

    def _keep(self, number: int, row: Rendered) -> None:
        """Cache a rendered row while there is room for it."""
        num_bytes = sum(t.nbytes for t in row.features.values()) + TOKEN_BYTES * len(row.tokens)
        if self._used + num_bytes <= self._room:
            self._used += num_bytes
            self._kept[number] = row

    def __len__(self) -> int:
        return len(self.index)

    def row(self, number: int, key: str = "") -> Rendered:
        """Render a row, or take it from memory.

        Args:
            number: of the row, from 0.
            key: seed of the changes of its images, where the stage augments.

        Returns:
            Tokens, loss mask and image features. Rows with augmented images are rendered anew each time.

        Raises:
            DataError: the row cannot be rendered, such as a damaged image file.
        """
        if self._augment is None or not self.images[number]:
            if number not in self._kept:
                row = self._render(number, images.open_image)
                self._keep(number, row)
                return row
            return self._kept[number]
        augment, seen = self._augment, 0

        def opener(image: ImageRef) -> Image:
            """Open an image and change it; the n-th image of a row has a key of its own.

            Returns:
                The changed image.
            """
            nonlocal seen
            seen += 1
            return augmented(images.open_image(image), augment, f"{key} {number} {seen}")

        return self._render(number, opener)

    def batch(self, sequences: Batch, key: str = "", packed: bool = False) -> dict[str, Any]:
        """Collate a batch of the plan into tensors.

        With `keep_in_step`, a batch without images gets an image row that carries no loss, so that every
        process
        runs its vision tower.

        Args:
            sequences: row numbers of each sequence.
            key: seed of image changes.
            packed: whether the rows of a sequence are packed, with attention among each row's own tokens
                only.

        Returns:
            input_ids, labels and attention tensors (B, T), and image features.

        Raises:
            DataError: a row cannot be rendered.
        """
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
        """Find the first row with images, or the first without.

        Args:
            has_images: which of the two.

        Returns:
            Number of the row from 0; None where there is none.
        """
        return self.index.first[has_images]

    def _render(self, number: int, opener: Callable[[ImageRef], Image]) -> Rendered:
        sample = self._samples.at(self.index.place[number])
        try:
            rows = row_index.rows_of(sample, self.processor, self.reading, opener)
        except DataError as error:
            raise DataError(f"row {number + 1} ({sample.id}): {error}") from error
        return rows[self.index.turn[number]]
