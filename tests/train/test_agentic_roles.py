"""One role of a workflow is trained, others are frozen: which rows an episode has, and what carries loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agentic_for_tests import ends, knows, library, loaded, mixture, scripted, short

from medxiaohe import io, plugins
from medxiaohe.agents.engine import Cast
from medxiaohe.errors import ConfigError
from medxiaohe.models import checkpoint
from medxiaohe.models.backends.scripted import scripted as frozen
from medxiaohe.models.render import render, render_prompt
from medxiaohe.train.agentic import Player, agentic
from medxiaohe.train.rollouts.rollout import roll
from medxiaohe.train.rollouts.talk import Talk
from medxiaohe.types import Message, Prompt

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
__all__ = ["knows", "library", "loaded", "mixture"]  # fixtures
PANEL = """
from medxiaohe.agents.engine import Answer, Ask, workflow
from medxiaohe.types import Message

def user(text):
    return Message("user", (text,))

@workflow(roles=("critic", "director"))
def panel(case, rounds: int = 1):
    asked = list(case.prompt.messages)
    first = yield Ask("director", [*asked, user("First view?")])
    talk = [*asked, first]
    for _ in range(rounds):
        critic = yield Ask("critic", [user("Criticise: " + first.text)])
        talk.append(user(critic.text))
        talk.append((yield Ask("director", talk)))
    return Answer(messages=talk)

@workflow(roles=("director",))
def twins(case):
    asked = list(case.prompt.messages)
    one, two = yield [Ask("director", asked), Ask("director", asked)]
    last = yield Ask("director", [*asked, one, user("And " + two.text + "?")])
    return Answer(messages=[*asked, one, user("?"), last])

def critic(messages):
    return "FROZEN WORDS"
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flows") / "panel.py"
    path.write_text(PANEL)
    return path


def talk_of(file: Path, name: str = "panel", policy: str = "director", **settings: Any) -> Talk:
    prompt = Prompt("p", (Message("user", ("Where is insulin made?",)),))
    return Talk(prompt, (), "allowed", plugins.load("workflows", f"{file}:{name}"), settings, policy)


def test_an_ask_that_does_not_continue_the_last_starts_a_row_and_every_row_is_its_render(
    loaded: checkpoint.Loaded, file: Path
) -> None:
    talk = talk_of(file, rounds=2)
    cast = Cast({"critic": frozen("critic", lambda _: "FROZEN WORDS")})
    generate = scripted([["The liver."], ["Hm."], ["The pancreas."]], loaded.processor)
    one, two = roll([talk], loaded.processor, 4096, generate, ends(loaded), cast)
    assert one.talk is two.talk is talk and talk.done and not talk.error
    assert talk.trace.answer == "The pancreas."
    for row, sampled in ((one, ["The liver."]), (two, ["Hm.", "The pancreas."])):
        whole = render(row.messages, loaded.processor)
        assert row.tokens == list(whole.tokens[: len(row.tokens)])
        mask = [0] * row.num_prompt + row.mask
        kept = [token for token, keep in zip(row.tokens, mask, strict=True) if keep]
        assert loaded.processor.tokenizer.decode(kept) == "".join(f"{text}<|im_end|>" for text in sampled)
        first = next(i for i, m in enumerate(row.messages) if m.role == "assistant" and m.text == sampled[0])
        asked = render_prompt(row.messages[:first], loaded.processor)
        assert tuple(row.tokens[: row.num_prompt]) == asked.tokens
    behind = loaded.processor.tokenizer.decode(two.tokens)
    assert behind.count("FROZEN WORDS") == 2 and "The liver." in behind, "as a part of what was asked"


def test_two_asks_at_once_have_a_row_each(loaded: checkpoint.Loaded, file: Path) -> None:
    generate = scripted([["A.", "B."], ["C."]], loaded.processor)
    rows = roll([talk_of(file, "twins")], loaded.processor, 4096, generate, ends(loaded))
    texts = [[m.text for m in row.messages if m.role == "assistant"] for row in rows]
    assert texts == [["A."], ["B."], ["A.", "C."]]
    assert [sum(row.mask) for row in rows] == [
        len(loaded.processor.tokenizer(f"{text}<|im_end|>", add_special_tokens=False)["input_ids"])
        for text in ("A.", "B.", "C.")
    ], "the reply of another row is read again, and learned from once"


def test_a_role_that_nobody_plays_and_a_policy_that_is_never_asked_are_sentences(
    loaded: checkpoint.Loaded, file: Path
) -> None:
    generate = scripted([["The liver."]], loaded.processor)
    with pytest.raises(ConfigError, match="asks the role 'critic', which is not the policy: give it a model"):
        roll([talk_of(file)], loaded.processor, 4096, generate, ends(loaded))
    everyone = Cast(frozen("all", lambda _: "x"))
    with pytest.raises(ConfigError, match="never asks the role 'nurse', which `policy` says to train"):
        roll([talk_of(file, policy="nurse")], loaded.processor, 4096, generate, ends(loaded), everyone)


def test_settings_that_cannot_be_meant_are_refused(library: Path, file: Path) -> None:
    name = {"name": f"{file}:panel"}
    with pytest.raises(ConfigError, match="unknown setting; did you mean 'rounds'"):
        short(library, workflow={**name, "round": 2})
    with pytest.raises(ConfigError, match="use: forced needs a workflow with a setting `use`"):
        short(library, workflow=name, use="forced")
    with pytest.raises(ConfigError, match="'director' is the policy: leave it out of the cast"):
        short(library, workflow=name, policy="director", cast={"director": Player("x")})
    with pytest.raises(ConfigError, match="no workflows named 'pannel'"):
        short(library, workflow={"name": "pannel"})


def test_only_what_the_trained_role_sampled_has_a_gradient(
    mixture: Path, knows: Path, library: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With respect to the hidden states that logits are made of: exactly 0 for prompts, for the words of the
    frozen role, and for padding; and all rows of a conversation have its advantage."""
    from trl import GRPOTrainer

    seen: list[tuple[Any, Any]] = []
    real = GRPOTrainer._compute_loss

    def watched(self: Any, model: Any, inputs: dict[str, Any]) -> Any:
        kept: list[Any] = []

        def keep(_: Any, __: Any, output: Any) -> None:
            output.last_hidden_state.retain_grad()
            kept.append(output.last_hidden_state)

        hook = self.accelerator.unwrap_model(model).model.register_forward_hook(keep)
        loss = real(self, model, inputs)
        hook.remove()
        talks = [id(one.talk) for one in self.rolled]
        seen.append((kept[0], {**inputs, "talks": talks}))
        return loss

    monkeypatch.setattr(GRPOTrainer, "_compute_loss", watched)
    settings = short(
        library,
        workflow={"name": f"{file}:panel"},
        policy="director",
        cast={"critic": Player(f"{file}:critic", "python")},
        max_steps=4,
        per_device_train_batch_size=8,
        beta=0.05,
        entropy_coef=0.01,  # a gradient also where all conversations of a prompt earn the same
        max_completion_length=60,
    )
    with io.publish(tmp_path / "out") as draft:
        agentic(settings, draft, data=mixture, model=knows)
    more_rows = outside_seen = sampled_seen = 0
    for hidden, inputs in seen:
        prompt = inputs["prompt_ids"].shape[1]
        predicts = hidden.grad[:, prompt - 1 : -1].abs().amax(-1)
        outside = (inputs["tool_mask"] * inputs["completion_mask"]) == 0
        assert predicts[outside].max() == 0.0 and hidden.grad[:, : prompt - 1].abs().max() == 0.0
        outside_seen += int((outside & (inputs["completion_mask"] == 1)).sum())
        sampled_seen += int((predicts[~outside] > 0).sum())
        rows = len(inputs["advantages"])
        more_rows += rows - 8
        assert rows == len(inputs["talks"]) and len(set(inputs["talks"])) == 8
        by_talk = len({round(float(value), 5) for value in inputs["advantages"]})
        assert by_talk <= 8
    assert more_rows > 0 and sampled_seen > 20
    rows_written = list(io.read_jsonl(tmp_path / "out" / "rollouts.jsonl"))
    assert len(rows_written) == 4 * 8, "a row of rollouts.jsonl is a conversation"
