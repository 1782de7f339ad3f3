"""Answers are ranked by likelihood with each prompt read once, on models with and without eyes."""

from pathlib import Path
from typing import Any

import pytest
import tiny

from medxiaohe import plugins
from medxiaohe.errors import DataError, ModelError
from medxiaohe.evals.candidates import candidates
from medxiaohe.models import ranking
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
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=512)
    ends = dict(eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, bos_token_id=words.bos_token_id)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(words), initializer_range=0.2, **sizes, **ends)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def backend(folder: Path) -> Any:
    return plugins.load("models", "transformers")(str(folder), batch_size=3, max_new_tokens=4, device="cpu")


def test_one_prompt_pass_gives_what_whole_passes_give(blind: Path, tiny_vlm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    talks = [asked("Why?"), asked("What is the diagnosis? " * 9), asked("cough " * 20), asked("Is there fever?"), asked("A")]
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
        assert all(x < y for x, y in zip(bare, once[0], strict=True)), "the end of the turn costs something too"


def test_a_language_model_answers_words_and_refuses_images(blind: Path) -> None:
    model = backend(blind)
    assert model.reply([asked("Why?"), asked("Is it?")])[0].role == "assistant" and model.token_nats(["fever and cough"])[0][0] > 0
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
    assert kinds is not None and set(kinds(make("entity_kind").example)) == {"disease", "anatomy", "phenotype", "chemical"}


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
