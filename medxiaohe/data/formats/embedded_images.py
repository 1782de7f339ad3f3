"""Store images that are embedded in data files as files of their own, named by their content, in the cache of
medxiaohe."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

from medxiaohe import assets, io
from medxiaohe.errors import DataError


def unpacked(uri: str) -> str:
    """Store the bytes of a data: URI in the cache.

    Args:
        uri: "data:TYPE;base64,...".

    Returns:
        Path of the file.

    Raises:
        DataError: not a data: URI with base64.
    """
    head, _, body = uri.partition(",")
    try:
        data = base64.b64decode(body, validate=True) if head.endswith(";base64") else b""
    except binascii.Error:
        data = b""
    if not data:
        raise DataError(f"{uri[:60]}...: an image inside a data file must be a data: URI with base64")
    return str(kept(data))


def kept(data: bytes) -> Path:
    """Store an image in the cache under the sha256 of its bytes.

    Args:
        data: an encoded image.

    Returns:
        Path of the file, which is not written again if it exists.
    """
    path = folder() / hashlib.sha256(data).hexdigest()
    if not path.exists():
        io.write(path, lambda file: file.write(data))
    return path


def folder() -> Path:
    """Name the folder of embedded images in the cache of medxiaohe.

    Returns:
        A path; the folder may not exist yet.
    """
    return assets.cache_root() / "images"


def png(width: int, height: int, seed: int = 0) -> bytes:
    """Encode a grey test picture as PNG with the standard library alone, for EXAMPLEs and tests.

    Args:
        width: in pixels.
        height: in pixels.
        seed: 0 to 255, added to the grey values.

    Returns:
        The bytes of the PNG.
    """
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * 7 + y * 3 + seed) % 256 for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
