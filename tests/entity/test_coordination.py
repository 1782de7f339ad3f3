"""Names that share a word are found with their parts, and only when the tree has them."""

from itertools import pairwise

import pytest
from entities_for_tests import disease, tree_of
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe.entity.linking.annotate import Annotator

NAMES = [
    "breast cancer", "ovarian cancer", "lung cancer", "hepatitis B", "hepatitis C", "type 1 diabetes",
    "type 2 diabetes", "diabetes",
    "renal failure", "hepatic failure", "cardiac failure", "hypothyroidism", "hyperthyroidism",
    "mucopolysaccharidosis",
    "mucopolysaccharidosis type 1", "mucopolysaccharidosis type 2", "asthma", "liver disease",
    "cancer of the breast", "cancer of the ovary",
    "Duchenne muscular dystrophy", "Becker muscular dystrophy", "ventricular septal defect", "midline defect",
    "hypertension",
    "heart failure", "T-cell lymphoma", "B-cell lymphoma", "kidney injury", "kidney failure",
    "head and neck cancer",
]  # fmt: skip
TREE = tree_of(
    *(disease(name, name, *(["Duchenne"] if name.startswith("Duchenne") else [])) for name in NAMES),
    disease("breast", "breast", kind="anatomy"),
    disease("hypertension failure", "hypertension failure"),
)
ANNOTATOR = Annotator.of(TREE)


def found(text: str) -> list[tuple[str, str]]:
    """(entity, its parts with | between) of every mention."""
    return [
        (a.entity, "|".join(text[start:end] for start, end in a.parts) or a.surface)
        for a in ANNOTATOR.annotate(text)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "breast and ovarian cancer",
            [("breast cancer", "breast|cancer"), ("ovarian cancer", "ovarian cancer")],
        ),
        (
            "breast and/or ovarian cancers",
            [("breast cancer", "breast|cancers"), ("ovarian cancer", "ovarian cancers")],
        ),
        ("breast/ovarian cancer", [("breast cancer", "breast|cancer"), ("ovarian cancer", "ovarian cancer")]),
        ("hepatitis B and C", [("hepatitis C", "hepatitis|C"), ("hepatitis B", "hepatitis B")]),
        (
            "type 1 and type 2 diabetes",
            [("type 1 diabetes", "type 1|diabetes"), ("type 2 diabetes", "type 2 diabetes")],
        ),
        (
            "type 1 and 2 diabetes",
            [("type 1 diabetes", "type|1|diabetes"), ("type 2 diabetes", "type|2|diabetes")],
        ),
        (
            "renal, hepatic and cardiac failure",
            [
                ("renal failure", "renal|failure"),
                ("hepatic failure", "hepatic|failure"),
                ("cardiac failure", "cardiac failure"),
            ],
        ),
        (
            "hypo- and hyperthyroidism",
            [("hypothyroidism", "hypo|thyroidism"), ("hyperthyroidism", "hyperthyroidism")],
        ),
        (
            "mucopolysaccharidosis types I and II",
            [
                ("mucopolysaccharidosis type 1", "mucopolysaccharidosis|types|I"),
                ("mucopolysaccharidosis type 2", "mucopolysaccharidosis|types|II"),
            ],
        ),
        (
            "cancer of the breast and ovary",
            [
                ("cancer of the ovary", "cancer of the|ovary"),
                ("cancer of the breast", "cancer of the breast"),
            ],
        ),
        (
            "B- and T-cell lymphoma",
            [("B-cell lymphoma", "B|cell lymphoma"), ("T-cell lymphoma", "T-cell lymphoma")],
        ),
        (
            "kidney injury and failure",
            [("kidney failure", "kidney|failure"), ("kidney injury", "kidney injury")],
        ),
        (
            "lung, breast and head and neck cancer",
            [
                ("lung cancer", "lung|cancer"),
                ("breast cancer", "breast|cancer"),
                ("head and neck cancer", "head and neck cancer"),
            ],
        ),
        (
            "ventricular septal (VSD) and midline defect",
            [
                ("ventricular septal defect", "ventricular septal|defect"),
                ("midline defect", "midline defect"),
            ],
        ),
        # "Duchenne" is a name of its own, and means what the longer name means: the tree says so.
        (
            "Duchenne or Becker muscular dystrophy",
            [
                ("Duchenne muscular dystrophy", "Duchenne|muscular dystrophy"),
                ("Becker muscular dystrophy", "Becker muscular dystrophy"),
            ],
        ),
    ],
)
def test_every_member_is_found_in_one_hull(text: str, expected: list[tuple[str, str]]) -> None:
    assert sorted(found(text)) == sorted(expected)
    spans = {(a.start, a.end) for a in ANNOTATOR.annotate(text)}
    assert spans == {(0, len(text))} and all("coordination" in a.reason for a in ANNOTATOR.annotate(text))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("asthma and lung cancer", ["asthma", "lung cancer"]),
        # the tree even has "hypertension failure"
        ("hypertension and heart failure", ["hypertension", "heart failure"]),
        ("the patient and lung cancer", ["lung cancer"]),
        ("skin and lung cancer", ["lung cancer"]),
        ("breast. Ovarian cancer", ["breast", "ovarian cancer"]),
        ("hepatitis B, renal failure", ["hepatitis B", "renal failure"]),
        ("breast milk and ovarian cancer", ["breast", "ovarian cancer"]),
    ],
)
def test_what_stands_for_itself_is_left_alone(text: str, expected: list[str]) -> None:
    assert [entity for entity, _ in found(text)] == expected


def test_context_reaches_all_members() -> None:
    assert [(a.entity,
    a.negated) for a in ANNOTATOR.annotate("No breast or ovarian cancer, but asthma.")] == [
        ("breast cancer", True), ("ovarian cancer", True), ("asthma", False),
    ]  # fmt: skip


WORDS = """breast ovarian lung cancer cancers hepatitis B C and or , / type 1 2 diabetes types renal failure
    hypo- hyperthyroidism the ( ) .""".split()


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(WORDS), max_size=20).map(" ".join))
def test_only_the_members_of_a_coordination_share_letters(text: str) -> None:
    mentions = ANNOTATOR.annotate(text)
    spans = sorted({(a.start, a.end) for a in mentions})
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    for a in mentions:
        assert text[a.start : a.end] == a.surface
        assert all(a.start <= start < end <= a.end for start, end in a.parts)
        assert list(a.parts) == sorted(a.parts) and (a.parts or "coordination" not in a.reason)
