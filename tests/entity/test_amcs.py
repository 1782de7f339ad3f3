"""AMCS (MX-14): entity/tree/amcs.py against the formula written out, and `tree amcs` on files."""

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.data.coverage import term_sets as terms_module
from medxiaohe.data.coverage.term_sets import term_set
from medxiaohe.entity.tree import amcs as module
from medxiaohe.entity.tree.amcs import amcs
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.embed import embedder

np = pytest.importorskip("numpy")

REFERENCE = ["renal failure", "asthma", "pneumonia", "heart attack", "scurvy"]
TREE = [*REFERENCE, "glucagonoma", "Nijmegen breakage syndrome", "ulnar deviation of the hand"]


def measured(a: list[str], b: list[str], **options: int) -> module.Amcs:
    encoder = embedder("ngrams")
    return amcs(a, b, encoder.encode(a), encoder.encode(b), encoder=encoder.name, **options)


def units(rows: int, columns: int, seed: int) -> "np.ndarray":
    made = np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_a_set_inside_another_is_covered_whole_and_covers_it_less() -> None:
    result = measured(REFERENCE, TREE)
    assert result.forward.score == pytest.approx(1.0, abs=1e-5)
    assert result.forward.equal == 1.0
    assert result.backward.score < 0.95
    assert result.backward.equal == pytest.approx(len(REFERENCE) / len(TREE))
    assert {n.term for n in result.backward.farthest[:3]} == set(TREE) - set(REFERENCE)
    assert "n-grams" in result.encoder
    assert (result.forward.n, result.forward.of, result.forward.against) == (5, 5, 8)


def test_it_is_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = units(61, 24, 1), units(47, 24, 2)
    names_a, names_b = [f"a{i}" for i in range(61)], [f"b{i}" for i in range(47)]
    whole = a @ b.T
    for block in (4096, 7):  # the size of the blocks changes nothing
        monkeypatch.setattr(module, "BLOCK", block)
        result = amcs(names_a, names_b, a, b, encoder="random")
        assert result.forward.score == pytest.approx(whole.max(1).mean(), abs=1e-6)
        assert result.backward.score == pytest.approx(whole.max(0).mean(), abs=1e-6)
        worst = int(whole.max(1).argmin())
        assert result.forward.farthest[0].term == f"a{worst}"
        assert result.forward.farthest[0].nearest == f"b{int(whole[worst].argmax())}"
        assert result.forward.low < result.forward.score < result.forward.high
    assert amcs(names_b, names_a, b, a, encoder="random").forward.score == pytest.approx(
        result.backward.score
    )


def test_the_interval_holds_the_mean_of_the_population_about_95_times_in_100() -> None:
    population = np.random.default_rng(5).beta(8, 2, 100_000)
    held = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).choice(population, 150)
        low, high = module._interval(drawn, seed)
        held += low <= population.mean() <= high
    assert 180 <= held <= 199


def test_shuffled_vectors_are_the_floor() -> None:
    result = measured(REFERENCE, TREE)
    assert result.forward.control < 0.5 < result.forward.score
    same = units(300, 64, 3)
    alike = amcs([str(i) for i in range(300)], [str(i) for i in range(300)], same, same, encoder="random")
    other = amcs(
        [str(i) for i in range(300)], [str(i) for i in range(300)], units(300, 64, 4), same, encoder="random"
    )
    assert alike.forward.score == pytest.approx(1, abs=1e-5)
    # unrelated clouds of one shape
    assert alike.forward.control == pytest.approx(other.forward.score, abs=0.03)


def test_a_sample_is_drawn_from_what_is_averaged_and_never_from_what_is_searched() -> None:
    result = measured(TREE, REFERENCE, sample=3, seed=4)
    assert (result.forward.n, result.forward.of, result.forward.against) == (3, 8, 5)
    assert (result.backward.n, result.backward.of, result.backward.against) == (3, 5, 8)
    assert result.backward.score == pytest.approx(1.0, abs=1e-5)
    assert result == measured(TREE, REFERENCE, sample=3, seed=4)
    assert result.forward != measured(TREE, REFERENCE, sample=3, seed=5).forward


def test_memory_does_not_follow_the_product_of_the_sizes() -> None:
    a, b = units(6000, 32, 1), units(24_000, 32, 2)  # all cosines would be 576 MB
    names = [str(i) for i in range(24_000)]
    tracemalloc.start()
    amcs(names[:6000], names, a, b, encoder="random")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 220e6


def test_empty_and_uneven_sets_are_refused() -> None:
    one = units(1, 4, 0)
    with pytest.raises(DataError, match="set A has no terms"):
        amcs([], ["b"], one[:0], one, encoder="x")
    with pytest.raises(DataError, match="2 terms and 1 vectors"):
        amcs(["a"], ["b", "c"], one, one, encoder="x")


# ---- sets of terms and the verb ------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    rows = [
        {"id": "MET:disease", "name": "disease", "kind": "disease"},
        {
            "id": "D:1",
            "name": "asthma",
            "kind": "disease",
            "parents": ["MET:disease"],
            "synonyms": ["Asthma", "bronchial asthma"],
        },
        {"id": "D:2", "name": "scurvy", "kind": "disease", "parents": ["MET:disease"]},
        {"id": "MET:anatomy", "name": "anatomy", "kind": "anatomy"},
        {"id": "A:1", "name": "heart", "kind": "anatomy", "parents": ["MET:anatomy"]},
    ]
    with io.publish(tmp_path / "tree" / "1") as draft:
        io.write_jsonl(draft / "entities.jsonl", rows)
    return tmp_path / "tree" / "1"


def test_terms_come_from_trees_files_vocabularies_and_gold_sets(tree: Path, tmp_path: Path) -> None:
    assert term_set(str(tree)).terms == ("asthma", "scurvy", "heart")
    assert term_set(str(tree), kind="disease", synonyms=True).terms == (
        "asthma",
        "bronchial asthma",
        "scurvy",
    )
    (tmp_path / "terms.txt").write_text("renal failure\n\nRenal  Failure\nasthma\n")
    assert term_set(str(tmp_path / "terms.txt")).terms == ("renal failure", "asthma")
    (tmp_path / "own.tsv").write_text(
        "id\tname\tkind\tparents\tsynonyms\tdefinition\tlicense\nX:1\tscurvy\tdisease\t\t\t\tCC0\n"
    )
    assert term_set(f"tsv:{tmp_path / 'own.tsv'}").terms == ("scurvy",)
    gold = (
        "1|t|Naloxone and clonidine.\n1|a|Naloxone"
        " again.\n1\t0\t8\tNaloxone\tChemical\tD009270\n1\t13\t22\tclonidine\tChemical\tD003000\n"
    )
    (tmp_path / "gold.txt").write_text(gold + "1\t24\t32\tNaloxone\tChemical\tD009270\n")
    assert term_set(f"pubtator:{tmp_path / 'gold.txt'}#mentions.2").terms == ("Naloxone", "clonidine")


def test_terms_come_from_rows_of_json_lines_of_the_user_and_of_an_asset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        {"subject": "阿司匹林", "relations": {"英文名": ["Aspirin", "ASA"], "分类": ["药"]}},
        {"subject": "哮喘", "relations": {"英文名": ["asthma"]}},
        {"subject": "感冒", "relations": {"英文名": "aspirin"}},
    ]
    io.write_jsonl(tmp_path / "relations.jsonl", rows)
    monkeypatch.setattr(terms_module.assets, "folder", {"cmekg": tmp_path}.__getitem__)
    for place in (str(tmp_path / "relations.jsonl"), "asset:cmekg/relations.jsonl"):
        assert term_set(f"{place}#subject").terms == ("阿司匹林", "哮喘", "感冒")
        assert term_set(f"{place}#relations.英文名").terms == ("Aspirin", "ASA", "asthma")
    assert term_set("asset:cmekg/relations.jsonl#relations.英文名").name == "cmekg 英文名"
    with pytest.raises(DataError, match="no terms"):
        term_set("asset:cmekg/relations.jsonl#relations.name")


@pytest.mark.parametrize("spec", ["nowhere", "nowhere:x", "pubtator#mentions.2", "nobody:x#y"])
def test_what_is_no_set_is_one_sentence(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"write READER:PATH#KEY|neither a tree"):
        term_set(spec)


def test_the_verb_compares_every_set_with_the_last(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "terms.txt").write_text("asthma\nscurvy\n")
    (tmp_path / "more.txt").write_text("influenza\n")
    options = ["--encoder", "ngrams", "--keep", str(tmp_path / "keep"), "--out", str(tmp_path / "amcs.json")]
    sets = [str(tmp_path / "terms.txt"), str(tmp_path / "more.txt"), str(tree)]
    assert main(["tree", "amcs", *sets, *options, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == io.read_json(tmp_path / "amcs.json")
    assert [pair["a"] for pair in said["pairs"]] == ["terms.txt", "more.txt"]
    assert said["pairs"][0]["forward"]["score"] == pytest.approx(1)
    assert said["pairs"][0]["backward"]["score"] < 1
    kept = sorted(path.name for path in (tmp_path / "keep").iterdir())
    assert len(kept) == 3
    assert main(["tree", "amcs", *sets, *options]) == 0
    assert "character n-grams" in (words := capsys.readouterr().out) and "terms.txt -> tree" in words
    assert kept == sorted(path.name for path in (tmp_path / "keep").iterdir())
    assert main(["tree", "amcs", sets[0]]) == 2


def test_vectors_are_in_the_order_of_the_terms_and_taken_from_where_they_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terms_module, "BLOCK", 3)
    words = ["a long name of something", "b", "cc", "ddd", "eeee", "b", "ffffff f"]
    encoder = embedder("ngrams")
    with terms_module.vectors(words, encoder, tmp_path) as first:
        assert np.allclose(first, encoder.encode(words), atol=1e-6)

    def never(*_: object) -> None:
        raise AssertionError("encoded again")

    with terms_module.vectors(words, replace(encoder, _encode=never), tmp_path) as again:
        assert np.allclose(again, encoder.encode(words), atol=1e-6)
