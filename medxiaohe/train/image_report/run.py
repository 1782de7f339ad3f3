"""Build the networks, train them, write the outputs of train.motor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from medxiaohe import io
from medxiaohe.models import checkpoint, starter
from medxiaohe.models.image_report.network import Network, Shape
from medxiaohe.models.image_report.queue import KnowledgeQueue
from medxiaohe.models.image_report.reader import ImageReportModel, save_network
from medxiaohe.models.image_report.tower import Tower
from medxiaohe.models.image_report.vocabulary import Vocabulary
from medxiaohe.retrieval import image_reports
from medxiaohe.train.image_report import loop
from medxiaohe.train.image_report.examine import examine
from medxiaohe.train.image_report.learner import Learner, Watch
from medxiaohe.train.image_report.pairing import Known, Tensors
from medxiaohe.train.image_report.pairs import Pair
from medxiaohe.train.image_report.settings import MotorSettings
from medxiaohe.train.image_report.tags import Relation, Tag
from medxiaohe.train.loop import parts
from medxiaohe.types import Evidence

CALIBRATION_IMAGES = 64  # their patches give the mean and standard deviation of each dimension


def train_on(
    train: Sequence[Pair],
    held: Sequence[Pair],
    tags: Sequence[Tag],
    relation: Relation,
    terms: Sequence[str],
    base: str,
    settings: MotorSettings,
    out: Path,
    work: Path,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Train, write `model/`, `network/`, `index/` and `metrics.jsonl`.

    Args:
        train: training pairs.
        held: validation pairs; empty: nothing is measured.
        tags: that reports are labelled with.
        relation: [tags][tags], which tags are related.
        terms: words of triplets.
        base: checkpoint to start from.
        settings: of the stage.
        out: folder of the stage.
        work: folder of unfinished work: features and checkpoints.
        watch: is called with the reports that each image is given; for tests.

    Returns:
        The figures of the summary: counts, first and last loss, validation.

    Raises:
        ModelError: a checkpoint without tower and projector, or a loss that is not finite.
    """
    loaded = checkpoint.load(base)
    tower = Tower(loaded)
    if parts.projector_is_fresh(loaded.model):
        parts.calibrate_projector(
            loaded.model, tower.pixels([pair.image for pair in train[:CALIBRATION_IMAGES]])
        )
    shared = Known(
        loaded.processor.tokenizer,
        Vocabulary.of(loaded.processor.tokenizer, (pair.report for pair in train)),
        terms,
    )
    sets = {
        name: Tensors(subset, shared, tower, settings, work / f"features_{name}.f16")
        for name, subset in (("train", train), ("held", held))
        if subset
    }
    learner, tensors = build(tower, sets["train"], shared, tags, relation, settings, loaded), sets["train"]
    if watch is not None:
        learner.watch = watch
    # optimizer steps: those that are set, else those of the epochs
    an_epoch = math.ceil(len(train) / settings.per_device_train_batch_size)
    steps = settings.max_steps or max(1, round(an_epoch * settings.num_train_epochs))
    history = loop.fit(learner, tensors.batch, len(train), steps, work / "steps")
    io.write_jsonl(out / "metrics.jsonl", history)
    setattr(loaded.model.config, starter.FRESH, False)
    checkpoint.save(loaded, out / "model")
    save_network(
        out, learner.network, learner.queue, shared.vocabulary, [tag.name for tag in tags], terms,
        settings.top,
    )  # fmt: skip
    model = ImageReportModel(out)
    documents = [
        Evidence(pair.id, pair.report, pair.study, (pair.image,), kind="record", license=pair.license)
        for pair in train
    ]
    indexed = image_reports.build(out / image_reports.FOLDER, documents, model, [p.patient for p in train])
    # share of the training reports that affirm each tag
    training = tensors.labels.mean(0).tolist()
    figures = examine(learner, sets["held"], tags, training, settings.rare) if held else {}
    return {
        "pairs": len(train),
        "patients": len({pair.patient for pair in train}),
        "steps": steps,
        "words": len(shared.vocabulary),
        "terms": len(terms),
        "tags": len(tags),
        "trained_parameters": sum(w.numel() for w in learner.student.parameters()),
        "loss_first": round(history[0]["loss"], 4) if history else 0.0,
        "loss_last": round(history[-1]["loss"], 4) if history else 0.0,
        "indexed": indexed,
        **({"validation": figures} if figures else {}),
    }


def build(
    tower: Tower,
    tensors: Tensors,
    shared: Known,
    tags: Sequence[Tag],
    relation: Relation,
    settings: MotorSettings,
    loaded: checkpoint.Loaded,
) -> Learner:
    """Build a learner with freshly initialised networks.

    Args:
        tower: of the checkpoint.
        tensors: training pairs; the first shows the width of image tokens.
        shared: vocabularies.
        tags: that reports are labelled with.
        relation: [tags][tags], which tags are related.
        settings: sizes.
        loaded: the checkpoint.

    Returns:
        Student, teacher and an empty queue.
    """
    with torch.no_grad():
        images = tensors.batch([0]).images
        # one pass shows the width of the projector's output
        tokens = tower.tokens(tower.features(images) if settings.vision else images)
    shape = Shape(
        image=tokens.shape[-1],
        words=len(shared.vocabulary),
        terms=len(shared.terms),
        tags=len(tags),
        width=settings.width,
        heads=settings.heads,
        layers=settings.layers,
        vector=settings.vector,
        length=settings.max_length,
        general=settings.general != "off",
        specific=settings.specific != "off",
        seed=settings.seed,
    )
    queue = KnowledgeQueue(settings.queue_size, settings.vector, settings.triplets)
    return Learner(Network(shape, relation), tower, queue, settings)
