"""The hybrid reward: the order of totals is that of correctness, what must earn nothing earns exactly 0, and
what process and form add."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import golden_suite
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rewards_for_tests import IDS, QUICK, RULES, SHAPES, WEIGHTS, rewarded, says

from medxiaohe.errors import ConfigError
from medxiaohe.rewards import attacks, process, shaping
from medxiaohe.rewards.hybrid import Reward, Weights, answered, hybrid
from medxiaohe.rewards.steps import FINEST, common, step, whole_steps
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import choice
from medxiaohe.scoring.dose import EXAMPLE as DOSE
from medxiaohe.scoring.dose import dose
from medxiaohe.scoring.entity import EXAMPLE as ENTITY
from medxiaohe.scoring.entity import entity
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.rules import RuleJudge
from medxiaohe.scoring.numeric import EXAMPLE as NUMERIC
from medxiaohe.scoring.numeric import numeric
from medxiaohe.scoring.one_of import EXAMPLE as ONE_OF
from medxiaohe.scoring.one_of import one_of
from medxiaohe.scoring.rubric import EXAMPLE as RUBRIC
from medxiaohe.scoring.rubric import clipped, to_target
from medxiaohe.types import Message, Sample, Score, Trace

# ---- order ---------------------------------------------------------------------------------------------


@QUICK
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3),
    SHAPES,
    SHAPES,
    WEIGHTS,
    st.data(),
)
def test_no_form_makes_a_worse_answer_beat_a_better_one(
    values: list[tuple[float, float]], one: str, other: str, weights: Weights, data: st.DataObject
) -> None:
    """Any scorers, any weights, any two forms: the order of the totals is that of c, and what has no c has no
    reward."""
    shares = [data.draw(st.sampled_from([0.1, 0.3, 1.0, 2.5])) for _ in values]
    first = hybrid(
        CHOICE,
        answered(CHOICE, one),
        [(says(a, "f1"), w) for (a, _), w in zip(values, shares, strict=True)],
        weights,
    )  # type: ignore[misc]
    second = hybrid(
        CHOICE,
        answered(CHOICE, other),
        [(says(b, "f1"), w) for (_, b), w in zip(values, shares, strict=True)],
        weights,
    )  # type: ignore[misc]
    assert (
        first.total is not None
        and second.total is not None
        and first.correct is not None
        and second.correct is not None
    )
    if first.correct != second.correct:
        assert (first.total < second.total) == (first.correct < second.correct)
    for reward, said in ((first, [a for a, _ in values]), (second, [b for _, b in values])):
        assert (reward.total == 0) == (not any(said)) and reward.total >= 0


@QUICK
@given(SHAPES, SHAPES, WEIGHTS)
def test_no_form_makes_a_wrong_answer_beat_a_right_one(one: str, other: str, weights: Weights) -> None:
    wrong, right = (
        hybrid(CHOICE, answered(CHOICE, s), [(says(v), 1.0)], weights) for s, v in ((one, 0.0), (other, 1.0))
    )  # type: ignore[list-item]
    assert wrong.total == 0.0 and right.total is not None and right.total > 0.5


@QUICK
@given(
    st.lists(st.integers(-10, 10).filter(bool), min_size=1, max_size=8).filter(lambda p: max(p) > 0),
    st.data(),
    WEIGHTS,
)
def test_a_rubric_with_one_more_point_is_worth_more_in_any_form(
    points: list[int], data: st.DataObject, weights: Weights
) -> None:
    sample = replace(RUBRIC, target=to_target((f"c{i}", p) for i, p in enumerate(points)))
    total = sum(p for p in points if p > 0)
    met = [data.draw(st.lists(st.booleans(), min_size=len(points), max_size=len(points))) for _ in range(2)]
    values = [
        min(1.0, max(0.0, sum(p for p, m in zip(points, row, strict=True) if m) / total)) for row in met
    ]
    shapes = [data.draw(SHAPES), data.draw(SHAPES)]
    rewards = [
        hybrid(sample, answered(sample, shape), [(says(value, "rubric.clipped"), 1.0)], weights)  # type: ignore[list-item]
        for shape, value in zip(shapes, values, strict=True)
    ]
    (a, b), (x, y) = values, (r.total for r in rewards)
    assert x is not None and y is not None
    if abs(a - b) >= FINEST:
        assert (x < y) == (a < b)


@QUICK
@given(st.lists(st.floats(0, 1), min_size=2, max_size=20), SHAPES)
def test_the_total_grows_with_correctness(values: list[float], shape: str) -> None:
    totals = [rewarded(CHOICE, shape, says(value, "f1")).total for value in sorted(values)]
    assert totals == sorted(totals)  # type: ignore[type-var]


@given(
    st.lists(
        st.fractions(min_value=Fraction(1, 50), max_value=20, max_denominator=60), min_size=1, max_size=5
    )
)
def test_the_common_step_divides_every_part(parts: list[Fraction]) -> None:
    assert all((part / common(parts)).denominator == 1 for part in parts)


def test_steps_are_those_of_the_scorers() -> None:
    assert step([CHOICE], [Score("choice", 1.0)], [1.0]) == 1
    assert step([CHOICE] * 2, [Score("choice", 1.0), Score("yes_no", 0.0)], [2.0, 1.0]) == Fraction(1, 3)
    # points 4, 6 and -5 of 10
    assert step([RUBRIC], [Score("rubric.clipped", 0.4)], [1.0]) == Fraction(1, 10)
    assert step([CHOICE], [Score("token_f1", 0.4)], [1.0]) == FINEST
    assert whole_steps([0.001], [1.0], FINEST) == FINEST and whole_steps([0.999], [1.0], FINEST) == 1 - FINEST


# ---- what earns exactly nothing, and what nobody could judge ------------------------------------------


@QUICK
@given(st.sampled_from([0.0, 0.3, 1.0, None]), SHAPES, WEIGHTS)
def test_a_violation_earns_exactly_nothing(value: float | None, shape: str, weights: Weights) -> None:
    reward = hybrid(CHOICE, answered(CHOICE, shape), [(says(value), 1.0)], weights, [lambda s, t: "it kills"])  # type: ignore[list-item]
    assert reward.total == 0.0 and reward.status == "unsafe" and "it kills" in reward.why


def test_the_gate_can_be_opened() -> None:
    reward = hybrid(
        CHOICE, answered(CHOICE, "B"), [(says(1.0), 1.0)], Weights(gate=False), [lambda s, t: "it kills"]
    )  # type: ignore[list-item]
    assert reward.total is not None and reward.total > 0.5


@QUICK
@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, None]), min_size=1, max_size=4).filter(lambda v: None in v),
    SHAPES,
)
def test_one_unjudged_score_leaves_the_reward_unjudged(values: list[float | None], shape: str) -> None:
    reward = hybrid(CHOICE, answered(CHOICE, shape), [(says(value), 1.0) for value in values])  # type: ignore[misc]
    assert reward.total is None and reward.status == "unjudged"


@pytest.mark.parametrize(("sample", "scorer"), RULES, ids=IDS)
def test_an_attack_on_a_rule_earns_nothing_and_the_gold_something(sample: Sample, scorer: object) -> None:
    whole = partial(_total, scorer)
    assert attacks.earned(whole, [sample]) == []
    gold = whole(sample, answered(sample, sample.messages[-1].text))
    assert gold.total is not None and gold.total >= 0.5


def test_an_attack_on_a_name_of_the_tree_earns_nothing(tmp_path: Path) -> None:
    known = partial(entity, tree=golden_suite.tree(tmp_path))
    assert attacks.earned(partial(_total, known), [ENTITY]) == []
    assert rewarded(ENTITY, "Marfan's syndrome", known).total >= 0.5  # type: ignore[operator]


def test_an_attack_on_a_rubric_earns_nothing() -> None:
    """With the judge of rules; a judge that is a model is held to the same by its self-test before every
    run."""
    stuffed = "wash wound water tetanus booster needed antibiotics last shot years nail rusty"
    with use.using(RuleJudge.of()):
        assert attacks.earned(partial(_total, clipped), [RUBRIC]) == []
        assert (
            rewarded(RUBRIC, "Do not wash the wound with water. No tetanus booster is needed.", clipped).total
            == 0.0
        )
        assert rewarded(RUBRIC, RUBRIC.messages[-1].text, clipped).total > 0.9  # type: ignore[operator]
        found = rewarded(RUBRIC, stuffed, clipped)
    assert found.total is None or found.total == 0.0 or "keyword" in KNOWN_WEAK, found


# the judge of rules reads words, not meaning: docs/rewards.md says so
KNOWN_WEAK: tuple[str, ...] = ("keyword",)


def _total(scorer: object, sample: Sample, trace: Trace) -> Reward:
    return hybrid(sample, trace, [(scorer, 1.0)])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("ending", "counts"),
    [
        (" or another one.", False),
        (" and other causes are rare.", True),
        (" It spreads from one person or another person.", True),
    ],
)
def test_a_hedge_takes_an_answer_back_and_a_reason_does_not(ending: str, counts: bool) -> None:
    assert (
        bool(
            rewarded(
                ONE_OF, f"The answer is disease.{ending}" if counts else f"It is a disease{ending}", one_of
            ).total
        )
        is counts
    )


def test_keyword_stuffing_earns_nothing_by_rule() -> None:
    for sample, scorer in ((ONE_OF, one_of), (CHOICE, choice), (DOSE, dose), (NUMERIC, numeric)):
        words = " ".join(
            [
                *sample.choices,
                "disease chemical liver spleen amoxicillin ampicillin 500 mg 250 mg 5.0 7.4 mmol/L",
            ]
        )
        assert rewarded(sample, words, scorer).total == 0.0


# ---- process and form -----------------------------------------------------------------------------------


CASE = Sample(
    "case",
    (
        Message(
            "user",
            (
                (
                    "A 54 year old woman has fever and dyspnea after a flight. Which diagnosis?\nA."
                    " pneumonia\nB. asthma\nC. embolism"
                ),
            ),
        ),
    ),
    target="C",
    choices=("pneumonia", "asthma", "embolism"),
)
GOOD = (
    "<think>The woman of 54 has dyspnea after a long flight, and her fever is mild. Pneumonia would explain"
    " fever, but the onset argues against it. Asthma is unlikely because no wheeze was heard. Embolism fits"
    " best since the flight is a risk.</think>Answer: C"
)


def test_process_rewards_reasoning_about_the_case() -> None:
    parts = process.parts(CASE, answered(CASE, GOOD))
    assert set(parts) == {"constraint_coverage", "logical_robustness", "exploration_depth"}
    empty = process.parts(
        CASE, answered(CASE, "<think>Let me think about this step by step.</think>Answer: C")
    )
    assert (
        all(parts[name] >= empty[name] for name in parts)
        and parts["constraint_coverage"] > empty["constraint_coverage"] + 0.5
    )
    assert parts["exploration_depth"] == 1.0 and empty["exploration_depth"] == 0.0
    assert process.parts(CASE, answered(CASE, "Answer: C")) == {}


@pytest.mark.parametrize(
    "thought",
    [
        "Asthma it is. B.",
        "There is dyspnea at rest. Dyspnea is absent. Embolism. C.",
        "Embolism, because the answer is C.",
    ],
)
def test_a_thought_that_contradicts_itself_or_its_answer_loses(thought: str) -> None:
    faulty = process.logical_robustness(thought, "Answer: C", CASE)
    assert (
        faulty < 1 == process.logical_robustness("The flight is a risk for embolism. C.", "Answer: C", CASE)
    )


def test_copying_the_case_is_worth_half_of_its_coverage() -> None:
    case = CASE.messages[0].text.split("Which")[0]
    wanted = process.constraints(CASE.messages[0].text)
    assert process.coverage(case, wanted) == 0.5 and process.coverage("", wanted) == 0.0


@given(st.text(alphabet="<>/thinkaswer x", max_size=80), st.integers(1, 50))
def test_form_stays_between_nothing_and_one(text: str, target: int) -> None:
    assert all(0.0 <= value <= 1.0 for value in shaping.parts(answered(CASE, text), target).values())
    assert (
        shaping.form("<think>a</think><answer>b</answer>")
        == 1.0
        > shaping.form("<answer>b</answer><think>a</think>")
    )


# ---- settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_", [{"shaping": 0.5}, {"shaping": -0.1}, {"length": -1.0}, {"target_words": 0}]
)
def test_weights_that_could_outweigh_correctness_are_refused(given_: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Weights(**given_)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs scorers"):
        hybrid(CHOICE, answered(CHOICE, "A"), [(choice, 0.0)])
