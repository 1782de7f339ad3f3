"""Stage: supervised fine-tuning on instructions, loss on assistant parts only (MedXIAOHE)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.train.loop.fit import FitSettings, train_on


def sft(
    settings: FitSettings,
    out: Path,
    *,
    data: Path,
    model: Path | None = None,
    validation: Path | None = None,
) -> dict[str, Any]:
    """Train on `instructions.jsonl` of a mixture; `validation` is a data.read stage."""
    return train_on("instructions.jsonl", "supervised fine-tuning", settings, out, data, model, validation)


sft.together = True  # type: ignore[attr-defined]
