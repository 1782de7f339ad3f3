"""The loss of the validation split while a model is trained, early stopping by it, and the best weights.

Rows are those of a data.read stage whose split is "validation": never of the test split, never trained on.
What was measured is in the log of the trainer, and everything else follows from that log: a killed run stops
where a run without a kill stops, with the same weights. The loss is a mean over tokens.

    metrics.jsonl   {step, loss, ..., eval_loss}
    best-STEP/      next to the checkpoints: the weights of the lowest loss so far (load_best_model_at_end)
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
        # rows of similar length share a batch: less padding, and the mean over tokens stays the same
        order = sorted(range(len(rows)), key=lambda row: int(rows.tokens[row]))
        chosen = [[[row] for row in order[i : i + batch_size]] for i in range(0, len(order), batch_size)]
        self._batches: list[plans.Batch] = chosen

    def loss(self, trainer: Any) -> float:
        """Compute the mean negative log-likelihood of the labelled tokens, over all processes.

        Args:
            trainer: whose model is evaluated; the mode of its model is restored.

        Returns:
            Nats a token.
        """
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
                output = model(**trainer._prepare_inputs(batch), use_cache=False, fused_lm_head=True)
                if number < len(self._batches):
                    # a process without a batch of its own repeats the last one, which is not counted
                    sums[0] -= output.log_probs.double().sum()
                    sums[1] += output.label_mask.sum()
        reshard(model)
        # sum of - log p / number of labelled tokens, over all processes
        total, count = trainer.accelerator.reduce(sums, reduction="sum").tolist()
        model.train(was_training)
        return float(total / count)


def reshard(model: Any) -> None:
    """Free the gathered weights of FSDP2 that a forward pass without a backward pass leaves behind: what is
    saved or loaded next are the shards.

    Args:
        model: sharded or not; only modules of FSDP are touched.
    """
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def checked(settings: ValidationSettings, validation: Path | None) -> None:
    """Check the settings of evaluation.

    Args:
        settings: of the stage.
        validation: folder of a data.read stage; None: no stage is wired.

    Raises:
        ConfigError: early stopping or the best weights without evaluation, evaluation without a stage or the
            reverse, or numbers out of range.
        DataError: the stage has no samples.jsonl.
    """
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
    """Select the rows of the validation split, in the order of a hash of their ids.

    Args:
        validation: folder of a data.read stage.
        settings: how many rows.
        documents: pages for pretraining; else conversations that end with an answer.

    Returns:
        At most `max_eval_samples` rows.

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
        kind = "documents" if documents else "answered conversations"
        raise DataError(
            f"{validation} has no {kind} of the split validation: state it in the rows, or set"
            " hold_out_validation of their source in data.read"
        )
    results.sort(key=lambda sample: (io.unit_interval("validation", sample.id), sample.id))
    return results[: settings.max_eval_samples or None]


def rows(
    validation: Path, settings: ValidationSettings, file: str, processor: Any, reading: Reading, work: Path
) -> Rows:
    """Render the rows of the validation split; those with images that are too long are dropped.

    Args:
        validation: folder of a data.read stage.
        settings: how many rows.
        file: of the mixture that is trained on: documents.jsonl, or else conversations are taken.
        processor: of the model.
        reading: how rows are rendered.
        work: a folder of unfinished work, which a resumed run finds again.

    Returns:
        The rows, without augmentation.

    Raises:
        DataError: no row of the validation split, or one that cannot be rendered.
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
    """Compute the optimizer steps between two evaluations.

    Args:
        settings: `eval_strategy` and `eval_steps`.
        steps_of_an_epoch: optimizer steps, not rounded.

    Returns:
        `eval_steps`, or with the strategy "epoch" those of an epoch, at least 1.
    """
    if settings.eval_strategy == "epoch":
        return max(1, round(steps_of_an_epoch))
    return settings.eval_steps


# ---- what follows from the log -----------------------------------------------------------------------------


def losses(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Extract the validation losses from the trainer's log.

    Args:
        history: rows of `log_history`.

    Returns:
        (step, loss in nats a token) of each evaluation, in order.
    """
    return [(int(row["step"]), float(row[LOSS])) for row in history if LOSS in row]


def best(history: Sequence[Mapping[str, Any]]) -> tuple[int, float] | None:
    """Find the lowest validation loss, the first of equal ones.

    Args:
        history: rows of `log_history`.

    Returns:
        (step, loss); None without a finite loss.
    """
    results = [(loss, step) for step, loss in losses(history) if math.isfinite(loss)]
    return (min(results)[1], min(results)[0]) if results else None


def waited(history: Sequence[Mapping[str, Any]], threshold: float) -> int:
    """Count evaluations since the last one whose loss was lower than all before by more than the threshold.

    Args:
        history: rows of `log_history`.
        threshold: nats.

    Returns:
        Number of evaluations; 0 where the last one improved.
    """
    lowest, count = math.inf, 0
    for _, loss in losses(history):
        if loss < lowest - threshold or lowest == math.inf:
            lowest, count = loss, 0
        else:
            count += 1
    return count


def stopped(history: Sequence[Mapping[str, Any]], settings: ValidationSettings) -> str:
    """Decide early stopping from the log.

    Args:
        history: rows of `log_history`.
        settings: patience in evaluations and threshold in nats.

    Returns:
        Why training stops here, or "".
    """
    patience = settings.early_stopping_patience
    if not patience or waited(history, settings.early_stopping_threshold) < patience:
        return ""
    step, loss = best(history) or (0, math.nan)
    return (
        f"the validation loss has not fallen in {patience} evaluations; it was lowest, {loss:.4f}, at step"
        f" {step}"
    )


def summary(history: Sequence[Mapping[str, Any]], settings: ValidationSettings) -> dict[str, Any]:
    """Summarise the evaluations of a stage.

    Args:
        history: rows of `log_history`.
        settings: for early stopping.

    Returns:
        eval_loss_first, eval_loss_last, eval_loss_best (nats a token), best_step, and `stopped` after early
        stopping; {} without evaluations.
    """
    measured, lowest = losses(history), best(history)
    if not measured or lowest is None:
        return {}
    why = stopped(history, settings)
    return {
        "eval_loss_first": round(measured[0][1], 4),
        "eval_loss_last": round(measured[-1][1], 4),
        "eval_loss_best": round(lowest[1], 4),
        "best_step": lowest[0],
        **({"stopped": why} if why else {}),
    }


# ---- in the trainer ----------------------------------------------------------------------------------------


def evaluating(trainer: type, validation: Validation | None, work: Path) -> Any:
    """Make a Trainer class that measures the validation loss, keeps the best weights, and stops early.

    Args:
        trainer: a class of transformers.Trainer or of TRL.
        validation: rows and settings; None returns `trainer` itself.
        work: folder of the best weights.

    Returns:
        A subclass of `trainer`.
    """
    if validation is None:
        return trainer
    held, settings = validation, validation.settings

    class Evaluating(trainer):  # type: ignore[misc, valid-type]
        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            """Measure and log the validation loss; save the weights if it is the lowest, stop if patience ran
            out.

            Returns:
                {eval_loss: nats a token}
            """
            result = {LOSS: held.loss(self)}
            self.model.eval()  # trainers log what belongs to training otherwise
            self.log(dict(result))
            self.model.train()
            lowest = best(self.state.log_history)
            if settings.load_best_model_at_end and lowest and lowest[0] == self.state.global_step:
                resume.save_weights(self, best_folder(work, lowest[0]))
                self._drop_old(lowest[0])
            if stopped(self.state.log_history, settings):
                self.control.should_training_stop = True
            return result

        def _drop_old(self, step: int) -> None:
            """Delete weights that neither this run nor one from a checkpoint would return to."""
            if self.args.process_index:
                return
            needed = {step}
            for folder in work.glob("[0-9]*"):
                history = io.read_json(folder / "trainer_state.json")["log_history"]
                needed |= {lowest[0] for lowest in [best(history)] if lowest}
            for folder in work.glob("best-*"):
                if int(folder.name.partition("-")[2]) not in needed:
                    shutil.rmtree(folder, ignore_errors=True)

    return Evaluating


def at_its_steps(validation: Validation) -> Any:
    """Build a callback that asks for an evaluation at the steps of `validation` and at the last one.

    Args:
        validation: with `every`, in optimizer steps.

    Returns:
        A transformers.TrainerCallback.
    """
    from transformers import TrainerCallback

    class AtItsSteps(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, _: Any, state: Any, control: Any, **__: Any) -> None:
            step = state.global_step
            control.should_evaluate = step % validation.every == 0 or step >= state.max_steps

    return AtItsSteps()


def best_folder(work: Path, step: int) -> Path:
    """Name the folder of the best weights.

    Args:
        work: folder of unfinished work.
        step: of the lowest validation loss.

    Returns:
        WORK/best-STEP, eight digits.
    """
    return work / f"best-{step:08d}"


def return_to_best(trainer: Any, work: Path) -> None:
    """Load the weights of the lowest validation loss, unless they are those of the last step.

    Args:
        trainer: after training.
        work: folder of the best weights.

    Raises:
        DataError: the number of processes differs from when they were saved.
    """
    lowest = best(trainer.state.log_history)
    if lowest is not None and lowest[0] != trainer.state.global_step:
        resume.load_weights(trainer, best_folder(work, lowest[0]))
