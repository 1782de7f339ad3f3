"""Stage: train tower and projector on images and their reports with general and specific knowledge (MOTOR,
arXiv 2304.14204).

    model/         the checkpoint with the trained projector, and tower where `vision` is set: train.cpt and
                   train.sft start from it
    network/       the networks trained with them, and the queue of triplets
    index/         the training reports by their vectors: a store (retrieval/image_reports.py)
    metrics.jsonl  {step, loss, ita, itm, lm, mlc}

Not the MOTOR of arXiv 2506.22900, which retrieves by optimal transport.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError
from medxiaohe.recipe.settings import content_hash, decisive
from medxiaohe.scoring._findings import Lexicon
from medxiaohe.train.image_report import pairs as pairing
from medxiaohe.train.image_report import tags as tagging
from medxiaohe.train.image_report.settings import MotorSettings
from medxiaohe.train.image_report.triplets import terms_of
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.train.loop.fit import base_model, identity

FEWEST = 8  # pairs: below them there is nothing to tell apart


def motor(
    settings: MotorSettings,
    out: Path,
    *,
    data: Path,
    model: Path | None = None,
    tree: Path | None = None,
    validation: Path | None = None,
) -> dict[str, Any]:
    """Train on the rows of `data` that have an image and a report.

    Args:
        settings: of the stage.
        out: draft of its folder.
        data: a mixture or a data.read stage; rows of validation and test are not trained on.
        model: an earlier training stage to start from.
        tree: relates the tags, and its names are findings too; without it the file's groups relate them.
        validation: a data.read stage; its validation split is measured. Without it, that of `data`.

    Returns:
        the summary of the stage: `pairs`, `steps`, `loss_first`, `loss_last`, `relations`,
        `tags_without_entity`, `validation`

    Raises:
        ConfigError: no model, or rows that were compared with no test split.
        DataError: no rows, or fewer than eight pairs.
        ModelError: a checkpoint without tower and projector, or a loss that is no number.
    """
    plugins.need("torch", "transformers", "safetensors", why="train.motor")
    refuse_unchecked(data, settings.allow_contaminated, "motor")
    base = base_model(settings, model)
    tags = tagging.read(Path(settings.tags) if settings.tags else tagging.FILE)
    lexicon = Lexicon(tree)
    train, left_out = pairing.read(data, tags, lexicon, settings.triplets, "train")
    if len(train) < FEWEST:
        raise DataError(
            f"motor: {len(train)} pairs of an image and a report in {data}; it takes {FEWEST} or more"
            + (f" (left out: {', '.join(f'{n} {why}' for why, n in left_out.items())})" if left_out else "")
        )
    held, _ = pairing.read(validation or data, tags, lexicon, settings.triplets, "validation")
    missing: list[str] = []
    relation = tagging.by_group(tags)
    if tree is not None:
        relation, missing = tagging.from_tree(tags, Tree.load(tree))
    if settings.general == "shuffled":
        relation = tagging.shuffled(relation, settings.seed)
    files = [content_hash(str(folder / name)) for folder in filter(None, (data, validation))
             for name in pairing.FILES if (folder / name).is_file()]  # fmt: skip
    key = [decisive(settings), files, identity(base), io.code.digest(__name__), relation]
    scratch = io.scratch(out, ["motor", *key])
    from medxiaohe.train.image_report.run import train_on  # imports torch

    terms = terms_of(pair.triplets for pair in train)
    figures = train_on(train, held, tags, relation, terms, base, settings, out, scratch)
    return {
        "base": base,
        **figures,
        "relations": (sum(map(sum, relation)) - len(tags)) // 2,
        "tags_without_entity": missing,
        **({"left_out": left_out} if left_out else {}),
    }
