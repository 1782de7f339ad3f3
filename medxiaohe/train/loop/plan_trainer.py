"""Trainers of transformers and TRL that follow a plan of batches, with their own rate for the projector."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Protocol

from medxiaohe.train.loop import parts as parts_of


class Planning(Protocol):
    """The settings that `planned` reads."""

    @property
    def learning_rate(self) -> float:
        """Learning rate of all weights but the projector's.

        Returns:
            The rate at the peak of the schedule.
        """

    @property
    def projector_learning_rate(self) -> float | None:
        """Learning rate of the projector.

        Returns:
            The rate; None or 0: that of the other weights.
        """

    @property
    def weight_decay(self) -> float:
        """Decoupled weight decay of all weights.

        Returns:
            Share of a weight that is removed each step, times the rate.
        """


def planned(trainer: type, settings: Planning) -> Any:
    """Make a Trainer class that takes rows in the order of the plan, which is shuffled already, and our
    optimizer.

    Args:
        trainer: a class of transformers.Trainer or of TRL.
        settings: learning rates and weight decay.

    Returns:
        A subclass of `trainer`.
    """
    from torch.utils.data import SequentialSampler

    class Planned(trainer):  # type: ignore[misc, valid-type]
        def _get_train_sampler(self, *_: Any, **__: Any) -> Any:
            return SequentialSampler(self.train_dataset)

        def create_optimizer(self, model: Any = None) -> Any:
            """Build the optimizer of `args.optim` with a rate of its own for the projector.

            Returns:
                The optimizer, which the trainer also holds.
            """
            rates = (settings.learning_rate, settings.projector_learning_rate, settings.weight_decay)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = parts_of.optimizer(model or self.model, *rates, kind=kind, options=options)
            return self.optimizer

    return Planned


def dataset(rows: Sized) -> Any:
    """Wrap row numbers as a datasets.Dataset; the collator looks the rows up.

    Args:
        rows: whose length counts: batches of a plan, or numbers of prompts.

    Returns:
        A datasets.Dataset with the column `row`, int32 from 0.
    """
    import numpy as np
    from datasets import Dataset

    return Dataset.from_dict({"row": np.arange(len(rows), dtype=np.int32)})
