"""Rewards with the signatures of other trainers: TRL, verl and ms-swift."""

import json
from pathlib import Path

import pytest
from rewards_for_tests import says

from medxiaohe.errors import DataError, ModelError
from medxiaohe.rewards import exports
from medxiaohe.rewards.hybrid import Reward, answered, hybrid
from medxiaohe.scoring.choice import EXAMPLE as CHOICE
from medxiaohe.scoring.choice import choice
from medxiaohe.types import Sample, Score, Trace


def plain(sample: Sample, trace: Trace) -> Reward:
    return hybrid(sample, trace, [(choice, 1.0)])


def test_a_reward_is_exported_with_the_signatures_of_other_trainers() -> None:
    """verl: compute_score(data_source, solution_str, ground_truth, extra_info) -> dict with "score";
    ms-swift: a class in `orms`."""
    row, gold = exports.column(CHOICE), CHOICE.messages[-1].text
    assert json.loads(row)["target"] == CHOICE.target
    wanted = [plain(CHOICE, answered(CHOICE, reply)).total for reply in (gold, "A or B")]
    messages = [[{"role": "assistant", "content": gold}], [{"role": "assistant", "content": "A or B"}]]
    assert (
        exports.trl(plain)(prompts=["?"] * 2, completions=messages, sample=[row] * 2, completion_ids=[])
        == wanted
    )
    compute_score = exports.verl(plain)
    found = compute_score(
        data_source="x", solution_str=gold, ground_truth=CHOICE.target, extra_info={"sample": row, "index": 0}
    )
    assert found == {"score": wanted[0], "judged": 1.0}
    orms = {"medxiaohe": exports.ms_swift(choice)}
    assert isinstance(orms["medxiaohe"], type) and orms["medxiaohe"].__name__ == "choice"
    assert orms["medxiaohe"](args=None)([gold, "A or B"], sample=[row] * 2, trainer_state=None) == [1.0, 0.0]


def test_what_nobody_could_judge_is_none_for_trl_and_an_error_elsewhere() -> None:
    row = exports.column(CHOICE)
    assert exports.trl(says(None))(prompts=["?"], completions=["x"], sample=[row]) == [None]  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="could not be judged"):
        exports.verl(says(None))("x", "x", "x", {"sample": row})  # type: ignore[arg-type]
    assert exports.ms_swift(says(None), unjudged=0.0)()(["x"], sample=[row]) == [0.0]  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no column `sample`"):
        exports.ms_swift(choice)()(["x"])


def test_trl_trains_with_an_exported_reward(tiny_vlm: Path, tmp_path: Path) -> None:
    """A real GRPOTrainer on a tiny model calls it, and leaves out what is unjudged."""
    pytest.importorskip("trl")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    from medxiaohe.models import checkpoint

    loaded = checkpoint.load(str(tiny_vlm), "cpu")
    calls: list[list[float | None]] = []
    exported = exports.trl(
        lambda s, t: (
            Score("even", None, "unjudged")
            if len(t.answer) % 3 == 0
            else Score("even", float(len(t.answer) % 2))
        )
    )

    def reward(**given: object) -> list[float | None]:
        calls.append(exported(**given))
        return calls[-1]

    rows = [
        {"prompt": [{"role": "user", "content": "Is it red?"}], "sample": exports.column(CHOICE)}
        for _ in range(4)
    ]
    config = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, per_device_train_batch_size=4, num_generations=4, max_steps=1,
        max_completion_length=4,
        report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1, bf16=False,
        gradient_checkpointing=False,
    )  # fmt: skip
    trainer = GRPOTrainer(
        model=loaded.model,
        args=config,
        reward_funcs=reward,
        train_dataset=Dataset.from_list(rows),
        processing_class=loaded.processor,
    )
    trainer.train()
    assert len(calls) == 1 and len(calls[0]) == 4
    judged = [value for value in calls[0] if value is not None]
    assert trainer.state.log_history[0]["reward"] == pytest.approx(sum(judged) / len(judged))
