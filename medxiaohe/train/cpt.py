"""Stage: continual pretraining on documents, loss on every text token (MX-20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io, progress
from medxiaohe.models import checkpoint
from medxiaohe.models.render import render
from medxiaohe.train.fit import FitSettings, base_model, device, fit


def cpt(settings: FitSettings, out: Path, *, data: Path, model: Path | None = None) -> dict[str, Any]:
    """Train on `documents.jsonl` of a mixture; a document longer than `max_length` tokens is cut there."""
    base = base_model(settings, model)
    loaded = checkpoint.load(base, device())
    samples = list(io.read_samples(data / "documents.jsonl"))
    rows = [render(s.messages, loaded.processor).cut(settings.max_length) for s in progress.track(samples, "render documents")]
    return fit(rows, loaded, settings, out, "continual pretraining", base)
