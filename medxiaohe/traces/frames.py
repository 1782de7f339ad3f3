"""Read width and height of an image from the first bytes of its file, without decoding it: PNG and JPEG."""

from __future__ import annotations

import struct

_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start-of-frame markers of JPEG (ITU T.81, table B.1)


def frame_size(data: bytes) -> tuple[int, int] | None:
    """Parse the width and height of a PNG or JPEG from its header.

    Args:
        data: the first bytes of a file.

    Returns:
        (width, height), or None
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] in _SIZES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return None
