"""The hybrid reward has the properties that MX-29 states, and what must earn nothing earns exactly 0
(systems.md 1e, item 4)."""

import json
import random
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import golden_suite
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.rewards import attacks, exports, process, rubrics, shaping, variants
from medxiaohe.rewards.hybrid import PARTS, Reward, Weights, answered, hybrid, hybrid_many
from medxiaohe.rewards.steps import FINEST, common, step, whole_steps
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import choice
from medxiaohe.scoring.choices import EXAMPLE as CHOICES
from medxiaohe.scoring.choices import choices
from medxiaohe.scoring.code import EXAMPLE as CODE
from medxiaohe.scoring.code import code
from medxiaohe.scoring.dose import EXAMPLE as DOSE
from medxiaohe.scoring.dose import dose
from medxiaohe.scoring.entity import EXAMPLE as ENTITY
from medxiaohe.scoring.entity import entity
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.questions import ABSTAINED, LABELS, Question, Verdict
from medxiaohe.scoring.judges.rules import RuleJudge
from medxiaohe.scoring.numeric import EXAMPLE as NUMERIC
from medxiaohe.scoring.numeric import numeric
from medxiaohe.scoring.one_of import EXAMPLE as ONE_OF
from medxiaohe.scoring.one_of import one_of
from medxiaohe.scoring.regex import EXAMPLE as REGEX
from medxiaohe.scoring.regex import regex
from medxiaohe.scoring.rubric import EXAMPLE as RUBRIC
from medxiaohe.scoring.rubric import clipped, criteria, to_target
from medxiaohe.scoring.string import EXAMPLE as STRING
from medxiaohe.scoring.string import string
from medxiaohe.scoring.yes_no import EXAMPLE as YES_NO
from medxiaohe.scoring.yes_no import yes_no
from medxiaohe.types import Message, Sample, Score, Trace

QUICK = settings(max_examples=80, deadline=None)
RULES = [
    (CHOICE, choice),
    (CHOICES, choices),
    (YES_NO, yes_no),
    (ONE_OF, one_of),
    (NUMERIC, numeric),
    (STRING, string),
    (REGEX, regex),
]
RULES += [(CODE, code), (DOSE, dose)]
IDS = [scorer.__name__ for _, scorer in RULES]
SHAPES = st.sampled_from(
    [
        "{}",
        "<think>x</think>{}",
        "<think>{}</think><answer>{}</answer>",
        "</think>{}<think>",
        "{}" + " word" * 900,
    ]
)
WEIGHTS = st.builds(
    Weights,
    shaping=st.floats(0, 0.499),
    **{name: st.floats(0, 9) for name in PARTS},
    target_words=st.integers(1, 500),
)


def says(value: float | None, name: str = "choice") -> object:
    """A scorer that always says this value."""
    status = "unjudged" if value is None else "judged"
    return lambda sample, trace: Score(name, value, status, why="said so")


def rewarded(sample: Sample, reply: str, scorer: object, **options: object) -> Reward:
    return hybrid(sample, answered(sample, reply), [(scorer, 1.0)], **options)  # type: ignore[list-item, arg-type]


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


# ---- rubrics -------------------------------------------------------------------------------------------


class Abstains:
    """Met where the text has the criterion in it; abstains where told to."""

    name = "in it"

    def __init__(self, on: str = "") -> None:
        self.on, self.batches = on, 0

    def ask(self, questions: list[Question]) -> list[tuple[Verdict, ...]]:
        self.batches += 1
        return [tuple(self._one(question, item) for item in question.items) for question in questions]

    def _one(self, question: Question, item: str) -> Verdict:
        if self.on and self.on in item:
            return Verdict(ABSTAINED, "it cannot", judge=self.name)
        return Verdict(LABELS["rubric"][0 if item in question.text else 1], judge=self.name)


@QUICK
@given(
    st.permutations([("wash", 5.0), ("booster", 6.0), ("antibiotics", -4.0), ("rest", 1.5)]),
    st.sampled_from(["wash", "booster rest wash", "x y"]),
)
def test_the_order_of_a_rubric_changes_nothing(rows: list[tuple[str, float]], reply: str) -> None:
    with use.using(Abstains()):
        one = rewarded(replace(RUBRIC, target=to_target(sorted(rows))), f"You should know: {reply}", clipped)
        other = rewarded(replace(RUBRIC, target=to_target(rows)), f"You should know: {reply}", clipped)
    assert one.total == other.total and one.correct == other.correct


def test_static_and_dynamic_rubrics_are_asked_in_one_batch(tmp_path: Path) -> None:
    rows = [
        {"criteria": [{"text": "polite", "points": 2}]},
        {"sample": CHOICE.id, "criteria": [{"text": "liver", "points": 3}, {"text": "harm", "points": -3}]},
    ]
    io.write_jsonl(tmp_path / "rubrics.jsonl", rows)
    rubric = rubrics.read(tmp_path / "rubrics.jsonl")
    assert rubric.rows(CHOICE) == (("polite", 2.0), ("liver", 3.0), ("harm", -3.0)) and rubric.rows(
        YES_NO
    ) == (("polite", 2.0),)
    judge = Abstains()
    with use.using(judge):
        replies = ["a polite word on the liver", "a polite word only", "harm to the liver"]
        found = hybrid_many([(CHOICE, answered(CHOICE, reply)) for reply in replies], [(rubric, 1.0)])
    assert [one.correct for one in found] == [1.0, 0.4, 0.0] and judge.batches == 1
    with use.using(Abstains(on="liver")):
        assert hybrid(CHOICE, answered(CHOICE, replies[0]), [(rubric, 1.0)]).total is None
    assert hybrid(CHOICE, answered(CHOICE, replies[0]), [(rubric, 1.0)]).status == "unjudged", "no judge"


def test_a_rubric_file_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    io.write_jsonl(tmp_path / "rubrics.jsonl", [{"criteria": [{"text": "x", "points": -1}]}])
    with pytest.raises(DataError, match="jsonl:1: a rubric is"):
        rubrics.read(tmp_path / "rubrics.jsonl")


def test_a_criterion_that_nobody_fails_is_retired() -> None:
    assert rubrics.in_use({"a": 1, "b": 40}, {"a": 100, "b": 100, "c": 0}) == {"b"}


# ---- fact-invariant variants (MX-30) ---------------------------------------------------------------------


@pytest.mark.parametrize(("sample", "scorer"), RULES, ids=IDS)
def test_the_form_of_a_right_answer_does_not_change_c(sample: Sample, scorer: object) -> None:
    reply = f"The answer is {sample.messages[-1].text.rstrip('.')}."
    assert rewarded(sample, reply, scorer).correct == 1.0
    for seed in range(9):  # several ways to be longer
        apart = variants.spread(lambda text: rewarded(sample, text, scorer).correct, reply, seed)
        if scorer is regex:  # all of the reply must match, so that nothing hides beside it
            apart.pop("length")
        assert "form" in apart and max(apart.values()) == 0, (seed, apart)


def test_facts_in_another_form_get_the_same_rubric_reward() -> None:
    reply = "Wash the wound with water. A tetanus booster is needed. Clean shoes are sensible."
    with use.using(RuleJudge.of()):
        apart = variants.spread(lambda text: rewarded(RUBRIC, text, clipped).correct, reply)
        whole = variants.spread(lambda text: rewarded(RUBRIC, text, clipped).total, reply)
    assert set(apart) == {"order", "list", "length", "form"} and max(apart.values()) == 0
    assert max(whole.values()) < 0.05, "no more than the half of a step"


def test_synonyms_of_the_tree_are_the_same_answer(tmp_path: Path) -> None:
    folder = golden_suite.tree(tmp_path)
    names = variants.synonyms(Tree.load(folder))
    found = dict(variants.variants("The diagnosis is Marfan syndrome.", names=names))
    assert found["wording"] == "The diagnosis is Marfan disease."
    assert rewarded(ENTITY, found["wording"], partial(entity, tree=folder)).correct == 1.0


def test_sentences_that_refer_back_keep_their_place() -> None:
    assert (
        variants.reordered("Rest helps. It heals the wound.", random.Random(0))
        == "Rest helps. It heals the wound."
    )
    assert (
        variants.reordered("Rest helps. Water helps too.", random.Random(0)) == "Water helps too. Rest helps."
    )
    assert variants.relisted("- Rest\n- Water") == "Rest. Water."


def test_pairs_take_away_what_length_could_tell() -> None:
    found = variants.pairs("Rest helps. Water helps.", "Smoking helps. Fever heals.")
    assert found[0] == ("Rest helps. Water helps.", "Smoking helps. Fever heals.")
    longer = [len(good) > len(bad) for good, bad in found]
    assert True in longer and False in longer and len(set(found)) == len(found) > 6
    assert found == variants.pairs("Rest helps. Water helps.", "Smoking helps. Fever heals.")


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


# ---- settings and exports ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given_", [{"shaping": 0.5}, {"shaping": -0.1}, {"length": -1.0}, {"target_words": 0}]
)
def test_weights_that_could_outweigh_correctness_are_refused(given_: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        Weights(**given_)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs scorers"):
        hybrid(CHOICE, answered(CHOICE, "A"), [(choice, 0.0)])


def plain(sample: Sample, trace: Trace) -> Reward:
    return hybrid(sample, trace, [(choice, 1.0)])


def test_a_reward_is_exported_with_the_signatures_of_other_trainers() -> None:
    """verl: compute_score(data_source, solution_str, ground_truth, extra_info) -> dict with "score";
    ms-swift: a class in `orms`."""
    row, gold = exports.column(CHOICE), CHOICE.messages[-1].text
    assert json.loads(row)["target"] == CHOICE.target
    wanted = [plain(CHOICE, answered(CHOICE, reply)).total for reply in (gold, "A or B")]
    messages = [[{"role": "assistant", "content": gold}], [{"role": "assistant", "content": "A or B"}]]
    assert (
        exports.trl(plain)(prompts=["?"] * 2, completions=messages, sample=[row] * 2, completion_ids=[])
        == wanted
    )
    compute_score = exports.verl(plain)
    found = compute_score(
        data_source="x", solution_str=gold, ground_truth=CHOICE.target, extra_info={"sample": row, "index": 0}
    )
    assert found == {"score": wanted[0], "judged": 1.0}
    orms = {"medxiaohe": exports.ms_swift(choice)}
    assert isinstance(orms["medxiaohe"], type) and orms["medxiaohe"].__name__ == "choice"
    assert orms["medxiaohe"](args=None)([gold, "A or B"], sample=[row] * 2, trainer_state=None) == [1.0, 0.0]


def test_what_nobody_could_judge_is_none_for_trl_and_an_error_elsewhere() -> None:
    row = exports.column(CHOICE)
    assert exports.trl(says(None))(prompts=["?"], completions=["x"], sample=[row]) == [None]  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="could not be judged"):
        exports.verl(says(None))("x", "x", "x", {"sample": row})  # type: ignore[arg-type]
    assert exports.ms_swift(says(None), unjudged=0.0)()(["x"], sample=[row]) == [0.0]  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no column `sample`"):
        exports.ms_swift(choice)()(["x"])


def test_trl_trains_with_an_exported_reward(tiny_vlm: Path, tmp_path: Path) -> None:
    """A real GRPOTrainer on a tiny model calls it, and leaves out what is unjudged."""
    pytest.importorskip("trl")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from medxiaohe.models import checkpoint

    loaded = checkpoint.load(str(tiny_vlm), "cpu")
    calls: list[list[float | None]] = []
    exported = exports.trl(
        lambda s, t: (
            Score("even", None, "unjudged")
            if len(t.answer) % 3 == 0
            else Score("even", float(len(t.answer) % 2))
        )
    )

    def reward(**given: object) -> list[float | None]:
        calls.append(exported(**given))
        return calls[-1]

    rows = [
        {"prompt": [{"role": "user", "content": "Is it red?"}], "sample": exports.column(CHOICE)}
        for _ in range(4)
    ]
    config = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=4, num_generations=4, max_steps=1,
        max_completion_length=4,
        report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1, bf16=False,
        gradient_checkpointing=False,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=loaded.model,
        args=config,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        processing_class=loaded.processor,
    )
    trainer.train()
    assert len(calls) == 1 and len(calls[0]) == 4
    judged = [value for value in calls[0] if value is not None]
    assert trainer.state.log_history[0]["reward"] == pytest.approx(sum(judged) / len(judged))


def test_the_criteria_of_the_example_are_read() -> None:
    assert len(criteria(RUBRIC)) == 3
