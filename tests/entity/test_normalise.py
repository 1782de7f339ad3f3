"""Names to ids: the ways to a name in order, and no id where there is none."""

import pytest

pytest.importorskip("numpy")

from medxiaohe.entity.linking.normalise import Letters, Normaliser
from medxiaohe.entity.linking.spelling import bag, coordinated, meaning, stripped
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity

TREE = Tree(
    [
        Entity("MET:disease", "disease", "disease"),
        Entity("MET:chemical", "chemical", "chemical"),
        Entity(
            "D:1",
            "breast cancer",
            "disease",
            ("MET:disease",),
            ("mammary neoplasm",),
            xrefs=("OMIM:114480", "MESH:D001943"),
        ),
        Entity("D:2", "ovarian cancer", "disease", ("MET:disease",), xrefs=("MESH:D010051",)),
        Entity("D:3", "familial breast cancer", "disease", ("D:1",)),
        Entity("D:4", "kidney failure", "disease", ("MET:disease",), ("RF",), xrefs=("MESH:D051437",)),
        Entity("D:5", "anemia", "disease", ("MET:disease",)),
        Entity("C:1", "alpha-methyltyrosine", "chemical", ("MET:chemical",), xrefs=("MESH:D019805",)),
    ]
)


LOW = {"disease": 0.6, "chemical": 0.75}  # below the defaults, so that every way leads somewhere


@pytest.fixture(scope="module")
def named() -> Normaliser:
    return Normaliser.of(TREE, least=LOW)


@pytest.mark.parametrize(
    ("surface", "kind", "id"),
    [
        ("Breast cancer", "disease", "D:1"),
        ("cancers of the breast", "disease", "D:1"),  # in another order
        ("Mammary Tumours", "disease", "D:1"),  # British, plural, another word for neoplasm
        ("renal insufficiency", "disease", "D:4"),
        ("RF", "disease", "D:4"),
        ("anaemia", "disease", "D:5"),
        ("alpha methyl-tyrosine", "chemical", "C:1"),  # by its letters
        ("severe breast cancer", "disease", "D:1"),  # part of it
    ],
)
def test_a_mention_is_named(named: Normaliser, surface: str, kind: str, id: str) -> None:
    assert named.candidates(surface, kind)[0][0] == id


@pytest.mark.parametrize(
    ("surface", "kind"),
    [("zzyzx", "disease"), ("breast cancer", "chemical"), ("", "disease"), ("anemia", "gene")],
)
def test_what_has_no_name_gets_none(named: Normaliser, surface: str, kind: str) -> None:
    assert named.candidates(surface, kind) == [] and named.concepts(surface, kind) == ()


def test_what_is_left_of_a_name_must_say_more_than_that_it_is_a_disease() -> None:
    root = TREE.entities["MET:disease"]
    others = [("S", "syndrome"), ("W", "injury"), ("K", "kidney diseases")]
    named = Normaliser.of(
        Tree([root, *(Entity(f"D:{id}", name, "disease", (root.id,)) for id, name in others)])
    )
    assert named.concepts("syndrome", "disease") == ("D:S",) and named.concepts("injuries", "disease") == (
        "D:W",
    )
    assert (
        named.concepts("rabbit syndrome", "disease") == ()
        and named.concepts("axonal injury", "disease") == ()
    )
    assert (
        named.concepts("renal damage", "disease") == named.concepts("kidney toxicity", "disease") == ("D:K",)
    )
    assert (
        named.candidates("renal disorder", "disease", 1)[0][1]
        > named.candidates("renal damage", "disease", 1)[0][1]
    )


def test_a_shared_word_makes_two_names_unless_the_whole_is_one_as_written_or_as_annotated() -> None:
    both = Entity("D:6", "breast-ovarian cancer", "disease", ("MET:disease",))
    tree = Tree([*TREE.entities.values(), both])
    assert Normaliser.of(tree).concepts("breast and ovarian cancer", "disease") == ("D:1", "D:2")
    assert Normaliser.of(tree).concepts("Breast-Ovarian Cancer", "disease") == ("D:6",)
    known = [("breast and ovarian cancer", "disease", "D:6")]
    assert Normaliser.of(tree, known=known).concepts("breast and ovarian cancer", "disease") == ("D:6",)


def test_better_ways_have_higher_scores(named: Normaliser) -> None:
    ways = (
        "breast cancer",
        "mammary neoplasm",
        "cancer of the breast",
        "breast tumor",
        "severe breast cancer",
    )
    scores = [named.candidates(surface, "disease", 1)[0][1] for surface in ways]
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores) and scores[0] < 1


def test_codes_go_by_the_order_asked_for_and_up_to_a_parent() -> None:
    coded = Normaliser.of(TREE, codes=("MESH", "OMIM"))
    assert coded.concepts("breast cancer", "disease") == ("MESH:D001943",)
    assert Normaliser.of(TREE, codes=("OMIM",)).concepts("breast cancer", "disease") == ("OMIM:114480",)
    (id, score), *_ = coded.candidates("familial breast cancer", "disease")
    assert id == "MESH:D001943" and score < coded.candidates("breast cancer", "disease")[0][1]
    assert coded.concepts("anemia", "disease") == ()  # no code, and none above


def test_what_a_corpus_says_goes_before_the_tree() -> None:
    known = [("breast cancer", "disease", "X:9")] * 3 + [
        ("breast cancer", "disease", "X:8"),
        ("funny walk", "disease", "X:7"),
    ]
    named = Normaliser.of(TREE, known=known)
    # the other has a share of a quarter only
    assert named.candidates("Breast Cancers", "disease") == [("X:9", 0.75)]
    assert named.concepts("funny walks", "disease") == ("X:7",)


def test_a_term_with_a_code_of_its_own_goes_before_the_entity_it_became() -> None:
    term = Entity("MESH:D009369", "mammary neoplasm", "disease")
    assert Normaliser.of(TREE, codes=("MESH",), terms=[term]).concepts("mammary neoplasm", "disease") == (
        "MESH:D009369",
    )


def test_names_that_share_a_word_are_several(named: Normaliser) -> None:
    assert named.concepts("breast and ovarian cancer", "disease") == ("D:1", "D:2")
    assert named.concepts("anemia, kidney failure", "disease") == ("D:5", "D:4")
    assert ("breast cancer", "ovarian cancer") in coordinated("breast and/or ovarian cancer")
    assert list(coordinated("ataxia")) == []


def test_the_nearest_names_are_those_of_the_full_comparison() -> None:
    names = ["ataxia", "ataxias", "dystaxia", "asthma", "anemia of pregnancy", "cancer"]
    letters = Letters(names, names)
    assert [name for name, _ in letters.nearest("ataxia", 2)] == ["ataxia", "ataxias"]
    assert letters.nearest("ataxia", 1)[0][1] == pytest.approx(1, abs=1e-5)
    assert letters.nearest("qqq", 3) == [] and Letters([], []).nearest("ataxia") == []


def test_spellings() -> None:
    assert bag("Tumours of the Kidney") == bag("kidney tumor") == "kidney tumor"
    assert meaning("renal carcinomas") == meaning("kidney tumour")
    assert next(stripped("severe breast cancer")) == ("breast cancer", pytest.approx(2 / 3))
