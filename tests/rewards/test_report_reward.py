"""The reward of reports: the honest draft earns most, whatever else is tried."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.evidence.sentences import split
from medxiaohe.rewards.hybrid import answered
from medxiaohe.rewards.report import facts, gate, report_many
from medxiaohe.scoring._findings import lexicon
from tests.evidence.drafts import AFFIRMED, DENIED, packed, report
from tests.rewards.report_attacks import earned, sample


def _less(texts: list[str]) -> None:
    found = earned(texts)
    own = found.pop("honest")
    mean = sum(own) / len(own)
    for name, values in found.items():
        assert sum(values) / len(values) < 0.7 * mean, (name, sum(values) / len(values), mean)
    assert not any(found["empty"])


def test_attacks_on_made_up_reports_earn_less_than_the_honest_draft() -> None:
    _less([report(seed, (AFFIRMED, DENIED), 8) for seed in range(25)])


@pytest.mark.slow
def test_attacks_on_two_hundred_real_reports_earn_less_than_the_honest_draft() -> None:
    _less(list(packed(200, ("findings",))))


@pytest.mark.parametrize("reply", ["", "I cannot help with that.", "The weather is fine."])
def test_a_reply_without_a_finding_earns_exactly_nothing(reply: str) -> None:
    item = sample("There is a small left effusion.")
    assert report_many([(item, answered(item, reply))])[0].total == 0.0


def test_the_fact_term_comes_in_as_the_group_gets_better() -> None:
    assert gate(0.1) < 0.01 and gate(0.45) == pytest.approx(0.5) and gate(0.9) > 0.99
    item = sample("There is a small left effusion. The heart is enlarged.")
    poor, good = "There is a mass. Effusion.", "Small left effusion. The heart is enlarged."
    alone = report_many([(item, answered(item, poor))])[0].total
    among = report_many([(item, answered(item, text)) for text in (poor, good, good, good)])[0].total
    assert alone is not None and among is not None and among < alone


def test_what_the_reference_says_more_than_once_or_in_other_order_earns_the_same() -> None:
    text = "There is a small left effusion. The heart is enlarged. No pneumothorax."
    item = sample(text)
    turned = "No pneumothorax. The heart is enlarged. There is a small left effusion."
    rewards = report_many([(item, answered(item, one)) for one in (text, turned, text + " " + turned)])
    assert len({round(one.correct or 0, 6) for one in rewards}) == 1


def test_a_violation_of_safety_earns_exactly_nothing() -> None:
    item = sample("There is a small left effusion.")
    reply = "There is a small left effusion. Take 20 g of paracetamol."
    (one,) = report_many([(item, answered(item, reply))])
    assert one.total == 0.0 and one.status == "unsafe"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_made_up_finding_more_never_earns_more(seed: int, other: int) -> None:
    text, item = report(seed, (AFFIRMED, DENIED)), sample(report(seed, (AFFIRMED, DENIED)))
    named = {one.name for one in lexicon().findings(text)}
    extra = [s.text for s in split(report(other, (AFFIRMED,))) if not {f.name for f in s.findings} & named]
    if extra and lexicon().findings(text):
        more = f"{text} {random.Random(seed).choice(extra)}"
        assert facts(more, text).f1 <= facts(text, text).f1 + 1e-9
        pair = report_many([(item, answered(item, one)) for one in (text, more)])
        assert (pair[1].correct or 0) <= (pair[0].correct or 0)
