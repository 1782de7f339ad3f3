"""Export to ms-swift 4: JSON lines with `messages`, `images`, `tools`; settings as YAML for `swift
pt|sft|rlhf FILE`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medxiaohe.train.exporters.export import Job, Row, jsonl, settings_yaml, text_of

NAME = "ms-swift"
KINDS = ("cpt", "sft", "rl", "dpo")
LACKS: dict[str, str] = {}
VERBS = {"cpt": "pt", "sft": "sft", "rl": "rlhf", "dpo": "rlhf"}
REWARD = '''"""The reward of the task that a row comes from, as ms-swift calls it (--external_plugins)."""

from functools import cache

from medxiaohe.rewards.exports import ms_swift
from medxiaohe.tasks import make
from swift.rewards import orms


@cache
def scorer(task):
    return make(task, from_data=True).scorers[0]


def by_task(sample, trace):
    return scorer(sample.source)(sample, trace)


orms["medxiaohe"] = ms_swift(by_task, unjudged=0.0)
'''


def row(kind: str, row: Row) -> dict[str, Any]:
    """Convert a row to ms-swift's `messages`.

    Args:
        kind: cpt, sft, rl or dpo.
        row: without a trainer's form.

    Returns:
        A row of data.jsonl: messages, images, and tools, rejected_response or sample, as the kind needs.
    """
    if kind == "cpt":
        # an answer to nothing is all trained
        messages = [{"role": "assistant", "content": "\n".join(turn.content for turn in row.turns)}]
    else:
        roles = {"call": "tool_call", "result": "tool_response"}
        messages = []
        for turn in row.turns:
            parts = turn.content if turn.role == "call" else [turn.content]
            messages += [
                {"role": roles.get(turn.role, turn.role), "content": text_of(content)} for content in parts
            ]
    if kind == "dpo":
        messages.append({"role": "assistant", "content": row.chosen})
    result: dict[str, Any] = {"messages": messages, "images": list(row.images)}
    if kind != "cpt":
        result["tools"] = json.dumps(list(row.tools), ensure_ascii=False) if row.tools else None
    return (
        result
        | ({"rejected_response": row.rejected} if kind == "dpo" else {})
        | ({"sample": row.sample} if kind == "rl" else {})
    )


def write(kind: str, draft: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write data.jsonl.

    Args:
        kind: cpt, sft, rl or dpo.
        draft: folder of the export.
        rows: of `row`.

    Returns:
        Name of the file.
    """
    jsonl(draft / "data.jsonl", rows)
    return "data.jsonl"


def files(job: Job) -> dict[str, str]:
    """Write the settings: train.yaml, the command in README.md, and reward.py for reinforcement learning.

    Args:
        job: model, data and settings.

    Returns:
        Name of each file -> its text.
    """
    s, parts = job.settings, job.settings.parts
    values: dict[str, Any] = {
        "model": job.model,
        "use_hf": True,
        "dataset": [str(job.place / job.data)],
        "split_dataset_ratio": 0,
        "strict": True,
        "remove_unused_columns": job.kind != "rl",  # the reward reads the column `sample`
        "tuner_type": "lora" if parts.language == "lora" else "full",
        "lora_rank": parts.lora_r if parts.language == "lora" else None,
        "lora_alpha": 2 * parts.lora_r if parts.language == "lora" else None,
        "lora_dropout": 0.0 if parts.language == "lora" else None,
        "freeze_llm": parts.language == "frozen",
        "freeze_vit": not parts.vision,
        "freeze_aligner": not parts.projector,
        "learning_rate": s.learning_rate,
        "per_device_train_batch_size": s.per_device_train_batch_size,
        "max_steps": s.max_steps or None,
        "seed": s.seed,
        "save_steps": s.save_steps,
        "output_dir": str(job.place / "output"),
        "report_to": "none",
    }
    if job.kind == "rl":
        values |= {
            "rlhf_type": "grpo", "gradient_accumulation_steps": s.gradient_accumulation_steps,
            "external_plugins": [str(job.place / "reward.py")],
            "reward_funcs": ["medxiaohe"],
            "num_generations": s.num_generations, "max_completion_length": s.max_completion_length,
            "temperature": s.temperature,
            "epsilon_high": s.epsilon_high, "beta": s.beta, "loss_type": s.loss_type,
            "num_iterations": s.num_iterations,
            "scale_rewards": s.scale_rewards, "dynamic_sample": False,
        }  # fmt: skip
    else:
        values |= {
            "num_train_epochs": s.num_train_epochs if not s.max_steps else None, "max_length": s.max_length,
            "gradient_accumulation_steps": s.gradient_accumulation_steps, "weight_decay": s.weight_decay,
            "warmup_steps": s.warmup_steps,
            "max_grad_norm": s.max_grad_norm, "packing": getattr(s, "packing",
            False) if job.kind != "dpo" else None,
        }  # fmt: skip
        if job.kind == "dpo":
            values |= {"rlhf_type": "dpo", "beta": getattr(s, "beta", 0.1)}
    command = f"swift {VERBS[job.kind]} {job.place / 'train.yaml'}"
    result = {"train.yaml": settings_yaml(values), "README.md": f"pip install ms-swift\n\n    {command}\n"}
    return result | ({"reward.py": REWARD} if job.kind == "rl" else {})
