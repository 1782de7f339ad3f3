"""Evaluate a trained learner on held-out pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from medxiaohe.models.image_report.vocabulary import PAD
from medxiaohe.train.image_report import measures, objectives
from medxiaohe.train.image_report.learner import Learner
from medxiaohe.train.image_report.pairing import Tensors
from medxiaohe.train.image_report.tags import Tag

TOGETHER = 32  # pairs of one forward pass


@torch.no_grad()  # type: ignore[untyped-decorator]
def outputs(learner: Learner, held: Tensors) -> dict[str, Any]:
    """Run the student on held-out pairs.

    Args:
        learner: trained.
        held: n pairs.

    Returns:
        numpy arrays: image and text vectors (n, vector), logits of tags (n, tags), and of each batch the nats
        and tokens of its reports.
    """
    learner.student.eval()
    result: dict[str, list[Any]] = {name: [] for name in ("image", "text", "logits", "nats", "tokens")}
    for start in range(0, len(held.pairs), TOGETHER):
        batch = held.batch(list(range(start, min(start + TOGETHER, len(held.pairs)))))
        draw = torch.Generator().manual_seed(start)  # of the control with drawn reports
        tokens, image, logits = learner.look(batch, "student", draw)
        result["image"].append(image)
        result["text"].append(learner.network.text_vector(batch.words))
        result["logits"].append(logits)
        # predicted words, without padding; mean loss x count = nats of the batch
        count = (batch.words[:, 1:] != PAD).sum()
        result["nats"].append(objectives.language(learner.network, tokens, batch.words)[None] * count)
        result["tokens"].append(count[None])
    return {name: torch.cat(rows).numpy() for name, rows in result.items()}


def examine(
    learner: Learner, held: Tensors, tags: Sequence[Tag], training: Sequence[float], rare: float
) -> dict[str, Any]:
    """Evaluate retrieval both ways, AUC of labels, and the language-model loss.

    Args:
        learner: trained.
        held: pairs that it was not trained on.
        tags: of the labels.
        training: share of the training reports that affirm each tag.
        rare: below this share a tag is rare.

    Returns:
        pairs, reports, recall@1 and @5 both ways, nats a token, and AUC by tag; the last two where the losses
        `lm` and `mlc` are on.
    """
    predicted = outputs(learner, held)
    # cosines (n, n): vectors have length one. Reports with equal words are all right
    similarity = predicted["image"] @ predicted["text"].T
    report = held.report.numpy()
    same = report[:, None] == report[None]
    summary: dict[str, Any] = {"pairs": len(report), "reports": len(set(report.tolist()))}
    for name, table in (("image_to_report", similarity), ("report_to_image", similarity.T)):
        for k in (1, 5):
            summary[f"{name}_r{k}"] = round(float(measures.recall_at(table, same, k).mean()), 4)
    if "lm" in learner.settings.losses:
        # nats of all reports / their tokens
        summary["nats"] = round(float(predicted["nats"].sum() / predicted["tokens"].sum()), 4)
    if "mlc" in learner.settings.losses:
        names = [tag.name for tag in tags]
        labels = held.labels.numpy().astype(int)
        summary |= measures.by_tag(predicted["logits"], labels, names, np.asarray(training), rare)
    return summary
