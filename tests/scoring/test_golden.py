"""Every parser on replies written by hand (MEK-2, G1): tests/golden has them, and a failure names the reply
by its id."""

from pathlib import Path

import golden_suite
import pytest

from medxiaohe.errors import ConfigError
from medxiaohe.evals.reporting import peer_scorers
from medxiaohe.types import Score

ITEMS = [item for file in golden_suite.files() for item in golden_suite.items(file)]
PEERS = [item for item in ITEMS if "peer" in item.group]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golden_suite.tree(tmp_path_factory.mktemp("tree"))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)
def test_a_reply_is_read_as_written(item: golden_suite.Item, tree: Path) -> None:
    score = golden_suite.score(item, tree)
    assert golden_suite.verdict(score) == item.verdict, f"{item.reply!r}: {item.why} ({score.why})"
    assert score.status == "judged" or (score.value == 0.0 and score.why)


def test_the_suite_is_large_and_says_why_of_each() -> None:
    assert len(ITEMS) >= 400 and len({item.id for item in ITEMS}) == len(ITEMS)
    assert all(item.why for item in ITEMS)


@pytest.mark.parametrize("item", list(golden_suite.items("adversarial")), ids=lambda item: item.id)
def test_a_trick_earns_nothing(item: golden_suite.Item, tree: Path) -> None:
    assert golden_suite.score(item, tree).value == 0.0


@pytest.mark.parametrize("item", PEERS, ids=lambda item: f"{item.group['peer']}-{item.id}")
def test_a_published_scorer_gives_its_published_verdict(item: golden_suite.Item) -> None:
    found = peer_scorers.compat(item.group["peer"], item.sample, golden_suite.trace(item.sample, item.reply))
    assert found.value == item.group["published"], found.why


def test_the_letters_of_huatuo_are_the_first_and_the_last() -> None:
    item = next(item for item in PEERS if item.id == "p031")
    assert peer_scorers.huatuo_letters(item.sample, "Could be B or C")[:2] == ("B", "C")


def test_the_columns_of_medevalkit_are_swapped_and_stop_on_an_empty_answer() -> None:
    found = peer_scorers.medevalkit_columns("left lung base", "left lung")
    assert found == {
        "precision": pytest.approx(0.8),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(1.0),
    }
    with pytest.raises(TypeError, match="non-iterable int"):
        peer_scorers.medevalkit_columns("", "left lung")


def test_a_difference_counts_what_only_the_published_scorer_credits(tree: Path) -> None:
    rows = [item for item in PEERS if item.group["peer"] == "mirage"]
    judged = [
        (item.sample, golden_suite.trace(item.sample, item.reply), golden_suite.score(item, tree))
        for item in rows
    ]
    found = peer_scorers.difference("mirage", judged, examples=2)
    assert (
        found["n"] == len(rows)
        and found["only_published_credits"] + found["only_ours_credits"] == found["differ"]
    )
    assert (
        found["published"] > found["ours"] and found["no_answer_credited"] > 0 and len(found["examples"]) == 2
    )
    text = "\n".join(peer_scorers.lines(found))
    assert f"{found['differ']} items differ" in text and "p019" in text


def test_reports_are_not_held_against_a_scorer_of_short_answers() -> None:
    item = next(item for item in ITEMS if item.scorer == "yes_no" and item.verdict.startswith("1"))
    trace = golden_suite.trace(item.sample, item.reply)
    rows = [
        (item.sample, trace, Score(name, 1.0)) for name in ("yes_no", "findings", "facts.recall", "claims.f1")
    ]
    found = peer_scorers.difference("medevalkit", rows)
    assert (found["n"], found["not_comparable"]) == (1, 3)


def test_an_item_a_published_scorer_has_no_rule_for_is_unjudged() -> None:
    item = next(item for item in ITEMS if item.scorer == "numeric")
    assert (
        peer_scorers.compat("mirage", item.sample, golden_suite.trace(item.sample, item.reply)).status
        == "unjudged"
    )
    with pytest.raises(ConfigError, match="did you mean 'mirage'"):
        peer_scorers.compat("mirrage", item.sample, golden_suite.trace(item.sample, item.reply))
