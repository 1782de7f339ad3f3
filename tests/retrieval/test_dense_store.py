"""The dense store: near texts are found with their spans, and only by the embedder it was built with."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.errors import DataError
from medxiaohe.retrieval.library import open_store
from medxiaohe.types import Evidence

np = pytest.importorskip("numpy")

LONG = " ".join(f"Sentence {n} is about the spleen." for n in range(80))
DOCUMENTS = [
    Evidence("kidney", "Renal failure means that the kidneys fail.", "book", license="CC0", level="C"),
    Evidence("long", LONG, "report"),
    *(Evidence(f"twin{n}", "hypertensive crisis", "book") for n in (2, 1)),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from medxiaohe.retrieval.dense import build_dense

    (tmp_path / "dense").mkdir()
    assert build_dense(tmp_path / "dense", iter(DOCUMENTS), "ngrams") == {"documents": 4, "chunks": 7}
    return tmp_path / "dense"


def test_near_texts_are_found_in_one_order_with_their_spans(folder: Path) -> None:
    store = open_store(folder)
    kidney, twins, spleen = store.search(["kidney failure", "hypertensive crisis", "spleen sentence"], 2)
    assert kidney[0].id == "kidney" and kidney[0].license == "CC0" and kidney[0].level == "C"
    assert [one.id for one in twins] == ["twin1", "twin2"] and twins[0].score == pytest.approx(1, abs=1e-2)
    for one in spleen:
        assert one.at and one.at.span and store.get(one.id).text[slice(*one.at.span)] == one.text
    assert store.get("long").text == LONG and len(store.search(["spleen"], 99)[0]) == 7


def test_what_is_wrong_is_one_sentence(folder: Path) -> None:
    from medxiaohe.models.embed import Embedder
    from medxiaohe.retrieval.dense import DenseStore

    with pytest.raises(DataError, match="no document 'nobody'"):
        open_store(folder).get("nobody")
    with pytest.raises(DataError, match="top is 0"):
        open_store(folder).search(["x"], 0)
    other = Embedder("other", 3, lambda texts, size, done: np.zeros((len(texts), 3), np.float32))
    with pytest.raises(DataError, match=r"was built with .* and not with other \(3\)"):
        DenseStore(folder, other)
    (folder / "vectors.0.f16").write_bytes(b"\0")
    with pytest.raises(DataError, match="truncated or damaged"):
        open_store(folder)


def test_a_model_that_was_trained_again_is_refused(tmp_path: Path) -> None:
    from medxiaohe.models.embed import Embedder
    from medxiaohe.retrieval.dense import DenseStore, build_dense

    def lengths(texts: Sequence[str], size: int, done: Callable[[int], None]) -> np.ndarray:
        return np.asarray([[1.0, 0.0] if len(text) > 20 else [0.0, 1.0] for text in texts], np.float32)

    old = Embedder("model, mean pooling", 2, lengths, weights="a")
    build_dense(tmp_path, iter(DOCUMENTS), encoder=old)
    assert DenseStore(tmp_path, old).size
    with pytest.raises(DataError, match="built with other weights of model") as raised:
        DenseStore(tmp_path, replace(old, weights="b"))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("documents", "problem"), [([], "no document"), ([DOCUMENTS[0]] * 2, "two documents have the id")]
)
def test_documents_that_make_no_store_leave_nothing(
    tmp_path: Path, documents: list[Evidence], problem: str
) -> None:
    from medxiaohe.retrieval.dense import build_dense

    with pytest.raises(DataError, match=problem), io.publish(tmp_path / "store") as draft:
        build_dense(draft, iter(documents), "ngrams")
    assert not (tmp_path / "store").exists()


def test_the_verbs_build_and_check_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    io.write_jsonl(
        tmp_path / "p.jsonl", [{"id": "a", "text": "the spleen"}, {"id": "b", "text": "the liver"}]
    )
    sets = [f"--set={one}" for one in ("kind=dense", "embedder=ngrams", f"path={tmp_path}/p.jsonl")]
    assert main(["knowledge", "build", "--out", str(tmp_path / "out"), *sets]) == 0
    at = ["--store", str(tmp_path / "out" / "data_index")]
    assert (
        main(["knowledge", "check", *at]) == main(["knowledge", "search", "spleens", "--top", "1", *at]) == 0
    )
    assert "[a]" in capsys.readouterr().out
