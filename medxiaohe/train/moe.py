"""Stage: the diagnostic specialist of MedCoT, a sparse mixture of experts over answer candidates (arXiv
2412.13736, section 3.3).

    model/           experts.safetensors, experts.json: the checkpoint of the best validation accuracy
    metrics.jsonl    {step, loss, balance, accuracy, eval_loss}: of training, and of validation each epoch
    answers.jsonl    {id, target, gate, vote, experts, weights} of every validation row, by that checkpoint

paper says                               we do, and why
multimodal T5-base, DETR features        one layer of self-attention over words of an embedder, and patches of
                                         a frozen tower: what trains on a CPU; sizes are settings
gate h' = (1-g)h + g img, g of a top-2   the same; weights over experts sum to 1 for each word
of 6 experts
"vote" in the text, a gate in the code   both: each expert alone answers, and its cross-entropy counts with
                                         `expert_loss`
100 epochs, rate 8e-5                    `epochs`, `learning_rate`; the checkpoint is chosen on validation
rationale and caption of a VLM           a file `rationales` of {id, rationale, caption}, such as the answers
                                         of the roles of the workflow `medcot`; without it the question alone

It takes minutes, so a run that was killed begins again; what it publishes is whole.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe import io, plugins, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import InputPath
from medxiaohe.train.loop.contamination_check import refuse_unchecked
from medxiaohe.types import Sample

if TYPE_CHECKING:
    import numpy as np

    from medxiaohe.models.experts.features import Question

LABEL = "mixture of experts"
MOST = 200  # answer candidates: more is no closed question


@dataclass(frozen=True)
class MoeSettings:
    """Settings of the stage; the paper has 6 experts, 2 of them for each word."""

    text: str = "minilm"  # vectors of words: minilm, ngrams (no weights), or a folder with an encoder
    tower: str = "dinov2"  # of images: dinov2, colours (no weights), or a folder with a vision model
    rationales: InputPath = ""  # rows {id, rationale, caption}
    # shuffled: each row gets the rationale of another one, a control that must lose what rationales gain
    use: Literal["with", "without", "shuffled"] = "with"
    experts: int = 6  # networks of the mixture
    top: int = 2  # experts that see a word
    width: int = 64  # of the hidden layers
    longest: int = 96  # words of question, caption and rationale
    epochs: int = 30  # passes over the rows
    batch_size: int = 32  # rows of an optimizer step
    learning_rate: float = 1e-3
    expert_loss: float = 0.1  # weight of the loss of the answers of single experts
    balance_loss: float = 0.01  # weight of the loss that has all experts used alike
    held_out: float = 0.15  # of the images, for validation, where no validation data is wired
    seed: int = 0
    allow_contaminated: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.top <= self.experts:
            raise ConfigError(f"top must be from 1 to experts ({self.experts}), not {self.top}")
        if min(self.width // 4, self.longest, self.epochs, self.batch_size) < 1 or self.width % 4:
            raise ConfigError("longest, epochs and batch_size must be at least 1, width a multiple of 4")
        if not 0 < self.held_out < 1 or self.learning_rate <= 0:
            raise ConfigError("held_out must be a share between 0 and 1, learning_rate above 0")
        if self.use == "shuffled" and not self.rationales:
            raise ConfigError("use: shuffled needs rationales: name a file of rows {id, rationale}")


def moe(settings: MoeSettings, out: Path, *, data: Path, validation: Path | None = None) -> dict[str, Any]:
    """Train on the closed questions of `prompts.jsonl` of a mixture; `validation` has such a file too.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        validation: folder of a mixture stage; None: `settings.held_out` of the images.

    Returns:
        the summary of the stage: `rows`, `validation`, `candidates`, `majority`, `gate`, `vote`,
        `experts`, `best_step`

    Raises:
        DataError: no closed questions, or too few to hold some out.
    """
    plugins.need("torch", why=LABEL)
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    rows = closed(io.read_samples(data / "prompts.jsonl"), data)
    held = closed(io.read_samples(validation / "prompts.jsonl"), validation) if validation is not None else []
    if not held:
        rows, held = apart(rows, settings.held_out)
    candidates = tuple(sorted({row.target for row in rows}))
    if not 2 <= len(candidates) <= MOST:
        raise DataError(
            f"{LABEL}: the {len(rows)} rows have {len(candidates)} different answers: give closed questions,"
            f" with 2 to {MOST}"
        )
    usable = [row for row in held if row.target in candidates]
    if not usable:
        raise DataError(f"{LABEL}: no validation row has an answer of the training rows: check both data")
    rationales = read_rationales(settings, [*rows, *usable])
    best = trained(settings, out, rows, usable, candidates, rationales)
    majority = max(sum(row.target == candidate for row in usable) for candidate in candidates) / len(usable)
    return {
        "rows": len(rows),
        "validation": len(usable),
        "left_out": len(held) - len(usable),
        "candidates": len(candidates),
        "with_rationale": sum(bool(rationales.get(row.id, ("", ""))[0]) for row in rows),
        "majority": round(majority, 4),
        **best,
    }


def closed(samples: Any, folder: Path) -> list[Sample]:
    """Select the rows of closed questions: those with a gold answer.

    Args:
        samples: of prompts.jsonl.
        folder: named in the message.

    Returns:
        Rows in their order.

    Raises:
        DataError: there are none.
    """
    rows = [row for row in samples if row.target]
    if not rows:
        raise DataError(f"{folder}: no row of prompts.jsonl has a gold answer (`target`): take a closed task")
    return rows


def apart(rows: Sequence[Sample], share: float) -> tuple[list[Sample], list[Sample]]:
    """Split rows into training and validation without a shared image, by a hash of the study, patient or
    image.

    Args:
        rows: all rows.
        share: of the images, for validation.

    Returns:
        (training rows, validation rows)

    Raises:
        DataError: one of them is empty.
    """
    held = [row for row in rows if _place(row) < share]
    selected = [row for row in rows if _place(row) >= share]
    if not held or not selected:
        raise DataError(f"{LABEL}: {len(rows)} rows are too few to hold out {share:.0%}: give more, or wire"
                        " validation data to needs.validation")  # fmt: skip
    return selected, held


def _place(row: Sample) -> float:
    """From 0 to 1, equal for rows with the same case or image."""
    images = [image.sha256 or image.uri for message in row.messages for image in message.images]
    about = row.study_id or row.patient_id or (images[0] if images else row.id)
    # 32 bits of a hash as a fraction of 2^32: the same rows are held out in every run
    return int(hashlib.sha256(about.encode()).hexdigest()[:8], 16) / 16**8


def read_rationales(settings: MoeSettings, rows: Sequence[Sample]) -> dict[str, tuple[str, str]]:
    """Read rationales and captions; with `use: shuffled` each row gets those of another row, each used once.

    Args:
        settings: `rationales` and `use`.
        rows: of training and validation.

    Returns:
        Row id -> (rationale, caption); {} without rationales.

    Raises:
        DataError: a row without `id` or `rationale`, or no id of the questions.
    """
    if not settings.rationales or settings.use == "without":
        return {}
    result = {}
    for row in io.read_jsonl(Path(settings.rationales)):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("rationale", ""), str):
            raise DataError(f"{settings.rationales}: each row needs an `id` and a `rationale`, texts")
        result[row["id"]] = (row.get("rationale", ""), str(row.get("caption", "")))
    ids = sorted(row.id for row in rows if row.id in result)
    if not ids:
        raise DataError(
            f"{settings.rationales}: no row has the id of one of the {len(rows)} questions: check the file"
        )
    if settings.use == "with":
        return {id: result[id] for id in ids}
    order = list(ids)
    random.Random(f"rationales {settings.seed}").shuffle(order)
    # each id takes the rationale of the next one in a random cycle: never its own, with two or more
    after = dict(zip(order, [*order[1:], order[0]], strict=True))
    return {id: result[after[id]] for id in ids}


def question_of(row: Sample, rationales: Mapping[str, tuple[str, str]]) -> Question:
    """Collect what the specialist reads of a row: question, first image, caption, rationale.

    Args:
        row: a closed question.
        rationales: row id -> (rationale, caption).

    Returns:
        A question for models.experts.
    """
    from medxiaohe.models.experts.features import Question

    user = [message for message in row.messages if message.role == "user"]
    images = [image for message in user for image in message.images]
    rationale, caption = rationales.get(row.id, ("", ""))
    text = " ".join(message.text for message in user)
    return Question(text, images[0] if images else None, caption, rationale)


def trained(
    settings: MoeSettings, out: Path, rows: Sequence[Sample], held: Sequence[Sample],
    candidates: tuple[str, ...], rationales: Mapping[str, tuple[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """Train the specialist, keep the weights of the best validation accuracy, write the files of the stage.

    Args:
        settings: of the stage.
        out: folder of the stage.
        rows: of training.
        held: of validation.
        candidates: answers, in the order of the scores.
        rationales: row id -> (rationale, caption).

    Returns:
        `best_step` (the epoch), and accuracies on validation as `scores`.
    """
    import torch

    from medxiaohe.models.embed import embedder
    from medxiaohe.models.experts import specialist
    from medxiaohe.models.experts.features import SIDE, patches_of
    from medxiaohe.models.experts.network import Shape, Specialist, balance, loss

    # features of words and patches are frozen and computed once; `ours`: training rows, `theirs`: validation
    questions = [question_of(row, rationales) for row in (*rows, *held)]
    image = next(iter(patches_of([questions[0].image], settings.tower).values())).shape[1]
    shape = Shape(
        embedder(settings.text).dim, image, settings.width, settings.experts, settings.top,
        settings.longest, SIDE * SIDE,
    )  # fmt: skip
    facts = specialist.Facts(settings.text, settings.tower, candidates, shape)
    arrays = specialist.prepared(questions, facts)
    gold = torch.tensor([candidates.index(row.target) for row in (*rows, *held)])
    split = len(rows)
    ours = {name: a if name == "candidates" else a[:split] for name, a in arrays.items()}
    theirs = {name: a if name == "candidates" else a[split:] for name, a in arrays.items()}
    torch.manual_seed(settings.seed)
    network = Specialist(shape)
    # AdamW with a constant rate
    optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=0.01)
    chance = random.Random(settings.seed)
    curve: list[dict[str, Any]] = []
    best: tuple[float, float] = (-1.0, 0.0)
    meter = progress.Meter(LABEL, settings.epochs)
    for epoch in range(settings.epochs):
        network.train()
        order = list(range(split))
        chance.shuffle(order)
        losses, shares = [], []
        for start in range(0, split, settings.batch_size):
            chosen = order[start : start + settings.batch_size]
            read = network(**specialist.batch(ours, chosen))
            # cross-entropy of the gate + expert_loss x that of each expert alone + balance_loss x balance
            value = loss(read, gold[chosen], settings.expert_loss, settings.balance_loss)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            losses.append(float(value.detach()))
            shares.append(float(balance(read).detach()))
        # after each epoch: accuracy and cross-entropy on validation, without gradient
        accuracy, nats = _validated(network, theirs, gold[split:], settings.batch_size)
        curve.append({
            "step": epoch + 1, "loss": round(sum(losses) / len(losses), 4),
            "balance": round(sum(shares) / len(shares), 4), "accuracy": round(accuracy, 4),
            "eval_loss": round(nats, 4),
        })  # fmt: skip
        # the best accuracy on validation, of equal ones the lower loss
        if (accuracy, -nats) > best:
            best = (accuracy, -nats)
            specialist.save(network, facts, out / "model")
        meter.advance()
    meter.close()
    best_network, _ = specialist.load(out / "model")
    replies = specialist.answers(best_network, theirs, candidates)
    io.write_jsonl(out / "metrics.jsonl", curve)
    io.write_jsonl(
        out / "answers.jsonl",
        (
            {"id": row.id, "target": row.target, **asdict(item)}
            for row, item in zip(held, replies, strict=True)
        ),
    )
    return {
        "best_step": max(curve, key=lambda row: (row["accuracy"], -row["eval_loss"]))["step"],
        **scores(replies, [row.target for row in held]),
    }


def scores(answers: Sequence[Any], targets: Sequence[str]) -> dict[str, Any]:
    """Compute the accuracy of the gate, of the vote, and of each expert alone.

    Args:
        answers: of the specialist, one for each question.
        targets: gold answers.

    Returns:
        {gate, vote, experts: one accuracy each}, rounded to 4 digits.
    """
    n = len(targets)

    def share(own: Sequence[str]) -> float:
        """Accuracy of some answers."""
        return round(sum(a == b for a, b in zip(own, targets, strict=True)) / n, 4)

    experts = len(answers[0].experts)
    return {
        "gate": share([item.gate for item in answers]),
        "vote": share([item.vote for item in answers]),
        "experts": [share([item.experts[e] for item in answers]) for e in range(experts)],
    }


def _validated(network: Any, arrays: Mapping[str, np.ndarray], gold: Any, size: int) -> tuple[float, float]:
    """Accuracy of the gate and its cross-entropy in nats."""
    import torch

    from medxiaohe.models.experts.specialist import batch

    network.eval()
    right, nats = 0, 0.0
    for start in range(0, len(gold), size):
        rows = range(start, min(start + size, len(gold)))
        with torch.inference_mode():
            scored = network(**batch(dict(arrays), rows)).gate
        own = gold[list(rows)]
        right += int((scored.argmax(-1) == own).sum())
        nats += float(torch.nn.functional.cross_entropy(scored, own, reduction="sum"))
    return right / len(gold), nats / len(gold)
