"""Export to LLaMA-Factory 0.9: dataset_info.json and JSON lines in the layout `sharegpt`; settings for
`llamafactory-cli train FILE`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.train.exporters.export import Job, Row, Unsaid, jsonl, settings_yaml, text_of

NAME = "LLaMA-Factory"
KINDS = ("cpt", "sft", "dpo")
LACKS = {"rl": "has no reinforcement learning with a reward function: export prompts to ms_swift or verl"}
ROLES = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "call": "function_call",
    "result": "observation",
}
TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation",
    "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip
TEMPLATES = {
    "qwen3-vl": "qwen3_vl",
    "qwen2.5-vl": "qwen2_vl",
    "qwen2-vl": "qwen2_vl",
    "gemma-3": "gemma3",
    "internvl3": "intern_vl",
}


def row(kind: str, row: Row) -> dict[str, Any]:
    """Convert a row to the layout `sharegpt`, or to plain text for pretraining.

    Args:
        kind: cpt, sft or dpo.
        row: without a trainer's form.

    Returns:
        A row of data.jsonl.

    Raises:
        Unsaid: its turns do not alternate between user (or tool result) and assistant.
    """
    result: dict[str, Any] = {"images": list(row.images)}
    if kind == "cpt":
        return result | {"text": "\n".join(turn.content for turn in row.turns)}
    talk = [{"from": ROLES[turn.role], "value": text_of(turn.content)} for turn in row.turns]
    turns = [turn["from"] for turn in talk if turn["from"] != "system"]
    asking = [turn in ("human", "observation") for turn in turns]
    if asking != [i % 2 == 0 for i in range(len(turns))] or "system" in [turn["from"] for turn in talk[1:]]:
        raise Unsaid("its turns do not alternate between asking and answering")
    result |= {
        "conversations": talk,
        "tools": (
            json.dumps([tool["function"] for tool in row.tools], ensure_ascii=False) if row.tools else ""
        ),
    }
    if kind == "dpo":
        result |= {
            name: {"from": "gpt", "value": value}
            for name, value in (("chosen", row.chosen), ("rejected", row.rejected))
        }
    return result


def write(kind: str, draft: Path, rows: Sequence[dict[str, Any]]) -> str:
    """Write data.jsonl.

    Args:
        kind: cpt, sft or dpo.
        draft: folder of the export.
        rows: of `row`.

    Returns:
        Name of the file.
    """
    jsonl(draft / "data.jsonl", rows)
    return "data.jsonl"


def files(job: Job) -> dict[str, str]:
    """Write the settings: dataset_info.json, train.yaml, and the command in README.md.

    Args:
        job: model, data and settings.

    Returns:
        Name of each file -> its text.

    Raises:
        ConfigError: the chat template has no known name.
    """
    s, parts = job.settings, job.settings.parts
    images = {"images": "images"} if job.has_images else {}
    if job.kind == "cpt":
        entry: dict[str, Any] = {"file_name": job.data, "columns": {"prompt": "text", **images}}
    else:
        columns = {"messages": "conversations", "tools": "tools", **images}
        entry = {"file_name": job.data, "formatting": "sharegpt", "columns": columns, "tags": TAGS}
    if job.kind == "dpo":
        entry["ranking"] = True
        entry["columns"] |= {"chosen": "chosen", "rejected": "rejected"}
    values: dict[str, Any] = {
        "model_name_or_path": job.model,
        "stage": {"cpt": "pt"}.get(job.kind, job.kind),
        "do_train": True,
        "finetuning_type": "lora" if parts.language == "lora" else "full",
        "lora_rank": parts.lora_r if parts.language == "lora" else None,
        "lora_alpha": 2 * parts.lora_r if parts.language == "lora" else None,
        "lora_target": "all" if parts.language == "lora" else None,
        "freeze_vision_tower": not parts.vision,
        "freeze_multi_modal_projector": not parts.projector,
        "freeze_language_model": parts.language == "frozen",
        "template": template(job),
        "dataset": "medxiaohe",
        "dataset_dir": str(job.place),
        "media_dir": str(job.place / "images"),
        "cutoff_len": s.max_length,
        "packing": getattr(s, "packing", False) if job.kind == "sft" else None,
        "neat_packing": True if job.kind == "sft" and getattr(s, "packing", False) else None,
        "per_device_train_batch_size": s.per_device_train_batch_size,
        "gradient_accumulation_steps": s.gradient_accumulation_steps,
        "learning_rate": s.learning_rate,
        "weight_decay": s.weight_decay,
        "warmup_steps": s.warmup_steps,
        "max_grad_norm": s.max_grad_norm,
        "num_train_epochs": s.num_train_epochs,
        "max_steps": s.max_steps or None,
        "bf16": True,
        "seed": s.seed,
        "save_steps": s.save_steps,
        "output_dir": str(job.place / "output"),
        "report_to": "none",
    }
    if job.kind == "dpo":
        values |= {"pref_beta": getattr(s, "beta", 0.1), "pref_loss": "sigmoid"}
    command = f"llamafactory-cli train {job.place / 'train.yaml'}"
    return {
        "dataset_info.json": json.dumps({"medxiaohe": entry}, indent=2) + "\n",
        "train.yaml": settings_yaml(values),
        "README.md": f"pip install llamafactory\n\n    {command}\n",
    }


def template(job: Job) -> str:
    """Find the name of the chat template: LLaMA-Factory does not read that of the model.

    Args:
        job: its template, or the name of its model.

    Returns:
        A name of LLaMA-Factory, such as qwen3_vl.

    Raises:
        ConfigError: none is given, and the model's name is not known.
    """
    default = next((name for key, name in TEMPLATES.items() if key in job.model.lower()), "")
    if not (job.template or default):
        raise ConfigError(
            f"LLaMA-Factory needs the name of its chat template for {job.model}: give it, such as --template"
            " qwen3_vl"
        )
    return job.template or default
