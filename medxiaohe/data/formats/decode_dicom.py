"""Decode frames of a DICOM file to 8-bit pictures, in the child process of data/formats/sandbox.py.

What a file says about its patient does not leave this process: of the header only the description of the
picture (modality, body part, view, spacing) is passed on, and identifiers as hashes. Refused:
lengths that swallow other elements, sizes the pixels do not have, values that are not finite, programs in the
preamble, nesting without end.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import windows
from medxiaohe.data.formats.frames import save_frame
from medxiaohe.data.readers import Rejected
from medxiaohe.plugins import need

MAX_FILE = 200 * 2**20  # bytes
MAX_PIXELS = 50_000_000  # of a frame
# characters of a value by its representation, PS3.5 table 6.2-1; of a PN each group
MAX_LENGTH = {
    "AE": 16,
    "AS": 4,
    "CS": 16,
    "DA": 8,
    "DS": 16,
    "IS": 12,
    "LO": 64,
    "PN": 64,
    "SH": 16,
    "UI": 64,
}
SLACK = 4  # characters: writers pad, and exceed by a little
# first bytes of programs of Windows, Linux, scripts, Java and macOS, which a preamble of 128 bytes may hide
PROGRAMS = (b"MZ", b"\x7fELF", b"#!", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe")
# the functional groups that say how a frame is shown, and what is taken of them
GROUPS = ("PixelMeasuresSequence", "PixelValueTransformationSequence", "FrameVOILUTSequence")
OF_FRAME = frozenset(
    """PixelSpacing ImagerPixelSpacing SpacingBetweenSlices SliceThickness RescaleSlope RescaleIntercept
    WindowCenter WindowWidth VOILUTSequence""".split()
)
TOLD = ("Modality", "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality", "PatientOrientation")


def prepare() -> None:
    """Import the decoders before the memory of the child process is limited.

    Raises:
        MissingExtra: pydicom, numpy or Pillow is not installed.
    """
    need("pydicom", "numpy", "PIL", why="DICOM")
    import numpy  # noqa: F401
    import PIL.Image
    import PIL.Jpeg2KImagePlugin
    import PIL.JpegImagePlugin
    import PIL.PngImagePlugin  # noqa: F401
    import pydicom
    import pydicom.pixels  # noqa: F401


def frames(
    path: Path, folder: str, preset: str, max_frames: int, allow_burned_in: bool
) -> Iterator[dict[str, Any]]:
    """Decode frames of a DICOM file to 8-bit RGB pictures.

    Args:
        path: the file.
        folder: where the PNG files are kept.
        preset: one of windows.PRESETS.
        max_frames: number of frames, evenly spread, that are decoded at most.
        allow_burned_in: accept files that say that identifying text is burned into their pixels.

    Yields:
        {picture {path, sha256}, frame, frames, told, preprocessing}: number of the frame from 0, number
        of frames, what the header says of the picture, and how its values became 8 bits (spacing in mm).

    Raises:
        Rejected: a code of medxiaohe.errors.REJECTIONS, such as burned_in, lie, not_finite or
            unsupported.
    """
    import numpy as np
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array

    data = _opened(path)
    header = _told(data)
    if str(data.get("BurnedInAnnotation", "")).upper() == "YES" and not allow_burned_in:
        raise Rejected(
            "burned_in", "the file says that identifying text is burned into its pixels: de-identify it first"
        )
    total = _int(data, "NumberOfFrames", 1)
    colour = _int(data, "SamplesPerPixel", 1) == 3
    palette = str(data.get("PhotometricInterpretation", "")).strip() == "PALETTE COLOR"
    chosen = _spread(total, max_frames)
    for frame in chosen:
        try:
            stored = pixel_array(data, index=frame)
        except (RuntimeError, NotImplementedError) as error:
            raise Rejected("unsupported", f"no decoder for its pixels: {str(error)[:160]}") from error
        about = _of_frame(data, frame)
        slope, intercept = (
            _number(about, "RescaleSlope", 1.0),
            _number(about, "RescaleIntercept", 0.0),
        )
        use = windows.choose(preset, header.get("Modality", ""), _voi(about))
        used: dict[str, Any] = {"preset": "palette" if palette else "colour"}
        if palette:
            rgb = _painted(apply_color_lut(stored, data))
        elif colour:
            rgb = np.asarray(stored, np.uint8)
            if stored.dtype != np.uint8:
                rgb = windows.stretch(stored, 0, float(2 ** _int(data, "BitsStored", 16) - 1))
        else:
            # modality transform (PS3.3 C.11.1): value = slope * stored + intercept, or a table
            values = (
                apply_modality_lut(stored, data)
                if "ModalityLUTSequence" in data
                else stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
            )
            by_table = use == "voi" and "VOILUTSequence" in about
            if by_table:
                levels = values if "ModalityLUTSequence" in data else np.rint(values).astype(np.int32)
                values = apply_voi(levels, about)
            values = np.asarray(values, np.float32)
            if not np.isfinite(values).all():
                raise Rejected("not_finite", "its values are not all finite numbers")
            # padding around the picture must not set the grey-value range: it becomes the darkest value
            padding = data.get("PixelPaddingValue")
            if (
                padding is not None
                and use != "voi"
                and (stored == padding).any()
                and not (stored == padding).all()
            ):
                values[stored == padding] = values[stored != padding].min()
            # VOI window of the file, or a preset
            if use == "voi" and not by_table:
                center, width = (_first(about, key) for key in ("WindowCenter", "WindowWidth"))
                grey, used = (
                    windows.window(values, center, width),
                    {"preset": "voi", "center": center, "width": width},
                )
                rgb = np.repeat(grey[..., None], 3, axis=-1)
            else:
                rgb, used = windows.apply("full_range" if use == "voi" else use, np.asarray(values))
                used["preset"] = use
            # MONOCHROME1: low values are shown bright
            if (
                data.get("PhotometricInterpretation") == "MONOCHROME1"
                or data.get("PresentationLUTShape") == "INVERSE"
            ):
                rgb, used["inverted"] = 255 - rgb, True
        used |= {
            "slope": slope,
            "intercept": intercept,
            "spacing_mm": _spacing(about),
            "frame": frame,
            "frames": total,
        }
        yield {
            "picture": save_frame(rgb, folder),
            "frame": frame,
            "frames": total,
            "told": header,
            "preprocessing": used,
        }


def _of_frame(data: Any, frame: int) -> Any:
    """Collect the elements that describe a frame: those of the file and, in enhanced files (PS3.3 C.7.6.16),
    those of the shared functional groups and of its own, which take precedence."""
    import pydicom

    about = pydicom.Dataset()
    about.update({element.tag: element for element in data if element.keyword in OF_FRAME})
    if "VOILUTSequence" in data or "ModalityLUTSequence" in data:
        about.BitsStored = _int(data, "BitsStored", 16)
    own = data.get("PerFrameFunctionalGroupsSequence") or []
    for groups in (*(data.get("SharedFunctionalGroupsSequence") or [])[:1], *own[frame : frame + 1]):
        for name in GROUPS:
            for item in (groups.get(name) or [])[:1]:
                about.update({element.tag: element for element in item if element.keyword in OF_FRAME})
    return about


def _painted(rgb: Any) -> Any:
    """Reduce colours of a palette to 8 bits; tables of 16 bits have 8 in their upper half."""
    import numpy as np

    rgb = np.asarray(rgb)[..., :3]
    return (rgb >> 8 if rgb.dtype.itemsize > 1 else rgb).astype(np.uint8)


def _opened(path: Path) -> Any:
    import pydicom
    from pydicom.errors import InvalidDicomError

    if path.stat().st_size > MAX_FILE:
        raise Rejected("too_large", f"the file is larger than {MAX_FILE >> 20} MiB")
    with open(path, "rb") as file:
        if file.read(128).startswith(PROGRAMS):
            raise Rejected("executable", "its preamble is the start of a program", 0)
    try:
        data = pydicom.dcmread(path, force=False)
        _walk(data, 0)
    except InvalidDicomError as error:
        raise Rejected("format", "not a DICOM file: no DICM after the preamble", 128) from error
    except EOFError as error:
        raise Rejected("truncated", f"it ends too early: {error}", path.stat().st_size) from error
    if "PixelData" not in data or "Rows" not in data or "Columns" not in data:
        raise Rejected(
            "unsupported" if "SOPClassUID" in data and "PixelData" not in data else "lie",
            "there is no picture in it",
        )
    rows, columns, frames_ = _int(data, "Rows", 0), _int(data, "Columns", 0), _int(data, "NumberOfFrames", 1)
    if not 0 < rows * columns <= MAX_PIXELS or not 0 < frames_ <= 100_000:
        raise Rejected(
            "lie",
            f"it says {rows} x {columns} pixels, {frames_} frames; at most {MAX_PIXELS:,} pixels are opened",
        )
    # bytes that rows, columns, frames, samples and bits promise, against what is there uncompressed
    needed = (
        rows
        * columns
        * frames_
        * _int(data, "SamplesPerPixel", 1)
        * ((_int(data, "BitsAllocated", 16) + 7) // 8)
    )
    if (
        not data.file_meta.TransferSyntaxUID.is_compressed
        and _int(data, "BitsAllocated", 16) >= 8
        and len(data.PixelData) < needed
    ):
        raise Rejected("lie", f"it says {needed:,} bytes of pixels and has {len(data.PixelData):,}")
    return data


def _walk(data: Any, depth: int) -> None:
    """Check every value: a false length shows as a text longer than its value representation allows."""
    if depth > 64:
        raise Rejected("too_deep", "sequences are nested deeper than 64")
    for element in data:
        if element.VR == "SQ":
            for item in element.value:
                _walk(item, depth + 1)
        elif element.VR in MAX_LENGTH:
            values = (
                element.value
                if isinstance(element.value, (list, tuple)) or hasattr(element.value, "append")
                else [element.value]
            )
            pieces = [
                piece for value in values if not isinstance(value, float) for piece in str(value).split("=")
            ]
            if any(len(piece) > MAX_LENGTH[element.VR] + SLACK for piece in pieces):
                text = f"the value of {element.tag} is longer than a {element.VR} may be: its length is a lie"
                raise Rejected("lie", text, getattr(element, "file_tell", None))


def _told(data: Any) -> dict[str, Any]:
    result = {key: _words(data.get(key)) for key in TOLD if data.get(key)}
    for key, name in (
        ("PatientID", "patient"),
        ("StudyInstanceUID", "study"),
        ("SeriesInstanceUID", "series"),
    ):
        if value := str(data.get(key, "")).strip():
            result[name] = hashlib.sha256(f"{name}\x1f{value}".encode()).hexdigest()[:16]
    return result


def _words(value: Any) -> str:
    """Read a coded value; text that does not look like a code is dropped, for it may name a patient."""
    text = "\\".join(map(str, value)) if hasattr(value, "append") else str(value)
    return (
        text.strip()
        if len(text) <= 20 and all(c.isupper() or c.isdigit() or c in " _\\-" for c in text)
        else ""
    )


def _int(data: Any, key: str, default: int) -> int:
    value = data.get(key)
    return default if value in (None, "") else int(value)


def _number(data: Any, key: str, default: float) -> float:
    value = data.get(key)
    number = default if value in (None, "") else float(value)
    if not math.isfinite(number):
        raise Rejected("not_finite", f"{key} is {number}")
    return number


def _first(data: Any, key: str) -> float:
    """Read the first window of a file that offers several (a MultiValue, not a list)."""
    value = data.get(key)
    return float(value[0]) if hasattr(value, "append") else float(value)


def _voi(data: Any) -> bool:
    if "VOILUTSequence" in data:
        return True
    if data.get("WindowCenter") in (None, "") or data.get("WindowWidth") in (None, ""):
        return False
    center, width = _first(data, "WindowCenter"), _first(data, "WindowWidth")
    if not (math.isfinite(center) and math.isfinite(width)):
        raise Rejected("not_finite", "its window is not finite")
    return width > 0


def _spacing(data: Any) -> list[float]:
    """Read the spacing of rows, columns and slices in mm, as far as it is stated."""
    results = [float(v) for v in (data.get("PixelSpacing") or data.get("ImagerPixelSpacing") or [])]
    thick = data.get("SpacingBetweenSlices") or data.get("SliceThickness")
    results += [float(thick)] if results and thick not in (None, "") else []
    if not all(math.isfinite(v) and v > 0 for v in results):
        raise Rejected("not_finite", f"the spacing {results} is not positive and finite")
    return results


def _spread(total: int, most: int) -> list[int]:
    """Choose at most `most` of `total` indices, evenly spread."""
    # the middles of `most` equal parts
    return (
        list(range(total)) if total <= most else [round((k + 0.5) * total / most - 0.5) for k in range(most)]
    )
