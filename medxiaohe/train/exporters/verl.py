"""Export to verl 0.9: parquet with `messages` (sft) or `prompt`, `reward_model`, `extra_info` (rl); settings
on top of verl's own by Hydra.

A table of parquet gives all rows of a column one type, so tool schemas and arguments of different tools would
be filled up with nulls: calls, and the tools a row was shown, are written into the text, in the form that
Qwen and Hermes templates use.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.train.exporters.export import Job, Row, settings_yaml

NAME = "verl"
KINDS = ("sft", "rl")
LACKS = {
    "cpt": "has no training on documents: export them to ms_swift or llama_factory",
    "dpo": "has no preference learning: export pairs to ms_swift or llama_factory",
}
REWARD = '''"""The reward of the task that a row comes from, as verl calls it (custom_reward_function)."""

from functools import cache

from medxiaohe.rewards.exports import verl
from medxiaohe.tasks import make


@cache
def scorer(task):
    return make(task, from_data=True).scorers[0]


def by_task(sample, trace):
    return scorer(sample.source)(sample, trace)


compute_score = verl(by_task, unjudged=0.0)
'''
TOOLS = "# Tools\n\nYou may call one or more of these functions.\n<tools>\n{tools}\n</tools>"


def row(kind: str, row: Row) -> dict[str, Any]:
    """Convert a row to verl's columns; tools and calls are written into the text.

    Args:
        kind: sft or rl.
        row: without a trainer's form.

    Returns:
        A row of data.parquet.
    """
    messages = [_message(turn.role, turn.content) for turn in row.turns]
    if row.tools:
        shown = TOOLS.format(tools="\n".join(json.dumps(tool, ensure_ascii=False) for tool in row.tools))
        messages = _with_system(messages, shown)
    images = [{"image": f"file://{path}"} for path in row.images]
    if kind == "sft":
        return {"messages": messages, "images": images}
    return {
        "data_source": row.task,
        "prompt": messages,
        "images": images,
        "ability": "medicine",
        "reward_model": {"style": "rule", "ground_truth": row.target},
        "extra_info": {"sample": row.sample, "index": row.id},
    }


def _message(role: str, content: Any) -> dict[str, str]:
    if role == "call":
        calls = "\n".join(
            f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>" for call in content
        )
        return {"role": "assistant", "content": calls}
    if role == "result":
        return {"role": "user", "content": f"<tool_response>\n{content}\n</tool_response>"}
    return {"role": role, "content": content}


def _with_system(messages: list[dict[str, str]], text: str) -> list[dict[str, str]]:
    if messages and messages[0]["role"] == "system":
        return [{"role": "system", "content": f"{messages[0]['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def write(kind: str, draft: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write data.parquet in one row group: these are fine-tuning sets, which fit in memory.

    Args:
        kind: sft or rl.
        draft: folder of the export.
        rows: of `row`; where none has an image the column is left out, as verl requires.

    Returns:
        Name of the file.

    Raises:
        MissingExtra: pyarrow is not installed.
        StorageError: the file cannot be written, such as a full disk.
    """
    plugins.need("pyarrow", why="writing parquet for verl")
    import pyarrow as pa
    import pyarrow.parquet as pq

    with_images = any(row["images"] for row in rows)
    selected = [{key: value for key, value in row.items() if key != "images" or with_images} for row in rows]
    with io.storage(draft):
        pq.write_table(pa.Table.from_pylist(selected), draft / "data.parquet")
    return "data.parquet"


def files(job: Job) -> dict[str, str]:
    """Write the settings: train.yaml, the command in README.md, and reward.py for reinforcement learning.

    Args:
        job: model, data and settings.

    Returns:
        Name of each file -> its text.
    """
    config = _rl(job) if job.kind == "rl" else _sft(job)
    program = "verl.trainer.main_ppo" if job.kind == "rl" else "verl.trainer.sft_trainer"
    start = "python -m" if job.kind == "rl" else "torchrun --standalone --nproc_per_node 8 -m"
    command = f"{start} {program} --config-path {job.place} --config-name train"
    result = {"train.yaml": settings_yaml(config), "README.md": f"pip install verl\n\n    {command}\n"}
    return result | ({"reward.py": REWARD} if job.kind == "rl" else {})


def _model(job: Job) -> dict[str, Any]:
    parts = job.settings.parts
    lora = (
        {"lora_rank": parts.lora_r, "lora_alpha": 2 * parts.lora_r, "target_modules": "all-linear"}
        if parts.language == "lora"
        else {}
    )
    return {"path": job.model, **lora}


def _sft(job: Job) -> dict[str, Any]:
    s = job.settings
    return {
        "hydra": {"searchpath": ["pkg://verl.trainer.config"]},
        "defaults": ["sft_trainer_engine", "_self_"],
        "data": {
            "train_files": str(job.place / job.data),
            "train_batch_size": s.per_device_train_batch_size * s.gradient_accumulation_steps,
            "micro_batch_size_per_gpu": s.per_device_train_batch_size,
            "max_length": s.max_length,
            "truncation": "right",
            "ignore_input_ids_mismatch": True,
        },
        "model": _model(job),
        "optim": {
            "lr": s.learning_rate,
            "weight_decay": s.weight_decay,
            "lr_warmup_steps": s.warmup_steps,
            "clip_grad": s.max_grad_norm,
        },
        "trainer": {
            "project_name": "medxiaohe",
            "experiment_name": "sft",
            "default_local_dir": str(job.place / "output"),
            "total_epochs": max(1, round(s.num_train_epochs)),
            "total_training_steps": s.max_steps or None,
            "save_freq": s.save_steps,
            "logger": ["console"],
            "seed": s.seed,
        },
    }


def _rl(job: Job) -> dict[str, Any]:
    s = job.settings
    # verl counts prompts, we count answers: prompts = answers / answers to each prompt
    prompts = max(1, s.per_device_train_batch_size * s.gradient_accumulation_steps // s.num_generations)
    return {
        "hydra": {"searchpath": ["pkg://verl.trainer.config"]},
        "defaults": ["ppo_trainer", "_self_"],
        "algorithm": {
            "adv_estimator": "grpo",
            "norm_adv_by_std_in_grpo": s.scale_rewards != "none",
            "use_kl_in_reward": False,
        },
        "data": {
            "train_files": str(job.place / job.data),
            "val_files": str(job.place / job.data),
            "train_batch_size": prompts,
            "max_prompt_length": 2048,
            "max_response_length": s.max_completion_length,
            "seed": s.seed,
        },
        "custom_reward_function": {"path": str(job.place / "reward.py"), "name": "compute_score"},
        "actor_rollout_ref": {
            "model": _model(job),
            "actor": {
                "optim": {"lr": s.learning_rate},
                "ppo_mini_batch_size": prompts,
                "ppo_micro_batch_size_per_gpu": 1,
                "clip_ratio_high": s.epsilon_high,
                "use_kl_loss": s.beta > 0,
                "kl_loss_coef": s.beta,
                "entropy_coeff": s.entropy_coef,
                "ppo_epochs": s.num_iterations,
                "loss_agg_mode": "token-mean" if s.loss_type == "dapo" else "seq-mean-token-mean",
            },
            "rollout": {
                "name": "vllm",
                "n": s.num_generations,
                "temperature": s.temperature,
                "log_prob_micro_batch_size_per_gpu": 1,
                "tensor_model_parallel_size": 1,
                "gpu_memory_utilization": 0.5,
            },
            "ref": {"log_prob_micro_batch_size_per_gpu": 1},
        },
        "trainer": {
            "project_name": "medxiaohe",
            "experiment_name": "rl",
            "default_local_dir": str(job.place / "output"),
            "total_training_steps": s.max_steps,
            "n_gpus_per_node": 1,
            "val_before_train": False,
            "test_freq": -1,
            "save_freq": s.save_steps,
            "logger": ["console"],
        },
    }
