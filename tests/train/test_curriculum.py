"""The curriculum: which prompts are asked, what successes are distilled, how hints fade, and when training
stops (MX-28, 31, 32)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.load import load
from medxiaohe.rewards.hybrid import answered
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import choice
from medxiaohe.scoring.stated import stated
from medxiaohe.train.loop import resume
from medxiaohe.train.rft import RftSettings, rft, successes
from medxiaohe.train.rl import RLSettings, rl
from medxiaohe.train.rollouts import watch
from medxiaohe.train.rollouts.answer_rewards import RewardSettings
from medxiaohe.train.rollouts.hints import hinted, share_at
from medxiaohe.train.rollouts.prompt_schedule import Schedule, in_batches, without_signal
from medxiaohe.train.rollouts.sampled_answers import Drawn, DrawSettings, wanted
from medxiaohe.train.select import SelectSettings, chosen, select
from medxiaohe.types import ImageRef, Message, Sample

QUICK = settings(max_examples=60, deadline=None)
MCQ = replace(CHOICE, choices=("Liver", "Pancreas", "Spleen", "Kidney", "Thymus"))


def samples(number: int, every_third_has_an_image: bool = False) -> list[Sample]:
    def parts(i: int) -> tuple[Any, ...]:
        return (*([ImageRef("x.png")] if every_third_has_an_image and i % 3 == 0 else []), f"Is {i} even?")

    return [Sample(f"s/{i}", (Message("user", parts(i)),), "yes", source="held_out") for i in range(number)]


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


# ---- training
# ------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


@pytest.fixture
def mixture(tmp_path: Path) -> Path:
    rows = [
        Sample(
            f"r/{i}",
            (
                Message("user", (f"Is {i} even? Answer yes or no.",)),
                Message("assistant", ("yes" if i % 2 else "no",)),
            ),
            source="held_out",
        )
        for i in range(16)
    ]
    rows = [replace(row, target=row.messages[-1].text) for row in rows]
    io.write_jsonl(tmp_path / "mixture" / "instructions.jsonl", rows)
    io.write_jsonl(tmp_path / "mixture" / "prompts.jsonl", rows)
    io.write_json(
        tmp_path / "mixture" / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}}
    )
    return tmp_path / "mixture"


@pytest.fixture(scope="module")
def knows(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that was taught to say yes or no, and not when."""
    from medxiaohe.train.loop.fit import FitSettings
    from medxiaohe.train.loop.parts import Parts
    from medxiaohe.train.sft import sft

    folder = tmp_path_factory.mktemp("knows")
    rows = [
        Sample(
            f"r/{i}",
            (
                Message("user", (f"Is {i} even? Answer yes or no.",)),
                Message("assistant", ("yes" if i % 3 else "no",)),
            ),
        )
        for i in range(16)
    ]
    io.write_jsonl(folder / "data" / "instructions.jsonl", rows)
    io.write_json(
        folder / "data" / "mixture.json", {"contamination": {"checked": {"held_out": 16}, "removed": 0}}
    )
    parts = Parts(language="full", projector=False)
    sft(
        FitSettings(model=str(tiny_vlm), parts=parts, learning_rate=3e-3, max_steps=10),
        folder / "sft",
        data=folder / "data",
    )
    return folder / "sft"


def short(**given_: Any) -> RLSettings:
    from medxiaohe.train.loop.parts import Parts

    base: dict[str, Any] = {
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 4,
        "learning_rate": 3e-3,
    }
    return RLSettings(
        parts=Parts(language="full", projector=False), **({"allow_contaminated": True} | base | given_)
    )


def outcome(folder: Path) -> list[str]:
    return [
        io.sha256(folder / name) for name in ("metrics.jsonl", "rollouts.jsonl", "model/model.safetensors")
    ]


def killed_and_resumed(
    settings: RLSettings, step: int, data: Path, model: Path, folder: Path, patch: pytest.MonkeyPatch
) -> list[str]:
    real = resume._save

    def save(trainer: Any, *rest: Any) -> None:
        real(trainer, *rest)
        if trainer.state.global_step == step:
            raise Killed

    with patch.context() as context, pytest.raises(Killed):
        context.setattr(resume, "_save", save)
        with io.publish(folder) as draft:
            rl(settings, draft, data=data, model=model)
    with io.publish(folder) as draft:
        rl(settings, draft, data=data, model=model)
    return outcome(folder)


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


# ---- choosing prompts and distilling successes
# -----------------------------------------------------------------


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


# ---- reward models (MX-30)
# ---------------------------------------------------------------------------------------


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
