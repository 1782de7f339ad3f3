"""The parser of votes, answers and JSON that workflows share."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from medxiaohe.agents.parsing.structured import confidences, json_of, number_in, one_of, text_in
from medxiaohe.agents.parsing.verdict import answer_of, count, vote
from medxiaohe.models.asking import Unreadable
from medxiaohe.scoring import yes_no
from medxiaohe.types import Message, ToolCall

VOTES = [
    (said, reply.replace("\\n", "\n"))
    for said, reply in (
        line.split("\t")
        for line in (Path(__file__).parent / "votes.tsv").read_text("utf-8").split("\n")
        if line
    )
]


def test_there_are_at_least_150_golden_votes_of_each_kind() -> None:
    kinds = [said for said, _ in VOTES]
    assert len(VOTES) >= 150 and min(kinds.count(kind) for kind in ("yes", "no", "abstain")) >= 40


@pytest.mark.parametrize(("said", "reply"), VOTES)
def test_a_reply_votes_what_a_reader_of_it_says(said: str, reply: str) -> None:
    assert vote(reply) == said


def test_a_vote_is_what_a_score_of_the_same_reply_reads() -> None:
    """On the replies of the golden file of the scorer, which were not written for votes."""
    path = Path(__file__).parent.parent / "golden" / "yes_no.yaml"
    replies = [row[1] for group in yaml.safe_load(path.read_text("utf-8")) for row in group["rows"]]
    assert len(replies) > 80
    assert [vote(reply) for reply in replies] == [yes_no.parse(reply) or "abstain" for reply in replies]


@pytest.mark.parametrize("word", ["yes", "no"])
@pytest.mark.parametrize("around", ["{} ", "\n{}\n", "**{}**", "{}.", "Vote: {}", "<think>x</think>{}"])
def test_dress_does_not_change_a_vote(word: str, around: str) -> None:
    for form in (word, word.upper(), word.title()):
        assert vote(around.format(form)) == word


def test_a_call_and_a_failed_reply_abstain() -> None:
    assert vote(Message("assistant", ("yes", ToolCall("1", "search", {})))) == "abstain"
    assert vote(Message("assistant", ("yes",), error="the server is gone")) == "abstain"
    assert answer_of(Message("assistant", ("B", ToolCall("1", "search", {})))) == ""


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Answer: B", "B"), ("The answer is (C).", "C"), ("B", "B"), ("Pneumonia", "B"), ("A or B", ""),
        ("not A", ""), ("", ""), ("I cannot help with that.", ""), ("B. Pneumonia", "B"), ("E", ""),
        ("b. Asthma", ""), ("Step 1: A is wrong.\nAnswer: C", "C"),
    ],
)  # fmt: skip
def test_a_choice_is_a_letter_or_an_abstention(reply: str, answer: str) -> None:
    assert answer_of(reply, ("Asthma", "Pneumonia", "Cancer")) == answer


def test_open_answers_are_equal_in_other_dress() -> None:
    replies = ["Answer: Scurvy.", "The answer is scurvy", "Gums bleed.\nFinal answer: **Scurvy**", "scurvy"]
    assert {answer_of(reply) for reply in replies} == {"scurvy"} and answer_of("...") == ""


def test_abstentions_are_in_no_majority_and_no_unanimity() -> None:
    one = count(["yes", "abstain", "no", "yes"])
    assert (one.winner, one.abstained, one.unanimous, one.majority) == ("yes", 1, False, True)
    assert not count(["yes", "abstain", "yes"]).unanimous and count(["yes", "yes"]).unanimous
    assert count(["B", "A"]).winner == "B" and not count(["B", "A"]).majority
    none = count(["abstain", ""])
    assert (none.winner, none.unanimous, none.majority) == ("", False, False) and not count([]).unanimous


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ('{"a": 1}', {"a": 1}), ('```json\n{"a": 1}\n```', {"a": 1}), ('Here: {"a": 1}. Done.', {"a": 1}),
        ('{"a": 1} and again {"a": 1}', {"a": 1}), ('{"a": {"b": [1, 2]}}', {"a": {"b": [1, 2]}}),
        ('<think>{"a": 2}</think>{"a": 1}', {"a": 1}), ("see [the film]: {\"a\": 1}", {"a": 1}),
        ('[{"a": 1}]', [{"a": 1}]), ('{"a": "是的"}', {"a": "是的"}), ('{"a": "}"}', {"a": "}"}),
    ],
)  # fmt: skip
def test_json_is_read_in_any_dress(reply: str, value: Any) -> None:
    assert json_of(reply) == value


@pytest.mark.parametrize(
    "reply", ["", "yes", '{"a": 1', '{"a": 1} {"a": 2}', "{a: 1}", "{'a': 1}", '{"a": "x', "[1, 2"]
)
def test_json_that_is_cut_off_or_ambiguous_is_unreadable(reply: str) -> None:
    with pytest.raises(Unreadable):
        json_of(reply)


def test_fields_are_checked() -> None:
    assert one_of("state", ("Continue",))({"state": "Continue"}) == "Continue"
    assert number_in("score", 0, 10)({"score": 3}) == 3.0 and text_in("kind")({"kind": " CT "}) == "CT"
    wrong: list[tuple[Any, Any]] = [
        (one_of("state", ("Continue",)), {"state": "continue!"}), (one_of("state", ("a",)), ["a"]),
        (number_in("score", 0, 10), {"score": 11}), (number_in("score", 0, 10), {"score": True}),
        (number_in("score", 0, 10), {"score": float("nan")}), (number_in("score", 0, 10), {"score": "7"}),
        (text_in("kind"), {"kind": ""}), (text_in("kind"), {"kind": "a\nb"}), (text_in("kind"), {"kind": 1}),
    ]  # fmt: skip
    for reader, value in wrong:
        with pytest.raises(Unreadable):
            reader(value)
    assert confidences('{"flu": 0.7, "cold": 0.3}') == {"flu": 0.7, "cold": 0.3}
    assert confidences('{"flu": 0.7}') is None and confidences("none") is None
