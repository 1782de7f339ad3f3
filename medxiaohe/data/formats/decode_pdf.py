"""Extract text, figures and captions of the pages of a PDF, in the child process of
data/formats/sandbox.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import frames
from medxiaohe.data.readers import Rejected
from medxiaohe.plugins import need

MAX_FILE, MAX_PAGES = 200 * 2**20, 5000  # bytes, and pages of a file
MAX_IMAGES, MAX_PIXELS = 50, 20_000_000  # pictures of a page, and pixels of a picture
MIN_SIDE = 64  # pixels; smaller pictures are logos and rules
CAPTION = re.compile(r"^\s*(?:Figure|FIGURE|Fig\.?|FIG\.?)\s*(?:S?\d+)\s*[.:|]?\s", re.MULTILINE)
MAX_CAPTION = 1500  # characters
_reader: Any = None


def prepare() -> None:
    """Import the decoders before the memory of the child process is limited.

    Raises:
        MissingExtra: pypdf or Pillow is not installed.
    """
    need("pypdf", "PIL", why="PDF")
    import PIL.Image
    import PIL.Jpeg2KImagePlugin
    import PIL.JpegImagePlugin
    import PIL.PngImagePlugin  # noqa: F401
    import pypdf  # noqa: F401


def pages(path: Path, folder: str, ocr: bool) -> Iterator[dict[str, Any]]:
    """Extract text, figures and captions of each page of a PDF.

    Args:
        path: the file.
        folder: where the pictures are kept.
        ocr: read pages that have pictures and no text by optical character recognition.

    Yields:
        {page, pages, text, figures, images, scanned}: number of the page from 1, [{pictures, caption}],
        number of pictures; `scanned` for a page that has pictures and no text of its own.

    Raises:
        Rejected: a code of medxiaohe.errors.REJECTIONS, such as bomb, format, too_large or unsupported.
        MissingExtra: `ocr` without rapidocr_onnxruntime.
    """
    import pypdf

    if path.stat().st_size > MAX_FILE:
        raise Rejected("too_large", f"the file is larger than {MAX_FILE >> 20} MiB")
    if b"%PDF-" not in open(path, "rb").read(1024):
        raise Rejected("format", "not a PDF", 0)
    try:
        document = pypdf.PdfReader(path, strict=False)
        if document.is_encrypted and not document.decrypt(""):
            raise Rejected("unsupported", "it is encrypted: save it without a password")
        total = len(document.pages)
    except (pypdf.errors.PyPdfError, pypdf.errors.DependencyError) as error:
        raise Rejected(_code(error), f"not a readable PDF: {str(error)[:160]}") from error
    if total > MAX_PAGES:
        raise Rejected("too_large", f"{total:,} pages, at most {MAX_PAGES:,} are read")
    for number in range(total):
        try:
            page = document.pages[number]
            text = _plain(page.extract_text() or "")
            pictures, scan, skipped = _pictures(page, folder, keep_scan=ocr and not text.strip())
        except pypdf.errors.PyPdfError as error:
            raise Rejected(_code(error), f"page {number + 1}: {str(error)[:160]}") from error
        scanned = not text.strip() and bool(pictures or skipped)
        if scanned and ocr and scan is not None:
            text = _read(scan)
        figures = [] if scanned else _paired(pictures, _captions(text))
        yield {
            "page": number + 1,
            "pages": total,
            "text": text,
            "figures": figures,
            "images": len(pictures),
            "scanned": scanned,
        }


def _code(error: Exception) -> str:
    return "bomb" if "Limit" in type(error).__name__ else "format"


def _plain(text: str) -> str:
    """Join words that were hyphenated at the end of a line; drop characters that no UTF-8 file can hold."""
    text = text.encode("utf-8", "ignore").decode().replace("\0", "")
    return re.sub(r"(?<=[a-z])-\n(?=[a-z])", "", text)


def _pictures(page: Any, folder: str, keep_scan: bool) -> tuple[list[dict[str, str]], Any, int]:
    """Decode the pictures of a page; the largest one if it is needed for OCR, and the number of those that
    could not be decoded.
    """
    import numpy as np

    selected: list[dict[str, str]] = []
    scan, skipped = None, 0
    images = page.images
    for name in list(images.keys())[:MAX_IMAGES]:
        try:
            picture = images[name].image
            if picture is None or picture.width * picture.height > MAX_PIXELS:
                skipped += 1
                continue
            if min(picture.size) < MIN_SIDE:
                continue
            rgb = np.asarray(picture.convert("RGB"))
        except MemoryError:
            raise
        except Exception as error:
            if "Limit" in type(error).__name__:
                raise
            skipped += 1
            continue
        selected.append(frames.save_frame(rgb, folder))
        if keep_scan and (scan is None or rgb.size > scan.size):
            scan = rgb
    return selected, scan, skipped


def _captions(text: str) -> list[str]:
    """Find paragraphs that begin as captions do; a paragraph ends at a blank line, or where the next caption
    begins.
    """
    starts = [match.start() for match in CAPTION.finditer(text)]
    ends = [*starts[1:], len(text)][: len(starts)]
    return [
        " ".join(re.split(r"\n\s*\n", text[a:b].strip())[0].split())[:MAX_CAPTION]
        for a, b in zip(starts, ends, strict=True)
    ]


def _paired(pictures: list[dict[str, str]], captions: list[str]) -> list[dict[str, Any]]:
    """Pair pictures with captions: the k-th with the k-th where there are as many, all with a single caption,
    else none.
    """
    if captions and len(captions) == len(pictures):
        return [
            {"pictures": [picture], "caption": caption}
            for picture, caption in zip(pictures, captions, strict=True)
        ]
    return [{"pictures": pictures, "caption": captions[0]}] if len(captions) == 1 and pictures else []


def _read(pixels: Any) -> str:
    global _reader
    need("rapidocr_onnxruntime", why="reading scans")
    if _reader is None:
        from rapidocr_onnxruntime import RapidOCR

        _reader = RapidOCR(intra_op_num_threads=1)
    lines, _ = _reader(pixels[..., ::-1])  # it wants blue first
    return "\n".join(str(line[1]) for line in lines or [])
