"""The curriculum: how hints fade, which prompts are asked, and when training stops."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from curriculum_for_tests import QUICK, killed_and_resumed, knows, mixture, outcome, samples, short
from hypothesis import given
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.rewards.hybrid import answered
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import choice
from medxiaohe.train.rft import RftSettings
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.train.rollouts import watch
from medxiaohe.train.rollouts.answer_rewards import RewardSettings
from medxiaohe.train.rollouts.hints import hinted, share_at
from medxiaohe.train.rollouts.prompt_schedule import Schedule, in_batches, without_signal
from medxiaohe.train.rollouts.sampled_answers import DrawSettings
from medxiaohe.train.select import SelectSettings
from medxiaohe.types import Message, Sample

__all__ = ["knows", "mixture"]  # fixtures

MCQ = replace(CHOICE, choices=("Liver", "Pancreas", "Spleen", "Kidney", "Thymus"))


# ---- hints ------------------------------------------------------------------------------------------------


def test_a_hint_fades_to_nothing_and_a_smaller_one_is_part_of_a_larger() -> None:
    assert [share_at(step, 4) for step in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0] and share_at(
        0, 0
    ) == 0.0
    shown = [set(MCQ.choices) & set(_ruled_out(hinted(MCQ, share))) for share in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert [len(one) for one in shown] == [3, 2, 2, 1, 0]  # of four wrong ones, one is always left
    assert all(smaller <= larger for larger, smaller in pairwise(shown)) and hinted(MCQ, 0.0) is MCQ


def _ruled_out(sample: Sample) -> list[str]:
    text = sample.prompt.messages[-1].text
    return text.partition("none of these: ")[2].rstrip(".").split("; ")


@given(st.floats(0, 1), st.sampled_from(["B", "Pancreas"]))
def test_a_hint_never_says_the_answer_and_copying_it_earns_nothing(share: float, target: str) -> None:
    sample = hinted(replace(MCQ, target=target), share)
    hint = sample.prompt.messages[-1].text.removeprefix(MCQ.prompt.messages[-1].text)
    assert "Pancreas" not in hint
    assert choice(replace(sample, target="B"), answered(sample, hint.strip() or "nothing")).value == 0.0


@given(st.floats(0, 1))
def test_the_beginning_of_an_explanation_stops_before_the_target(share: float) -> None:
    gold = (
        "Insulin is made by cells of an organ behind the stomach, so the answer must be the pancreas and"
        " nothing else at all."
    )
    sample = Sample(
        "x",
        (Message("user", ("Which organ makes insulin?",)), Message("assistant", (gold,))),
        target="pancreas",
    )
    said = hinted(sample, share).prompt.messages[-1].text
    assert "pancreas" not in said.lower() and (share < 0.1 or "Hint: an expert begins: Insulin" in said)
    assert hinted(replace(sample, target="insulin"), share).messages == sample.messages
    assert (
        hinted(
            replace(sample, messages=(sample.messages[0], Message("assistant", ("The pancreas.",)))), share
        )
        .messages[0]
        .parts[1:]
        == ()
    )


# ---- schedule
# -----------------------------------------------------------------------------------------------


@QUICK
@given(st.integers(1, 4), st.booleans(), st.integers(0, 5))
def test_without_rest_prompts_come_in_their_batches_again_and_again(
    num_prompts: int, images: bool, seed: int
) -> None:
    ordered = in_batches(samples(20, images), num_prompts, seed)
    schedule = Schedule(ordered, num_prompts, 2, 0, [])
    assert [schedule.prompt(i) for i in range(2 * len(ordered))] == [*range(len(ordered))] * 2


@QUICK
@given(st.lists(st.booleans(), min_size=30, max_size=30), st.integers(1, 4), st.booleans())
def test_a_prompt_without_signal_rests_and_a_resumed_schedule_is_the_same(
    signals: list[bool], rest: int, images: bool
) -> None:
    ordered = in_batches(samples(18, images), 2, 0)
    rollouts: list[dict[str, Any]] = []
    schedule = Schedule(ordered, 2, 2, rest, rollouts)
    asked: list[list[int]] = []
    for generation in range(15):
        asked.append([schedule.prompt(2 * generation), schedule.prompt(2 * generation + 1)])
        for slot, index in enumerate(asked[-1]):
            signal = signals[2 * generation + slot]
            rollouts += [
                {"sample": ordered[index].id, "reward": 1.0},
                {"sample": ordered[index].id, "reward": float(not signal)},
            ]
        if generation >= 2:  # fetched one ahead: what was found last is not known yet
            known = Schedule(ordered, 2, 2, rest, rollouts[: 4 * (generation - 1)])
            assert [known.prompt(2 * generation + slot) for slot in range(2)] == asked[generation]
    for generation, indices in enumerate(asked):
        if generation >= 2:
            resting = {
                ordered[i].id
                for slot, i in enumerate(asked[generation - 2])
                if not signals[2 * (generation - 2) + slot]
            }
            assert not resting & {ordered[i].id for i in indices} or len(ordered) < 2 * (2 + rest)


def test_a_group_without_signal_is_one_whose_answers_all_earn_the_same() -> None:
    rows = [
        {"sample": name, "reward": value}
        for name, value in [("a", 1.0), ("a", 1.0), ("b", 0.0), ("b", 1.0), ("c", None), ("c", None)]
    ]
    assert without_signal(rows, 2) == ["a", "c"]


# ---- what stops a run
# ----------------------------------------------------------------------------------------


def rollouts(*groups: tuple[float | None, float | None], status: str = "judged") -> list[dict[str, Any]]:
    return [
        {"sample": f"s/{i}", "answer": "mumble", "reward": value, "status": status, "why": "no clear answer"}
        for i, group in enumerate(groups)
        for value in group
    ]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (
            rollouts((0.0, 0.0), (0.0, 0.0), status="unparsed"),
            "could not be read, such as 'mumble'.*max_completion_length",
        ),
        (rollouts((0.0, 0.0), (0.0, 0.0)), "every one is wrong: take easier prompts"),
        (rollouts((1.0, 1.0), (1.0, 1.0)), "every one is right: take harder prompts"),
        (rollouts((1.0, 1.0), (0.0, 0.0)), "raise temperature"),
        (rollouts((None, None), (None, None), status="unjudged"), "no answer could be judged"),
    ],
)
def test_a_run_without_signal_is_told_why(rows: list[dict[str, Any]], says: str) -> None:
    import re

    assert re.search(says, watch.diagnosis(rows, 1, 2, 2))
    assert watch.diagnosis(rows, 1, 2, 3) == "" == watch.diagnosis(rows, 1, 2, 0)
    assert watch.diagnosis([*rows, *rollouts((0.0, 1.0))], 1, 2, 2) == ""


def test_everything_at_once_resumes_to_the_same_bits(
    mixture: Path, knows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hybrid reward, hints, rests and an entropy target: what they know is in the checkpoint."""
    given_ = {
        "reward": RewardSettings("hybrid"),
        "hint_steps": 3,
        "rest": 1,
        "entropy_target": 5.0,
        "entropy_coef_delta": 0.01,
    }
    settings = short(max_steps=5, save_steps=1, **given_)
    with io.publish(tmp_path / "whole") as draft:
        rl(settings, draft, data=mixture, model=knows)
    metrics = list(io.read_jsonl(tmp_path / "whole" / "metrics.jsonl"))
    assert {"correct", "format", "length", "hint", "entropy", "entropy_coef", "unparsed"} <= set().union(
        *metrics
    )
    assert [row["hint"] for row in metrics] == [1.0, 0.6667, 0.3333, 0.0, 0.0]
    assert [row["entropy_coef"] for row in metrics] == [
        0.01,
        0.02,
        0.03,
        0.04,
        0.05,
    ], "the policy is surer than the target"
    written = list(io.read_jsonl(tmp_path / "whole" / "rollouts.jsonl"))
    assert all((row["reward"] == 0) == (row["correct"] == 0) and row["why"] for row in written)
    for step in (2, 4):
        assert killed_and_resumed(
            settings, step, mixture, knows, tmp_path / "killed", monkeypatch
        ) == outcome(tmp_path / "whole"), step


def test_a_run_that_has_nothing_to_learn_stops_and_says_so(
    mixture: Path, knows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [replace(row, target="maybe") for row in io.read_samples(mixture / "prompts.jsonl")]
    io.write_jsonl(tmp_path / "never" / "prompts.jsonl", rows)
    settings = short(max_steps=6, patience=3, save_steps=1)
    with io.publish(tmp_path / "whole") as draft:
        summary = rl(settings, draft, data=tmp_path / "never", model=knows)
    assert (
        summary["steps"] == 3
        and "in 3 generations in a row" in summary["stopped"]
        and (tmp_path / "whole" / "model").is_dir()
    )
    again = killed_and_resumed(settings, 3, tmp_path / "never", knows, tmp_path / "killed", monkeypatch)
    assert again == outcome(tmp_path / "whole"), "killed at the step it stopped at"


def test_what_no_judge_judged_takes_no_part(mixture: Path, knows: Path, tmp_path: Path) -> None:
    io.write_jsonl(
        tmp_path / "rubrics.jsonl", [{"sample": "r/1", "criteria": [{"text": "Says why", "points": 1}]}]
    )
    settings = short(max_steps=8, reward=RewardSettings("hybrid", rubrics=str(tmp_path / "rubrics.jsonl")))
    rl(settings, tmp_path / "o", data=mixture, model=knows)
    rows = list(io.read_jsonl(tmp_path / "o" / "rollouts.jsonl"))
    unjudged = [row for row in rows if row["reward"] is None]
    assert {row["sample"] for row in unjudged} == {"r/1"} and all(
        "no judge" in row["why"] for row in unjudged
    )


def test_a_rubric_is_judged_in_training(mixture: Path, knows: Path, tmp_path: Path) -> None:
    from medxiaohe.scoring.judges.use import JudgeSettings

    io.write_jsonl(
        tmp_path / "rubrics.jsonl", [{"criteria": [{"text": "States that the number is even", "points": 1}]}]
    )
    reward = RewardSettings("hybrid", rubrics=str(tmp_path / "rubrics.jsonl"), judge=JudgeSettings("rules"))
    summary = rl(short(max_steps=2, reward=reward), tmp_path / "o", data=mixture, model=knows)
    assert summary["judge"]["self_test"] and any(
        row["correct"] in (0.0, 0.5) for row in io.read_jsonl(tmp_path / "o" / "rollouts.jsonl")
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RLSettings(rest=-1), "at least 0"),
        (lambda: RewardSettings(rubrics="x.jsonl"), "set kind to hybrid"),
        (lambda: SelectSettings(low=0.9), "low <= high"),
        (lambda: RftSettings(rare=0), "rare must be"),
        (lambda: DrawSettings(temperature=0), "temperature above 0"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        make()
