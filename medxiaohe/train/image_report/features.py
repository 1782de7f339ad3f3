"""Features of a frozen tower, computed once for each image and cached in a file that survives a kill."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medxiaohe import progress
from medxiaohe.models.image_report.tower import Tower
from medxiaohe.types import ImageRef

TOGETHER = 16  # images of one forward pass


class Features:
    """Features [images, tokens, width] in float16 on disk; a killed run resumes after its last full row."""

    def __init__(self, tower: Tower, refs: Sequence[ImageRef], file: Path):
        """Compute what the file does not have yet.

        Args:
            tower: frozen.
            refs: the images, in the order of the rows.
            file: its name stands for the tower and the images.
        """
        with torch.no_grad():
            first = tower.features(tower.pixels(refs[:1]))
        self.shape = (len(refs), *first.shape[1:])
        # bytes of an image's features: 2 for a float16
        row = 2 * int(np.prod(self.shape[1:]))
        file.parent.mkdir(parents=True, exist_ok=True)
        done = file.stat().st_size // row if file.exists() else 0
        meter = progress.Meter("features of images", len(refs))
        meter.advance(done)
        with open(file, "r+b" if file.exists() else "w+b") as out:
            out.truncate(done * row)  # half a row of a killed run
            out.seek(done * row)
            for start in range(done, len(refs), TOGETHER):
                chunk = refs[start : start + TOGETHER]
                with torch.no_grad():
                    out.write(tower.features(tower.pixels(chunk)).numpy().astype("<f2").tobytes())
                out.flush()
                meter.advance(len(chunk))
        meter.close()
        self._rows = np.memmap(file, dtype="<f2", mode="r", shape=self.shape)

    def of(self, numbers: Sequence[int]) -> Any:
        """Read the features of images.

        Args:
            numbers: rows, n.

        Returns:
            A float32 tensor (n, tokens, width).
        """
        return torch.from_numpy(self._rows[list(numbers)].astype(np.float32))
