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
    """Train on `documents.jsonl` of a mixture; `validation` is a data.read stage.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        validation: folder of a data.read stage, for the validation loss.

    Returns:
        the summary of the stage: `steps`, `tokens`, `trained_parameters`, `loss_first`, `loss_last`,
        `base`, ...

    Raises:
        DataError: a bad row, or rows that were not compared with a test split.
    """
    return train_on("documents.jsonl", "continual pretraining", settings, out, data, model, validation)


cpt.together = True  # type: ignore[attr-defined]
