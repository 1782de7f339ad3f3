"""The scores of entity linking, on cases small enough to count by hand."""

import pytest

from medxiaohe.entity.tagging.gold import Document, Span
from medxiaohe.entity.tagging.quality import score

SPANS = (
    Span(0, 13, "disease", ("MESH:D1",)), Span(18, 24, "disease", ("MESH:D2", "MESH:D3")), Span(30, 39,
    "chemical", ("MESH:C1",))
)  # fmt: skip
TEXT = "breast cancer and ataxia with cisplatin"
GOLD = Document("1", TEXT, SPANS)


def f1(found: list[Span], kind: str, way: str) -> tuple[float, float, float]:
    result = score([GOLD], [found], kind, way)
    return result.precision, result.recall, result.f1


def test_strict_wants_both_ends_and_the_kind() -> None:
    assert f1([Span(0, 13, "disease"), Span(18, 24, "disease")], "disease", "strict") == (1, 1, 1)
    assert f1([Span(7, 13, "disease"), Span(18, 24, "disease")], "disease", "strict") == (0.5, 0.5, 0.5)
    assert f1([Span(30, 39, "disease")], "chemical", "strict") == (0, 0, 0)


def test_the_same_span_twice_counts_once() -> None:
    assert f1([Span(0, 13, "disease")] * 3, "disease", "strict") == (1, 0.5, pytest.approx(2 / 3))


def test_relaxed_wants_an_overlap_of_one_letter() -> None:
    assert f1([Span(12, 20, "disease")], "disease", "relaxed") == (1, 1, 1)  # touches both marked ones
    assert f1([Span(13, 18, "disease")], "disease", "relaxed") == (0, 0, 0)  # between them
    assert f1([Span(0, 6, "disease"), Span(7, 13, "disease")], "disease", "relaxed") == (
        1,
        0.5,
        pytest.approx(2 / 3),
    )


def test_concepts_are_counted_once_in_a_document_wherever_they_stand() -> None:
    found = [
        Span(5, 6, "disease", ("MESH:D1",)),
        Span(8, 9, "disease", ("MESH:D1", "MESH:D2")),
        Span(1, 2, "disease"),
    ]
    assert f1(found, "disease", "concept") == (1, pytest.approx(2 / 3), pytest.approx(0.8))
    assert f1([Span(0, 13, "disease", ("MESH:C1",))], "chemical", "concept") == (0, 0, 0)


def test_documents_are_summed_and_not_averaged() -> None:
    other = Document("2", "x", (Span(0, 1, "disease"),))
    result = score([GOLD, other], [list(GOLD.spans), []], "disease", "strict")
    assert (result.precision, result.recall, result.marked, result.found, result.documents) == (
        1,
        pytest.approx(2 / 3),
        3,
        2,
        2,
    )
    assert result.low <= result.f1 <= result.high


def test_the_interval_has_the_truth_of_repeated_documents_and_no_width_when_all_are_alike() -> None:
    same = score([GOLD] * 50, [list(GOLD.spans[:1])] * 50, "disease", "strict")
    assert same.low == same.high == pytest.approx(same.f1)
    mixed = score([GOLD] * 50, [list(GOLD.spans)] * 25 + [[]] * 25, "disease", "strict")
    assert 0.5 < mixed.low < mixed.f1 < mixed.high < 0.85


def test_nothing_found_and_nothing_marked_is_zero() -> None:
    assert score([], [], "disease", "strict").f1 == 0
    assert score([Document("3", "x", ())], [[]], "disease", "strict").f1 == 0
