"""Comments of JPEG 2000: those of the main header go, one with comments in a tile-part is refused."""

import struct

import pytest

from medxiaohe.privacy.pictures import Quarantined, codestream

COMMENT = struct.pack(">HHH", 0xFF64, 4 + 8, 1) + b"JANE DOE"
SIZE = struct.pack(">HH", 0xFF51, 6) + b"\0\0\0\0"  # stands for the image size, which is copied unread


def tile(*segments: bytes, size: int | None = None) -> bytes:
    """Build a tile-part: SOT, segments of its header, SOD, data."""
    body = b"".join(segments) + b"\xff\x93" + b"\x01\x02\x03\x04"
    return struct.pack(">HHHIBB", 0xFF90, 10, 0, 12 + len(body) if size is None else size, 0, 1) + body


def picture(*parts: bytes) -> bytes:
    return b"\xff\x4f" + SIZE + b"".join(parts) + b"\xff\xd9"


def test_a_comment_of_the_main_header_goes() -> None:
    assert codestream(picture(COMMENT, tile())) == picture(tile())


@pytest.mark.parametrize("size", [None, 0])  # 0: the tile-part lasts until the end
def test_tile_parts_without_comments_are_copied(size: int | None) -> None:
    quantisation = struct.pack(">HH", 0xFF5C, 4) + b"\0\0"
    assert codestream(picture(tile(quantisation, size=size))) == picture(tile(quantisation, size=size))
    assert codestream(picture(tile(), tile(quantisation, size=size))).endswith(b"\xff\xd9")


@pytest.mark.parametrize("parts", [(tile(COMMENT),), (tile(COMMENT, size=0),), (tile(), tile(COMMENT))])
def test_a_comment_in_a_tile_part_is_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(Quarantined, match="tile-parts"):
        codestream(picture(*parts))


def test_a_tile_part_that_cannot_be_followed_is_refused() -> None:
    with pytest.raises(Quarantined):
        codestream(picture(tile(size=5)))
