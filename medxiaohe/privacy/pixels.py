"""Detect text burned into pixels: nothing is published unless something shows that there is none.

    "ocr"    the default: the pixels are read by OCR (extra ocr), and text in them is a reason to refuse
    "trust"  the user states that no pixels of this collection have text; risky classes of DICOM are refused
             all the same

Risky pictures (ultrasound, secondary captures, screenshots, photographs of documents) must also be blanked:
outside of the regions that the scanner declares, or in boxes that the user gives. OCR is the second check,
not the first: docs/privacy.md has its recall.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    import numpy as np

Box = tuple[int, int, int, int]  # pixels: left, top, right, bottom
NEEDS_OCR = "looking for text in pixels needs an OCR: pip install 'medxiaohe[ocr]'"
LEAST_CONFIDENCE = 0.5
MARKS = frozenset("l r lt rt left right".split())  # lead letters of radiographs say a side, not a patient
# SMALL: longest side of a frame that is read at double size; MARGIN: border added around it, for text at
# the edge; HAT: side of the square of the top-hat, wider than the strokes of burned-in letters
SMALL, MARGIN, HAT = 1200, 16, 15  # pixels


@dataclass(frozen=True)
class Rule:
    """Boxes to blank in the files whose attributes equal those of `when`, such as {"Modality": "US",
    "Columns": 800}.
    """

    when: Mapping[str, Any]
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Policy:
    """How text in pixels is handled.

    Attributes:
        pixels: `ocr`: OCR must find none; `trust`: the user states that there is none.
        rules: boxes to blank.
    """

    pixels: Literal["ocr", "trust"] = "ocr"
    rules: tuple[Rule, ...] = ()

    def boxes(self, attributes: Mapping[str, Any]) -> tuple[Box, ...]:
        """List the boxes to blank in a file.

        Args:
            attributes: of the file, such as Modality and Columns; compared as text.

        Returns:
            Boxes of every rule whose conditions all hold.
        """
        return tuple(
            box
            for rule in self.rules
            if all(str(attributes.get(k, "")) == str(v) for k, v in rule.when.items())
            for box in rule.boxes
        )


def policy(pixels: str = "ocr", rules: Sequence[Mapping[str, Any]] = ()) -> Policy:
    """Make a Policy from the content of a YAML file.

    Args:
        pixels: `ocr` or `trust`.
        rules: [{when: {Modality: US}, boxes: [[left, top, right, bottom]]}], in pixels.

    Returns:
        The policy.

    Raises:
        ConfigError: a value is wrong.
    """
    if pixels not in ("ocr", "trust"):
        raise ConfigError(f"pixels must be ocr or trust, not {pixels!r}")
    results = []
    for rule in rules:
        boxes = rule.get("boxes") if isinstance(rule, Mapping) else None
        when = rule.get("when", {}) if isinstance(rule, Mapping) else None
        fine = (
            isinstance(boxes, list)
            and isinstance(when, Mapping)
            and all(isinstance(b, list) and len(b) == 4 for b in boxes)
        )
        if not fine or any(type(n) is not int for b in boxes or () for n in b):
            raise ConfigError(
                "a rule of the boxes file must be {when: {Modality: US}, boxes: [[left, top, right,"
                " bottom]]}, in whole pixels"
            )
        if any(not (0 <= b[0] < b[2] and 0 <= b[1] < b[3]) for b in boxes or ()):
            raise ConfigError("a box of the boxes file must have left < right and top < bottom")
        results.append(Rule(dict(when or {}), tuple(tuple(b) for b in boxes or ())))
    return Policy("ocr" if pixels == "ocr" else "trust", tuple(results))


def has_ocr() -> bool:
    """Check whether OCR is installed.

    Returns:
        True if the reader loads.
    """
    try:
        reader()
        return True
    except MissingExtra:
        return False


@functools.cache
def reader() -> Any:
    """Load the OCR, once; its models are inside its wheel, so nothing is downloaded.

    Returns:
        A RapidOCR engine on one thread.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        raise MissingExtra(NEEDS_OCR) from error
    return RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)


def texts(frame: np.ndarray) -> list[Box]:
    """Detect text in a frame by OCR.

    It is read twice: unchanged, and with everything wider than a stroke removed (white top-hat) at double
    size, which finds faint letters on tissue.

    Args:
        frame: (height, width) or (height, width, 3), of any number type.

    Returns:
        Boxes in pixels, (left, top, right, bottom); lead letters such as L and R are left out.

    Raises:
        MissingExtra: OCR is not installed.
    """
    import numpy as np
    from PIL import Image

    grey = _grey(frame)
    # first reading: the frame, with its edge repeated as a margin
    padded = np.pad(grey, MARGIN, mode="edge")
    result = _read(padded, 1.0)
    # second reading: strokes alone, enlarged, so that faint letters on tissue are found
    scale = 2.0 if max(grey.shape) <= SMALL else 1.0
    hat = Image.fromarray(_top_hat(padded)).resize(
        (int(padded.shape[1] * scale), int(padded.shape[0] * scale)), Image.Resampling.BICUBIC
    )
    result += _read(np.asarray(hat), scale)
    return result


def _grey(frame: np.ndarray) -> np.ndarray:
    import numpy as np

    grey = np.asarray(frame, dtype=np.float32)
    # mean of the colours, then stretched to 0 to 255
    grey = grey.mean(axis=-1) if grey.ndim == 3 else grey
    low, high = float(grey.min()), float(grey.max())
    stretched: np.ndarray = np.asarray(
        (grey - low) * (255 / (high - low) if high > low else 0), dtype=np.uint8
    )
    return stretched


def _top_hat(grey: np.ndarray) -> np.ndarray:
    """Keep what is brighter or darker than its neighbourhood by strokes narrower than HAT pixels,
    stretched to 0 to 255.
    """
    import numpy as np
    from PIL import Image, ImageFilter

    image = Image.fromarray(grey)
    # white top-hat (image - opening) and black top-hat (closing - image), the larger of both
    least, most = ImageFilter.MinFilter(HAT), ImageFilter.MaxFilter(HAT)
    opened, closed = (
        np.asarray(image.filter(a).filter(b), dtype=np.float32) for a, b in ((least, most), (most, least))
    )
    strokes = np.maximum(grey - opened, closed - grey)
    # stretched by the strongest stroke, but at least 40 grey levels, so that noise is not amplified to text
    stretched: np.ndarray = np.asarray(strokes * (255 / max(float(strokes.max()), 40.0)), dtype=np.uint8)
    return stretched


def _read(grey: np.ndarray, scale: float) -> list[Box]:
    import numpy as np

    results, _ = reader()(np.stack([grey] * 3, axis=-1))
    boxes = []
    for corners, text, confidence in results or ():
        letters = re.sub(r"\W+", "", text)
        if float(confidence) >= LEAST_CONFIDENCE and len(letters) >= 2 and letters.lower() not in MARKS:
            # corners in pixels of the frame, without the enlargement and the margin
            xs, ys = [p[0] / scale - MARGIN for p in corners], [p[1] / scale - MARGIN for p in corners]
            boxes.append((int(min(xs)), int(min(ys)), int(max(xs)) + 1, int(max(ys)) + 1))
    return boxes
