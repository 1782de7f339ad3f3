"""RadFact's measures, key points and preferences: their definitions on cases that are worked by hand."""

import json
import random
from dataclasses import replace

import pytest

from medxiaohe.errors import DataError
from medxiaohe.evidence import key_points, radfact, rubric
from medxiaohe.evidence.assembly import assemble
from medxiaohe.evidence.radfact import Phrase, covered, measure, phrases
from medxiaohe.rewards.hybrid import answered
from medxiaohe.rewards.variants import variants
from medxiaohe.tasks import bccd_report
from medxiaohe.types import (
    Claim,
    Evidence,
    Finding,
    ImageRef,
    Locator,
    Message,
    Ruling,
    Sample,
    Step,
    ToolResult,
    Trace,
)
from tests.evidence.drafts import AFFIRMED, DENIED, report

GOLD = (
    Phrase("There are two white blood cells, in the upper left.", ((10, 10, 110, 110), (150, 20, 250, 120))),
    Phrase("No platelets."),
)
SIZE = (640, 480)


def shares(report_: list[Phrase]) -> dict[str, tuple[int, int]]:
    return {name: (one.part, one.whole) for name, one in measure(report_, GOLD, size=SIZE).items()}


def test_boxes_belong_to_the_sentence_before_them() -> None:
    text = "Two cells. [[1, 2, 3, 4], [5, 6, 7, 8]] Thin smear. One more [9,10,11,12]."
    assert phrases(text) == [
        Phrase("Two cells.", ((1, 2, 3, 4), (5, 6, 7, 8))), Phrase("Thin smear."),
        Phrase("One more", ((9, 10, 11, 12),)),
    ]  # fmt: skip
    assert phrases("") == [] and phrases("[[1, 2, 3, 4]]") == []


def test_the_reference_against_itself_has_all_of_every_measure() -> None:
    found = measure(GOLD, GOLD, size=SIZE)
    assert all(found[name].value == 1 for name in radfact.MEASURES) and found["unjudged"].part == 0


def test_right_words_with_wrong_boxes_are_logical_and_not_spatial() -> None:
    found = shares([Phrase("There are two white blood cells.", ((400, 300, 500, 400), (10, 10, 110, 110)))])
    assert found["logical_precision"] == (1, 1)
    assert found["grounding_precision"] == found["spatial_precision"] == (0, 1)
    assert found["pointing"] == (1, 2)


def test_wrong_words_with_right_boxes_are_neither() -> None:
    found = shares([Phrase("There are three white blood cells.", GOLD[0].boxes)])
    assert found["logical_precision"] == (0, 1) and found["spatial_precision"] == (0, 1)
    assert found["grounding_precision"] == (0, 0), "grounding is of entailed phrases alone"
    assert found["pointing"] == (2, 2)


def test_a_share_of_pixels_is_that_of_counting_them() -> None:
    draw = random.Random(0)
    for _ in range(100):
        box = _box(draw)
        others = [_box(draw) for _ in range(4)]
        inside = [
            any(a <= x < c and b <= y < d for a, b, c, d in others)
            for x in range(box[0], box[2]) for y in range(box[1], box[3])
        ]  # fmt: skip
        assert covered(box, others) == pytest.approx(sum(inside) / len(inside))
    assert covered((5, 5, 5, 9), [(0, 0, 9, 9)]) == 0.0


def _box(draw: random.Random) -> tuple[int, int, int, int]:
    left, top = draw.randrange(20), draw.randrange(20)
    return left, top, left + draw.randrange(1, 9), top + draw.randrange(1, 9)


def test_a_report_without_a_box_is_not_grounded_and_a_reference_without_one_is_not_judged() -> None:
    item = bccd_report.example()
    words = answered(item, "There is one white blood cell, in the upper left.")
    assert radfact.radfact(item, words, width=640, height=480).value == 1
    assert radfact.radfact(item, words, measure_of="spatial_precision", width=640, height=480).value == 0
    plain = Sample("x", (Message("user", ("Report?",)), Message("assistant", ("Small left effusion.",))))
    score = radfact.radfact(plain, answered(plain, "Small left effusion."), measure_of="pointing")
    assert (score.value, score.status) == (None, "unjudged")


def test_a_report_of_the_workflow_has_the_boxes_of_the_evidence_that_its_claims_name() -> None:
    item = bccd_report.example()  # one cell at 200, 90, 330, 220
    seen = ImageRef("example.jpg", sha256="ab" * 32)

    def made(box: tuple[int, int, int, int]) -> Trace:
        words = f"white cell at {list(box)} of 640 x 480 pixels"
        region = Evidence("detect/1", words, "example.jpg", (seen,), kind="region", at=Locator(box=box))
        call = ToolResult("1", ("1 white cells",), (region,))
        report_ = assemble("Two platelets.", [region])
        trace = answered(item, report_.text)
        steps = (Step(0, "use", "detect", got=call),)
        return replace(trace, steps=steps, claims=report_.claims, rulings=report_.rulings)

    def value(trace: Trace, name: str) -> float | None:
        return radfact.radfact(item, trace, measure_of=name, width=640, height=480).value

    right = made((205, 90, 330, 220))
    assert "Limits:" in right.answer and all(value(right, name) == 1 for name in radfact.MEASURES)
    beside = made((20, 90, 150, 220))
    assert value(beside, "logical_precision") == 1, "the same quarter of the picture"
    assert value(beside, "grounding_precision") == value(beside, "pointing") == 0
    assert value(replace(right, claims=()), "spatial_precision") == 0, "boxes are those of the claims alone"


# ---- key points ----------------------------------------------------------------------------------

RECORD = "Small left pleural effusion. The heart is enlarged. No pneumothorax."
POINTS = ("Small left pleural effusion.", "Cardiomegaly.")


@pytest.mark.parametrize(
    ("reply", "covered_", "false"),
    [
        ("Small left pleural effusion. Cardiomegaly.", 2, 0),
        ("Cardiomegaly.", 1, 0),
        ("Cardiomegaly. Right pneumothorax.", 1, 1),
        ("Normal heart size. There is a lung mass.", 0, 2),
        ("No pneumothorax.", 0, 0),
    ],
)
def test_points_that_are_covered_count_and_false_statements_take_away(
    reply: str, covered_: int, false: int
) -> None:
    found = key_points.count(reply, POINTS, RECORD)
    assert (found.covered, found.false, found.points) == (covered_, false, 2)
    assert found.value == max(0, covered_ - false) / 2


@pytest.mark.parametrize("target", ["", "[]", '{"points": []}', '{"record": "x"}', "{"])
def test_a_target_without_points_is_refused(target: str) -> None:
    item = Sample("x", (Message("user", ("?",)),), target)
    with pytest.raises(DataError, match="must be JSON"):
        key_points.key_points(item, answered(item, "Cardiomegaly."))


# ---- preferences ----------------------------------------------------------------------------------


def sample(gold: str, asked: str = "Write the report.") -> Sample:
    return Sample("r/1", (Message("user", (asked,)), Message("assistant", (gold,))))


def met(
    name: str, reply: str, gold: str = "Small left effusion. No pneumothorax.", asked: str = "?"
) -> object:
    one = next(row for row in rubric.static() if row.by == name)
    return rubric.decided(one, rubric.read(answered(sample(gold, asked), reply), gold))


def test_ten_criteria_of_which_eight_are_rules() -> None:
    rows = rubric.static()
    assert len(rows) == 10 and sum(row.by == rubric.JUDGE for row in rows) == 2
    assert {row.by for row in rows} - {rubric.JUDGE} == set(rubric.RULES)


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        ("positives_first", "Small left effusion. No pneumothorax.", "No pneumothorax. Small left effusion."),
        ("said_once", "Small left effusion.", "Small left effusion. Cardiomegaly. Left effusion."),
        ("hedges_fit", "Small left effusion.", "Possible effusion. Possible pneumonia."),
        ("length_in_band", "Small left effusion. No pneumothorax.", "Effusion."),
        ("no_own_advice", "Small left effusion.", "Small left effusion. Recommend CT."),
        ("sizes_have_units", "A nodule measures 8 mm.", "A nodule measures 8 today."),
        ("no_absent_prior", "Small left effusion.", "The effusion is unchanged from the prior exam."),
    ],
)
def test_each_rule_tells_a_good_report_from_a_bad_one(rule: str, good: str, bad: str) -> None:
    assert met(rule, good) is True and met(rule, bad) is False


def test_a_comparison_is_right_where_an_earlier_study_is_given() -> None:
    asked = "Comparison: chest film of last week. Write the report."
    assert met("no_absent_prior", "The effusion is unchanged from the prior exam.", asked=asked) is True


def test_limits_and_hedges_are_held_against_the_rulings_of_the_trace() -> None:
    from dataclasses import replace

    item = sample("Small left effusion.")
    claim = Claim("c1", "Possible effusion.", finding=Finding("pleural effusion"))
    for label, text, good in (
        ("supported", "Possible effusion.", False),
        ("unjudged", "Possible effusion.", True),
    ):
        trace = replace(answered(item, text), claims=(claim,), rulings=(Ruling("c1", label),))
        written = rubric.read(trace, "Small left effusion.")
        assert rubric.hedges_fit(written) is good
        assert rubric.limits_stated(written) is (None if label == "supported" else False)


def test_dynamic_criteria_are_those_of_the_item() -> None:
    gold = "Small left effusion. No pneumothorax."
    by = {one.by: one.points for one in rubric.dynamic(gold)}
    assert by == {"states:pleural effusion": 2.0, "affirms denied:pneumothorax": 1.0}
    item = sample(gold)
    good, poor = (
        rubric.rated(item, answered(item, text)) for text in (gold, "Pneumothorax. Small left nodule.")
    )
    assert good.value == 1.0 and poor.value == pytest.approx(8 / 11)


@pytest.mark.parametrize("kind", ["list", "length", "form"])
def test_the_same_facts_in_another_form_score_within_two_hundredths(kind: str) -> None:
    for seed in range(20):
        text = report(seed, (AFFIRMED, DENIED), 6)
        item = sample(text)
        own = rubric.rated(item, answered(item, text)).value
        for _, other in variants(text, seed, kinds=(kind,)):
            value = rubric.rated(item, answered(item, other)).value
            assert own is not None and value is not None and abs(own - value) <= 0.02, (text, other)


@pytest.mark.parametrize("row", [{"name": "x"}, {"name": "x", "text": "y", "points": 1, "by": "nobody"}])
def test_a_criterion_that_is_none_names_its_line(row: dict[str, object], tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "rubric.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"rubric\.jsonl:1"):
        rubric.static(file)
