"""Rows that teach a difference are no copies; copies are found however their letters are written; a term is
no leak of the term beside it."""

import pytest

from medxiaohe.data.duplicates.contrasts import contrast, differ
from medxiaohe.data.duplicates.decontamination import TestItems
from medxiaohe.data.duplicates.near_images import Lens
from medxiaohe.data.duplicates.overlap import words
from medxiaohe.data.duplicates.readable import readable
from medxiaohe.types import Message, Sample

CASE = (
    "A woman of 45 years has had cough and fever for three days. Crackles are heard over the right lower"
    " lobe. Her creatinine is 0.9 mg/dL. She says that she is not allergic to penicillin. Warfarin is taken"
    " 2.5 mg a day."
)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("creatinine is 0.9", "creatinine is 4.9", "numbers"),
        ("2.5 mg", "25 mg", "numbers"),
        ("right lower", "left lower", "sides"),
        ("is not allergic", "is allergic", "denials"),
        ("Warfarin", "Apixaban", "drugs"),
        ("Crackles are heard", "Crackles were heard", ""),
        ("She says that", "She tells us that", ""),
        ("Crackles are", "On examination of the chest by the doctor crackles are", ""),
    ],
)
def test_two_texts_differ_in_what_changes_an_answer(old: str, new: str, reason: str) -> None:
    changed = CASE.replace(old, new)
    assert changed != CASE and differ(CASE, changed) == differ(changed, CASE) == reason


def test_sides_that_change_places_are_another_report() -> None:
    one, other = ("left", "right"), ("right", "left")
    reports = ("There is a small {} effusion. The {} lung is clear.".format(*sides) for sides in (one, other))
    assert differ(*reports) == "sides"


def test_signs_are_numbers_and_other_answers_are_another_row() -> None:
    assert differ("The effect was seen at p < 0.05.", "The effect was seen at p > 0.05.") == "numbers"
    one, other = (
        Sample("", (Message("user", (CASE,)), Message("assistant", (said,))))
        for said in ("Amoxicillin", "Doxycycline")
    )
    assert contrast(one, other) == "answers" and contrast(one, one) == ""


def test_a_text_is_read_in_the_letters_that_it_looks_like() -> None:
    plain = "What is the best drug for 5% of patients with tuberculosis < 3 years?"
    for written in (
        plain.replace("a", "\u0430").replace("e", "\u0435").replace("o", "\u043e"),
        "\u200b".join(plain),
        plain.replace("<", "&lt;").replace("5%", "5&#37;"),
        "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in plain),
    ):
        assert readable(written) == plain and words(written) == words(plain)
    for other in ("Что такое сахарный диабет?", "β-blocker α", "R&D of drugs", "患者发热三天"):
        assert readable(other) == other


def kind_of(name: str, number: int, answer: str = "disease") -> Sample:
    options = ("anatomy", "disease", "chemical", "phenotype")
    asked = f"What kind of medical term is '{name}'? Answer with one of: {', '.join(options)}."
    messages = (Message("user", (asked,)), Message("assistant", (answer,)))
    return Sample(f"t/{number}", messages, source="terms", choices=options, target=answer)


ITEMS = [
    "basion",
    "pupa",
    "skin lipoma",
    "tubular adenocarcinoma",
    "borane",
    "acquired secondary polycythemia",
]
ITEMS += [
    "fanconi anemia complementation group R",
    "sulfonamide",
    "renal colic",
    "measles",
    "gout",
    "iron lung",
]


@pytest.mark.parametrize(
    "name",
    ["nasion", "pulp erosion", "VIPoma", "gastric tubular adenocarcinoma", "acquired polycythemia",
     "orange urine",
     "fanconi anemia complementation group A", "sulfinamide", "biliary colic"],
)  # fmt: skip
def test_a_term_is_no_leak_of_another_one(name: str) -> None:
    items = TestItems([kind_of(one, n) for n, one in enumerate(ITEMS)], Lens())
    assert items.find(kind_of(name, 99)) is None


@pytest.mark.parametrize("name", ITEMS)
def test_the_same_term_is_a_leak_also_when_its_options_are_in_another_order(name: str) -> None:
    items = TestItems([kind_of(one, n) for n, one in enumerate(ITEMS)], Lens())
    asked = (
        f"What kind of medical term is '{name}'? Answer with one of: disease, phenotype, anatomy, chemical."
    )
    assert items.find(Sample("x", (Message("user", (asked,)),), source="web"))
    hidden = asked.replace("o", "\u043e").replace("'", "&#39;")
    assert items.find(Sample("x", (Message("user", (hidden,)),), source="web"))
