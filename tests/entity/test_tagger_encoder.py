"""The encoder beside the CRF of a tagger: what it reads, that it learns, that texts do not touch each other,
files without pickle."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_tagger import TREE, made

from medxiaohe import io
from medxiaohe.entity import tagger
from medxiaohe.entity.build import row
from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.tagger import Corpus, Options, Tagger, TaggerSettings, begin
from medxiaohe.entity.tagging import training_examples, windows
from medxiaohe.entity.tagging.encoder import EncoderOptions
from medxiaohe.errors import ConfigError, DataError

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
pytest.importorskip("numba")
pytest.importorskip("transformers")


def hub_folder(folder: Path, num_positions: int) -> Path:
    """An encoder in hub layout with weights at random, whose pieces are letters."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,;:()-"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        models.WordPiece({piece: i for i, piece in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=num_positions, **sizes)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hub_folder(tmp_path_factory.mktemp("tiny"), 512)


@pytest.fixture(scope="module")
def both(tiny: Path) -> Tagger:
    options = Options(epochs=2, folds=0, encoder=EncoderOptions(str(tiny), epochs=6, rate=1e-3, pieces=600))
    return Tagger.train(made(60, 0), TREE, options=options)


def test_the_encoder_alone_finds_what_it_was_taught(both: Tagger) -> None:
    tested = made(20, 9)
    silent = replace(
        both.weights, state=np.zeros_like(both.weights.state), between=np.zeros_like(both.weights.between)
    )
    alone = Tagger(both.kinds, both.reading, silent, {}, both.encoder)
    found = alone.spans_batch([document.text for document in tested])
    right = sum(
        len({(s.start, s.end, s.kind) for s in d.spans} & {s[:3] for s in spans})
        for d, spans in zip(tested, found, strict=True)
    )
    assert right > 0.9 * sum(len(document.spans) for document in tested)
    without = Tagger(both.kinds, both.reading, silent, {})
    assert not any(without.spans_batch([document.text for document in tested])), "the CRF was silenced"


def test_its_scores_are_shares_of_log_probabilities(both: Tagger) -> None:
    assert both.encoder is not None
    scores = both.encoder.scores(both.reading.texts([made(1, 4)[0].text]))
    assert np.allclose(np.exp(scores / both.encoder.share).sum(1), 1)


def test_texts_in_a_batch_do_not_touch_each_other(both: Tagger) -> None:
    texts = [document.text for document in made(5, 3)] + ["", "Nothing here.", " \n "]
    together = both.spans_batch(texts)
    assert [[span[:3] for span in spans] for spans in together] == [
        [span[:3] for span in both.spans(text)] for text in texts
    ]


def test_a_saved_tagger_gives_the_same_and_has_no_pickle(both: Tagger, tmp_path: Path) -> None:
    both.save(tmp_path)
    texts = [document.text for document in made(10, 5)]
    assert Tagger.load(tmp_path).spans_batch(texts) == both.spans_batch(texts)
    assert {path.suffix for path in (tmp_path / "encoder").iterdir()} == {".json", ".safetensors"}
    heads = tmp_path / "encoder" / "heads.safetensors"
    heads.write_bytes(heads.read_bytes()[:1000])
    with pytest.raises(DataError, match="train it again"):
        Tagger.load(tmp_path)


def test_the_same_seed_gives_the_same_scores_and_leaves_the_seed_of_others_alone(tiny: Path) -> None:
    options = Options(epochs=1, folds=0, encoder=EncoderOptions(str(tiny), epochs=1))
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    one, two = (Tagger.train(made(12, 1), TREE, options=options) for _ in range(2))
    assert torch.rand(1) == drawn
    read = one.reading.texts([made(1, 2)[0].text])
    assert one.encoder and two.encoder and np.array_equal(one.encoder.scores(read), two.encoder.scores(read))


def test_it_may_learn_other_corpora_first_and_the_start_stays_as_it_was(tiny: Path) -> None:
    options = EncoderOptions(str(tiny), epochs=1, first_epochs=4, rate=1e-3, pieces=600)
    other = [
        replace(one, spans=tuple(replace(span, kind=f"other {span.kind}") for span in one.spans))
        for one in made(40, 11)
    ]
    untaught, taught = begin([], options, TREE), begin([other, made(10, 12)], options, TREE)
    before = {name: value.clone() for name, value in taught.parts.state_dict().items()}
    losses = []
    for start in (untaught, taught):
        made_so = Tagger.train(
            made(12, 1), TREE, options=Options(epochs=1, folds=0, encoder=options), start=start
        )
        assert made_so.kinds == ("chemical", "disease") and made_so.encoder is not None
        lesson = training_examples.lesson(
            made(20, 13), (made_so.reading.indexes, {}, made_so.reading.uses, None)
        )
        scores = made_so.encoder.scores(made_so.reading.texts([one.text for one in made(20, 13)]))
        losses.append(-scores[np.arange(len(scores)), lesson.gold].mean())
    assert losses[1] < losses[0], "what was learned before helps"
    assert all(torch.equal(value, before[name]) for name, value in taught.parts.state_dict().items())


def test_the_stage_teaches_the_encoder_other_corpora_first(tiny: Path, tmp_path: Path) -> None:
    io.write_jsonl(tmp_path / "tree" / "entities.jsonl", map(row, TREE.entities.values()))
    lines = (
        "{id}|t|Naloxone reverses clonidine.\n{id}|a|Nausea in rats.\n{id}\t0\t8\tNaloxone\t{kind}\tD009270\n"
    )
    (tmp_path / "gold.txt").write_text(lines.format(id=1, kind="Chemical"))
    (tmp_path / "other.txt").write_text(lines.format(id=2, kind="Drug"))
    (tmp_path / "unmarked.txt").write_text("3|t|Nothing.\n3|a|Nothing at all.\n")
    gold, other, unmarked = (
        Corpus("pubtator", str(tmp_path / f"{name}.txt")) for name in ("gold", "other", "unmarked")
    )
    options = Options(epochs=1, folds=0, least=1, encoder=EncoderOptions(str(tiny), epochs=1, first_epochs=1))
    summary = tagger.tagger(
        TaggerSettings((gold,), before=(other,), options=options), tmp_path / "out", tree=tmp_path / "tree"
    )
    assert (
        summary["mentions"] == {"chemical": 1}
        and summary["before"] == [1]
        and summary["encoder"] == str(tiny)
    )
    loaded = Tagger.load(tmp_path / "out", Annotator.of(tmp_path / "tree").annotate_batch)
    assert loaded.encoder is not None and loaded.kinds == ("chemical",)
    with pytest.raises(DataError, match="no marked mention"):
        tagger.tagger(
            TaggerSettings((gold,), before=(unmarked,), options=options),
            tmp_path / "out2",
            tree=tmp_path / "tree",
        )


def test_windows_are_whole_sentences_and_every_token_is_read_once(
    both: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert both.encoder is not None
    texts = both.reading.texts([document.text for document in made(3, 7)])
    monkeypatch.setattr(windows, "WINDOW", 100)
    read = windows.windows_of(texts, both.encoder.tokenizer)
    assert len(read) > 3 and max(len(window.pieces) for window in read) <= 102
    for number, text in enumerate(texts):
        mine = [window.words for window in read if window.text == number]
        assert [word for words in mine for word in dict.fromkeys(words) if word >= 0] == list(
            range(len(text.words))
        )
        assert {words[1] for words in mine} <= set(text.bounds), "a window begins with a sentence"


def test_a_sentence_longer_than_a_window_is_cut_and_tagged_all_the_same(both: Tagger) -> None:
    text = "We gave naloxone to rats with chest pain and " + "with " * 900 + "renal failure."
    found = [text[s.start : s.end] for s in both.spans(text)]
    assert found[:2] == ["naloxone", "chest pain"]


def test_what_is_no_encoder_is_one_sentence(tiny: Path, tmp_path: Path) -> None:
    def train(model: Any) -> None:
        Tagger.train(
            made(6, 1), TREE, options=Options(epochs=1, folds=0, encoder=EncoderOptions(str(model), epochs=1))
        )

    with pytest.raises(ConfigError, match=r"no encoder .*minilm"):
        train(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text((tiny / "config.json").read_text())
    with pytest.raises(ConfigError, match="cannot load the encoder"):
        train(tmp_path)
    with pytest.raises(ConfigError, match="reads 128 pieces at once, and 404 are needed"):
        train(hub_folder(tmp_path / "short", 128))
    with pytest.raises(ConfigError, match="share"):
        EncoderOptions(share=0)
    with pytest.raises(ConfigError, match=r"before is for the encoder: set options\.encoder"):
        TaggerSettings(gold=(Corpus("pubtator", "a"),), before=(Corpus("pubtator", "b"),))
