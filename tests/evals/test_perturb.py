"""Every perturbation changes what it says, brings the gold along, hides it still, and says where it does not
apply."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from medxiaohe import images, io, plugins
from medxiaohe.evals.perturb._question import Around, asked, edit, lettered, question
from medxiaohe.evals.statistics.robustness import robustness
from medxiaohe.scoring.choice import choice
from medxiaohe.scoring.exact import exact
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.types import ImageRef, Message, Sample, Trace

NAMES = plugins.shipped("perturbations")
PLAIN = Sample("p/1", (Message("user", ("Why?",)), Message("assistant", ("So.",))), "So.")


def module(name: str):
    return importlib.import_module(f"medxiaohe.evals.perturb.{name}")


def change(name: str, sample: Sample, around: Around | None = None) -> Sample | None:
    return plugins.load("perturbations", name)(sample, around or Around())


@pytest.fixture
def picture(tmp_path: Path) -> ImageRef:
    pil = pytest.importorskip("PIL.Image")
    pixels = pil.new("RGB", (20, 10), "black")
    pixels.putpixel((0, 0), (255, 255, 255))
    pixels.save(tmp_path / "a.png")
    return images.ref(tmp_path / "a.png")


def example(name: str, picture: ImageRef) -> Sample:
    found: Sample = module(name).EXAMPLE
    messages = tuple(
        replace(m, parts=tuple(picture if isinstance(p, ImageRef) else p for p in m.parts))
        for m in found.messages
    )
    return replace(found, messages=messages)


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_contract(name: str, picture: ImageRef, tmp_path: Path) -> None:
    sample = example(name, picture)
    around = Around(images=[ImageRef("other.png", sha256="1" * 64)], folder=tmp_path)
    made = change(name, sample, around)
    assert made is not None and made == change(name, sample, around), "the same change every time"
    assert made.id == sample.id and made.prompt.messages != sample.prompt.messages, "asked otherwise"
    assert module(name).EXPECTS in ("right", "lost") and (module(name).__doc__ or "").strip()
    assert made.messages[-1].role == "assistant" and all(m.role != "assistant" for m in made.prompt.messages)
    scorer = choice if made.choices else yes_no
    for gold in (made.messages[-1].text, made.target):
        trace = Trace(made.prompt, (*made.prompt.messages, Message("assistant", (gold,))))
        assert scorer(made, trace).value == 1.0, f"the gold that came along scores 1: {gold}"
    assert change(name, PLAIN, around) is None, "and to a question it is not about it does not apply"


def test_options_move_and_the_gold_with_them() -> None:
    sample = asked("Which organ makes insulin?", "Pancreas", "Liver", "Spleen", "Kidney", target="A")
    targets = set()
    for seed in range(12):
        made = change("option_shuffle", sample, Around(seed))
        assert (
            made is not None
            and sorted(made.choices) == sorted(sample.choices)
            and made.choices != sample.choices
        )
        assert (
            made.choices["ABCD".index(made.target)] == "Pancreas"
            and f"{made.target}. Pancreas" in made.messages[0].text
        )
        assert made.messages[-1].text == f"{made.target}. Pancreas"
        targets.add(made.target)
    assert len(targets) > 2
    several = asked("Which two?", "a1", "b1", "c1", target="AC", gold="A. a1\nC. c1")
    made = change("option_shuffle", several)
    assert made is not None and {made.choices["ABC".index(letter)] for letter in made.target} == {"a1", "c1"}


def test_none_of_the_others_takes_the_place_of_the_gold() -> None:
    sample = asked("Which organ makes insulin?", "Pancreas", "Liver", "Spleen", target="A")
    made = change("none_of_above", sample)
    assert (
        made is not None
        and made.target == "A"
        and "Pancreas" not in made.messages[0].text
        and "A. None of the other" in made.messages[0].text
    )
    assert (
        change("none_of_above", asked("Which?", "Pancreas", "Liver", "None of the above", target="A")) is None
    )
    assert change("none_of_above", asked("Which?", "Pancreas", "Liver", target="A")) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("takes 500 mg daily", "takes 0.5 g daily"),
        ("weighs 80 kg", "weighs 80,000 g"),
        ("is 175 cm tall", "is 1,750 mm tall"),
        ("temperature 98.6 °F", "temperature 37.0 °C"),
        ("temperature 38.5°C", "temperature 101.3°F"),
        ("a 2-cm lesion of 15 mm", "a 2-cm lesion of 1.5 cm"),
        ("1,500 mL of urine", "1.5 L of urine"),
        ("0.25 mg", "0.00025 g"),
        ("glucose 90 mg/dL, 5 mg per kg, 120/80 mm Hg, 3 x 4 cm", None),
    ],
)
def test_units(before: str, after: str | None) -> None:
    made = change("units", asked(f"{before}?", target="yes"))
    if after is None:
        assert made is None or (
            "120/80 mm Hg" in made.messages[0].text and "90 mg/dL" in made.messages[0].text
        )
    else:
        assert made is not None and made.messages[0].text == f"{after}?"


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        ("Is there a left pleural effusion?", "yes", ("Is there a right pleural effusion?", "yes")),
        (
            "Which lung is affected, left or right?",
            "Left",
            ("Which lung is affected, right or left?", "Right"),
        ),
        ("LEFT knee pain", "x", ("RIGHT knee pain", "x")),
        ("He left the hospital with pain in the right knee.", "x", None),  # a verb
        ("Is that the right answer for the left knee?", "x", None),  # correct, not a side
        ("Pain in the right lower quadrant", "x", None),  # the appendix has one side
        ("Left atrial enlargement?", "yes", None),
        ("A right-handed man with aphasia", "x", None),
    ],
)
def test_laterality(text: str, target: str, expected: tuple[str, str] | None) -> None:
    made = change("laterality", asked(text, target=target))
    assert (made and (made.messages[0].text, made.target)) == expected


def test_a_mirrored_image_goes_with_mirrored_words(picture: ImageRef, tmp_path: Path) -> None:
    made = change("laterality", asked("Which eye?", target="left", images=[picture]), Around(folder=tmp_path))
    assert made is not None and made.target == "right" == made.messages[-1].text
    flipped = images.open_image(made.images[0])
    assert flipped.getpixel((19, 0)) == (255, 255, 255) and flipped.getpixel((0, 0)) == (0, 0, 0)
    blank = change(
        "image_blank", asked("Which eye?", target="left", images=[picture]), Around(folder=tmp_path)
    )
    assert blank is not None and images.open_image(blank.images[0]).getcolors() == [(200, (128, 128, 128))]


def test_another_image_is_really_another(picture: ImageRef) -> None:
    sample = asked("What?", target="a", images=[picture])
    assert change("image_swapped", sample, Around(images=[picture])) is None
    made = change("image_swapped", sample, Around(images=[picture, ImageRef("b.png", sha256="2" * 64)]))
    assert made is not None and made.images[0].uri == "b.png"
    removed = change("image_removed", sample)
    assert removed is not None and not removed.images and removed.target == "a"


def test_drugs_change_names_in_both_directions() -> None:
    made = change(
        "drug_names", asked("He takes warfarin. What interacts?", "Amiodarone", "Milk", "Rice", target="A")
    )
    assert (
        made is not None
        and "takes Coumadin" in made.messages[0].text
        and made.choices[0] == "Cordarone"
        and made.target == "A"
    )
    back = change("drug_names", asked("She takes Lipitor. Is it a statin?", target="yes"))
    assert back is not None and "takes atorvastatin" in back.messages[0].text
    assert change("drug_names", asked("Is ibuprofenlike a word?", target="no")) is None
    names = [
        line.split("\t")
        for line in Path(module("drug_names").__file__).with_suffix(".tsv").read_text().splitlines()[1:]
    ]
    assert len(names) > 150 and all(len(row) == 2 for row in names)
    assert len({generic for generic, _ in names}) == len({brand.lower() for _, brand in names}) == len(names)


def test_typos_spare_numbers_options_and_negations() -> None:
    text = (
        "A patient without persistent fever receives 500 mg vancomycin because methicillin resistance seems"
        " probable."
    )
    made = change("typo", asked(text, "Vancomycin", "Something", target="A"))
    assert (
        made is not None
        and made.choices == ("Vancomycin", "Something")
        and "without" in made.messages[0].text
        and "500" in made.messages[0].text
    )
    assert sorted(made.messages[0].text) == sorted(
        asked(text, "Vancomycin", "Something", target="A").messages[0].text
    )


def test_a_model_may_paraphrase_but_not_lose_a_number() -> None:
    sample = asked("A dose of 5 mg: enough?", target="yes")
    assert change("paraphrase", sample, Around(rewrite=lambda text: "Would 5 mg be enough?")) is not None
    assert change("paraphrase", sample, Around(rewrite=lambda text: "Would 50 mg be enough?")) is None


def test_questions_are_cut_where_their_options_are() -> None:
    sample = asked("Which organ?", "Liver", "Lung (left)", target="B")
    found = lettered(sample)
    assert (
        found is not None
        and (found.stem, found.options) == ("Which organ?\n", ("Liver", "Lung (left)"))
        and "Answer" in found.after
    )
    other = replace(
        sample, messages=(Message("user", ("Which organ?\n(A) Liver\n(B) Lung (left)",)), sample.messages[-1])
    )
    assert lettered(other) is not None and lettered(replace(sample, choices=("Liver", "Spleen"))) is None
    plain = question(asked("Is it? Answer yes or no.", target="no"))
    assert plain is not None and plain.stem == "Is it?" and edit(sample, lambda text: text) is None
    assert exact(asked("x", target="a"), Trace(sample.prompt, (Message("assistant", ("a",)),))).value == 1.0


def test_flips_and_the_worst_case(tmp_path: Path) -> None:
    def rows(name: str, values: str) -> Path:
        made = [
            {"sample": {"id": str(i)}, "scores": [{"value": float(v)}]}
            for i, v in enumerate(values)
            if v != "-"
        ]
        io.write_jsonl(tmp_path / name, made)
        return tmp_path / name

    before = {str(i): (float(v), "") for i, v in enumerate("11110000")}
    found = robustness(
        before,
        {
            "typo": rows("a", "1100110-"),
            "units": rows("b", "0111----"),
            "image_removed": rows("c", "00000000"),
            "laterality": None,
        },
    )
    typo = found["perturbations"]["typo"]
    assert (typo["n"], typo["broken"], typo["fixed"], typo["flips"]["mean"]) == (
        7,
        2,
        2,
        pytest.approx(4 / 7),
    )
    assert typo["difference"] == pytest.approx(0.0) and found["perturbations"]["laterality"]["n"] == 0
    assert found["worst"]["n"] == 7 and found["worst"]["mean"] == pytest.approx(1 / 7), (
        "what a sound model cannot know is no failure"
    )
    assert found["perturbations"]["image_removed"]["expects"] == "lost" and typo["p_holm"] >= typo["p"]
