"""Stage: continual pretraining on documents, loss on every text token (MedXIAOHE)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.train.loop.fit import FitSettings, train_on


def cpt(
    settings: FitSettings,
    out: Path,
    *,
    data: Path,
    model: Path | None = None,
    validation: Path | None = None,
) -> dict[str, Any]:
    """Train on `documents.jsonl` of a mixture; `validation` is a data.read stage."""
    return train_on("documents.jsonl", "continual pretraining", settings, out, data, model, validation)


cpt.together = True  # type: ignore[attr-defined]
