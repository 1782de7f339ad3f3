"""Rubrics as rewards, and variants of a reply with the same facts get the same reward."""

import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import golden_suite
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rewards_for_tests import IDS, QUICK, RULES, rewarded

from medxiaohe import io
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.rewards import rubrics, variants
from medxiaohe.rewards.hybrid import answered, hybrid, hybrid_many
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.entity import EXAMPLE as ENTITY
from medxiaohe.scoring.entity import entity
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.questions import ABSTAINED, LABELS, Question, Verdict
from medxiaohe.scoring.judges.rules import RuleJudge
from medxiaohe.scoring.regex import regex
from medxiaohe.scoring.rubric import EXAMPLE as RUBRIC
from medxiaohe.scoring.rubric import clipped, criteria, to_target
from medxiaohe.scoring.yes_no import EXAMPLE as YES_NO
from medxiaohe.types import Sample

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


# ---- fact-invariant variants -----------------------------------------------------------------------------


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


def test_the_criteria_of_the_example_are_read() -> None:
    assert len(criteria(RUBRIC)) == 3
