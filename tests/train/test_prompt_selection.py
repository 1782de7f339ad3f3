"""Prompts that are selected by accuracy, successes that are distilled, and reward models on pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from curriculum_for_tests import Killed, knows, mixture, samples, short

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.load import load
from medxiaohe.rewards.hybrid import answered
from medxiaohe.scoring.stated import stated
from medxiaohe.train.rft import RftSettings, rft, successes
from medxiaohe.train.rl import rl
from medxiaohe.train.rollouts.sampled_answers import Drawn, DrawSettings, wanted
from medxiaohe.train.select import SelectSettings, chosen, select
from medxiaohe.types import Message

__all__ = ["knows", "mixture"]  # fixtures


# ---- choosing prompts and distilling successes -------------------------------------------------------------


def drawn(*accuracies: float | None) -> list[Drawn]:
    def one(i: int, accuracy: float | None) -> Drawn:
        rewards = (None,) * 10 if accuracy is None else tuple(float(k < 10 * accuracy) for k in range(10))
        return Drawn(samples(99)[i], tuple(f"yes {k % 3}" for k in range(10)), rewards, ("judged",) * 10)

    return [one(i, accuracy) for i, accuracy in enumerate(accuracies)]


def test_prompts_in_the_band_are_kept_and_the_nearest_added_where_asked() -> None:
    rows = drawn(0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, None)
    accuracies = [row.accuracy(0.5) for row in rows]
    assert accuracies == [0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, None]
    assert chosen(rows, accuracies, SelectSettings()) == {2, 3, 4}
    assert chosen(rows, accuracies, SelectSettings(at_least=99)) == {
        1,
        2,
        3,
        4,
        5,
    }, "always and never right ones teach nothing"
    assert chosen(rows, accuracies, SelectSettings(always=("held_out",))) == set(range(8))


def test_rare_successes_are_taken_once_each() -> None:
    rare, easy, never = drawn(0.4, 0.7, 0.0)
    found = list(successes(rare, RftSettings(most=2)))
    assert [row.messages[-1].text for row in found] == ["yes 0", "yes 1"] and found[0].id == "s/0/rft0"
    assert not list(successes(easy, RftSettings())) and not list(successes(never, RftSettings()))


def test_prompts_are_limited_by_source_and_length() -> None:
    rows = [replace(row, source="a" if i % 2 else "b") for i, row in enumerate(samples(10))]
    long = replace(rows[0], id="long", messages=(Message("user", ("word " * 50,)),))
    assert {row.source for row in wanted(rows, DrawSettings(sources=("a",)))} == {"a"}
    assert wanted([*rows, long], DrawSettings(min_words=20)) == [long] and long not in wanted(
        [*rows, long], DrawSettings(max_words=20)
    )
    with pytest.raises(DataError, match="none of 10 prompts"):
        wanted(rows, DrawSettings(sources=("c",)))


def test_prompts_are_chosen_and_successes_distilled_and_a_kill_loses_no_chunk(
    mixture: Path, knows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medxiaohe.train.rollouts import sampled_answers

    monkeypatch.setattr(sampled_answers, "CHUNK", 4)
    settings = SelectSettings(draws=4, max_new_tokens=3, low=0.25, high=0.75)
    with io.publish(tmp_path / "whole") as draft:
        summary = select(settings, draft, data=mixture, model=knows)
    kept = [sample.id for sample in io.read_samples(tmp_path / "whole" / "prompts.jsonl")]
    rows = list(io.read_jsonl(tmp_path / "whole" / "selection.jsonl"))
    assert (
        summary["prompts"] == 16 == len(rows) == sum(summary["histogram"].values())
        and summary["kept"] == len(kept) > 0
    )
    assert [row["id"] for row in rows if row["kept"]] == kept and all(
        0.25 <= row["accuracy"] <= 0.75 for row in rows if row["kept"]
    )

    clean = short(max_steps=1, allow_contaminated=False)
    assert rl(clean, tmp_path / "rl", data=tmp_path / "whole", model=knows)["prompts"] == 2, (
        "what is chosen is as clean as its mixture"
    )
    io.write_jsonl(tmp_path / "unchecked" / "prompts.jsonl", io.read_samples(mixture / "prompts.jsonl"))
    with pytest.raises(ConfigError, match=r"choose prompts: .* was compared with no test split"):
        select(settings, tmp_path / "no", data=tmp_path / "unchecked", model=knows)

    real, calls = sampled_answers._answers, []

    def answers(*given_: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise Killed
        return real(*given_)

    monkeypatch.setattr(sampled_answers, "_answers", answers)
    with pytest.raises(Killed), io.publish(tmp_path / "killed") as draft:
        select(settings, draft, data=mixture, model=knows)
    with io.publish(tmp_path / "killed") as draft:
        assert select(settings, draft, data=mixture, model=knows) == summary
    assert len(calls) == 3 + 2, "two chunks were on disk"
    assert io.sha256(tmp_path / "killed" / "selection.jsonl") == io.sha256(
        tmp_path / "whole" / "selection.jsonl"
    )

    found = rft(
        RftSettings(draws=4, max_new_tokens=3, rare=0.9, replay=0.5),
        tmp_path / "rft",
        data=mixture,
        model=knows,
    )
    new = list(io.read_samples(tmp_path / "rft" / "instructions.jsonl"))
    own = [row for row in new if "/rft" in row.id]
    assert found["distilled"] == len(own) > 0 and found["replayed"] == len(new) - len(own) == round(
        0.5 * len(own)
    )
    for row in own:
        assert stated(row, answered(row, row.messages[-1].text)).value == 1.0, (
            "only right answers are distilled"
        )


def test_the_loop_is_a_sound_recipe() -> None:
    recipe = load(Path(__file__).parent.parent.parent / "recipes" / "loop.yaml")
    uses = [stage.uses for stage in recipe.stages]
    assert uses.count("train.select") == 3 and uses.count("train.rl") == 4 and "train.rft" in uses
    steps = {stage.name: stage.settings.max_steps for stage in recipe.stages if stage.uses == "train.rl"}
    assert steps["rl"] == sum(steps.values()) - steps["rl"], "as many steps with the loop as without"


# ---- reward models -----------------------------------------------------------------------------------------


def test_variants_of_the_same_facts_keep_a_reward_model_from_rewarding_length(
    tiny_vlm: Path, tmp_path: Path
) -> None:
    """Pairs in which the better reply is always the longer one: without variants length is what is
    learned."""
    from medxiaohe.train.reward_model import Learned, RewardModelSettings, examined, read, reward_model

    drugs = ["iron", "zinc", "salt", "lime", "milk", "rice", "corn", "figs", "kale", "eggs", "peas", "oats"]
    rows = [
        {
            "prompt": f"Does {d} help?",
            "chosen": f"Yes. {d} helps a lot. It is safe.",
            "rejected": f"No, {d} harms.",
        }
        for d in drugs
    ]
    io.write_jsonl(tmp_path / "data" / "pairs.jsonl", rows)
    found = {}
    for invariant in (True, False):
        settings = RewardModelSettings(
            model=str(tiny_vlm), invariant=invariant, learning_rate=1e-3, max_steps=25
        )
        found[invariant] = reward_model(settings, tmp_path / str(invariant), data=tmp_path / "data")
    assert found[True]["rows"] > found[False]["rows"] == 11 and found[True]["accuracy"] == 1.0
    pairs = read(tmp_path / "data" / "pairs.jsonl")
    apart = {key: examined(Learned(tmp_path / str(key) / "model"), pairs)["apart"]["length"] for key in found}
    assert apart[True] < 0.5 * apart[False], apart
    io.write_jsonl(tmp_path / "data" / "pairs.jsonl", [{"prompt": "x"}])
    with pytest.raises(DataError, match="1: a pair has prompt"):
        read(tmp_path / "data" / "pairs.jsonl")
