"""What people expect of a training run beside a model: an estimate first, trackers, an adapter, four-bit
weights, plain sentences."""

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from curves import tracked

from medxiaohe import io
from medxiaohe.errors import ConfigError, MissingExtra
from medxiaohe.models import checkpoint
from medxiaohe.train.loop import estimate, trackers
from medxiaohe.train.loop.fit import FitSettings
from medxiaohe.train.loop.parts import Parts, prepare, sizes
from medxiaohe.train.rl import RLSettings
from medxiaohe.train.rollouts import grpo
from medxiaohe.train.sft import sft
from medxiaohe.types import Message, Sample

torch = pytest.importorskip("torch")
pytest.importorskip("trl")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        Sample(
            f"r/{i}",
            (Message("user", (f"Is {i} even?",)), Message("assistant", ("yes" if i % 2 == 0 else "no",))),
        )
        for i in range(24)
    ]
    io.write_jsonl(tmp_path / "m" / "instructions.jsonl", rows)
    return tmp_path / "m"


def settings(model: Path, **changes: Any) -> FitSettings:
    given: dict[str, Any] = {
        "parts": Parts(language="lora", lora_r=4, projector=False),
        "max_steps": 3,
        "allow_contaminated": True,
    }
    return FitSettings(model=str(model), **{**given, **changes})


# ---- the estimate ------------------------------------------------------------------------------------


PEAK = """
import resource, sys, torch
sys.path.insert(0, {tests!r})
torch.set_num_threads(1)
import tiny
from pathlib import Path
from medxiaohe.models import checkpoint
from medxiaohe.train.loop import estimate
from medxiaohe.train.loop.parts import Parts, prepare, optimizer
model = prepare(checkpoint.load({model!r}).model, Parts(language={language!r}, projector=False), 0).train()
steps = optimizer(model, 1e-4, None, 0.0, kind=torch.optim.AdamW, options={{}})
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
def step(rows, length):
    ids = torch.randint(5, 300, (rows, length))
    model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=ids).loss.backward()
    steps.step(); steps.zero_grad()
import gc
weights = sum(w.numel() * w.element_size() for w in model.parameters())
step(1, 8); gc.collect()
now = int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1]) * 1024
step({rows}, {length}); step({rows}, {length})
found = estimate.memory(model, {rows} * {length}, 0, 4)
print(peak() - now, found.activations + found.logits + found.gradients)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
@pytest.mark.parametrize("language", ["lora", pytest.param("full", marks=pytest.mark.long)])
def test_the_estimate_of_what_a_step_adds_is_within_a_factor_of_two_of_the_measured_peak(
    language: str, tmp_path: Path
) -> None:
    """docs/training.md states the factor; what torch itself takes is not in it, so the peak is that above a
    finished small step."""
    import subprocess

    import tiny

    tiny.build(tmp_path / "m", hidden=256, layers=6, spread=0.02)
    code = PEAK.format(
        tests=str(Path(__file__).parents[1]),
        model=str(tmp_path / "m"),
        language=language,
        rows=16,
        length=512,
    )
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-800:]
    measured, estimated = map(int, done.stdout.split())
    assert 0.5 < estimated / measured < 2, (measured, estimated)


def test_the_parts_of_the_estimate_follow_from_what_is_trained(tiny_vlm: Path) -> None:
    full = prepare(checkpoint.load(str(tiny_vlm)).model, Parts(language="full", projector=True), 0)
    small = prepare(
        checkpoint.load(str(tiny_vlm)).model, Parts(language="lora", lora_r=4, projector=False), 0
    )
    a, b = (estimate.memory(model, 100, 0, 4) for model in (full, small))
    assert a.gradients == 4 * sizes(full)["trained_parameters"] and a.optimizer == 2 * a.gradients
    assert (
        b.gradients == 4 * sizes(small)["trained_parameters"]
        and a.activations < b.activations < 2 * a.activations
    )
    assert (
        a.weights == 4 * sizes(full)["total_parameters"]
        and a.total == a.weights + 3 * a.gradients + a.activations + a.logits
    )
    assert estimate.memory(full, 200, 0, 4).logits == 2 * a.logits
    assert estimate.memory(full, 100, 0, 4, checkpointing=True).activations < a.activations
    seen = prepare(checkpoint.load(str(tiny_vlm)).model, Parts(language="full", vision=True), 0)
    assert estimate.memory(seen, 100, 4, 4).activations > a.activations
    assert "may not fit" in estimate.sentence("x", a, 1.0, 10) and "may not fit" not in estimate.sentence(
        "x", a, 1.0, None
    )


def test_a_stage_says_what_it_will_take_before_its_first_step(
    data: Path, tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = sft(settings(tiny_vlm), tmp_path / "o", data=data)
    line = next(line for line in capsys.readouterr().err.splitlines() if "GiB" in line)
    assert (
        line.startswith("supervised fine-tuning: about ")
        and "activations" in line
        and summary["estimated_bytes"] > 0
    )


# ---- trackers ----------------------------------------------------------------------------------------


def test_trackers_that_are_unknown_remote_or_missing_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(trackers.ALLOWED, raising=False)
    with pytest.raises(ConfigError, match=r"no tracker 'tensorbord'.*tensorboard"):
        trackers.checked(["tensorbord"])
    with pytest.raises(ConfigError, match="wandb sends what it tracks to a server"):
        trackers.checked(["wandb"])
    if importlib.util.find_spec("trackio") is None:
        with pytest.raises(MissingExtra, match="pip install trackio"):
            trackers.checked(["trackio"])
    assert trackers.checked([]) == []


def test_the_names_and_the_local_store_reach_the_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "transformers.integrations.integration_utils.get_available_reporting_integrations",
        lambda: ["tensorboard"],
    )
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    with trackers.tracking(["tensorboard"], tmp_path / "sft" / "1"):
        assert os.environ["TENSORBOARD_LOGGING_DIR"] == str(tmp_path / "sft" / "tracked")
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ
    with trackers.tracking([], tmp_path):
        assert "TENSORBOARD_LOGGING_DIR" not in os.environ
    assert [
        grpo.config(RLSettings(report_to=names), tmp_path).report_to for names in ((), ("tensorboard",))
    ] == [[], ["tensorboard"]]


def test_curves_lie_beside_the_stage_and_change_nothing_in_it(
    data: Path, tiny_vlm: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    sft(settings(tiny_vlm), tmp_path / "a" / "1", data=data)
    sft(settings(tiny_vlm, report_to=("tensorboard",)), tmp_path / "b" / "1", data=data)
    for file in ("metrics.jsonl", "model/model.safetensors"):
        assert io.sha256(tmp_path / "a" / "1" / file) == io.sha256(tmp_path / "b" / "1" / file)
    assert not list((tmp_path / "b" / "1").rglob("*tfevents*"))
    losses = [row["loss"] for row in io.read_jsonl(tmp_path / "b" / "1" / "metrics.jsonl")]
    assert tracked(tmp_path / "b" / "tracked", "train/loss") == pytest.approx(losses, abs=1e-3)


# ---- adapters and four bits --------------------------------------------------------------------------


def test_the_adapter_beside_the_model_is_what_was_merged(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    from medxiaohe.train.loop.merge import merge

    sft(settings(tiny_vlm, adapter=True, learning_rate=1e-2), tmp_path / "o", data=data)
    merge(str(tiny_vlm), tmp_path / "o" / "adapter", tmp_path / "merged")
    a, b = (
        checkpoint.load(str(folder)).model.state_dict()
        for folder in (tmp_path / "o" / "model", tmp_path / "merged")
    )
    assert all(torch.allclose(a[name], b[name], atol=1e-6) for name in a)
    with pytest.raises(ConfigError, match="are for LoRA"):
        settings(tiny_vlm, adapter=True, parts=Parts(language="full"))


@pytest.mark.skipif(importlib.util.find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_four_bits_without_bitsandbytes_are_one_sentence(data: Path, tiny_vlm: Path, tmp_path: Path) -> None:
    with pytest.raises(
        MissingExtra, match=r"quantize: 4bit needs bitsandbytes: pip install 'medxiaohe\[qlora\]'"
    ):
        sft(settings(tiny_vlm, quantize="4bit"), tmp_path / "o", data=data)


def test_a_four_bit_model_learns_and_is_saved_in_whole_weights(data: Path, tmp_path: Path) -> None:
    """QLoRA (Dettmers et al. 2023): bitsandbytes 0.50 also computes on a CPU."""
    pytest.importorskip("bitsandbytes")
    import tiny

    tiny.build(tmp_path / "m", hidden=128, layers=2)
    before = checkpoint.load(str(tmp_path / "m"))
    small = checkpoint.load(str(tmp_path / "m"), four_bit=True).model
    kinds = {name: type(weight).__name__ for name, weight in small.named_parameters()}
    assert kinds["model.language_model.layers.0.mlp.up_proj.weight"] == "Params4bit"
    assert not [
        name
        for name, kind in kinds.items()
        if kind == "Params4bit" and ("vision" in name or "projector" in name or "lm_head" in name)
    ]
    summary = sft(
        settings(tmp_path / "m", quantize="4bit", learning_rate=1e-2, max_steps=8), tmp_path / "o", data=data
    )
    assert (
        summary["loss_last"] < summary["loss_first"]
        and summary["total_parameters"] > sizes(before.model)["total_parameters"]
    )
    after = checkpoint.load(str(tmp_path / "o" / "model")).model.state_dict()
    assert not any(t.dtype == torch.uint8 for t in after.values())
    assert "quantization_config" not in json.loads((tmp_path / "o" / "model" / "config.json").read_text())
    moved = {
        name for name, weight in before.model.state_dict().items() if not torch.equal(weight, after[name])
    }
    assert moved and all("_proj" in name and "language" in name for name in moved)


def test_vllm_rollouts_without_vllm_or_a_gpu_are_one_sentence(tmp_path: Path) -> None:
    from medxiaohe.train.agentic import AgenticSettings
    from medxiaohe.train.rl import RLSettings
    from medxiaohe.train.rollouts import grpo

    if importlib.util.find_spec("vllm") is None:
        with pytest.raises(MissingExtra, match=r"use_vllm: true needs vllm: pip install 'medxiaohe\[vllm\]'"):
            grpo.config(RLSettings(use_vllm=True), tmp_path)
    assert grpo.config(RLSettings(), tmp_path).use_vllm is False
    with pytest.raises(ConfigError, match=r"use_vllm is for train\.rl"):
        AgenticSettings(use_vllm=True, form="calls")


def test_deepspeed_without_a_way_to_resume_is_said_before_the_first_step() -> None:
    from medxiaohe.train.loop.sharding import refuse_checkpoints

    with pytest.raises(ConfigError, match="set save_steps above 40"):
        refuse_checkpoints(20, 40)
    refuse_checkpoints(41, 40)
