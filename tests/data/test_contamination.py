"""Leaks of test items: edited questions, transformed images and ids are found (peers.md G2), and training
asks for the report."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli.parser import parser
from medxiaohe.data.curate import Against, CurateSettings, curate
from medxiaohe.data.duplicates import planted_leaks
from medxiaohe.data.mixture import MixtureSettings, mixture
from medxiaohe.errors import ConfigError
from medxiaohe.train.loop.contamination_check import carry, refuse_unchecked, report
from medxiaohe.types import Message, Sample

pytest.importorskip("numpy")
pytest.importorskip("PIL")
WORDS = """patient chronic fever cough dyspnea lung heart liver kidney brain lesion tumor biopsy serum plasma
dose trial cohort
median survival risk factor therapy infusion bolus surgery resection margin nodule effusion opacity fracture
onset relapse marker
antigen antibody receptor enzyme pathway mutation variant allele carrier infant adult woman smoker diabetic
episode admission""".split()


def prose(seed: object, words: int) -> str:
    dice = random.Random(str(seed))
    return " ".join(dice.choice(WORDS) for _ in range(words))


def exam(number: int) -> Sample:
    """A question of 13 to 40 words with four options, as a task asks it."""
    dice = random.Random(number)
    options = tuple(prose(f"{number} {i}", 3) for i in range(4))
    asked = f"{prose(number, dice.randint(13, 40))}?\n" + "\n".join(
        f"{'ABCD'[i]}. {option}" for i, option in enumerate(options)
    )
    messages = (Message("user", (f"{asked}\nAnswer with the letter.",)), Message("assistant", ("A",)))
    return Sample(
        f"t{number}", messages, choices=options, target="A", source="exam", license="CC0-1.0", split="test"
    )


def find(items: list[Sample], samples: list[Sample]) -> set[str]:
    from medxiaohe.data.duplicates.decontamination import TestItems
    from medxiaohe.data.duplicates.near_images import Lens

    index = TestItems(items, Lens())
    return {sample.id for sample in samples if index.find(sample)}


@pytest.mark.parametrize("kind", list(planted_leaks.TEXT_EDITS))
def test_nineteen_of_twenty_lightly_edited_questions_are_found_and_all_verbatim_ones(kind: str) -> None:
    items, dice = [exam(number) for number in range(100)], random.Random(0)
    samples = []
    for number, item in enumerate(items):
        question, options = planted_leaks.question_of(item)
        edited = planted_leaks.TEXT_EDITS[kind](
            question.replace("\nAnswer with the letter.", ""), options, dice
        )
        around = f"{prose(f'x{number}', 60)}\n{edited}\n{prose(f'y{number}', 60)}"
        samples.append(Sample(item.id, (Message("document", (around,)),), source="docs"))
    assert len(find(items, samples)) >= (100 if kind == "verbatim" else 95)


def test_other_texts_of_the_same_words_are_no_leak() -> None:
    samples = [
        Sample(f"c{n}", (Message("document", (prose(f"clean {n}", 150),)),), source="docs")
        for n in range(1000)
    ]
    assert len(find([exam(number) for number in range(100)], samples)) <= 1


def test_a_question_is_found_when_the_one_word_that_tells_it_from_others_is_mistyped() -> None:
    names = [
        f"{a}{b}"
        for a in ("Chila", "Marfu", "Kabu", "Noona", "Alport")
        for b in ("ditis", "kinosis", "renia", "tomia")
    ]
    items = [
        Sample(
            f"t{i}",
            (Message("user", (f"What are the symptoms of {name} in small children?",)),),
            source="quiz",
            study_id=f"study{i}",
        )
        for i, name in enumerate(names)
    ]
    asked = {
        "leak": "What are the symptoms of Kaburrenia in small children?",
        "another": "What are the symptoms of measles in small children?",
        "far": "Kaburrenia was described long ago; nobody has studied what small dogs have of it since.",
    }
    assert find(
        items, [Sample(id, (Message("user", (text,)),), source="web") for id, text in asked.items()]
    ) == {"leak"}


def test_a_short_question_with_half_of_its_options_leaks_and_without_them_does_not() -> None:
    options = ("Vitamin C", "Vitamin D", "Folic acid", "Zinc")
    item = Sample(
        "t",
        (Message("user", ("What cures scurvy?",)), Message("assistant", ("A",))),
        choices=options,
        source="exam",
    )
    with_options = Sample(
        "a", (Message("document", ("Quiz. What cures scurvy? (a) zinc (b) vitamin C (c) iron",)),)
    )
    without = Sample("b", (Message("document", ("Quiz. What cures scurvy? Lemons did.",)),))
    assert find([item], [with_options, without]) == {"a"}


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        ("An old page.\nWhat is acromegaly?\nA disease of growth.", True),
        ("Dr. Low asked: \u201cwhat is acromegaly?\u201d Nobody knew.", True),
        ("Frequently asked\nWhat is acromegaly\nA disease of growth.", True),
        ("什么。What is acromegaly？", True),
        ("Nobody told us what is acromegaly and what is not.", False),
        ("They asked what is acromegaly? Nobody knew.", False),
        ("What is acromegaly like? A disease of growth.", False),
        ("What is acromegaly. It is a disease of growth.", False),
    ],
)
def test_a_short_question_without_options_leaks_where_it_stands_alone(text: str, leaks: bool) -> None:
    item = Sample(
        "t",
        (Message("user", ("What is acromegaly?",)), Message("assistant", ("Too much growth hormone.",))),
        source="exam",
    )
    assert find([item], [Sample("a", (Message("document", (text,)),))]) == ({"a"} if leaks else set())


def test_a_question_of_two_words_leaks_with_all_of_its_options() -> None:
    options = ("most frequent value", "middle value", "sum over number", "half of the range")
    item = Sample(
        "t", (Message("user", ("Mode is",)), Message("assistant", ("A",))), choices=options, source="exam"
    )
    shown = "Quiz. Mode is A. most frequent value B. middle value C. sum over number D. half of the range"
    whole = Sample("a", (Message("document", (shown,)),))
    half = Sample(
        "b", (Message("document", ("The mode is the most frequent value, the median the middle value.",)),)
    )
    assert find([item], [whole, half]) == {"a"}


def test_a_question_that_many_items_ask_leaks_with_its_options_alone() -> None:
    asked = "Which of the following is true?"
    items = [
        Sample(f"t{i}", (Message("user", (asked,)), Message("assistant", ("A",))),
        choices=tuple(prose(f"{i} {j}", 3) for j in range(4)),
               source="exam", study_id=f"s{i}")
        for i in range(8)
    ]  # fmt: skip
    other = Sample("other", (Message("user", (asked + " A. the sky B. the sea C. the sun",)),))
    same = Sample("same", (Message("user", (f"{asked} " + " ".join(items[3].choices),)),))
    assert find(items, [other, same]) == {"same"}


def test_one_article_has_one_id_however_it_is_written() -> None:
    item = Sample("t", (Message("user", ("Why?",)),), source="exam", study_id="PMID:17244100")
    doi = Sample("d", (Message("user", ("How?",)),), source="exam", study_id="10.1001/jama.2020.1585")
    written = (
        "17244100",
        "PMID 17244100",
        "https://pubmed.ncbi.nlm.nih.gov/17244100/",
        "https://doi.org/10.1001/JAMA.2020.1585",
        "17244101",
    )
    samples = [
        Sample(id, (Message("document", ("Other words.",)),), source="docs", study_id=id) for id in written
    ]
    assert find([item, doi], samples) == set(written[:4])


def picture(seed: int) -> "object":
    """Smooth shapes with some detail, unlike for every seed."""
    import numpy as np
    from PIL import Image

    dice = np.random.default_rng(seed)
    sides = ((5, 160), (20, 60))
    layers = [
        np.asarray(Image.fromarray(dice.integers(0, most, (n, n), np.uint8)).resize((256, 256), 3), float)
        for n, most in sides
    ]
    return Image.fromarray((layers[0] + layers[1] + 16).clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("kind", list(planted_leaks.IMAGE_EDITS))
def test_a_transformed_image_is_found_and_others_are_not(kind: str, tmp_path: Path) -> None:
    from medxiaohe import images
    from medxiaohe.data.duplicates.near_images import Gallery, Look, look

    def seen(image: "object") -> Look:
        image.save(tmp_path / "x.png")  # type: ignore[attr-defined]
        return look(images.ref(tmp_path / "x.png"))

    gallery, dice = Gallery(), random.Random(kind)
    for seed in range(30):
        gallery.add(seen(picture(seed)), str(seed))
    found = [
        [name for name, _ in gallery.find(seen(planted_leaks.IMAGE_EDITS[kind](picture(seed), dice)))]
        for seed in range(20)
    ]  # type: ignore[arg-type]
    assert sum(names == [str(seed)] for seed, names in enumerate(found)) >= 19
    assert not any(list(gallery.find(seen(picture(seed)))) for seed in range(100, 110))


def curated(folder: Path, samples: list[Sample], against: tuple[Against, ...]) -> Path:
    io.write_jsonl(folder / "corpus" / "samples.jsonl", samples)
    (folder / "curated").mkdir()
    curate(CurateSettings(against=against, filters=()), folder / "curated", corpus=folder / "corpus")
    return folder / "curated"


def test_held_out_rows_of_the_corpus_are_test_items_too_and_the_page_shows_both_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Sample(
        "own/kept",
        (Message("user", (prose("kept", 20),)), Message("assistant", ("Yes.",))),
        source="own",
        split="train",
    )
    test = Sample(
        "own/test",
        (Message("user", (prose("test", 20),)), Message("assistant", ("No.",))),
        source="own",
        split="test",
    )
    copy = Sample(
        "own/copy",
        (Message("user", (f"Please: {prose('test', 20)}",)), Message("assistant", ("No.",))),
        source="own",
        split="train",
    )
    folder = curated(tmp_path, [kept, test, copy], (Against("held_out"),))
    assert [sample.id for sample in io.read_samples(folder / "samples.jsonl")] == ["own/kept"]
    args = parser().parse_args(
        ["data", "contamination", str(folder / "contamination.json"), "--out", str(tmp_path / "leaks.html")]
    )
    from medxiaohe.cli.contamination import contamination

    assert contamination(args) == 1
    html = (tmp_path / "leaks.html").read_text()
    assert (
        "own/copy" in html
        and "own/test" in html
        and "Leaked items" in html
        and "held_out" in capsys.readouterr().out
    )


def test_training_refuses_rows_that_were_compared_with_no_test_split(tmp_path: Path) -> None:
    rows = [
        Sample(f"own/{n}", (Message("user", (prose(n, 20),)), Message("assistant", ("Yes.",))), source="own")
        for n in range(4)
    ]
    held_out = Sample(
        "own/t",
        (Message("user", (prose("t", 20),)), Message("assistant", ("No.",))),
        source="own",
        split="test",
    )
    for name, against in (("unchecked", ()), ("checked", (Against("held_out"),))):
        (tmp_path / name).mkdir()
        folder = curated(tmp_path / name, [*rows, held_out], against)
        (tmp_path / name / "mixture").mkdir()
        mixture(MixtureSettings(instructions=4), tmp_path / name / "mixture", data=folder)
    refuse_unchecked(tmp_path / "checked" / "mixture", False, "supervised fine-tuning")
    found = report(tmp_path / "checked" / "mixture")
    assert found["checked"] == {"held_out": 1} and found["removed"] == 0
    assert found["report"] == io.sha256(tmp_path / "checked" / "curated" / "contamination.json")
    for folder in (tmp_path / "unchecked" / "mixture", tmp_path / "corpus"):
        with pytest.raises(ConfigError, match=r"was compared with no test split.*allow_contaminated: true"):
            refuse_unchecked(folder, False, "supervised fine-tuning")
        refuse_unchecked(folder, True, "supervised fine-tuning")
    (tmp_path / "rft").mkdir()
    carry(tmp_path / "checked" / "mixture", tmp_path / "rft")
    assert json.loads((tmp_path / "rft" / "mixture.json").read_text())["contamination"] == found


def test_compiled_and_plain_hashes_of_words_are_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from medxiaohe.data.duplicates import overlap

    pytest.importorskip("numba")
    dice = random.Random(1)
    texts = ["", "A", "a1_b-c  D", "Heart-rate 72/min, (p<0.05). x_y", "word " * 30]
    texts += ["".join(chr(dice.randrange(1, 127)) for _ in range(300)) for _ in range(100)]
    mix = np.random.default_rng(1).integers(0, 2**63, (20, 6), np.uint64) * np.uint64(2) + np.uint64(1)
    factors = np.random.default_rng(0).integers(0, 2**31, 120, np.uint32) * np.uint32(2) + np.uint32(1)

    def numbers() -> list[list[int]]:
        overlap.word_codes.cache_clear()
        hashes = [array for text in texts for array in (overlap.word_codes(text), overlap.grams(text, 5))]
        return [
            array.tolist()
            for array in (*hashes, *(np.array(overlap.bands(text, 3, factors, mix)) for text in texts))
        ]

    assert overlap._fast() is not None
    compiled = numbers()
    monkeypatch.setattr(overlap, "_fast", lambda: None)
    assert numbers() == compiled
    overlap.word_codes.cache_clear()


def test_a_task_may_be_looked_for_without_its_words(tmp_path: Path) -> None:
    text = prose("report", 30)
    train = Sample(
        "own/a",
        (Message("user", (text,)), Message("assistant", ("Normal.",))),
        source="own",
        patient_id="p1",
        split="train",
    )
    test = replace(train, id="own/t", patient_id="p2", split="test")
    for words in (True, False):
        (tmp_path / str(words)).mkdir()
        other = Sample(
            "own/b",
            (Message("user", (prose("b", 30),)), Message("assistant", ("Normal.",))),
            source="own",
            split="train",
        )
        folder = curated(tmp_path / str(words), [train, other, test], (Against("held_out", words=words),))
        assert [s.id for s in io.read_samples(folder / "samples.jsonl")] == (
            ["own/b"] if words else ["own/a", "own/b"]
        )
