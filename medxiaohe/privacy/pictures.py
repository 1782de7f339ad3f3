"""Remove metadata from PNG, JPEG and other pictures: EXIF, XMP, IPTC, comments, thumbnails, profiles.

By keep-lists: of a PNG the chunks, of a JPEG the segments that a decoder needs; pixels are not encoded anew,
so they are identical. Other formats are decoded and written as PNG. The orientation of an EXIF block stays,
because the picture would be shown rotated without it.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from medxiaohe.images import DEEP_GREY, FORMATS, MAX_BYTES, MAX_PIXELS, too_costly
from medxiaohe.privacy import pixels
from medxiaohe.privacy.pixels import Policy
from medxiaohe.privacy.quarantine import Quarantined

if TYPE_CHECKING:
    from PIL.Image import Image

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS = frozenset(
    (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD")
)
# TEM, RST0 to RST7 and a second SOI
JPEG_PLAIN = (0xD8, 0x01, *range(0xD0, 0xD8))  # markers without a length
# markers of ISO/IEC 15444-1: SOC, SOT, EOC, COM
J2K_START, J2K_TILE, J2K_DATA, J2K_END, J2K_COMMENT = b"\xff\x4f", 0xFF90, 0xFF93, b"\xff\xd9", 0xFF64
# CAP, SIZ, COD, COC, TLM, PLM, QCD, QCC, RGN, POC, PPM
J2K_KEPT = frozenset((0xFF50, 0xFF51, 0xFF52, 0xFF53, 0xFF55, 0xFF57, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60))


def clean(path: Path, policy: Policy) -> list[tuple[str, bytes]]:
    """Remove everything but the pixels from a picture file.

    Args:
        path: of the file, at most MAX_BYTES.
        policy: boxes to blank, and whether OCR must find no text.

    Returns:
        (".png" or ".jpg", bytes) for each page or frame. A PNG or JPEG of one frame without boxes is not
        encoded anew.

    Raises:
        Quarantined: it cannot be read or is too large, or its pixels have text or nothing says that they have
            none.
    """
    import numpy as np
    from PIL import Image as pil

    try:
        if path.stat().st_size > MAX_BYTES:
            raise Quarantined(f"larger than {MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pil.open(io.BytesIO(data), formats=FORMATS) as opened:
                kind, mode, frames = opened.format, opened.mode, getattr(opened, "n_frames", 1)
                if opened.width * opened.height * frames > MAX_PIXELS:
                    raise Quarantined(f"more than {MAX_PIXELS:,} pixels")
                if reason := too_costly(opened, data):
                    raise Quarantined(reason)
                shown = []
                for number in range(frames):
                    opened.seek(number)
                    shown.append(opened.copy())
    except Quarantined:
        raise
    except Exception as error:  # decoders raise whatever they like, and may quote the file
        raise Quarantined(f"not a readable picture ({type(error).__name__})") from None
    boxes = policy.boxes({"Columns": shown[0].width, "Rows": shown[0].height, "format": kind})
    for image in shown:
        for box in boxes:
            image.paste(0 if image.mode in (*DEEP_GREY, "L", "1", "P") else (0,) * len(image.getbands()), box)
        if policy.pixels == "ocr":
            if not pixels.has_ocr():
                raise Quarantined(f"nothing says that its pixels have no text: {pixels.NEEDS_OCR}")
            if pixels.texts(np.asarray(image if image.mode in DEEP_GREY else image.convert("RGB"))):
                raise Quarantined("OCR found text in its pixels")
    if frames == 1 and not boxes and kind in ("PNG", "JPEG"):
        return [(".png", png(data)) if kind == "PNG" else (".jpg", jpeg(data))]
    return [(".png", _as_png(image, mode)) for image in shown]


def _as_png(image: Image, mode: str) -> bytes:
    from PIL import Image as pil

    bare = (
        image
        if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
        else image.convert("I;16" if mode.startswith("I;16") else "RGB")
    )
    copy = pil.frombytes(bare.mode, bare.size, bare.tobytes())  # nothing but the pixels
    if bare.mode == "P":
        copy.putpalette(bare.getpalette() or [])
    out = io.BytesIO()
    copy.save(out, format="PNG")
    return png(out.getvalue())


def png(data: bytes) -> bytes:
    """Remove all chunks of a PNG except PNG_CHUNKS.

    Returns:
        The new file.

    Raises:
        Quarantined: it is not well formed.
    """
    if not data.startswith(PNG_START):
        raise Quarantined("not a PNG")
    out, at = [PNG_START], len(PNG_START)
    while at + 12 <= len(data):
        # a chunk: length (4 bytes), type (4), data, CRC of type and data (4)
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if len(body) != length:
            break
        if kind in PNG_CHUNKS:
            out.append(struct.pack(">I", length) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
        if kind == b"IEND":
            return b"".join(out)
        at += 12 + length
    raise Quarantined("a PNG without its end")


def jpeg(data: bytes) -> bytes:
    """Remove all segments of a JPEG that a decoder does not need; a bare JFIF, Adobe or orientation segment
    stays.

    Returns:
        The new file.

    Raises:
        Quarantined: it is not well formed.
    """
    if not data.startswith(b"\xff\xd8"):
        raise Quarantined("not a JPEG")
    out, at = [b"\xff\xd8"], 2
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xD9:
            return b"".join([*out, b"\xff\xd9"])
        if marker in JPEG_PLAIN:
            at += 2
            continue
        # a segment: marker (2 bytes), length (2, its own bytes included), data
        (length,) = struct.unpack(">H", data[at + 2 : at + 4].ljust(2, b"\0"))
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            break
        if (segment := _segment(marker, body)) is not None:
            out.append(bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2) + segment)
        at += 2 + length
        # SOS: entropy-coded bytes follow the segment, up to the next marker
        if marker == 0xDA:
            end = _scan_end(data, at)
            out.append(data[at:end])
            at = end
    raise Quarantined("a JPEG without its end")


def _segment(marker: int, body: bytes) -> bytes | None:
    """Return the part of a segment that stays; None drops it."""
    # APP0: a JFIF header without its thumbnail (width and height 0)
    if marker == 0xE0:
        return body[:12] + b"\0\0" if body[:5] == b"JFIF\0" and len(body) >= 14 else None
    # APP1: of EXIF only the orientation, where it is not 1
    if marker == 0xE1:
        turned = _orientation(body)
        return None if turned in (0, 1) else _exif(turned)
    # APP14: Adobe, which tells the colour transform
    if marker == 0xEE:
        return body[:12] if body[:5] == b"Adobe" and len(body) >= 12 else None
    # comments (FE) and all other application segments are dropped
    return None if marker == 0xFE or 0xE0 <= marker <= 0xEF else body


def _scan_end(data: bytes, at: int) -> int:
    """Find the end of the entropy-coded bytes of a scan: a marker other than a stuffed zero or a restart.

    JPEG-LS stuffs a zero bit, so that the byte after 0xFF is below 0x80 there; no marker is.
    """
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] >= 0x80 and not 0xD0 <= data[at + 1] <= 0xD7 and data[at + 1] != 0xFF:
            return at
        at += 1 if data[at + 1] == 0xFF else 2


def _orientation(body: bytes) -> int:
    """Return the orientation, 1 to 8, of an EXIF segment; 0 when there is none."""
    if body[:6] != b"Exif\0\0" or len(body) < 16:
        return 0
    tiff, order = body[6:], "<" if body[6:8] == b"II" else ">"
    try:
        (start,) = struct.unpack(order + "I", tiff[4:8])
        (entries,) = struct.unpack(order + "H", tiff[start : start + 2])
        # IFD0: 12 bytes an entry; 0x0112 is Orientation, type 3 is SHORT
        for i in range(min(entries, 200)):
            tag, kind, _, value = struct.unpack(
                order + "HHIH", tiff[start + 2 + 12 * i : start + 12 + 12 * i]
            )
            if tag == 0x0112 and kind == 3:
                return value if 1 <= value <= 8 else 0
    except struct.error:
        pass
    return 0


def _exif(orientation: int) -> bytes:
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)


def codestream(data: bytes) -> bytes:
    """Remove the comments of the main header of a JPEG 2000 codestream.

    Returns:
        The codestream, padded with zeros to its former length modulo 2.

    Raises:
        Quarantined: it is wrapped in a file format, has an unknown segment or is not well formed.
    """
    if not data.startswith(J2K_START):
        raise Quarantined("not a bare JPEG 2000 codestream")
    out, at = [J2K_START], 2
    while at + 4 <= len(data):
        marker, length = struct.unpack(">HH", data[at : at + 4])
        # SOT: the tile-parts are copied unchanged up to the last EOC
        if marker == J2K_TILE:
            end = data.rfind(J2K_END)
            if end < 0:
                break
            if _comments_in_tiles(data, at, end):
                raise Quarantined("a JPEG 2000 codestream with comments in its tile-parts")
            return b"".join([*out, data[at : end + 2]]) + b"\0" * ((sum(map(len, out)) + end + 2 - at) % 2)
        if marker != J2K_COMMENT and marker not in J2K_KEPT:
            raise Quarantined("a JPEG 2000 codestream with a segment nobody knows")
        if marker in J2K_KEPT:
            out.append(data[at : at + 2 + length])
        at += 2 + length
    raise Quarantined("a JPEG 2000 codestream without its end")


def _comments_in_tiles(data: bytes, at: int, end: int) -> bool:
    """Whether the header of a tile-part, from the SOT marker at `at` on, has a comment, or cannot be followed
    to its data (ISO/IEC 15444-1, A.4.2)."""
    while at + 12 <= end:
        marker, _, _, size = struct.unpack(">HHHI", data[at : at + 10])
        if marker != J2K_TILE:
            return True
        part, after = at + 12, end if size == 0 else at + size
        while (marker := int.from_bytes(data[part : part + 2], "big")) != J2K_DATA:
            if marker == J2K_COMMENT or marker < 0xFF01 or part + 4 > after:
                return True
            part += 2 + int.from_bytes(data[part + 2 : part + 4], "big")
        if after <= part:
            return True
        at = after
    return False
