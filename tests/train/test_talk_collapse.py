"""When talk swallows tools training stops and says so; a teacher that knows the outcome holds each turn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agentic_for_tests import knows, library, loaded, mixture, outcome, scripted, short

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.models import checkpoint
from medxiaohe.train.agentic import agentic
from medxiaohe.train.loop import resume
from medxiaohe.train.rollouts import conversation_rewards, watch
from medxiaohe.train.rollouts.distillation import Distillation, Teacher, first_of_turns
from medxiaohe.train.rollouts.rollout import roll
from medxiaohe.train.rollouts.talk import started
from medxiaohe.types import Message, Prompt

torch = pytest.importorskip("torch")
pytest.importorskip("trl")
__all__ = ["knows", "library", "loaded", "mixture"]  # fixtures
TERM = {"coef": 0.5, "tokens": 6, "decay": 0.5}


def rows(tools: list[float], tokens: list[float], reward: list[float]) -> list[dict[str, Any]]:
    """Two rows for each generation."""
    return [
        {"sample": "a", "reward": r, "parts": {"tool_turns": t, "turn_tokens": n}}
        for t, n, r in zip(tools, tokens, reward, strict=True)
        for _ in range(2)
    ]


@pytest.mark.parametrize(
    ("tools", "tokens", "reward", "stops"),
    [
        ([0.5] * 3 + [0.1] * 3, [20.0] * 3 + [60.0] * 3, [0.4] * 6, True),
        ([0.5] * 3 + [0.1] * 3, [20.0] * 3 + [60.0] * 3, [0.4] * 3 + [0.8] * 3, False),  # it earns more
        ([0.5] * 3 + [0.1] * 3, [20.0] * 6, [0.4] * 6, False),  # replies are no longer
        ([0.5] * 6, [20.0] * 3 + [60.0] * 3, [0.4] * 6, False),  # tools are called as before
        ([0.01] * 3 + [0.0] * 3, [20.0] * 3 + [60.0] * 3, [0.4] * 6, False),  # nothing to lose
        ([0.5] * 3 + [0.1] * 2, [20.0] * 3 + [60.0] * 2, [0.4] * 5, False),  # too early
    ],
)
def test_training_stops_where_turns_grow_and_tools_vanish_and_nothing_is_gained(
    tools: list[float], tokens: list[float], reward: list[float], stops: bool
) -> None:
    said = watch.collapse(rows(tools, tokens, reward), 2, 3)
    assert bool(said) is stops
    if stops:
        assert "50% of the turns of generations 1 to 3 called one, with 20 tokens a turn" in said
        assert "10% do, with 60 tokens" in said and "distillation.coef" in said
    assert watch.collapse(rows(tools, tokens, reward), 2, 0) == ""


def test_only_the_beginning_of_each_turn_counts() -> None:
    mask = torch.tensor([[1, 1, 1, 0, 0, 1, 1, 1, 1, 0], [0, 1, 0, 1, 1, 1, 0, 0, 0, 0]])
    assert first_of_turns(mask, 2).tolist() == [
        [1, 1, 0, 0, 0, 1, 1, 0, 0, 0],
        [0, 1, 0, 1, 1, 0, 0, 0, 0, 0],
    ]


def test_the_teacher_reads_the_same_conversation_with_its_outcome(loaded: checkpoint.Loaded) -> None:
    talk = started(Prompt("p", (Message("user", ("Where is insulin made?",)),)), [], "none")
    says = "<think>so</think><answer>pancreas</answer>"
    end = frozenset({loaded.processor.tokenizer.eos_token_id})
    (row,) = roll([talk], loaded.processor, 4096, scripted([[says]], loaded.processor), end)
    teacher = Teacher(Distillation(**TERM), loaded.processor)
    teacher.outcomes = {id(talk): "Known outcome: pancreas."}
    told = loaded.processor.tokenizer.decode(teacher.told(row))
    asked = loaded.processor.tokenizer.decode(row.tokens[: row.num_prompt])
    assert "Known outcome" in told and told.replace("\n\nKnown outcome: pancreas.", "") == asked


def test_the_average_moves_by_its_decay_and_gives_the_weights_back(loaded: checkpoint.Loaded) -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.detach().clone()
    teacher = Teacher(Distillation(**TERM), loaded.processor)
    teacher.update(model)
    with torch.no_grad():
        model.weight += 1.0
    teacher.update(model)
    assert torch.allclose(teacher.weights["weight"], before + 0.5)
    with teacher.playing(model):
        assert torch.allclose(model.weight, before + 0.5)
    assert torch.allclose(model.weight, before + 1.0)


class Killed(Exception):
    pass


@pytest.mark.slow
def test_it_trains_with_a_teacher_and_resumes_to_the_same_bits(
    mixture: Path, knows: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = short(library, max_steps=3, save_steps=1, distillation=Distillation(**TERM))
    with io.publish(tmp_path / "whole") as draft:
        agentic(settings, draft, data=mixture, model=knows)
    curves = list(io.read_jsonl(tmp_path / "whole" / "metrics.jsonl"))
    assert all({"tool_turns", "turn_tokens", "distinct_calls", "teacher_gap"} <= set(row) for row in curves)
    assert any(row["teacher_gap"] for row in curves), "a teacher that knows more differs"
    real = resume._save

    def save(trainer: Any, *rest: Any) -> None:
        real(trainer, *rest)
        if trainer.state.global_step == 2:
            raise Killed

    with monkeypatch.context() as context, pytest.raises(Killed):
        context.setattr(resume, "_save", save)
        with io.publish(tmp_path / "killed") as draft:
            agentic(settings, draft, data=mixture, model=knows)
    with io.publish(tmp_path / "killed") as draft:
        agentic(settings, draft, data=mixture, model=knows)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_a_run_whose_talk_swallows_tools_stops_and_says_why(
    mixture: Path, knows: Path, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is measured of its talks is replaced by a collapse, rewards by a constant; the trainer is real."""
    from medxiaohe.train.rollouts.talk import Talk

    seen = iter(range(10_000))

    def measured(self: Talk, tokens: int) -> dict[str, float]:
        late = next(seen) >= 8  # two generations of four
        return {"tool_turns": 0.0 if late else 0.5, "turn_tokens": 90.0 if late else 9.0}

    real = conversation_rewards.Earning.of

    def same(self: Any, *given: Any) -> Any:
        return [replace(one, total=0.5) for one in real(self, *given)]

    monkeypatch.setattr(Talk, "measured", measured)
    monkeypatch.setattr(conversation_rewards.Earning, "of", same)
    with io.publish(tmp_path / "out") as draft:
        found = agentic(short(library, max_steps=12, collapse=2), draft, data=mixture, model=knows)
    assert "talk has swallowed the tools" in found["stopped"] and found["steps"] == 4
    assert len(list(io.read_jsonl(tmp_path / "out" / "metrics.jsonl"))) == 4


def test_settings_of_the_term_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ConfigError, match="distillation: coef must be at least 0"):
        Distillation(coef=-1.0)
    with pytest.raises(ConfigError, match="decay from 0 to below 1"):
        Distillation(decay=1.0)
