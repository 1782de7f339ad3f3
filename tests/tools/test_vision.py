"""Image tools on made-up pictures, on those of another kind, and, where the pack is, beside their gold."""

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
from PIL import Image  # noqa: E402

from medxiaohe.images import open_image, ref  # noqa: E402
from medxiaohe.tools.toolbox import call_tool, open_tools  # noqa: E402
from medxiaohe.tools.vision import drawn, pixels  # noqa: E402
from medxiaohe.tools.vision.kinds import FUNDUS, GREY, OTHER, SMEAR, kind_of  # noqa: E402
from medxiaohe.types import ImageRef, ToolCall, ToolResult  # noqa: E402

ROOT = Path(__file__).parent.parent.parent


def saved(folder: Path, picture: Any, name: str = "picture.png") -> ImageRef:
    Image.fromarray(picture).save(folder / name)
    return ref(folder / name)


def used(name: str, images: list[ImageRef], **arguments: Any) -> ToolResult:
    return call_tool(ToolCall("1", name, arguments), open_tools([name]), images)


def test_components_are_those_of_a_search_from_pixel_to_pixel() -> None:
    random = np.random.default_rng(3)
    for share in (0.3, 0.5, 0.6):
        mask = random.random((23, 31)) < share
        labels, count = pixels.components(mask)
        seen, number = np.zeros(mask.shape, int), 0
        for start in zip(*np.nonzero(mask), strict=True):
            if seen[start]:
                continue
            number += 1
            waiting = [start]
            while waiting:
                y, x = waiting.pop()
                if 0 <= y < 23 and 0 <= x < 31 and mask[y, x] and not seen[y, x]:
                    seen[y, x] = number
                    waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
        assert count == number
        assert len({*zip(labels[mask], seen[mask], strict=True)}) == number
        assert not labels[~mask].any()


def test_holes_are_filled_and_what_is_grown_and_eroded_is_closed() -> None:
    ring = np.zeros((9, 9), bool)
    ring[2:7, 2:7] = True
    ring[4, 4] = False
    assert pixels.filled(ring)[4, 4] and pixels.filled(ring).sum() == 25
    assert pixels.eroded(pixels.grown(ring, 1), 1)[4, 4]
    assert pixels.otsu(np.array([1.0] * 50 + [9.0] * 50)) == pytest.approx(5, abs=4)


def test_white_cells_are_found_where_they_were_drawn(tmp_path: Path) -> None:
    result = used("detect", [saved(tmp_path, drawn.smear())], image=1)
    assert result.error == "" and result.data["count"] == len(drawn.CELLS)
    for found, (x, y, radius) in zip(result.data["boxes"], drawn.CELLS, strict=True):
        left, top, right, bottom = found["box"]
        assert abs((left + right) / 2 - x) < 8 and abs((top + bottom) / 2 - y) < 8
        assert 2 * radius <= right - left < 3 * radius and found["confidence"] > 0.5
    assert all(one.kind == "region" and one.at is not None and one.at.box for one in result.evidence)
    none = used("detect", [saved(tmp_path, drawn.smear(()))], image=1)
    assert none.data["count"] == 0 and none.error == ""


def test_a_box_lies_in_the_original_when_the_image_is_a_part_of_one(tmp_path: Path) -> None:
    from dataclasses import replace

    whole = saved(tmp_path, drawn.smear())
    part = replace(whole, box=(240, 40, 640, 480))
    (one,) = used("detect", [part], image=1).evidence
    assert one.at and one.at.box
    x, y, _ = drawn.CELLS[1]
    assert one.at.box[0] < x < one.at.box[2] and one.at.box[1] < y < one.at.box[3]


@pytest.mark.parametrize("width", [565, 900])
def test_vessels_are_found_where_they_were_drawn(tmp_path: Path, width: int) -> None:
    picture = drawn.fundus(width)
    result = used("segment", [saved(tmp_path, picture)], image=1, what="vessels")
    assert result.error == "" and result.data["confidence"] > 0.4
    mask = np.asarray(open_image(result.parts[1]))[..., 0] > 127
    gold = drawn.vessels_of(picture)
    assert mask.shape == gold.shape
    assert (mask & gold).sum() / gold.sum() > 0.6
    assert (mask & ~pixels.grown(gold, 3)).sum() / mask.sum() < 0.3


def test_a_mask_is_measured_in_pixels_or_in_millimetres(tmp_path: Path) -> None:
    mask = np.zeros((100, 200, 3), np.uint8)
    mask[10:30, 10:50] = 255
    mask[60:70, 100:110] = 255
    first = saved(tmp_path, mask)
    half = mask.copy()
    half[60:70] = 0
    second = saved(tmp_path, half, "half.png")
    plain = used("measure", [first, second], image=1, other_image=2)
    assert plain.data["count"] == 2 and plain.data["area"] == 900 and plain.data["unit"] == "pixels"
    assert plain.data["ratio"] == pytest.approx(900 / 800)
    assert plain.data["parts"][0] == {
        "area": 800, "diameter": pytest.approx(31.9154), "width": 40, "height": 20, "box": [10, 10, 50, 30],
    }  # fmt: skip
    scaled = used("measure", [first], image=1, spacing_mm=0.5, least_pixels=101)
    assert scaled.data["area"] == 200 and scaled.data["unit"] == "mm" and scaled.data["count"] == 1
    line = used("measure", [first], image=1, line=[0, 0, 30, 40], spacing_mm=0.1)
    assert line.data["length"] == 5 and line.evidence[0].kind == "measurement"


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("measure", {"image": 1}, "no mask"),
        ("measure", {"image": 2}, "no image 2"),
        ("measure", {"image": 1, "line": [1.0, 2.0, 3.0]}, "four numbers"),
        ("measure", {"image": 1, "line": [0.0, 0.0, 9999.0, 0.0]}, "leaves the image"),
        ("measure", {"image": 1, "line": [0.0, 0.0, 1.0, 1.0], "spacing_mm": -1.0}, "no width of a pixel"),
        ("detect", {"image": 1, "what": "red cells"}, "white cells"),
        ("segment", {"image": 1, "what": "vessels"}, "looks like a blood smear"),
        ("contrast", {"image": 1, "low": 90.0, "high": 10.0}, "low below high"),
        ("rotate", {"image": 1, "degrees": 45}, "90, 180, 270"),
        ("flip", {"image": 0, "direction": "up-down"}, "no image 0"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path, name: str, arguments: dict[str, Any], words: str
) -> None:
    error = used(name, [saved(tmp_path, drawn.smear())], **arguments).error
    assert words in error and "\n" not in error


@pytest.mark.parametrize("name", ["detect", "segment", "measure", "classify", "rotate", "flip", "contrast"])
def test_a_tool_without_its_image_or_with_a_broken_one_is_an_error_of_its_result(
    tmp_path: Path, name: str
) -> None:
    (tool,) = open_tools([name])
    assert "there is none" in call_tool(ToolCall("1", name, tool.example), [tool]).error
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot a picture")
    broken = call_tool(ToolCall("1", name, tool.example), [tool], [ref(tmp_path / "broken.png")])
    assert "not a readable image" in broken.error


def test_turned_and_mirrored_twice_is_what_it_was(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    image = saved(tmp_path, picture)
    turned = used("rotate", [image], image=1, degrees=90).parts[1]
    assert (np.asarray(open_image(turned)) == np.rot90(picture, -1)).all()
    back = used("rotate", [turned], image=1, degrees=270).parts[1]
    assert (np.asarray(open_image(back)) == picture).all()
    mirrored = used("flip", [image], image=1, direction="left-right").parts[1]
    assert (np.asarray(open_image(mirrored)) == picture[:, ::-1]).all()


def test_contrast_spreads_the_values_between_two_percentiles(tmp_path: Path) -> None:
    picture = np.repeat(np.linspace(100, 120, 400).reshape(20, 20, 1), 3, axis=2).astype(np.uint8)
    image = saved(tmp_path, picture)
    spread = np.asarray(open_image(used("contrast", [image], image=1).parts[1]))
    assert spread.min() == 0 and spread.max() == 255
    inverted = used("contrast", [image], image=1, invert=True)
    assert (np.asarray(open_image(inverted.parts[1])) == 255 - spread).all()
    flat = saved(tmp_path, np.full((9, 9, 3), 7, np.uint8), "flat.png")
    assert "one value" in used("contrast", [flat], image=1).error


def test_kinds_of_made_up_pictures() -> None:
    random = np.random.default_rng(1)
    assert kind_of(drawn.smear()) == SMEAR and kind_of(drawn.fundus()) == FUNDUS
    assert kind_of(np.repeat(random.integers(0, 255, (50, 50, 1), dtype=np.uint8), 3, axis=2)) == GREY
    assert kind_of(random.integers(0, 255, (50, 50, 3), dtype=np.uint8)) == OTHER
    assert kind_of(np.zeros((5, 5, 3), np.uint8)) == GREY


@pytest.fixture(scope="module")
def benchmark() -> Any:
    pack = Path(os.environ.get("MEDXIAOHE_DATA", ""))
    if not (pack / "vqa/bccd").is_dir():
        pytest.skip("needs the data pack")
    spec = importlib.util.spec_from_file_location("benchmark_of_tools", ROOT / "benchmarks" / "tools.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_white_cells_of_the_test_split_of_bccd(benchmark: Any) -> None:
    figures = benchmark.white_cells("test")
    assert figures["f1"] >= 0.93 and figures["pointing"] >= 0.95


def test_pictures_of_another_kind_are_refused(benchmark: Any) -> None:
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    figures = benchmark.refusals(pack, every=5)
    assert figures and all(share >= 0.95 for share in figures.values())
