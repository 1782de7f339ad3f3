"""train.retriever: pairs teach an embedder, a cross-encoder and heads; no row of a test split is used."""

from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import ImageRef, Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("tantivy")
transformers = pytest.importorskip("transformers")

from medxiaohe.models import embed, embed_images  # noqa: E402
from medxiaohe.models.rerank import cross_encoder  # noqa: E402
from medxiaohe.train.retriever import RetrieverSettings, recall, retriever  # noqa: E402

ORGANS = [f"organ{n}" for n in range(12)]
SIGNS = [f"sign{n}" for n in range(12)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two small layers that knows the words of the pairs and nothing else."""
    import tokenizers

    folder = tmp_path_factory.mktemp("base")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "what", "shows", "disease", "of", "the", *ORGANS, *SIGNS]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: n for n, word in enumerate(words)}, "[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def rows(folder: Path, split: str = "validation", images: tuple[Path, ...] = ()) -> Path:
    """Questions of an organ whose answer is a sign: no word in common, so only training tells."""
    samples = []
    for turn in range(4):
        for n, (organ, sign) in enumerate(zip(ORGANS, SIGNS, strict=True)):
            words = f"the {sign} " + "of the " * turn
            held = split if turn == 3 else "train"
            pictures = (ImageRef(str(images[n])),) if images else ()
            asked = Message("user", (f"what shows disease of the {organ} " + "the " * turn,))
            samples.append(
                Sample(
                    f"{turn}-{n}", (asked,), target=words, split=held, source="made", license="CC0"
                ) if not pictures else
                Sample(
                    f"{turn}-{n}", (Message("user", (*pictures, sign + " the" * turn)),), split=held,
                    source="made", license="CC0",
                )
            )  # fmt: skip
    folder.mkdir()
    io.write_jsonl(folder / "samples.jsonl", samples)
    return folder


def made(tmp_path: Path, **settings: object) -> dict[str, object]:
    out = tmp_path / "out"
    out.mkdir()
    return retriever(RetrieverSettings(allow_contaminated=True, **settings), out, data=tmp_path / "data")  # type: ignore[arg-type]


def test_an_embedder_learns_which_passage_answers(tmp_path: Path, base: Path) -> None:
    rows(tmp_path / "data")
    summary = made(tmp_path, base=str(base), steps=60, batch=12, learning_rate=5e-3)
    assert summary["pairs"] == 36 and summary["held_out"] == 12
    assert summary["loss_last"] < summary["loss_first"]  # type: ignore[operator]
    assert summary["recall_after"] > summary["recall_before"]  # type: ignore[operator]
    encoder = embed.embedder(str(tmp_path / "out" / "model"))
    assert encoder.encode(["what shows disease of the organ3"], kind="query").shape == (1, 32)
    assert encoder.weights != embed.embedder(str(base)).weights != ""


def test_a_cross_encoder_learns_to_put_the_right_passage_first(tmp_path: Path, base: Path) -> None:
    rows(tmp_path / "data")
    folder = tmp_path / "data" / "samples.jsonl"
    shared = [row | {"target": row["target"] + " disease"} for row in io.read_jsonl(folder)]
    io.write_jsonl(folder, shared)
    summary = made(tmp_path, kind="cross", base=str(base), steps=60, batch=6, negatives=2, learning_rate=5e-3)
    assert summary["loss_last"] < summary["loss_first"]  # type: ignore[operator]
    score = cross_encoder(tmp_path / "out" / "model")
    pairs = [("what shows disease of the organ3 ", f"the sign{n}  disease") for n in range(12)]
    assert score(pairs) == score(pairs) and len(score(pairs)) == 12


def test_heads_join_images_and_words_in_one_space(tmp_path: Path, base: Path) -> None:
    np = pytest.importorskip("numpy")
    image = pytest.importorskip("PIL.Image")
    files = []
    for n in range(12):
        pixels = np.zeros((36, 36), np.uint8)
        pixels[:, n * 3 : n * 3 + 3] = 255
        files.append(tmp_path / f"{n}.png")
        image.fromarray(pixels).save(files[-1])
    rows(tmp_path / "data", images=tuple(files))
    summary = made(
        tmp_path, kind="heads", tower="thumbnails", embedder="ngrams", steps=80, batch=12, learning_rate=1e-3
    )
    assert summary["recall_after"] > summary["recall_before"]  # type: ignore[operator]
    both = embed_images.image_embedder(str(tmp_path / "out" / "model"))
    one, two = both.encode([ImageRef(str(path)) for path in files]), both.encode_text(SIGNS)
    assert one.shape == two.shape == (12, 256) and recall(one, two, 3) > 0.5


def test_rows_of_a_test_split_and_rows_nobody_compared_are_refused(tmp_path: Path, base: Path) -> None:
    rows(tmp_path / "data", split="test")
    with pytest.raises(DataError, match="is of a test split"):
        made(tmp_path, base=str(base))
    with pytest.raises((DataError, ConfigError), match="curate"):
        retriever(RetrieverSettings(base=str(base)), tmp_path, data=tmp_path / "data")
    with pytest.raises(ConfigError, match="batch at least 2"):
        RetrieverSettings(batch=1)
