"""`medxiaohe train`: the stages of training, estimates, exports, merged adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import Stages, code_options, group, verb

ORDER = 60  # in the list of verbs

# second word -> (the stage it runs, one line about it, the inputs of the example)
STAGES: Stages = {
    "pack": (
        "train.pack",
        "plan sequence packing and report utilisation",
        "--input data=work/data_mixture/1",
    ),
    "cpt": ("train.cpt", "continual pretraining on documents", "--input data=work/data_mixture/1"),
    "sft": ("train.sft", "supervised fine-tuning on instructions", "--input data=work/data_mixture/1"),
    "preferences": (
        "train.preferences",
        "build preference pairs from answers with and without knowledge",
        "--input data=work/data_mixture/1",
    ),
    "dpo": (
        "train.dpo",
        "direct preference optimisation (DPO) on pairs",
        "--input data=work/train_preferences/1",
    ),
    "rl": (
        "train.rl",
        "reinforcement learning with a task's scorer as reward",
        "--input data=work/data_mixture/1",
    ),
    "tool-need": (
        "train.tool_need",
        "find prompts that need a tool: ask without, with, and with forced tool use",
        "--input data=work/data_mixture/1",
    ),
    "agentic": (
        "train.agentic",
        "reinforcement learning over several turns with tools",
        "--input data=work/data_mixture/1",
    ),
    "select": (
        "train.select",
        "select prompts that a model answers right 60 to 80 % of the time",
        "--input data=work/data_mixture/1",
    ),
    "rft": (
        "train.rft",
        "rejection-sampling fine-tuning: make rows of a model's rare right answers",
        "--input data=work/data_mixture/1",
    ),
    "demonstrate": (
        "train.demonstrate",
        "record expert demonstrations with real tool calls",
        "--input data=work/data_mixture/1",
    ),
    "retriever": (
        "train.retriever",
        "train an embedder, a cross-encoder, or linear heads for images and text, on pairs",
        "--input data=work/data_curate/1",
    ),
    "queries": (
        "train.queries",
        "make rows and pairs that teach which queries each knowledge source answers",
        "--input data=work/data_mixture/1",
    ),
    "moe": (
        "train.moe",
        "train a mixture of experts on closed questions with image, text and rationale",
        "--input data=work/data_mixture/1",
    ),
    "motor": (
        "train.motor",
        "train vision tower and projector on images with their reports, with knowledge (MOTOR)",
        "--input data=work/data_mixture/1",
    ),
    "reward": (
        "train.reward_model",
        "train a reward model on pairs and their fact-invariant variants",
        "--input data=work/pairs",
    ),
}


def add(verbs: Any) -> None:
    """Add `train` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "train", "pretrain, fine-tune, reinforce", STAGES)
    export = verb(words, "export", "data and settings for ms-swift, LLaMA-Factory or verl",
                   "medxiaohe train export out/quickstart/mixture/1 --to ms_swift --kind sft --model Qwen/Qwen3-VL-4B-Instruct --out swift",  # noqa: E501
                   "exporting:export")  # fmt: skip
    export.add_argument("data", type=Path, metavar="DATA", help="the folder of a stage with rows to train on")
    export.add_argument("--to", required=True, metavar="TRAINER", help="ms_swift, llama_factory or verl")
    export.add_argument("--model", required=True, help="the model to train there: a hub id or a folder")
    export.add_argument(
        "--kind",
        default="",
        choices=("", "cpt", "sft", "rl", "dpo"),
        help="kind of training; guessed when left out",
    )
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, written whole")
    export.add_argument(
        "--with",
        type=Path,
        dest="settings",
        metavar="FILE",
        help="settings of train.sft, train.rl, ... as YAML",
    )
    export.add_argument("--set", action="append", default=[], metavar="K=V", help="one setting; repeatable")
    export.add_argument(
        "--template",
        default="",
        help="chat template of LLaMA-Factory, for models that it does not recognise by name",
    )
    forecast = verb(words, "estimate", "memory and hours of a recipe's training on GPUs that are not here",
                     "medxiaohe train estimate recipes/lingshu.yaml --gpu h200:8 --set model=Qwen/Qwen2.5-VL-7B-Instruct",  # noqa: E501
                     "forecast:estimate")  # fmt: skip
    forecast.add_argument("recipe", type=Path, metavar="RECIPE", help="a YAML file, or the name of a recipe")
    forecast.add_argument(
        "--gpu",
        required=True,
        metavar="NAME[:N]",
        help="b200, h200, h100, a100, a100-40, l40s, l4, 4090 or 3090, and how many: h200:8",
    )
    forecast.add_argument("--set", action="append", default=[], metavar="K=V", help="as in `run`; repeatable")
    forecast.add_argument(
        "--tokens", type=int, default=1024, metavar="N", help="of a row or prompt, on average (default 1024)"
    )
    forecast.add_argument("--images", type=int, default=1, metavar="N", help="of a row (default 1)")
    forecast.add_argument(
        "--pixels", type=int, default=1_000_000, metavar="N", help="of an image (default 1000000)"
    )
    forecast.add_argument(
        "--mfu", type=float, default=0.35, metavar="SHARE", help="of the GPU's peak (assumed: 0.35)"
    )
    code_options(forecast)
    merge = verb(words, "merge", "fold an adapter into its model",
                  "medxiaohe train merge Qwen/Qwen3-VL-4B-Instruct adapter --out merged",
                  "exporting:merge")  # fmt: skip
    merge.add_argument(
        "model", metavar="MODEL", help="starter, a folder, or a hub id: what the adapter was trained on"
    )
    merge.add_argument(
        "adapter", type=Path, metavar="ADAPTER", help="a folder with adapter_config.json and safetensors"
    )
    merge.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder: a checkpoint in hub layout"
    )
