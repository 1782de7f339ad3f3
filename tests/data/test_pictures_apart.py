"""Pictures are unpacked for the first time in a child process, whose end is a rejected row."""

import os
from pathlib import Path

import pytest

Image = pytest.importorskip("PIL.Image")

from medxiaohe import images  # noqa: E402
from medxiaohe.data.formats import pictures, sandbox  # noqa: E402
from medxiaohe.errors import DataError  # noqa: E402
from medxiaohe.types import ImageRef  # noqa: E402


def save(path: Path, size: tuple[int, int] = (40, 30)) -> ImageRef:
    Image.effect_noise(size, 60).save(path)
    return images.ref(path)


def test_what_a_child_finds_is_what_this_process_finds(tmp_path: Path) -> None:
    good = save(tmp_path / "a.png")
    assert pictures.check(good) == (40, 30)
    assert pictures.check(ImageRef(good.uri, box=(1, 2, 11, 22))) == (10, 20)
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:200])
    for bad in (
        ImageRef(str(tmp_path / "nothing.png")),
        ImageRef(str(tmp_path / "cut.png")),
        ImageRef(good.uri, box=(0, 0, 41, 30)),
        ImageRef(good.uri, sha256="0" * 64),
        ImageRef(good.uri, frame=3),
    ):
        with pytest.raises(DataError) as here:
            images.open_image(bad)
        with pytest.raises(DataError) as apart:
            pictures.check(bad)
        assert str(apart.value) == str(here.value) and type(apart.value) is type(here.value)


def test_one_child_opens_picture_after_picture(tmp_path: Path) -> None:
    refs = [save(tmp_path / f"{n}.png") for n in range(5)]
    pictures.check(refs[0])
    child = sandbox._children[next(key for key in sandbox._children if "pictures" in key[1])]
    first = child._process.pid
    assert [pictures.check(ref) for ref in refs] == [(40, 30)] * 5
    assert child.alive and child._process.pid == first != os.getpid()


@pytest.mark.parametrize(
    ("crash", "code"),
    [("os.kill(os.getpid(), 11)", "crash"), ("bytearray(2**30)", "too_large"), ("while True: pass", "time")],
)
def test_a_decoder_that_dies_grows_or_never_ends_is_a_dead_letter_and_the_next_row_is_read(
    crash: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real stage; a decoder of Pillow with a hole, which only the child has."""
    from medxiaohe import io
    from medxiaohe.data.read import ReadSettings, Source, read
    from medxiaohe.types import Entity

    hole = tmp_path / "site" / "sitecustomize.py"
    hole.parent.mkdir()
    hole.write_text(
        "import sys\n"
        "if any('pictures:unpacked' in word for word in sys.orig_argv):\n"
        "    import os, PIL.PngImagePlugin as png\n"
        "    real = png.PngImageFile.load\n"
        "    def load(self, *rest):\n"
        "        if self.width == 33:\n"
        f"            {crash}\n"
        "        return real(self, *rest)\n"
        "    png.PngImageFile.load = load\n"
    )
    monkeypatch.syspath_prepend(str(hole.parent))
    monkeypatch.setattr(sandbox, "SECONDS", 1.0)
    for child in list(sandbox._children.values()):
        child.stop()
    (tmp_path / "in").mkdir()
    save(tmp_path / "in" / "a.png")
    save(tmp_path / "in" / "b.png", (33, 30))
    save(tmp_path / "in" / "c.png")
    io.write_jsonl(
        tmp_path / "tree" / "entities.jsonl",
        [Entity("D:1", "scurvy", "disease", source="toy", license="CC0-1.0")],
    )
    (tmp_path / "out").mkdir()
    source = Source(reader="image_folder", path=str(tmp_path / "in"), name="x", options={"text": "A view."})
    summary = read(ReadSettings((source,)), tmp_path / "out", tree=tmp_path / "tree")
    assert (summary["written"], summary["dead"]) == (2, 1)
    (letter,) = io.read_jsonl(tmp_path / "out" / "dead.jsonl")
    assert letter["code"] == code
    for child in list(sandbox._children.values()):
        child.stop()
