"""Replies in free text beside a reference: both are read alike, and an "or" that the reference says is no
hedge."""

import os
from collections.abc import Sequence

import golden_suite
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import plugins
from medxiaohe.scoring import _overlap, claims, rouge_l, token_f1
from medxiaohe.scoring._free import no_answer, reference
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.rules import RuleJudge
from medxiaohe.types import Message, Sample, Score

QUESTION = Message("user", ("What is seen?",))
SPELLINGS = [
    "① 左肺结节；② 胸腔积液。",
    "The patient’s heart is ½ larger",
    "Ｘ－ｒａｙ of the chest",
    "This is asthma.",
    "a\u200bb c\u00ad d",
]


def row(gold: str) -> Sample:
    return Sample("1", (QUESTION, Message("assistant", (gold,))), gold)


def judged(name: str, gold: str, reply: str) -> Score:
    return plugins.load("scoring", name)(row(gold), golden_suite.trace(row(gold), reply))


@pytest.mark.parametrize(
    "name", ["rouge_l", "rouge_l.rouge_1", "rouge_l.rouge_2", "bleu", "token_f1", "token_f1.recall"]
)
@pytest.mark.parametrize("gold", SPELLINGS)
def test_a_reference_as_it_is_written_is_worth_one(name: str, gold: str) -> None:
    assert judged(name, gold, gold).value == pytest.approx(1.0)


def test_words_in_front_of_the_gold_cost_as_little_as_those_in_front_of_the_reply() -> None:
    assert (
        judged("token_f1", "This is asthma.", "asthma").value
        == judged("token_f1", "asthma", "This is asthma.").value
        == 1.0
    )
    assert token_f1.overlap("asthma", "pneumonia") == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("gold", "reply", "counts"),
    [
        (
            "Atelectasis versus infiltrate at the left base.",
            "Atelectasis versus infiltrate at the left base.",
            True,
        ),
        ("Atelectasis or infiltrate at the left base.", "Left base: atelectasis or infiltrate.", True),
        ("No effusion. No pneumothorax.", "No effusion or pneumothorax.", True),
        ("The lungs are clear.", "Lungs clear without effusion, mass or pneumothorax.", True),
        ("Pneumonia.", "Pneumonia or tumour.", False),
        ("Pneumonia.", "No, pneumonia or tumour.", False),
        ("Pneumonia or tumour.", "I cannot tell.", False),
        ("Pneumonia.", "unknown", False),
    ],
)
def test_an_or_is_a_hedge_unless_the_reference_says_it_or_both_are_denied(
    gold: str, reply: str, counts: bool
) -> None:
    assert (no_answer("x", golden_suite.trace(row(gold), reply), gold) is None) == counts
    with use.using(RuleJudge.of(None)):
        for scorer in (claims.f1, claims.recall):
            assert (
                scorer(row(gold), golden_suite.trace(row(gold), reply)).status not in ("unparsed", "refused")
            ) == counts
    assert (rouge_l.rouge_l(row(gold), golden_suite.trace(row(gold), reply)).status == "judged") == counts


def table(a: Sequence[str], b: Sequence[str]) -> int:
    """The longest common subsequence by the table of Wagner and Fischer."""
    rows = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, one in enumerate(a, 1):
        for j, other in enumerate(b, 1):
            rows[i][j] = rows[i - 1][j - 1] + 1 if one == other else max(rows[i - 1][j], rows[i][j - 1])
    return rows[-1][-1]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from("abcde"), max_size=150), st.lists(st.sampled_from("abcdef"), max_size=150))
def test_the_longest_common_subsequence_is_that_of_the_table(a: list[str], b: list[str]) -> None:
    assert _overlap._common(a, b) == table(a, b) == _overlap._common(b, a)


@pytest.mark.skipif(not os.environ.get("MEDXIAOHE_DATA"), reason="needs the data pack: MEDXIAOHE_DATA")
@pytest.mark.parametrize("name", ["iu_impression", "cmb_clin"])
def test_no_gold_of_the_pack_is_taken_for_no_answer(name: str) -> None:
    task = plugins.load("tasks", name)()
    rows = [sample for split in task.splits for sample in task.samples(split)]
    lost = [s.id for s in rows if no_answer("x", golden_suite.trace(s, s.messages[-1].text), reference(s))]
    assert not lost, f"{len(lost)} of {len(rows)}"
