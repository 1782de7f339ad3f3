"""The text store: what was written is found, at its place, in one order, or one sentence says why not."""

import json
import random
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.data.index import IndexSettings, documents_of, index
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.retrieval.chunks import chunks
from medxiaohe.retrieval.store import Filtered, Fused, Routed
from medxiaohe.retrieval.text import TextStore, build_text
from medxiaohe.retrieval.words import terms
from medxiaohe.types import Evidence

pytest.importorskip("tantivy")

LONG = "\n".join(f"Item {n}. The liver was examined on day {n} and was normal." for n in range(60))
DOCUMENTS = [
    Evidence("scurvy", "Scurvy is a deficiency of vitamin C.", "book", level="C", license="CC0", date="1999"),
    Evidence("sugar", "糖尿病的常见症状是多尿和口渴。Metformin is the first drug.", "书"),
    Evidence("long", LONG, "report"),
    *(Evidence(f"twin{n}", "the same words twice", "book") for n in (3, 1, 2)),
]


def built(folder: Path, documents: list[Evidence] = DOCUMENTS) -> Path:
    folder.mkdir()
    build_text(folder, iter(documents))
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TextStore:
    return TextStore(built(tmp_path_factory.mktemp("stores") / "store"))


def test_english_inflections_and_chinese_words_are_found(store: TextStore) -> None:
    asked = ["which deficiencies of vitamins?", "糖尿病有什么症状", "metformin 口渴"]
    assert [results[0].id for results in store.search(asked, 2)] == ["scurvy", "sugar", "sugar"]


def test_a_result_says_where_in_its_document_it_is(store: TextStore) -> None:
    for result in store.search(["liver on day 31"], 5)[0]:
        whole = store.get(result.id)
        assert whole.text == LONG and result.at and result.at.span and result.sha256 == whole.sha256
        assert whole.text[slice(*result.at.span)] == result.text and len(result.text) <= 1000
    (scurvy,) = store.search(["scurvy"], 1)[0]
    assert (scurvy.level, scurvy.license, scurvy.date, scurvy.source) == ("C", "CC0", "1999", "book")


def test_equal_scores_come_in_the_order_of_their_ids_however_many_are_asked_for(store: TextStore) -> None:
    ids = [[one.id for one in store.search(["same words"], top)[0]] for top in (1, 2, 3, 100)]
    assert ids == [["twin1"], ["twin1", "twin2"], ["twin1", "twin2", "twin3"], ["twin1", "twin2", "twin3"]]


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = built(tmp_path / "one"), built(tmp_path / "two")
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


@pytest.mark.parametrize(
    "query, top, problem",
    [
        ("scurvy", 0, "top is 0"),
        ("  ", 1, "empty"),
        ("liver " * 20_000, 1, "120,000 characters"),
        ("what is the", 1, "only stop words"),
        ("?! …", 1, "only stop words or signs"),
    ],
)
def test_what_cannot_be_searched_for_is_one_sentence(
    store: TextStore, query: str, top: int, problem: str
) -> None:
    with pytest.raises(DataError, match=problem) as raised:
        store.search([query], top)
    assert "\n" not in str(raised.value)


def test_other_scripts_find_nothing_where_nothing_has_them(store: TextStore) -> None:
    assert store.search(["сердце", "القلب"], 3) == [(), ()]


@pytest.mark.parametrize(
    "documents, problem",
    [
        ([], "no document"),
        ([DOCUMENTS[0], DOCUMENTS[0]], "two documents have the id 'scurvy'"),
        ([Evidence("x", " \n", "s")], "no id or no text"),
        ([Evidence("x", "text", "s", level="Z")], "level 'Z'"),
    ],
)
def test_documents_that_make_no_store_are_one_sentence(
    tmp_path: Path, documents: list[Evidence], problem: str
) -> None:
    with pytest.raises(DataError, match=problem):
        built(tmp_path / "store", documents)


@pytest.mark.parametrize(
    "name", ["documents.0.zst", "documents.0.ids", "index/meta.json", "index/*.store", "index/*.term"]
)
def test_a_truncated_store_is_not_opened(tmp_path: Path, name: str) -> None:
    folder = built(tmp_path / "store")
    (path,) = folder.glob(name)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"truncated or damaged .*{path.name}"):
        TextStore(folder)
    shutil.rmtree(folder / "index")
    with pytest.raises(DataError, match="truncated or damaged"):
        TextStore(folder)


def test_no_id_and_no_store_are_one_sentence(store: TextStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no document 'nobody'"):
        store.get("nobody")
    with pytest.raises(DataError, match="knowledge build"):
        TextStore(tmp_path)


def test_chunks_cover_every_character_and_overlap_no_more_than_asked() -> None:
    for seed in range(100):
        draw = random.Random(seed)
        text = "".join(
            draw.choice(["word", ". ", "\n", " ", "字", "。", "x" * 300]) for _ in range(draw.randrange(300))
        )
        spans = chunks(text, 200, 50)
        covered = {i for start, end in spans for i in range(start, end)}
        assert all(0 < end - start <= 200 for start, end in spans)
        assert all(i in covered or sign.isspace() for i, sign in enumerate(text))
        for one, two in pairwise(spans):
            assert one[0] < two[0] and one[1] < two[1] and one[1] - two[0] <= 50


def test_a_chunk_ends_where_a_sentence_ends() -> None:
    for start, end in chunks(LONG)[:-1]:
        assert LONG[end - 1] == "." and LONG[start:].startswith(("Item", "The"))


def test_terms_are_stems_and_pairs_of_characters() -> None:
    assert terms("The Infections of 糖尿病 patients") == [
        "infect",
        "糖",
        "尿",
        "病",
        "糖尿",
        "尿病",
        "patient",
    ]


def test_stores_are_fused_by_rank_filtered_and_routed(store: TextStore, tmp_path: Path) -> None:
    other = TextStore(built(tmp_path / "other", [Evidence("more", "Scurvy of sailors and vitamins.", "log")]))
    fused = Fused([store, other])
    (results,) = fused.search(["scurvy vitamin"], 9)
    assert [one.id for one in results] == ["more", "scurvy"] and results[0].score == pytest.approx(1 / 61)
    assert fused.get("more").source == "log"
    books = Filtered(store, lambda one: one.source == "book")
    assert {one.source for one in books.search(["same vitamin liver"], 50)[0]} == {"book"}
    routed = Routed({"zh": store, "en": other}, lambda query: "en" if query.isascii() else "zh")
    assert [r[0].id for r in routed.search(["vitamins", "糖尿病"], 1)] == ["more", "sugar"]
    with pytest.raises(DataError, match="routed to 'fr'"):
        Routed({"zh": store}, lambda query: "fr").search(["x"], 1)


def test_the_verbs_build_search_read_and_check_a_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": f"p{n}", "text": f"Passage {n} is about the spleen.", "level": "B"} for n in range(3)]
    io.write_jsonl(tmp_path / "passages.jsonl", rows)
    out = tmp_path / "out"
    assert main(["knowledge", "build", "--out", str(out), "--set", f"path={tmp_path}/passages.jsonl"]) == 0
    at = ["--store", str(out / "data_index")]
    capsys.readouterr()
    assert main(["knowledge", "search", "spleens", "--top", "2", "--json", *at]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in found] == ["p0", "p1"] and found[0]["level"] == "B"
    assert main(["knowledge", "get", "p2", *at]) == 0 and "Passage 2" in capsys.readouterr().out
    assert main(["knowledge", "stats", *at]) == main(["knowledge", "check", *at]) == 0
    assert main(["knowledge", "search", "the", *at]) != 0
    assert "only stop words" in capsys.readouterr().err


def test_a_stage_needs_one_source_of_documents(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="either a `corpus` stage or a `path`"):
        index(IndexSettings(), tmp_path)
    with pytest.raises(ConfigError, match="cannot overlap"):
        IndexSettings(size=100, overlap=100)


def test_a_build_that_fails_publishes_nothing(tmp_path: Path) -> None:
    rows = [{"id": "same", "text": "one"}, {"id": "same", "text": "two"}]
    io.write_jsonl(tmp_path / "passages.jsonl", rows)
    out = tmp_path / "out"
    assert main(["knowledge", "build", "--out", str(out), "--set", f"path={tmp_path}/passages.jsonl"]) != 0
    assert not list(out.rglob("store.json")) and not list(out.rglob("documents.0.*"))


def test_documents_are_read_one_by_one(tmp_path: Path) -> None:
    taken = []

    def documents() -> Iterator[Evidence]:
        for n in range(5):
            taken.append(n)
            yield Evidence(str(n), "text" if n < 3 else "", "s")

    (tmp_path / "store").mkdir()
    with pytest.raises(DataError, match="'3' has no id or no text"):
        build_text(tmp_path / "store", documents())
    assert taken == [0, 1, 2, 3]


def test_of_a_record_that_pubmed_changed_the_newest_becomes_a_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe import assets

    record = (
        "<PubmedArticle><MedlineCitation><PMID>{}</PMID><Article><ArticleTitle>T</ArticleTitle><Abstract>"
        "<AbstractText>{}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>"
    )
    rows = [record.format(*row) for row in ((1, "Old words."), (2, "Other words."), (1, "New words."))]
    (tmp_path / "a.xml").write_text(f"<PubmedArticleSet>{''.join(rows)}</PubmedArticleSet>")
    monkeypatch.setattr(assets, "folder", lambda name: tmp_path)
    found = {document.id: document.text for document in documents_of("asset:pubmed_2021")}
    assert sorted(found) == ["pubmed/1", "pubmed/2"] and "New words." in found["pubmed/1"]
