"""The Medical Entity Tree: ancestors, layers, names, and frequency buckets."""

import pytest
from entities_for_tests import ROOT, disease, tree_of
from hypothesis import given
from hypothesis import strategies as st

from medxiaohe.entity.tree.frequency import buckets
from medxiaohe.errors import DataError


def test_head_covers_half_of_the_mentions_and_torso_the_next_thirty_percent() -> None:
    assert buckets({"a": 50, "b": 20, "c": 10, "d": 10, "e": 10, "f": 0}) == {
        "a": "head", "b": "torso", "c": "torso", "d": "tail", "e": "tail", "f": "unseen",
    }  # fmt: skip


def test_no_counts_have_no_buckets_and_zero_counts_are_unseen() -> None:
    assert buckets({}) == {}
    assert buckets({"a": 0, "b": 0}) == {"a": "unseen", "b": "unseen"}


@given(st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 9)))
def test_head_is_the_smallest_set_that_covers_half(counts: dict[str, int]) -> None:
    found = buckets(counts)
    head = sorted((counts[id] for id, bucket in found.items() if bucket == "head"), reverse=True)
    assert 2 * sum(head) >= sum(counts.values()) and (not head or 2 * sum(head[:-1]) < sum(counts.values()))
    order = ["head", "torso", "tail", "unseen"]
    assert all(
        order.index(found[a]) <= order.index(found[b])
        for a in counts
        for b in counts
        if counts[a] > counts[b]
    )


def test_ancestors_come_nearest_first() -> None:
    chain = [disease(str(n), f"d{n}", parents=(str(n - 1),)) for n in range(1, 7)]
    tree = tree_of(disease("0", "d0"), *chain, disease("x", "dx", parents=("6", "0")))
    assert list(tree.ancestors("x")) == ["6", "0", "5", "MET:disease", "4", "3", "2", "1"]
    assert tree.children("0") == ("1", "x")


def test_layers_are_domain_chapter_group_entity_and_variant() -> None:
    tree = tree_of(
        disease("lung disease", "lung disease"),
        disease("infection", "infection", parents=("lung disease",)),
        disease("pneumonia", "pneumonia", parents=("infection",)),
        disease("type 1", "type 1", parents=("pneumonia", "lung disease")),
        disease("cough", "cough", parents=("lung disease",)),
        disease("scurvy", "scurvy"),
    )
    layers = {id: tree.layer(id) for id in tree.entities}
    assert layers == {
        "MET:disease": 1,
        "lung disease": 2,
        "infection": 3,
        "pneumonia": 4,
        "type 1": 5,
        "cough": 4,
        "scurvy": 4,
    }


def test_an_entity_with_many_leaves_below_it_is_a_group() -> None:
    leaves = [disease(f"l{n}", f"l{n}", parents=("b",)) for n in range(21)]
    tree = tree_of(disease("a", "a"), disease("b", "b", parents=("a",)), *leaves)
    assert tree.layer("b") == 3 and tree.layer("l0") == 4


EDGES = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=30)


@given(EDGES)
def test_no_entity_is_in_a_layer_above_that_of_a_parent(edges: list[tuple[int, int]]) -> None:
    above = {
        n: tuple(dict.fromkeys(str(low) for low, high in edges if high == n and low < high))
        for n in range(13)
    }
    tree = tree_of(*(disease(str(n), f"d{n}", parents=above[n] or (ROOT.id,)) for n in range(13)))
    for entity in tree.entities.values():
        assert 1 <= tree.layer(entity.id) <= 5 and all(
            tree.layer(parent) <= tree.layer(entity.id) for parent in entity.parents
        )


def test_names_of_a_kind_lead_to_all_their_entities() -> None:
    tree = tree_of(disease("a", "cold", "Cold"), disease("b", "cold"), disease("c", "cold", kind="phenotype"))
    assert tree.names["cold"] == ("a", "b", "c") and tree.names["Cold"] == ("a",)
    assert tree.names_of("phenotype") == {"cold": ("c",)}


def test_a_tree_with_an_unknown_parent_or_a_cycle_is_refused() -> None:
    with pytest.raises(DataError, match="unknown parent 'absent'"):
        tree_of(disease("a", "a", parents=("absent",)))
    with pytest.raises(DataError, match="cycle"):
        tree_of(disease("a", "a", parents=("b",)), disease("b", "b", parents=("a",))).layer("a")
