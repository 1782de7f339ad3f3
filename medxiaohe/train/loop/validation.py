"""The loss of the validation split while a model is trained, early stopping by it, and the best weights.

Rows are those of a data.read stage whose split is "validation": never of the test split, never trained on.
What was measured stands in the log of the trainer, and everything else follows from that log: a run that was
killed stops where a run without a kill stops, with the same weights. The loss is a mean over tokens.

    metrics.jsonl   {step, loss, ..., eval_loss}
    best-STEP/      beside the checkpoints: the weights of the lowest loss so far (load_best_model_at_end)
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe import ranks
from medxiaohe.train.loop import batch_plan as plans
from medxiaohe.train.loop import resume
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows
from medxiaohe.types import Sample

FILE = "samples.jsonl"  # of a data.read stage
LOSS = "eval_loss"


@dataclass(frozen=True)
class ValidationSettings:
    """Names are those of TrainingArguments and EarlyStoppingCallback."""

    # when the loss of the validation split is measured; the last step always is where this is not "no"
    eval_strategy: Literal["no", "steps", "epoch"] = "no"
    eval_steps: int = 50  # optimizer steps between two evaluations
    max_eval_samples: int = 1000  # drawn by a hash of their ids; 0: all
    load_best_model_at_end: bool = False  # keep the weights of the lowest validation loss, not the last ones
    # evaluations in a row without a lower loss, after which training stops; 0: never
    early_stopping_patience: int = 0
    early_stopping_threshold: float = 0.0  # nats by which a loss must be lower to count as such


class Validation:
    """Rows whose loss is measured, and how often.

    Args:
        rows: rendered, of the validation split.
        settings: patience and threshold.
        batch_size: sequences of a forward pass.
        every: optimizer steps between two evaluations.
    """

    def __init__(self, rows: Rows, settings: ValidationSettings, batch_size: int, every: int) -> None:
        self.rows, self.settings, self.every = rows, settings, every
        order = sorted(range(len(rows)), key=lambda row: int(rows.tokens[row]))
        chosen = [[[row] for row in order[i : i + batch_size]] for i in range(0, len(order), batch_size)]
        self._batches: list[plans.Batch] = chosen

    def loss(self, trainer: Any) -> float:
        """Mean negative log-likelihood in nats of the labelled tokens, over all processes."""
        import torch

        world, rank = ranks.world(), trainer.args.process_index
        model, device = trainer.model, trainer.accelerator.device
        sums = torch.zeros(2, dtype=torch.float64, device=device)
        was_training = model.training
        model.eval()
        with torch.no_grad(), trainer.compute_loss_context_manager():
            # every process makes as many passes as the others: shards of weights are gathered in each
            for i in range(math.ceil(len(self._batches) / world)):
                number = i * world + rank
                batch = self.rows.batch(self._batches[min(number, len(self._batches) - 1)])
                found = model(**trainer._prepare_inputs(batch), use_cache=False, fused_lm_head=True)
                if number < len(self._batches):
                    sums[0] -= found.log_probs.double().sum()
                    sums[1] += found.label_mask.sum()
        reshard(model)
        total, count = trainer.accelerator.reduce(sums, reduction="sum").tolist()
        model.train(was_training)
        return float(total / count)


def reshard(model: Any) -> None:
    """Free the gathered weights of FSDP2 that a forward pass without a backward pass leaves behind: what is
    saved or loaded next are the shards."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def checked(settings: ValidationSettings, validation: Path | None) -> None:
    """ConfigError for settings of evaluation that contradict each other, DataError for a stage without
    rows."""
    asks = settings.eval_strategy != "no"
    if (settings.load_best_model_at_end or settings.early_stopping_patience) and not asks:
        raise ConfigError(
            "load_best_model_at_end and early_stopping_patience go by the validation loss: set eval_strategy"
            " to steps or epoch"
        )
    if settings.eval_steps < 1 or min(settings.max_eval_samples, settings.early_stopping_patience) < 0:
        raise ConfigError(
            "eval_steps must be at least 1, max_eval_samples and early_stopping_patience at least 0"
        )
    if asks and validation is None:
        raise ConfigError(
            f"eval_strategy: {settings.eval_strategy} measures the loss of the validation split: wire the"
            " data.read stage that has it to needs.validation"
        )
    if validation is not None and not asks:
        raise ConfigError(
            "needs.validation is wired and nothing evaluates it: set eval_strategy to steps or epoch"
        )
    if validation is not None and not (validation / FILE).is_file():
        raise DataError(f"{validation} has no {FILE}: needs.validation is a stage of data.read")


def samples(validation: Path, settings: ValidationSettings, documents: bool) -> list[Sample]:
    """Rows of the validation split, in the order of a hash of their ids.

    Args:
        validation: folder of a data.read stage.
        settings: how many rows.
        documents: pages for pretraining; else conversations that end with an answer.

    Raises:
        DataError: there is no such row.
    """
    results = [
        sample
        for sample in io.read_samples(validation / FILE)
        if sample.split == "validation"
        and (sample.is_document if documents else sample.messages[-1].role == "assistant")
    ]
    if not results:
        what = "documents" if documents else "answered conversations"
        raise DataError(
            f"{validation} has no {what} of the split validation: state it in the rows, or set"
            " hold_out_validation of their source in data.read"
        )
    results.sort(key=lambda sample: (io.unit_interval("validation", sample.id), sample.id))
    return results[: settings.max_eval_samples or None]


def rows(
    validation: Path, settings: ValidationSettings, file: str, processor: Any, reading: Reading, work: Path
) -> Rows:
    """The rows of the validation split as the model sees them; those with images that are too long are left
    out.

    Args:
        validation: folder of a data.read stage.
        settings: how many rows.
        file: of the mixture that is trained on: documents.jsonl, or else conversations are taken.
        processor: of the model.
        reading: how rows are rendered.
        work: a folder of unfinished work, which a run that goes on finds again.
    """
    chosen = samples(validation, settings, documents=file.startswith("documents"))
    with io.in_turn(work / "validation"):  # processes that train together share one file
        io.write_jsonl(work / "validation" / FILE, chosen)
    return Rows(
        work / "validation" / FILE,
        processor,
        replace(reading, oversize="drop"),
        "render the validation split",
        work=work / "validation",
    )


def steps_between(settings: ValidationSettings, steps_of_an_epoch: float) -> int:
    """Optimizer steps between two evaluations."""
    if settings.eval_strategy == "epoch":
        return max(1, round(steps_of_an_epoch))
    return settings.eval_steps


# ---- what follows from the log -----------------------------------------------------------------------------


def losses(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """(step, validation loss) of each evaluation, in order."""
    return [(int(row["step"]), float(row[LOSS])) for row in history if LOSS in row]


def best(history: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Step and loss of the lowest validation loss, the first of equal ones."""
    results = [(loss, step) for step, loss in losses(history) if math.isfinite(loss)]
    return (min(results)[1], min(results)[0]) if results else None


def waited(history: Sequence[Mapping[str, Any]], threshold: float) -> int:
    """Evaluations since the last one whose loss was lower than all before by more than the threshold."""
    lowest, count = math.inf, 0
    for _, loss in losses(history):
        if loss < lowest - threshold or lowest == math.inf:
            lowest, count = loss, 0
        else:
            count += 1
    return count


def stopped(history: Sequence[Mapping[str, Any]], settings: ValidationSettings) -> str:
    """Why training stops here, or ""."""
    patience = settings.early_stopping_patience
    if not patience or waited(history, settings.early_stopping_threshold) < patience:
        return ""
    step, loss = best(history) or (0, math.nan)
    return (
        f"the validation loss has not fallen in {patience} evaluations; it was lowest, {loss:.4f}, at step"
        f" {step}"
    )


def summary(history: Sequence[Mapping[str, Any]], settings: ValidationSettings) -> dict[str, Any]:
    """What a stage says of its evaluations; {} where there were none."""
    found, lowest = losses(history), best(history)
    if not found or lowest is None:
        return {}
    why = stopped(history, settings)
    return {
        "eval_loss_first": round(found[0][1], 4),
        "eval_loss_last": round(found[-1][1], 4),
        "eval_loss_best": round(lowest[1], 4),
        "best_step": lowest[0],
        **({"stopped": why} if why else {}),
    }


# ---- in the trainer ----------------------------------------------------------------------------------------


def evaluating(trainer: type, validation: Validation | None, place: Path) -> Any:
    """A class of trainer that measures the validation loss at its steps, keeps the best weights in `place`,
    and stops when patience runs out."""
    if validation is None:
        return trainer
    held, settings = validation, validation.settings

    class Evaluating(trainer):  # type: ignore[misc, valid-type]
        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            result = {LOSS: held.loss(self)}
            self.model.eval()  # trainers log what belongs to training otherwise
            self.log(dict(result))
            self.model.train()
            lowest = best(self.state.log_history)
            if settings.load_best_model_at_end and lowest and lowest[0] == self.state.global_step:
                resume.save_weights(self, best_folder(place, lowest[0]))
                self._drop_old(lowest[0])
            if stopped(self.state.log_history, settings):
                self.control.should_training_stop = True
            return result

        def _drop_old(self, step: int) -> None:
            """Delete weights that neither this run nor one from a checkpoint would return to."""
            if self.args.process_index:
                return
            needed = {step}
            for folder in place.glob("[0-9]*"):
                history = io.read_json(folder / "trainer_state.json")["log_history"]
                needed |= {found[0] for found in [best(history)] if found}
            for folder in place.glob("best-*"):
                if int(folder.name.partition("-")[2]) not in needed:
                    shutil.rmtree(folder, ignore_errors=True)

    return Evaluating


def at_its_steps(validation: Validation) -> Any:
    """A callback that asks for an evaluation at the steps of `validation` and at the last one."""
    from transformers import TrainerCallback

    class AtItsSteps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
            step = state.global_step
            control.should_evaluate = step % validation.every == 0 or step >= state.max_steps

    return AtItsSteps()


def best_folder(place: Path, step: int) -> Path:
    return place / f"best-{step:08d}"


def return_to_best(trainer: Any, place: Path) -> None:
    """Load the weights of the lowest validation loss."""
    lowest = best(trainer.state.log_history)
    if lowest is not None and lowest[0] != trainer.state.global_step:
        resume.load_weights(trainer, best_folder(place, lowest[0]))
