"""The near-image search: codes of points, maps between pictures, panels, and many known pictures."""

import random
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
Image = pytest.importorskip("PIL.Image")

from medxiaohe.data.duplicates import alignment, planted_leaks  # noqa: E402
from medxiaohe.data.duplicates.code_index import BUFFER, CodeIndex  # noqa: E402
from medxiaohe.data.duplicates.keypoints import FLIPS, TABLES, codes, keypoints  # noqa: E402
from medxiaohe.data.duplicates.near_images import SIDE, Gallery, Look  # noqa: E402


def picture(seed: int, width: int = 240, height: int = 240) -> "Image.Image":
    """Smooth shapes with some detail, unlike for every seed."""
    dice = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(dice.integers(0, most, (n, n), np.uint8)).resize((width, height), 3), float
        )
        for n, most in ((5, 130), (14, 60), (40, 40))
    ]
    return Image.fromarray(np.clip(sum(layers) + 10, 0, 255).astype(np.uint8)).convert("RGB")


def seen(pixels: "Image.Image") -> Look:
    return Look(np.asarray(pixels.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)))


@pytest.fixture(scope="module")
def gallery() -> Gallery:
    known = Gallery()
    for seed in range(60):
        known.add(seen(picture(seed)), str(seed))
    return known


@pytest.mark.parametrize("shape", [(240, 240), (160, 240), (330, 240), (240, 150)])
def test_a_picture_of_a_panel_is_found_whatever_shape_the_other_has(
    shape: tuple[int, int], gallery: Gallery
) -> None:
    hits = 0
    for seed in range(20):
        figure = planted_leaks.panel(picture(seed), picture(1000 + seed, *shape), random.Random(seed))
        hits += [name for name, _ in gallery.find(seen(figure))] == [str(seed)]
    assert hits >= 18


def test_a_panel_of_two_known_pictures_names_both(gallery: Gallery) -> None:
    figure = planted_leaks.panel(picture(3), picture(4), random.Random(0))
    assert {name for name, _ in gallery.find(seen(figure))} == {"3", "4"}


def test_other_pictures_are_not_found_and_flat_ones_never(gallery: Gallery) -> None:
    assert not any(list(gallery.find(seen(picture(seed)))) for seed in range(500, 560))
    gallery.add(seen(Image.new("L", (50, 50), 7)), "flat")
    assert list(gallery.find(seen(Image.new("L", (50, 50), 7)))) == []


def test_points_of_an_inverted_picture_are_the_same_and_those_of_a_mirrored_one_are_mirrored() -> None:
    grey = np.asarray(seen(picture(1)).grey, np.float32)
    plain, inverted = keypoints(grey, 80), keypoints(255 - grey, 80)
    np.testing.assert_allclose(inverted.numbers, plain.numbers, atol=1e-3)
    for flip in FLIPS:
        turned = keypoints(np.ascontiguousarray(grey[:: flip[0], :: flip[1]]), 80)
        wanted = plain.flipped(flip)
        order, other = np.lexsort(turned.places.T), np.lexsort(wanted.places.T)
        np.testing.assert_allclose(turned.places[order], wanted.places[other], atol=1e-3)
        np.testing.assert_allclose(turned.numbers[order], wanted.numbers[other], atol=1e-2)


def test_codes_tried_near_a_point_hold_its_own_and_one_table_each() -> None:
    numbers = keypoints(np.asarray(seen(picture(2)).grey, np.float32), 40).numbers
    own, near = codes(numbers), codes(numbers, near=True)
    assert own.shape == (len(numbers), TABLES) and near.shape == (len(numbers), TABLES * 4)
    assert all(set(a) <= set(b) for a, b in zip(own.tolist(), near.tolist(), strict=True))
    assert (own >> 24 == np.arange(TABLES)).all()


def test_an_index_that_grows_finds_what_a_dictionary_finds() -> None:
    dice, index, table = np.random.default_rng(0), CodeIndex(), dict[int, list[int]]()
    number = 0
    for _ in range(30):
        new = dice.integers(0, 50_000, BUFFER // 7).astype(np.uint32)
        numbers = np.arange(number, number + len(new), dtype=np.uint32)
        number += len(new)
        index.add(new, numbers)
        for code, own in zip(new.tolist(), numbers.tolist(), strict=True):
            table.setdefault(code, []).append(own)
        asked = dice.integers(0, 50_000, 50).astype(np.uint32)
        places, matches = index.find(asked)
        pairs = sorted(zip(places.tolist(), matches.tolist(), strict=True))
        assert pairs == sorted(
            (place, own) for place, code in enumerate(asked.tolist()) for own in table.get(code, ())
        )


def test_the_map_between_two_pictures_is_refined_from_a_rough_one() -> None:
    pixels = picture(7)
    known = np.asarray(seen(pixels).grey, np.float32)
    crop = np.asarray(seen(pixels.crop((24, 36, 216, 228))).grey, np.float32)  # 0.1, 0.15 to 0.9, 0.95
    rough = np.array([[0.83, 0.0, 0.08], [0.0, 0.77, 0.17]])
    assert alignment.correlations([(known, crop, rough)])[0] > 0.97
    assert alignment.correlations([(known, 255 - crop, rough)])[0] > 0.97
    assert alignment.correlations([(known, np.asarray(seen(picture(8)).grey, np.float32), rough)])[0] < 0.6
    too_little = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    assert alignment.correlations([(known, crop, too_little)])[0] == -1


def test_a_search_over_a_group_shows_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from corpora_for_tests import picture as file
    from test_corpus_to_mixture import curated, question

    from medxiaohe import images, progress

    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    rows = [
        question(f"q{n}", images.ref(file(tmp_path / f"{n}.jpg", n)), "Does this X-ray show pneumonia?")
        for n in range(4)
    ]
    assert curated(tmp_path, rows, []) == {}
    assert "images compared [======================== ] 4/4" in capsys.readouterr().err.replace("=]", "= ]")
