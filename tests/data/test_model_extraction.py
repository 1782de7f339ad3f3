"""Entities that a model lists: strict replies, bounded repair, a budget, spans that stand in the passage."""

from collections import Counter
from pathlib import Path

import literature_for_tests as made
import pytest

from medxiaohe.data.growing.model_extraction import Limits, Wrong, extract, parse
from medxiaohe.entity.literature.passages import Passage
from medxiaohe.models.backends.scripted import scripted

GOOD = made.reply([("scurvy", "disease")])
MALFORMED = [
    "", "null", "[]", "{}", "scurvy", "Here it is: " + GOOD, GOOD + GOOD, GOOD[:-1], GOOD.replace('"', "'"),
    GOOD[:-1] + ",}",
    '{"passages": {}}', '{"passages": [1]}', '{"passages": []}', '{"passages": [{"passage": 1}]}',
    '{"passages": [{"entities": []}]}',
    '{"passages": [{"passage": "1", "entities": []}]}', '{"passages": [{"passage": 1.5, "entities": []}]}',
    '{"passages": [{"passage": true, "entities": []}]}', '{"passages": [{"passage": 2, "entities": []}]}',
    '{"passages": [{"passage": 1, "entities": []}, {"passage": 1, "entities": []}]}',
    '{"passages": [{"passage": 1, "entities": null}]}',
    '{"passages": [{"passage": 1, "entities": ["scurvy"]}]}',
    '{"passages": [{"passage": 1, "entities": [{"text": "scurvy"}]}]}',
    '{"passages": [{"passage": 1, "entities": [{"text": "", "type": "disease"}]}]}',
    '{"passages": [{"passage": 1, "entities": [{"text": 7, "type": "disease"}]}]}',
    '{"passages": [{"passage": 1, "entities": [{"text": "x", "type": "disease", "sure": 1}]}]}',
    '{"passages": [{"passage": 1, "entities": []}], "note": "done"}',
    '{"passages": [{"passage": NaN, "entities": []}]}',
    '{"passages": [], "passages": [{"passage": 1, "entities": []}]}', "[" * 100_000,
    '{"passages": [{"passage": 1, "entities": [{"text": "'
    + "x" * 200 + '", "type": "disease"}]}]}',
]  # fmt: skip


@pytest.mark.parametrize("reply", MALFORMED, ids=range(len(MALFORMED)))
def test_mx10_a_reply_that_is_not_of_the_schema_is_wrong_in_words(reply: str) -> None:
    with pytest.raises(Wrong) as error:
        parse(reply, 1)
    assert str(error.value) and error.value.kind in ("invalid JSON", "schema error")


def test_mx10_a_strict_reply_is_read_in_a_fence_or_not() -> None:
    assert parse(GOOD, 1) == parse(f"```json\n{GOOD}\n```", 1) == {1: [("scurvy", "disease")]}


def test_mx10_the_model_is_shown_what_is_wrong_a_bounded_number_of_times() -> None:
    passages = [Passage(str(i), f"Scurvy {i} is rare.") for i in range(3)]
    model = scripted(answer=lambda _: "no")
    result = extract(passages, model, types=("disease",), limits=Limits(batch=2, retries=2))
    assert [len(talk) for talk in model.conversations] == [1, 1, 3, 3, 5, 5]
    assert "cannot be used: it is not JSON" in model.conversations[2][-1].text
    assert +result.counts == Counter(
        {"calls": 6, "retries": 4, "invalid JSON": 6, "passages": 3, "passages without a usable reply": 3}
    )
    better = scripted(answer=lambda talk: "no" if len(talk) == 1 else made.reply([("scurvy", "disease")]))
    result = extract(passages[:1], better, types=("disease",), limits=Limits(batch=2))
    assert (result.counts["parsed"], result.counts["retries"], len(result.found)) == (1, 1, 1)


def test_mx10_a_budget_ends_the_calls_and_what_was_not_asked_is_counted() -> None:
    passages = [Passage(str(i), f"Scurvy number {i}.") for i in range(10)]
    model = scripted(answer=lambda _: made.reply([("Scurvy", "disease")]))
    result = extract(
        passages, model, types=("disease",), limits=Limits(batch=1, retries=1, max_calls=4, together=3)
    )
    assert len(model.conversations) == 4 and result.counts["calls"] == 4
    assert result.counts["passages without a usable reply"] == 6 and result.counts["beyond the budget"] >= 6
    assert {found.passage for found in result.found} == {"0", "1", "2", "3"}


def test_mx10_what_does_not_stand_in_the_passage_is_dropped_with_a_reason_and_offsets_are_ours() -> None:
    text = "Scurvy and rickets; SCURVY again, not scurvygrass."
    said = [("scurvy", "disease"), ("measles", "disease"), ("rickets", "planet"), ("scurvy", "disease")]
    result = extract(
        [Passage("p", text)], scripted(answer=[made.reply(said)]), types=("Disease",), limits=Limits(batch=1)
    )
    assert [(f.start, f.end, f.surface, f.type) for f in result.found] == [
        (0, 6, "Scurvy", "Disease"),
        (20, 26, "SCURVY", "Disease"),
    ]
    assert [(row["surface"], row["reason"]) for row in result.dropped] == [
        ("measles", "span not found"), ("rickets", "type not asked for"), ("scurvy", "said twice"),
    ]  # fmt: skip


def test_mx10_replies_are_kept_by_what_was_asked(tmp_path: Path) -> None:
    passages = [Passage(str(i), f"Scurvy {i}.") for i in range(6)]
    model = scripted(answer=lambda _: made.reply([("Scurvy", "disease")]))
    first = extract(passages, model, types=("disease",), limits=Limits(batch=1), work=tmp_path)
    again = scripted(answer=())
    second = extract(passages, again, types=("disease",), limits=Limits(batch=1), work=tmp_path)
    assert second == first and not again.conversations and len(model.conversations) == 6
