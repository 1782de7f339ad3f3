"""models/embed.py: unit rows, the order of the texts, the same bytes every time."""

from pathlib import Path

import pytest

from medxiaohe import assets
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.models.embed import NGRAM_DIM, embedder

np = pytest.importorskip("numpy")
TEXTS = [
    "renal failure",
    "",
    "Kidney failure",
    "renal failure",
    "肺炎",
    "acute renal failure of the newborn",
    "x" * 3000,
]


def has_minilm() -> bool:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return any(row.name == "minilm" and row.folder for row in assets.status())


@pytest.mark.parametrize("name", ["ngrams", "minilm"])
def test_rows_are_units_in_the_order_of_the_texts_and_the_same_every_time(name: str) -> None:
    if name == "minilm" and not has_minilm():
        pytest.skip("the package file minilm is not in the cache")
    encoder = embedder(name)
    rows = encoder.encode(TEXTS, batch_size=2)
    assert rows.dtype == np.float32 and rows.shape == (len(TEXTS), encoder.dim)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert (rows[0] == rows[3]).all()
    assert (rows == encoder.encode(TEXTS, batch_size=2)).all()
    assert np.allclose(rows, encoder.encode(TEXTS, batch_size=64), atol=1e-5)
    assert np.allclose(rows[::-1], encoder.encode(TEXTS[::-1]), atol=1e-5)
    assert rows[0] @ rows[2] > rows[0] @ rows[4]
    assert encoder.encode([]).shape == (0, encoder.dim)


def test_minilm_is_the_mean_of_the_last_hidden_states() -> None:
    if not has_minilm():
        pytest.skip("the package file minilm is not in the cache")
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = assets.folder("minilm")
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        states = model(**tokenizer("renal failure", return_tensors="pt")).last_hidden_state[0]
    mean = states.mean(0) / states.mean(0).norm()
    encoder = embedder("minilm")
    assert encoder.name == "all-MiniLM-L6-v2, mean pooling"
    assert np.allclose(encoder.encode(["renal failure"])[0], mean.numpy(), atol=1e-5)
    assert encoder.encode(["renal failure", "kidney failure", "a broken leg"])[:2].prod(0).sum() > 0.7


def test_ngrams_do_not_run_over_the_end_of_a_text() -> None:
    encoder = embedder("ngrams")
    assert encoder.dim == NGRAM_DIM
    alone = encoder.encode(["asthma"])[0]
    assert np.allclose(encoder.encode(["ab", "asthma", "zq", "Asthma ", "asthmatic"])[1], alone, atol=1e-6)
    assert np.allclose(encoder.encode(["Asthma "])[0], alone, atol=1e-6)


def test_wrong_names_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="minilm"):
        embedder("minilmm")
    with pytest.raises(ConfigError, match="batch_size"):
        embedder("ngrams").encode(["a"], batch_size=0)
    (tmp_path / "model.py").write_text("print()")
    with pytest.raises(ModelError, match="code or pickles"):
        embedder(str(tmp_path))


def test_e5_finds_a_passage_of_the_same_language_and_tells_queries_from_passages() -> None:
    if not any(row.name == "e5_small" and row.folder for row in assets.status()):
        pytest.skip("the package file e5_small is not in the cache")
    encoder = embedder("e5")
    (query,) = encoder.encode(["糖尿病的常见症状是什么？"], kind="query")
    right, wrong = encoder.encode(
        ["糖尿病患者常见多饮、多尿、体重下降。", "阑尾炎可以手术治疗。"], kind="document"
    )
    assert query @ right > query @ wrong + 0.05
    (passage,) = encoder.encode(["糖尿病的常见症状是什么？"], kind="document")
    assert query @ passage < 0.999
