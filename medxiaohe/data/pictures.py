"""Pixels that live inside a data file are kept as files of their own, named by their content, in the cache of medxiaohe."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path

from medxiaohe import assets, io
from medxiaohe.errors import DataError


def unpacked(uri: str) -> str:
    """The path of a file with the bytes of a data: URI."""
    head, _, body = uri.partition(",")
    try:
        data = base64.b64decode(body, validate=True) if head.endswith(";base64") else b""
    except binascii.Error:
        data = b""
    if not data:
        raise DataError(f"{uri[:60]}...: an image inside a data file must be a data: URI with base64")
    return str(kept(data))


def kept(data: bytes) -> Path:
    path = folder() / hashlib.sha256(data).hexdigest()
    if not path.exists():
        io.write(path, lambda file: file.write(data))
    return path


def folder() -> Path:
    return assets.cache_root() / "images"
