"""Files made to hurt a reader: reliability.md section 2, case by case, each with the reader that meets it and
the codes it may end as."""

from __future__ import annotations

import functools
import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.readers import dicom, nifti, pdf

Make = Callable[[Path], None]
GOOD = '{"id": "good", "text": "Scurvy is a lack of vitamin C.", "license": "CC0-1.0"}\n'
MANY = "".join(GOOD.replace("good", f"row{n}") for n in range(50)).encode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(side: int) -> bytes:
    """One bit a pixel, all of them black."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + chunk(b"IDAT", zlib.compress(bytes(side // 8 + 1) * side))
        + chunk(b"IEND", b"")
    )


def jpeg() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.effect_noise((160, 120), 60).save(out, "JPEG")
    return out.getvalue()


def deflated(mib: int, fill: bytes = b"\0", first: bytes = b"") -> bytes:
    """Raw deflate of `first` and so many MiB of one byte: blocks after a full flush are the same bytes
    again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(fill * 2**20) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + block * mib + packer.flush()


def gzipped(mib: int, first: bytes = b"", fill: bytes = b"\0") -> bytes:
    """Without the right checksum at the end, which no reader may get to."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + deflated(mib, fill, first) + bytes(8)


def deflated_dicom() -> bytes:
    """Deflated transfer syntax: a megabyte that is a gigabyte of pixels."""
    data = dicom.tiny()
    start = data.index(b"1.2.840.10008.1.2.1")
    meta = data[: start - 8] + b"\x02\x00\x10\x00UI" + struct.pack("<H", 22) + b"1.2.840.10008.1.2.1.99"
    rest = data[start + 20 :]
    body_at = rest.index(b"\x08\x00\x16\x00UI")
    meta += rest[:body_at]
    length = struct.unpack("<I", meta[140:144])[0] + 2
    meta = meta[:140] + struct.pack("<I", length) + meta[144:]
    body = rest[body_at : rest.index(b"\xe0\x7f\x10\x00")]
    return meta + deflated(1024, first=body + b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 2**30))


def lying_name() -> bytes:
    """A PatientName whose length is 0xFFFF swallows what comes after it."""
    data = dicom.tiny(
        PatientName="Doe^Jane", Rows=200, Columns=200, NumberOfFrames=1, PixelData=bytes(80_000)
    )
    at = data.index(b"\x10\x00\x10\x00PN") + 6
    return data[:at] + b"\xff\xff" + data[at + 2 :]


def nested_dicom(depth: int = 5000) -> bytes:
    data = dicom.tiny()
    at = data.index(b"\xe0\x7f\x10\x00")
    opened = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * depth
    return data[:at] + opened + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0" * depth + data[at:]


def slope(text: bytes) -> bytes:
    data = dicom.tiny(RescaleSlope="1.0000")
    return data.replace(b"1.0000", text)


def nii(at: int, form: str, *values: float, data: bytes | None = None) -> bytes:
    head = bytearray(nifti.tiny() if data is None else data)
    struct.pack_into(form, head, at, *values)
    return bytes(head)


def nan_voxels() -> bytes:
    return nifti.tiny(
        kind=16, voxels=struct.pack("<120f", *(float("nan") if n == 60 else 1.0 for n in range(120)))
    )


def pdf_bomb() -> bytes:
    """A content stream of one megabyte that unpacks to one gigabyte of blanks."""
    stream = b"\x78\xda" + deflated(1024, b" ")
    plain = pdf.tiny("x")
    head, tail = (
        plain[: plain.index(b"5 0 obj")],
        b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n0\n%%EOF\n",
    )
    return (
        head
        + b"5 0 obj\n<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream\nendobj\n"
        % (len(stream), stream)
        + tail
    )


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for info, data in (*members, (tarfile.TarInfo("good.jsonl"), GOOD.encode())):
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return out.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in (*members, ("good.jsonl", GOOD.encode())):
            packed.writestr(name, data)
    return out.getvalue()


def objects() -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.savez(out, images=np.array([{"a": 1}, 2], dtype=object), labels=np.zeros(2))
    return out.getvalue()


def saved(mode: str, side: int, form: str, **options: object) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new(mode, (side, side)).save(out, form, **options)
    return out.getvalue()


def many_scans(number: int, side: int = 4000) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    data = saved("L", side, "JPEG", progressive=True)
    start, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    return data[:end] + data[start:end] * number + data[end:]


def crowded_zip(number: int) -> bytes:
    """Empty files; written by hand, because `zipfile` takes seconds for them."""
    files, entries = bytearray(), bytearray()
    for n in range(number):
        name = b"%06d" % n
        entries += struct.pack(
            "<4s4B4HL2L5H2L", b"PK\1\2", 20, 0, 20, 0, 0, 0, 0, 33, 0, 0, 0, 6, 0, 0, 0, 0, 0, len(files)
        )
        entries += name
        files += struct.pack("<4s2B4HL2L2H", b"PK\3\4", 20, 0, 0, 0, 0, 33, 0, 0, 0, 6, 0) + name
    many = min(number, 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, many, many, len(entries), len(files), 0)
    return bytes(files + entries) + end


def crowded_tar(number: int) -> bytes:
    """Empty files in a packed tar, one header a file."""
    heads = (tarfile.TarInfo(f"{n:06d}").tobuf() for n in range(number))
    return gzip.compress(b"".join(heads) + bytes(1024), 1)


def repeated_parquet(text: str, rows: int, groups: int) -> bytes:
    """The same value in every row of every group, which run lengths and a dictionary make small."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    out, table = io.BytesIO(), pa.table({"text": pa.repeat(pa.scalar(text), rows)})
    with pq.ParquetWriter(out, table.schema, compression="zstd") as writer:
        for _ in range(groups):
            writer.write_table(table)
    return out.getvalue()


def pubmed(inside: bytes, number: int = 1) -> bytes:
    record = (
        b"<PubmedArticle><MedlineCitation><PMID>%d</PMID><Article><ArticleTitle>T</ArticleTitle><Abstract>"
        b"<AbstractText>%s</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
    )
    return (
        b"<PubmedArticleSet>" + b"".join(record % (n, inside) for n in range(number)) + b"</PubmedArticleSet>"
    )


BEGUN = pubmed(b"").partition(b"</AbstractText>")[0]  # a record whose abstract has no end


def laughs() -> bytes:
    rows = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY l0 "ha">{rows}]><Document>&l9;</Document>'.encode()


def long_line(path: Path) -> None:
    with open(path, "wb") as out:
        out.write(GOOD.encode() + b'{"text": "')
        for _ in range(300):
            out.write(b"x" * 2**20)
        out.write(b'"}\n')


def captioned(folder: Path, data: bytes) -> None:
    """The picture is not the one whose hash the table states."""
    import hashlib

    (folder / "bad.jpg").write_bytes(data[:700] + random.Random(0).randbytes(40) + data[740:])
    (folder / "good.png").write_bytes(png(8, 8))
    rows = [
        ("bad.jpg", hashlib.sha256(data).hexdigest()),
        ("good.png", hashlib.sha256(png(8, 8)).hexdigest()),
    ]
    (folder / "t.csv").write_text(
        "file,caption,sha256\n" + "".join(f"{name},A view.,{digest}\n" for name, digest in rows)
    )


def picture(data: Callable[[], bytes]) -> Make:
    def make(folder: Path) -> None:
        for name, content in (("bad.png", data()), ("good.png", png(8, 8))):
            (folder / name).write_bytes(content)
            (folder / name).with_suffix(".txt").write_text("A view.")

    return make


def beside(
    name: str, data: Callable[[], bytes], good: str, content: str | bytes | Callable[[], bytes]
) -> Make:
    def make(folder: Path) -> None:
        (folder / name).write_bytes(data())
        value = content() if callable(content) else content
        (folder / good).write_bytes(value.encode() if isinstance(value, str) else value)

    return make


def dcm(data: Callable[[], bytes]) -> Make:
    return beside("bad.dcm", data, "good.dcm", dicom.tiny)


def nifti_(data: Callable[[], bytes], name: str = "bad.nii") -> Make:
    return beside(name, data, "good.nii", nifti.tiny)


def jsonl(data: Callable[[], bytes], name: str = "bad.jsonl") -> Make:
    return beside(name, data, "good.jsonl", GOOD)


def archive(name: str, data: Callable[[], bytes]) -> Make:
    return beside(name, data, "good.txt", "beside it")


MEDQUAD = """<Document id="1" source="X"><Focus>Scurvy</Focus><QAPairs><QAPair pid="1"><Question qid="1-1" qtype="information">What is
Scurvy?</Question><Answer>A lack of vitamin C.</Answer></QAPair></QAPairs></Document>"""  # noqa: E501

TABLE = "id,text\n1,Scurvy is a lack of vitamin C.\n"

GOOD_PUBMED = functools.partial(pubmed, b"Good.")

# name -> (reader, how to make the folder, codes it may end as)
CASES: dict[str, tuple[str, Make, set[str]]] = {
    "PNG of 13,300 x 13,300 in 22 KB": ("image_folder", picture(lambda: png_bomb(13_300)), {"image"}),
    "PNG of 20,000 x 20,000 in 49 KB": ("image_folder", picture(lambda: png_bomb(20_000)), {"image"}),
    "JPEG cut in half": ("image_folder", picture(lambda: jpeg()[:4000]), {"image"}),
    "JPEG with 40 bytes overwritten": ("image_folder", lambda folder: captioned(folder, jpeg()), {"changed"}),
    "EPS named PNG": ("image_folder", picture(lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
    {"image"}),
    "deflated DICOM, 1 MB to 1 GB": ("dicom", dcm(deflated_dicom), {"too_large"}),
    "DICOM name of length 0xFFFF": ("dicom", dcm(lying_name), {"lie", "truncated", "format"}),
    "DICOM of 65535 x 65535": ("dicom", dcm(lambda: dicom.tiny(Rows=65535, Columns=65535)), {"lie"}),
    "DICOM of a million frames": ("dicom", dcm(lambda: dicom.tiny(NumberOfFrames=1_000_000)), {"lie"}),
    "DICOM with its pixels cut": ("dicom", dcm(lambda: dicom.tiny()[:-40]), {"lie", "truncated"}),
    "DICOM nested 5,000 deep": ("dicom", dcm(nested_dicom), {"too_deep"}),
    "random bytes as DICOM": ("dicom", dcm(lambda: random.Random(0).randbytes(5000)), {"format"}),
    "DICOM slope 1e400": ("dicom", dcm(lambda: slope(b"1e400 ")), {"not_finite"}),
    "program in a DICOM preamble": ("dicom", dcm(lambda: b"MZ" + dicom.tiny()[2:]), {"executable"}),
    "NIfTI, 1 MB to 1 GB": (
        "nifti",
        nifti_(lambda: gzipped(1024, nii(40, "<4h", 3, 1024, 1024, 512)[:352]), "bad.nii.gz"),
        {"too_large"},
    ),
    "NIfTI of 32767 cubed": ("nifti", nifti_(lambda: nii(40, "<4h", 3, 32767, 32767, 32767)), {"too_large"}),
    "NIfTI with a NaN place": ("nifti", nifti_(lambda: nii(280, "<f", float("nan"))), {"not_finite"}),
    "NIfTI with NaN voxels": ("nifti", nifti_(nan_voxels), {"not_finite"}),
    "PDF, 1 MB to 1 GB": ("pdf", beside("bad.pdf", pdf_bomb, "good.pdf", pdf.tiny), {"too_large", "bomb",
    "time"}),
    "JSON line of 300 MB": ("chat_jsonl", lambda folder: long_line(folder / "bad.jsonl"), {"too_large"}),
    "JSON NaN": ("chat_jsonl", jsonl(lambda: b'{"text": "x", "meta": {"a": NaN}}\n'), {"not_finite"}),
    "JSON 1e999": ("chat_jsonl", jsonl(lambda: b'{"text": "x", "meta": {"a": 1e999}}\n'), {"not_finite"}),
    "JSON key twice": ("chat_jsonl", jsonl(lambda: b'{"text": "x", "text": "y"}\n'), {"json"}),
    "JSON with half a surrogate pair": ("chat_jsonl", jsonl(lambda: b'{"text": "x \\ud83d"}\n'),
    {"surrogate"}),
    "JSON nested 200,000 deep": ("chat_jsonl",
    jsonl(lambda: b'{"text": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"), {"too_deep"}),
    "JSON that is not UTF-8": ("chat_jsonl", jsonl(lambda: b'{"text": "Fi\xe8vre"}\n'), {"encoding"}),
    "gzip JSON lines, 1 MB to 1 GB": ("chat_jsonl", jsonl(lambda: gzipped(1024), "bad.jsonl.gz"), {"bomb",
    "too_large"}),
    "gzip cut short": ("chat_jsonl", jsonl(lambda: gzip.compress(MANY)[:-20], "bad.jsonl.gz"), {"truncated"}),
    "tar with ../x": ("archive", archive("a.tar", lambda: tar((tarfile.TarInfo("../x.jsonl"), b"{}"))),
    {"unsafe_path"}),
    "tar with a link": ("archive", archive("a.tar", lambda: tar((link("x.jsonl", "/etc/passwd"), b""))),
    {"unsafe_path"}),
    "zip with ../../x": ("archive", archive("a.zip", lambda: zipped(("../../x.jsonl", b"{}"))),
    {"unsafe_path"}),
    "zip, 256 KB to 256 MB": (
        "archive",
        beside("a.zip", lambda: zipped(("x.txt", bytes(2**28))), "b.zip", zipped),
        {"bomb"},
    ),
    "XML billion laughs": ("medquad_xml", beside("bad.xml", laughs, "good.xml", MEDQUAD), {"xml"}),
    "PNG of 16-bit grey, 7000 x 7000": ("image_folder", picture(lambda: saved("I;16", 7000, "PNG")),
    {"too_large"}),
    "TIFF of floats, 7000 x 7000": ("image_folder",
    picture(lambda: saved("F", 7000, "TIFF", compression="tiff_deflate")), {"too_large"}),
    "PNG with transparency, 7000 x 7000": ("image_folder", picture(lambda: saved("RGBA", 7000, "PNG")),
    {"too_large"}),
    "WebP of 7000 x 7000": ("image_folder", picture(lambda: saved("RGB", 7000, "WEBP")), {"too_large"}),
    "JPEG of 100 scans": ("image_folder", picture(lambda: many_scans(100)), {"too_large"}),
    "zip of 200,000 empty files": ("archive",
    beside("a.zip", lambda: crowded_zip(200_000), "b.zip", zipped), {"bomb"}),
    "tar of 200,000 empty files": ("archive",
    beside("a.tar.gz", lambda: crowded_tar(200_000), "b.zip", zipped), {"bomb"}),
    "parquet of 20 million rows": ("table",
    beside("bad.parquet", lambda: repeated_parquet("x", 2**20, 20), "good.csv", TABLE), {"bomb"}),
    "parquet that unpacks to 1 GB": ("table",
    beside("bad.parquet", lambda: repeated_parquet("x" * 2**20, 1, 1024), "good.csv", TABLE), {"bomb"}),
    "parquet of one list of 80 million nothings": ("table",
    beside("bad.parquet", lambda: long_list(80_000_000), "good.csv", TABLE), {"bomb"}),
    "tar with a header of 300 MB": ("archive",
    beside("a.tar.gz", lambda: gzip.compress(long_header()), "b.zip", zipped), {"bomb"}),
    "HTML tag of 800,000 attributes": ("html",
    beside("bad.html", lambda: b"<p " + b" ".join(b"a%d=1" % i for i in range(800_000)) + b">x", "good.html",
    "<p>Scurvy is a lack of vitamin C.</p>"), {"bomb"}),
    "HTML of 600,000 tags": ("html",
    beside("bad.html", lambda: b"<div>" * 600_000, "good.html", "<p>Scurvy is a lack of vitamin C.</p>"),
    {"bomb"}),
    "JSON of 5 million empty lists": ("sharegpt",
    beside("bad.json", lambda: b"[" + b"[]," * 5_000_000 + b"[]]", "good.jsonl",
    '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}'), {"bomb"}),
    "JSON row of 400,000 messages": ("chat_jsonl",
    jsonl(lambda: b'{"messages": [' + b'{"role": "user"},' * 400_000 + b"{}]}\n"), {"bomb"}),
    "PubMed, 1 MB to 1 GB in one abstract": ("pubmed_xml",
    beside("bad.xml.gz", lambda: gzipped(1024, BEGUN, b"x"), "good.xml", GOOD_PUBMED), {"too_large"}),
    "PubMed, 256 MB of small tags": ("pubmed_xml",
    beside("bad.xml.gz", lambda: gzipped(64, BEGUN, b"<a/>"), "good.xml", GOOD_PUBMED), {"too_large"}),
    "PubMed of an encoding that does not exist": ("pubmed_xml",
    beside("bad.xml", lambda: b'<?xml version="1.0" encoding="x-1"?>' + pubmed(b"Bad."), "good.xml",
    GOOD_PUBMED), {"xml"}),
    "PubMed cut short": ("pubmed_xml",
    beside("bad.xml.gz", lambda: gzip.compress(pubmed(b"", 0) + bytes(99))[:-20], "good.xml", GOOD_PUBMED),
    {"truncated", "xml"}),
    "pickle in a NumPy archive": ("npz", beside("bad.npz", objects, "good.npz", lambda: good_npz()),
    {"format"}),
}  # fmt: skip


def long_list(length: int) -> bytes:
    """One row with a list of nulls, which takes a kilobyte."""
    import pyarrow
    import pyarrow.parquet

    ends, out = pyarrow.array([0, length], pyarrow.int32()), io.BytesIO()
    lists = pyarrow.ListArray.from_arrays(ends, pyarrow.nulls(length, pyarrow.int8()))
    pyarrow.parquet.write_table(pyarrow.table({"id": ["1"], "text": ["x"], "more": lists}), out)
    return out.getvalue()


def long_header() -> bytes:
    """A tar whose member has an extended header of 300 MB."""
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 300 << 20
    return info.tobuf(tarfile.USTAR_FORMAT) + b"1" * info.size + tar((tarfile.TarInfo("x.jsonl"), b"{}"))


def good_npz() -> bytes:
    import numpy as np

    out = io.BytesIO()
    np.savez(out, images=np.zeros((1, 8, 8), np.uint8), labels=np.zeros(1, np.uint8))
    return out.getvalue()


def options(reader: str) -> dict[str, object]:
    return {"bad_rows": "skip"} if reader == "chat_jsonl" else {}


def made(folder: Path) -> dict[str, Path]:
    """Every case in a folder of its own, good file included."""
    found = places(folder)
    for name, place in found.items():
        place.mkdir(parents=True)
        CASES[name][1](place)
    return found


def places(folder: Path) -> dict[str, Path]:
    """The folder of each case."""
    return {name: folder / f"case{number:02}" for number, name in enumerate(CASES)}
