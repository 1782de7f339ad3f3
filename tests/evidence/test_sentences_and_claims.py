"""Sentences and claims stand where they say, in the text as it was given."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.evidence.claims import by_findings, by_judge, by_rules
from medxiaohe.evidence.sentences import compares, split
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring._sentences import sentence_spans, sentences
from medxiaohe.scoring.judges.rules import RuleJudge
from tests.evidence.drafts import COMPARED, packed, report


def spans_fit(text: str) -> int:
    """Sentences of a text whose spans hold their words, and findings whose spans hold their names."""
    spans = sentence_spans(text)
    assert [" ".join(text[a:b].split()) for a, b in spans] == sentences(text)
    assert all(a < b for a, b in spans) and all(x[1] <= y[0] for x, y in pairwise(spans))
    for one in lexicon().findings(text):
        assert " ".join(text[slice(*one.at)].split()) == one.surface
        assert one.around[0] <= one.at[0] and one.at[1] <= one.around[1] <= len(text)
    return len(spans)


def test_spans_hold_the_words_they_are_of_in_ten_thousand_sentences() -> None:
    assert sum(map(spans_fit, packed(3_500))) > 10_000


MESS = ("\t", "  ", "\r\n", "\n\n ", "\u2028", "\u3000", "\x0b")


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=4), st.sampled_from(MESS), st.booleans())
def test_spans_hold_the_words_they_are_of_whatever_stands_between(
    seeds: list[int], blank: str, glued: bool
) -> None:
    text = blank.join(report(seed) for seed in seeds)
    spans_fit(text.replace(". ", ".") if glued else text)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_has_spans_inside_of_it(text: str) -> None:
    spans_fit(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("There is a small effusion.", "finding"),
        ("No pneumothorax.", "negative"),
        ("An endotracheal tube is in place.", "device"),
        ("Unchanged from the prior exam.", "comparison"),
        ("Recommend CT for further evaluation.", "recommendation"),
        ("PA and lateral views of the chest.", "technique"),
        ("Is there an effusion?", "question"),
        ("Thank you for this referral.", "filler"),
        ("The trachea is midline.", "other"),
        ("The pneumothorax has resolved.", "comparison"),
    ],
)
def test_a_sentence_is_of_one_kind(text: str, kind: str) -> None:
    assert [one.kind for one in split(text)] == [kind]


def test_comparisons_are_told_from_words_that_look_like_them() -> None:
    assert all(compares(text.format(side="left")) for text in COMPARED)
    plain = (
        "Increased lung markings.",
        "Decreased lung volumes.",
        "No new York",
        "Comparison: None.",
        "Old scar.",
    )
    assert not any(map(compares, plain))


def test_nearly_all_sentences_of_reports_are_of_a_known_kind() -> None:
    kinds = [one.kind for text in packed(800) for one in split(text)]
    assert kinds.count("other") < 0.1 * len(kinds)


def test_every_sentence_but_filler_and_questions_is_a_claim_at_its_place() -> None:
    text = "Thank you. Is it?  Small left effusion and a nodule. Trachea is midline. No pneumothorax."
    found = by_findings(text)
    assert [text[slice(*one.at)] for one in found if one.at] == [
        "Small left effusion", "nodule", "Trachea is midline.", "pneumothorax",
    ]  # fmt: skip
    assert [one.id for one in found] == ["c1", "c2", "c3", "c4"]
    assert found[0].finding and (found[0].finding.side, found[0].finding.degree) == ("left", "mild")
    assert found[3].finding and found[3].finding.status == "absent"


def test_what_can_only_be_seen_by_comparing_needs_an_earlier_study() -> None:
    needs = [one.needs for one in by_findings("Stable cardiomegaly. There is an effusion.")]
    assert needs == ["prior", "image"]


def test_coordinated_statements_are_claims_of_their_own_and_their_words_stay_in_place() -> None:
    text = "Yes, metformin lowers glucose and it does not cause weight gain; the dose is 500 mg. Why?"
    found = by_rules(text)
    assert [text[slice(*one.at)] for one in found if one.at] == [
        "metformin lowers glucose", "it does not cause weight gain;", "the dose is 500 mg.",
    ]  # fmt: skip


def test_recited_options_are_no_claims() -> None:
    text = "A. Aspirin is a statin.\nB. Heparin is a vitamin.\nHeparin is an anticoagulant."
    options = ("Aspirin is a statin.", "Heparin is a vitamin.")
    assert [one.text for one in by_rules(text, options)] == ["Heparin is an anticoagulant."]


def test_claims_of_a_judge_stand_where_the_text_has_their_words() -> None:
    text = "Ivermectin treats scabies. It is given by mouth."
    found = by_judge(RuleJudge.of(), text)
    assert found is not None and [text[slice(*one.at)] for one in found if one.at] == [
        "Ivermectin treats scabies.", "It is given by mouth.",
    ]  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9))
def test_claims_of_a_report_lie_in_their_sentences(seed: int) -> None:
    text = report(seed)
    spans = sentence_spans(text)
    for one in by_findings(text):
        assert one.at is not None and any(a <= one.at[0] < one.at[1] <= b for a, b in spans)


@pytest.mark.parametrize("tail", ["However,", "In addition, ", "Therefore"])
def test_a_connective_at_the_end_of_a_cut_off_reply_is_no_claim(tail: str) -> None:
    claims = by_rules(f"Warfarin is an anticoagulant. {tail}")
    assert [claim.text for claim in claims] == ["Warfarin is an anticoagulant."]
