"""PDF articles and reports: the text of the pages, and figures with their captions (extra `pdf`).

A figure is used when its caption is known: as many captions ("Figure 2. ...") as pictures on the page, or one
for all panels. Pages that are pictures of text are read with `ocr: true` (extra `ocr`); without it a PDF of
scans only is a rejected row.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import embedded_images, files
from medxiaohe.data.formats.sandbox import MEMORY_MIB, SECONDS, decode
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.types import ImageRef, Message, Part, Sample

OCR_MIB, OCR_SECONDS = 2048, 120.0


def tiny(
    text: str = "Scurvy follows a lack of vitamin C.", image: bytes = b"", side: int = 0, extra: bytes = b""
) -> bytes:
    """Make a valid PDF of one page (Letter, 612 x 792 points), for tests and EXAMPLE.

    Args:
        text: lines of the page, Latin-1; none of ( ) or the backslash, which would need escapes.
        image: grey pixels of a square picture, 8 bits each, compressed by zlib; b"": no picture.
        side: width and height of the picture in pixels.
        extra: operators that are added to the content stream.

    Returns:
        The bytes of the file.
    """
    lines = b"".join(b"(%s) Tj 0 -14 Td " % line.encode("latin-1") for line in text.split("\n"))
    content = (
        b"BT /F1 12 Tf 72 720 Td "
        + lines
        + b"ET "
        + (b"q 200 0 0 200 72 300 cm /Im1 Do Q" if image else b"")
        + extra
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >>"  # noqa: E501
        + (b" /XObject << /Im1 6 0 R >>" if image else b"") + b" >> >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
    ]  # fmt: skip
    if image:
        kind = (
            b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray"
            b" /BitsPerComponent 8 " % (side, side)
        )
        objects.append(
            b"<< %s/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (kind, len(image), image)
        )
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + end


APART = (".pdf",)  # no file of a folder says anything about another
EXAMPLE = {"article.pdf": tiny()}


def pdf(path: Path, *, ocr: bool = False, license: str = "not stated") -> Iterator[Sample | DeadLetter]:
    """Read the text of PDF files, and figures with their captions.

    Args:
        path: a .pdf file, or a folder of them.
        ocr: whether pages that are pictures of text are read by OCR.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    limits: dict[str, Any] = (
        {"memory_mib": OCR_MIB, "seconds": OCR_SECONDS}
        if ocr
        else {"memory_mib": MEMORY_MIB, "seconds": SECONDS}
    )

    def read(file: Path) -> Iterator[Sample | DeadLetter]:
        """Read one file as a document of the text of its pages, each followed by its figures.

        Args:
            file: the .pdf file.

        Yields:
            One Sample.

        Raises:
            Rejected: the file has no text, or cannot be decoded.
        """
        parts: list[Part] = []
        figures: list[dict[str, Any]] = []
        scanned: list[int] = []
        pages = 0
        for page in decode(
            "medxiaohe.data.formats.decode_pdf:pages",
            file,
            folder=str(embedded_images.folder()),
            ocr=ocr,
            **limits,
        ):
            pages = page["pages"]
            if page["scanned"]:
                scanned.append(page["page"])
            if text := page["text"].strip():
                parts.append(text)
            for figure in page["figures"]:
                parts += [
                    ImageRef(picture["path"], sha256=picture["sha256"]) for picture in figure["pictures"]
                ]
                parts.append(figure["caption"])
                figures.append(
                    {"page": page["page"], "caption": figure["caption"], "pictures": len(figure["pictures"])}
                )
        if not parts:
            hint = (
                " but pictures: set `ocr: true` (pip install 'medxiaohe[ocr]')" if scanned and not ocr else ""
            )
            raise Rejected("empty", f"{file.name}: no text in it{hint}", 0)
        name = file.relative_to(path).as_posix() if path.is_dir() else file.name
        meta = {"pages": pages, "figures": figures, "scanned_pages": scanned}
        yield Sample(
            id=name,
            messages=(Message("document", tuple(parts)),),
            source="pdf",
            license=license,
            study_id=name,
            meta=meta,
        )

    yield from files.each(files.files(path, *APART), read, path)
