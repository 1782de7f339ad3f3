"""Pixels are what the file says, or one sentence says why there are none."""

from __future__ import annotations

import contextlib
import io
import random
import struct
import zlib
from pathlib import Path

import hostile_files
import pytest

from medxiaohe import images
from medxiaohe.errors import DataError, Rejected
from medxiaohe.types import ImageRef

pil = pytest.importorskip("PIL.Image")


def saved(
    path: Path,
    form: str = "PNG",
    mode: str = "RGB",
    size: tuple[int, int] = (8, 6),
    colour: object = (10, 20, 30),
) -> Path:
    pil.new(mode, size, colour).save(path, form)
    return path


def test_a_reference_holds_the_digest_and_a_later_change_is_an_error(tmp_path: Path) -> None:
    image = images.ref(saved(tmp_path / "a.png"))
    assert images.open_image(image).getpixel((0, 0)) == (10, 20, 30)
    saved(tmp_path / "a.png", colour=(11, 20, 30))
    with pytest.raises(DataError, match="the file changed since it was read"):
        images.open_image(image)


@pytest.mark.parametrize(("mode", "form"), [("I;16", "PNG"), ("I;16", "TIFF"), ("F", "TIFF")])
def test_grey_of_more_than_8_bits_is_stretched_not_cut_off_to_white(
    mode: str, form: str, tmp_path: Path
) -> None:
    deep = pil.new(mode, (3, 1))
    for x, value in enumerate((1000, 2000, 3000)):
        deep.putpixel((x, 0), value)
    deep.save(tmp_path / "deep", form)
    opened = images.open_image(ImageRef(str(tmp_path / "deep")))
    assert [opened.getpixel((x, 0))[0] for x in range(3)] in ([0, 127, 255], [0, 128, 255])


def test_grey_that_is_not_a_number_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "nan.tif", "TIFF", "F", colour=float("nan"))
    with pytest.raises(DataError, match=r"nan\.tif: not a readable image"):
        images.open_image(ImageRef(str(tmp_path / "nan.tif")))


@pytest.mark.parametrize("box", [(0, 0, 9, 6), (-1, 0, 4, 4), (4, 0, 4, 4), (5, 0, 4, 4)])
def test_a_box_outside_the_image_is_refused_not_filled_with_black(
    box: tuple[int, int, int, int], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="is not inside 8 x 6 pixels"):
        images.open_image(ImageRef(str(saved(tmp_path / "a.png")), box=box))
    assert images.open_image(ImageRef(str(tmp_path / "a.png"), box=(1, 1, 4, 3))).size == (3, 2)


def test_a_small_file_that_unpacks_to_a_large_one_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 13_300, 13_300, 1, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1663) * 13_300))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"bomb\.png"):
        images.open_image(ImageRef(str(tmp_path / "bomb.png")))


@pytest.mark.parametrize("uri", ["gone.png", "a\0b.png", "x" * 5000, "/", "/etc/passwd/x.png", ""])
def test_a_name_that_cannot_be_a_file_is_one_sentence(uri: str) -> None:
    with pytest.raises(DataError, match="image"):
        images.open_image(ImageRef(uri))


def test_other_formats_are_not_opened_whatever_their_name(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    with pytest.raises(DataError, match=r"a\.png: not a readable image"):
        images.open_image(ImageRef(str(tmp_path / "a.png")))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", images.FORMATS)
def test_damaged_images_open_or_are_data_errors(form: str, tmp_path: Path) -> None:
    buffer, rng, path = io.BytesIO(), random.Random(0), tmp_path / "x"
    pil.effect_noise((48, 40), 60).convert("RGB").save(buffer, form)
    for _ in range(150):
        data = bytearray(buffer.getvalue())
        for _ in range(rng.choice([1, 3, 10])):
            data[rng.randrange(min(len(data), rng.choice([60, len(data)])))] = rng.choice(
                [0, 255, rng.randrange(256)]
            )
        path.write_bytes(data[: rng.randrange(1, len(data))] if rng.random() < 0.2 else data)
        with contextlib.suppress(DataError):
            images.open_image(ImageRef(str(path)))


def test_a_size_is_that_of_the_pixels_and_is_read_from_the_header_alone(tmp_path: Path) -> None:
    frames = [pil.new("RGB", (9, 5)), pil.new("RGB", (4, 7))]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "a.jpg")
    refs = [
        ImageRef(str(tmp_path / "a.tif")),
        ImageRef(str(tmp_path / "a.tif"), frame=1),
        ImageRef(str(tmp_path / "a.tif"), frame=1, box=(1, 2, 3, 7)),
        ImageRef(str(tmp_path / "a.jpg"), box=(0, 0, 2, 5)),
    ]
    assert [images.size_of(ref) for ref in refs] == [images.open_image(ref).size for ref in refs]
    (tmp_path / "torn.png").write_bytes(saved(tmp_path / "whole.png").read_bytes()[:50])
    assert images.size_of(ImageRef(str(tmp_path / "torn.png"))) == (8, 6)
    for bad in (tmp_path, tmp_path / "none.png", Path("/dev/zero")):
        with pytest.raises(DataError):
            images.size_of(ImageRef(str(bad)))
    with pytest.raises(DataError, match="is not inside"):
        images.size_of(ImageRef(str(tmp_path / "a.jpg"), box=(0, 0, 10, 5)))


@pytest.mark.parametrize(
    ("mode", "side", "form", "options"),
    [
        ("I;16", 7000, "PNG", {}),
        ("RGBA", 5400, "PNG", {}),
        ("RGB", 4000, "WEBP", {}),
        ("RGB", 5000, "JPEG", {"progressive": True}),
    ],
)
def test_a_picture_that_would_take_too_much_memory_is_refused_from_its_head(
    mode: str, side: int, form: str, options: dict[str, object], tmp_path: Path
) -> None:
    pil.new(mode, (side, side)).save(tmp_path / "x", form, **options)
    with pytest.raises(Rejected, match="MiB, at most 200 are used: make it smaller") as caught:
        images.open_image(ImageRef(str(tmp_path / "x")))
    assert caught.value.code == "too_large"


def test_scans_of_a_jpeg_are_counted_against_its_pixels(tmp_path: Path) -> None:
    for number, refused in ((8, False), (100, True)):
        (tmp_path / "x.jpg").write_bytes(hostile_files.many_scans(number, 2400))
        if refused:
            with pytest.raises(Rejected, match=r"a JPEG of 10\d scans"):
                images.open_image(ImageRef(str(tmp_path / "x.jpg")))
        else:
            assert images.open_image(ImageRef(str(tmp_path / "x.jpg"))).size == (2400, 2400)


def test_a_frame_behind_too_many_others_is_refused(tmp_path: Path) -> None:
    frames = [pil.effect_noise((200, 200), 20 + n) for n in range(4)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:], duration=9)
    assert images.open_image(ImageRef(str(tmp_path / "x.gif"), frame=3)).size == (200, 200)
    with pytest.raises(Rejected, match="frame 20000 comes after more pixels"):
        images.open_image(ImageRef(str(tmp_path / "x.gif"), frame=20_000))


def test_deep_grey_taller_than_a_strip_is_stretched_as_a_whole(tmp_path: Path) -> None:
    """The darkest and the brightest pixel lie in strips of their own."""
    deep = pil.new("I;16", (2, 3 * images.STRIP_ROWS + 5), 2000)
    deep.putpixel((0, 0), 1000)
    deep.putpixel((1, deep.height - 1), 3000)
    deep.save(tmp_path / "x.png")
    opened = images.open_image(ImageRef(str(tmp_path / "x.png")))
    assert [opened.getpixel(at)[0] for at in ((0, 0), (1, deep.height - 1))] == [0, 255]
    assert opened.getpixel((0, images.STRIP_ROWS + 3))[0] in (127, 128)
