"""What is not independent of what (MEK-1): items that share a patient or a study, and whatever those
connect."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.evals.running.judging import Tally, summarise
from medxiaohe.evals.statistics import clusters, stats
from medxiaohe.evals.statistics.measures import cluster_of
from medxiaohe.tasks import make
from medxiaohe.types import Message, Sample, Score


def sample(id: str, patient: str = "", study: str = "") -> Sample:
    return Sample(id, (Message("user", ("?",)),), patient_id=patient, study_id=study)


@pytest.mark.parametrize(
    ("ids", "groups"),
    [
        ([("p1", "s1"), ("p2", "s1"), ("p3", "s2")], [{0, 1}, {2}]),  # patients of one report
        ([("p1", "s1"), ("p1", "s2"), ("p2", "s3")], [{0, 1}, {2}]),  # studies of one patient
        # a chain
        ([("p1", "s1"), ("p1", "s2"), ("p2", "s2"), ("p2", "s3"), ("p3", "s4")], [{0, 1, 2, 3}, {4}]),
        # a patient is no study of the same name
        ([("a", ""), ("", "a"), ("a", ""), ("", "")], [{0, 2}, {1}, {3}]),
        ([("", ""), ("", "")], [{0}, {1}]),
    ],
)
def test_items_belong_together_when_they_share_a_patient_or_a_study(
    ids: Sequence[tuple[str, str]], groups: list[set[int]]
) -> None:
    rows = [sample(str(i), *pair) for i, pair in enumerate(ids)]
    names = clusters.joined([clusters.of(row) for row in rows])
    found: dict[object, set[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(name or i, set()).add(i)
    assert sorted(found.values(), key=min) == groups
    assert summarise(rows, [Score("x", 0.5 + i / 100) for i in range(len(rows))])["clusters"] == len(groups)
    from_json = [{"sample": {"patient_id": p, "study_id": s}} for p, s in ids]
    assert [cluster_of(row) for row in from_json] == [clusters.of(row) for row in rows]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25), st.randoms())
def test_clusters_do_not_depend_on_the_order_of_items(pairs: list[tuple[int, int]], rng: object) -> None:
    units = [
        clusters.of(sample(str(i), f"p{a}" if a else "", f"s{b}" if b else ""))
        for i, (a, b) in enumerate(pairs)
    ]
    forth, back = clusters.joined(units), clusters.joined(units[::-1])[::-1]
    assert forth == back
    for i, one in enumerate(units):
        for j, other in enumerate(units):
            assert not set(one) & set(other) or forth[i] == forth[j]


def test_the_interval_is_that_of_the_larger_unit() -> None:
    tally = Tally()
    values = [float(study % 2) for study in range(10) for _ in range(10)]
    for i, value in enumerate(values):
        tally.add(value, clusters.of(sample(str(i), f"p{i}", f"s{i // 10}")))
    expected = stats.estimate(values, [str(i // 10) for i in range(100)])
    assert (tally.row()["clusters"], tally.row()["low"]) == (10, expected.low)
    assert expected.high - expected.low > 2 * (stats.estimate(values).high - stats.estimate(values).low)


def test_cases_of_one_report_are_one_cluster_of_rare_disease(tmp_path: Path) -> None:
    task = make("rare_disease", None, {})
    assert task.cluster == "report"
    one, other = (sample(i, patient=i, study="PMID:1") for i in ("a", "b"))
    assert len(set(clusters.joined([clusters.of(one), clusters.of(other)]))) == 1
    assert json.dumps(clusters.of(one))  # rows on disk hold it
