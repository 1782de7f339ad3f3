"""Answers are ranked by likelihood with each prompt read once, on models with and without eyes."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from medxiaohe import plugins
from medxiaohe.errors import DataError, ModelError
from medxiaohe.evals.running.answer_options import candidates
from medxiaohe.models import prefix, ranking, render
from medxiaohe.models.backends.python import python
from medxiaohe.tasks import make
from medxiaohe.types import ImageRef, Message

ANSWERS = ["A", "heart failure", "pneumonia of the lung", "B"]


def asked(text: str) -> list[Message]:
    return [Message("user", (text,))]


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model that reads no images, in hub layout."""
    pytest.importorskip("transformers")
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder, words = tmp_path_factory.mktemp("models") / "blind", tiny.tokenizer()
    torch.manual_seed(0)
    sizes = dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=512,
    )
    ends = dict(
        eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, bos_token_id=words.bos_token_id
    )
    LlamaForCausalLM(
        LlamaConfig(vocab_size=len(words), initializer_range=0.2, **sizes, **ends)
    ).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def backend(folder: Path) -> Any:
    return plugins.load("models", "transformers")(str(folder), batch_size=3, max_new_tokens=4, device="cpu")


def test_behind_a_document_options_are_ranked_as_lm_eval_ranks_them(blind: Path) -> None:
    import torch

    question, options = "Question: What is it?\nAnswer:", [" A", " heart failure", " pneumonia"]
    engine = backend(blind)
    (found,) = engine.choice_nats([[Message("document", (question,))]], [options])
    words, model = engine.processor.tokenizer, engine.model
    for nats, option in zip(found, options, strict=True):
        # the tokens of the whole text, of which those behind the question's are scored: no template, no end
        whole = words(question + option, add_special_tokens=False)["input_ids"]
        start = len(words(question, add_special_tokens=False)["input_ids"])
        with torch.no_grad():
            logits = model(torch.tensor([whole])).logits[0].float().log_softmax(-1)
        wanted = -sum(float(logits[i - 1, whole[i]]) for i in range(start, len(whole)))
        assert nats == pytest.approx(wanted, rel=1e-4) and len(whole) > start


def test_one_prompt_pass_gives_what_whole_passes_give(
    blind: Path, tiny_vlm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks = [
        asked("Why?"),
        asked("What is the diagnosis? " * 9),
        asked("cough " * 20),
        asked("Is there fever?"),
        asked("A"),
    ]
    for folder in (blind, tiny_vlm):
        model = backend(folder)
        assert ranking.shares_prompts(model.model)
        once = model.choice_nats(talks, [ANSWERS] * 4 + [["yes"]])
        monkeypatch.setattr(ranking, "shares_prompts", lambda _: False)
        whole = model.choice_nats(talks, [ANSWERS] * 4 + [["yes"]])
        monkeypatch.undo()
        for a, b in zip(once, whole, strict=True):
            assert a == pytest.approx(b, rel=1e-4)
        bare = model.choice_nats(talks[:1], [ANSWERS], end=False)[0]
        assert all(x < y for x, y in zip(bare, once[0], strict=True)), (
            "the end of the turn costs something too"
        )


def test_a_language_model_answers_words_and_refuses_images(blind: Path) -> None:
    model = backend(blind)
    assert (
        model.reply([asked("Why?"), asked("Is it?")])[0].role == "assistant"
        and model.token_nats(["fever and cough"])[0][0] > 0
    )
    with pytest.raises(DataError, match="reads text only"):
        model.reply([[Message("user", (ImageRef("x.png"), "What?"))]])


def test_a_model_without_a_chat_template_is_refused(blind: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(blind, tmp_path / "bare")
    (tmp_path / "bare/chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        backend(tmp_path / "bare")


def test_what_is_on_offer_follows_from_the_kind_of_task() -> None:
    lettered = make("mesh_topic")
    offered = candidates(lettered)
    assert offered is not None and offered(lettered.example) == ("A", "B", "C", "D")
    yes = candidates(make("pubmedqa"))
    assert yes is not None and yes(make("pubmedqa").example) == ("Yes", "No", "Maybe")
    kinds = candidates(make("entity_kind"))
    assert kinds is not None and set(kinds(make("entity_kind").example)) == {
        "disease",
        "anatomy",
        "phenotype",
        "chemical",
    }


def test_a_python_function_may_answer_one_or_many(tmp_path: Path) -> None:
    (tmp_path / "bot.py").write_text(
        "def one(messages):\n    return messages[-1].text.upper()\n"
        "def many(conversations):\n    return [str(len(conversations))] * len(conversations)\n"
        "def lost(conversations):\n    return []\n"
        "def number(messages):\n    return 7\n"
        "class Mine:\n    name = 'mine'\n    def reply(self, talks, tools=()):\n        return []\n"
    )
    talks = [asked("a"), asked("b")]
    assert [m.text for m in python(f"{tmp_path}/bot.py:one").reply(talks)] == ["A", "B"]
    assert [m.text for m in python(f"{tmp_path}/bot.py:many").reply(talks)] == ["2", "2"]
    assert python(f"{tmp_path}/bot.py:Mine").name == "mine"
    for name, problem in (("lost", "0 answers to 2"), ("number", "not int")):
        with pytest.raises(ModelError, match=problem):
            python(f"{tmp_path}/bot.py:{name}").reply(talks)


def test_what_prompts_begin_with_alike_is_read_once_and_changes_no_answer(
    blind: Path, tiny_vlm: Path
) -> None:
    system = Message(
        "system", ("You are a careful physician. Think of the patient, the lung and the heart. " * 3,)
    )
    talks = [
        [system, *asked(text)]
        for text in ("Why?", "What is the diagnosis? " * 9, "cough " * 20, "Is there fever?", "A", "fever")
    ]
    for folder in (blind, tiny_vlm):
        model, plain = backend(folder), backend(folder)
        assert model.beginnings.able
        plain.beginnings.able = False
        assert [m.text for m in model.reply(talks)] == [m.text for m in plain.reply(talks)]
        for a, b in zip(
            model.choice_nats(talks, [ANSWERS] * 6), plain.choice_nats(talks, [ANSWERS] * 6), strict=True
        ):
            assert a == pytest.approx(b, rel=1e-4)
        read = model.beginnings._tokens
        assert len(read) > 60 and not plain.beginnings._tokens
        assert all(
            tuple(render.render_prompt(talk, model.processor).tokens[: len(read)]) == read for talk in talks
        )


def test_prompts_that_are_one_the_beginning_of_the_other_keep_a_token_each(blind: Path) -> None:
    model, plain = backend(blind), backend(blind)
    plain.beginnings.able = False
    talks = [asked("The patient has fever and cough, what is the diagnosis?")] * 3
    assert [m.text for m in model.reply(talks)] == [m.text for m in plain.reply(talks)]
    rows = [render.render_prompt(talk, model.processor) for talk in talks]
    assert len(model.beginnings._tokens) == len(rows[0].tokens) - 1


def test_models_that_see_through_a_window_read_every_prompt_whole() -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM, MistralConfig, MistralForCausalLM

    sizes = dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
    )
    rows = [render.Rendered((*range(1, 12), last), (False,) * 12) for last in (20, 21)]
    for kind, config in ((Gemma2ForCausalLM, Gemma2Config), (MistralForCausalLM, MistralConfig)):
        model = kind(config(vocab_size=64, sliding_window=8, **sizes)).eval()
        beginnings = prefix.Beginnings(model)
        assert ranking.shares_prompts(model) and beginnings.length(rows) == 0 and not beginnings.able
    plain = prefix.Beginnings(
        MistralForCausalLM(MistralConfig(vocab_size=64, sliding_window=None, **sizes)).eval()
    )
    assert plain.length(rows) == 11 and plain.able
