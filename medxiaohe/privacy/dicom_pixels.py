"""De-identify the pixels of a DICOM file: risky classes, boxes to blank, and bytes around the pixels that
could hold text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medxiaohe.privacy import dicom_keep, pictures, pixels
from medxiaohe.privacy.pixels import Box, Policy
from medxiaohe.privacy.quarantine import Quarantined

if TYPE_CHECKING:
    import numpy as np
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

RISKY_MODALITIES = frozenset("US IVUS BDUS SC OT XC ES GM SM OP DOC HC SR".split())
RISKY_CLASSES = ("Ultrasound", " US ", "Secondary Capture", "VL ", "Video", "Endoscopic", "Photographic")
RISKY_TYPES = frozenset("SECONDARY SCREEN SAVE SAVED CAPTURE".split())
WHOLE = ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "BitsAllocated")


def require_picture(old: Dataset) -> None:
    """Check that a file is an instance of an image storage class, with pixels and a SOPInstanceUID.

    Raises:
        Quarantined: it is not.
    """
    from pydicom.uid import UID_dictionary

    name = UID_dictionary.get(str(old.get("SOPClassUID", "")), ("",))[0]
    if not dicom_keep.IMAGE_CLASSES.fullmatch(name):
        raise Quarantined("its class is not that of a picture (a report, a document, a plan, or unknown)")
    if "PixelData" not in old:
        raise Quarantined("it has no pixel data")
    if old.get("SOPInstanceUID") in (None, ""):
        raise Quarantined("it has no instance UID")


def risk(old: Dataset) -> str:
    """Return why the pixels of a file may show who the patient is.

    Returns:
        The reason, by storage class, modality, ImageType or BurnedInAnnotation; "" where it is rare.
    """
    from pydicom.uid import UID_dictionary

    name = UID_dictionary.get(str(old.get("SOPClassUID", "")), ("",))[0]
    burned_in = str(old.get("BurnedInAnnotation", "")).strip().upper()
    words = set(
        str(old.get("ImageType", ""))
        .upper()
        .replace("'", " ")
        .replace("[", " ")
        .replace("]", " ")
        .replace(",", " ")
        .split()
    )
    if str(old.get("Modality", "")).strip().upper() in RISKY_MODALITIES or any(
        fragment in name for fragment in RISKY_CLASSES
    ):
        return "its class often has text in the pixels"
    if words & RISKY_TYPES:
        return "ImageType says it is a capture"
    if burned_in not in ("", "NO"):
        return "BurnedInAnnotation is not NO"
    return ""


def cleaned(old: Dataset, syntax: UID, policy: Policy) -> tuple[bytes, Any, bool]:
    """Return the pixels to publish, blanked where they may hold text.

    Args:
        old: the original dataset; its PhotometricInterpretation is changed where pixels are blanked.
        syntax: its transfer syntax.
        policy: boxes to blank, and whether OCR must find no text.

    Returns:
        (bytes of even length, transfer syntax, whether pixels were blanked). Blanked pixels are uncompressed.

    Raises:
        Quarantined: the pixels may hold text, or cannot be decoded.
    """
    from pydicom.uid import ExplicitVRLittleEndian

    why = risk(old)
    boxes = policy.boxes(
        {name: old.get(name, "") for name in {key for rule in policy.rules for key in rule.when}}
    )
    declared = _outside(old) if why and not boxes else ()
    frames = None
    if why and not (boxes or declared):
        raise Quarantined(f"{why}: give boxes to blank")
    if boxes or declared or policy.pixels == "ocr":
        frames = _frames(old)
    blanked = bool(boxes or declared)
    if blanked:
        assert frames is not None
        frames = frames.copy()
        for left, top, right, bottom in (*boxes, *declared):
            frames[:, top:bottom, left:right] = _black(old)
    # A declared region is where the picture is, not where no text is: the OCR must agree, whatever the
    # policy.
    if policy.pixels == "ocr" or declared:
        if not pixels.has_ocr():
            raise Quarantined(f"{why or 'nothing says that its pixels have no text'}: {pixels.NEEDS_OCR}")
        assert frames is not None
        if any(pixels.texts(frame) for frame in frames):
            raise Quarantined("OCR found text in its pixels")
    if blanked:
        assert frames is not None
        old.PhotometricInterpretation = _native(str(old.PhotometricInterpretation))
        return _even(frames.astype(_dtype(old)).tobytes()), ExplicitVRLittleEndian, True
    if syntax.is_encapsulated:
        return _encapsulated(old), syntax, False
    return _plain(old, syntax), syntax, False


def _outside(old: Dataset) -> tuple[Box, ...]:
    """List boxes around the regions that a scanner declares (Sequence of Ultrasound Regions): all pixels
    outside of them.
    """
    rows, columns = int(old.get("Rows", 0)), int(old.get("Columns", 0))
    regions = [
        [
            int(item.get(k, 0))
            for k in (
                "RegionLocationMinX0",
                "RegionLocationMinY0",
                "RegionLocationMaxX1",
                "RegionLocationMaxY1",
            )
        ]
        for item in old.get("SequenceOfUltrasoundRegions", None) or ()
    ]
    if not regions:
        return ()
    # bounding box of all regions; the maximum is inclusive in DICOM, hence + 1
    left, top = min(r[0] for r in regions), min(r[1] for r in regions)
    right, bottom = max(r[2] for r in regions) + 1, max(r[3] for r in regions) + 1
    if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
        return ()
    # four bands outside of it: above, below, left and right
    around = [(0, 0, columns, top), (0, bottom, columns, rows), (0, 0, left, rows), (right, 0, columns, rows)]
    return tuple((a, b, c, d) for a, b, c, d in around if a < c and b < d)


def _frames(old: Dataset) -> np.ndarray:
    """Decode stored values to (frames, rows, columns[, samples]); Quarantined when they cannot be decoded."""
    import numpy as np

    try:
        array = old.pixel_array
    except Exception as error:  # decoders raise whatever they like, with values in it
        raise Quarantined(
            f"its pixels could not be decoded to look for text ({type(error).__name__})"
        ) from None
    count = int(old.get("NumberOfFrames", 1) or 1)
    frames: np.ndarray = np.asarray(array if count > 1 else array[None])
    return frames


def _black(old: Dataset) -> int:
    return (
        (1 << int(old.BitsStored)) - 1
        if str(old.PhotometricInterpretation) == "MONOCHROME1" and not old.PixelRepresentation
        else 0
    )


def _native(photometric: str) -> str:
    return "RGB" if photometric.startswith("YBR") else photometric


def _dtype(old: Dataset) -> str:
    return f"<{'i' if old.PixelRepresentation else 'u'}{int(old.BitsAllocated) // 8}"


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _plain(old: Dataset, syntax: UID) -> bytes:
    """Return uncompressed pixels without bytes behind them and with bits above BitsStored cleared (retired
    overlays).
    """
    import numpy as np

    frames, rows, columns, samples, bits = (int(old.get(name, 1) or 1) for name in WHOLE)
    samples = 2 if str(old.get("PhotometricInterpretation", "")) == "YBR_FULL_422" else samples
    # bytes that the pixels take; what stands behind them is dropped
    length = (frames * rows * columns * samples * bits + 7) // 8
    data = bytes(old.PixelData)
    if len(data) < length:
        raise Quarantined("it has fewer pixels than it says")
    data = data[:length]
    stored, high = int(old.get("BitsStored", bits)), int(old.get("HighBit", bits - 1))
    if bits in (8, 16, 32) and stored < bits:
        if high != stored - 1:
            raise Quarantined("its pixels do not start at bit 0, where an old overlay may be")
        order = "<" if syntax.is_little_endian else ">"
        values = np.frombuffer(data, dtype=f"{order}u{bits // 8}")
        # mask the bits above BitsStored, where retired overlays lie ...
        low = values & ((1 << stored) - 1)
        # ... and repeat the sign bit in them for signed values (two's complement)
        if old.PixelRepresentation:
            low = low | np.where(low >> (stored - 1) & 1, ((1 << bits) - 1) ^ ((1 << stored) - 1), 0).astype(
                low.dtype
            )
        data = low.astype(values.dtype).tobytes()
    return _even(data)


def _encapsulated(old: Dataset) -> bytes:
    """Return compressed frames without comments and application segments."""
    from pydicom.encaps import encapsulate, generate_frames

    count = int(old.get("NumberOfFrames", 1) or 1)
    frames = list(generate_frames(old.PixelData, number_of_frames=count))
    if len(frames) != count:
        raise Quarantined("it has not as many frames as it says")
    name = str(old.file_meta.TransferSyntaxUID.name)
    if "RLE" in name:
        return bytes(encapsulate(frames))
    if "JPEG 2000" in name or "JPEG" not in name:
        frames = [pictures.codestream(frame) for frame in frames] if "JPEG 2000" in name else []
        if not frames:
            raise Quarantined("its compression is not one whose comments can be removed")
        return bytes(encapsulate(frames))
    return bytes(encapsulate([_even(pictures.jpeg(frame)) for frame in frames]))
