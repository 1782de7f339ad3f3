"""Stage: supervised fine-tuning on instructions, loss on assistant parts only (MX-27)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io, progress
from medxiaohe.models import checkpoint
from medxiaohe.models.render import render
from medxiaohe.train.fit import FitSettings, base_model, device, fit


def sft(settings: FitSettings, out: Path, *, data: Path, model: Path | None = None) -> dict[str, Any]:
    """Train on `instructions.jsonl` of a mixture; a text longer than `max_length` tokens is cut there."""
    base = base_model(settings, model)
    loaded = checkpoint.load(base, device())
    samples = list(io.read_samples(data / "instructions.jsonl"))
    rows = [render(s.messages, loaded.processor).cut(settings.max_length) for s in progress.track(samples, "render instructions")]
    return fit(rows, loaded, settings, out, "supervised fine-tuning", base)
