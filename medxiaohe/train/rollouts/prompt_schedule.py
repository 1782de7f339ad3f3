"""Schedule which prompts are asked in which generation, a function of the generation's number and earlier
rewards.

A prompt whose group was all right or all wrong has no advantage and teaches nothing. With `rest` it is left
out for so many generations, and the next prompt in line takes its place: dynamic sampling (DAPO, Yu et al.
2025, 3.2) without discarding answers. What is known when a batch is fetched differs with the trainer's
look-ahead, so a generation uses the rewards of those up to two before it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe.types import Sample

LOOK_AHEAD = 2  # accelerate fetches the next batch while the last one is not judged yet


def in_batches(samples: Sequence[Sample], num_prompts: int, seed: int) -> list[Sample]:
    """Shuffle prompts into full batches; a last batch that is not full is dropped.

    Args:
        samples: the prompts.
        num_prompts: of a batch.
        seed: of the order.

    Returns:
        A number of prompts that `num_prompts` divides; empty where they fill no batch.
    """
    order = list(samples)
    random.Random(seed).shuffle(order)
    return order[: len(order) - len(order) % num_prompts]


class Schedule:
    """Choose the prompts of each generation.

    `rollouts` are the rows that training has written so far, {sample, reward}, in order; they are only read.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        num_prompts: int,
        num_generations: int,
        rest: int,
        rollouts: Sequence[Mapping[str, Any]],
    ):
        self.samples, self.num_prompts, self.num_generations = samples, num_prompts, num_generations
        self.rest, self.rollouts = rest, rollouts
        self.place = 0  # in line
        self.resting: dict[str, int] = {}  # sample id -> the first generation it may be asked in again
        self.chosen: list[list[int]] = []

    def prompt(self, number: int) -> int:
        """Look up the prompt at a position of the whole run.

        Args:
            number: position, from 0; those of a generation are consecutive.

        Returns:
            Index of the sample.
        """
        generation, slot = divmod(number, self.num_prompts)
        while len(self.chosen) <= generation:
            self.chosen.append(self._choose(len(self.chosen)))
        return self.chosen[generation][slot]

    def _choose(self, generation: int) -> list[int]:
        if self.rest and generation >= LOOK_AHEAD:
            # prompts whose group had no signal two generations ago rest from now on
            for sample in without_signal(self._of(generation - LOOK_AHEAD), self.num_generations):
                self.resting[sample] = generation + self.rest
        num_samples = len(self.samples)
        results: list[int] = []
        looked_at = 0
        # walk round the list of prompts from the last position, past those that rest
        while len(results) < self.num_prompts and looked_at < num_samples:
            index = (self.place + looked_at) % num_samples
            looked_at += 1
            if self._until(index) <= generation:
                results.append(index)
        self.place = (self.place + looked_at) % num_samples
        # too few are awake: those that wake first fill the batch
        asleep = sorted((i for i in range(num_samples) if self._until(i) > generation), key=self._until)
        return results + asleep[: self.num_prompts - len(results)]

    def _until(self, index: int) -> int:
        return self.resting.get(self.samples[index].id, 0)

    def _of(self, generation: int) -> Sequence[Mapping[str, Any]]:
        size = self.num_prompts * self.num_generations
        return self.rollouts[generation * size : (generation + 1) * size]


def without_signal(rollouts: Sequence[Mapping[str, Any]], num_generations: int) -> list[str]:
    """Find the groups in which every answer earned the same, so that all advantages are 0.

    Args:
        rollouts: rows {sample, reward}, the answers to one prompt next to each other.
        num_generations: answers of a group.

    Returns:
        Ids of the samples of those groups, in order.
    """
    groups = [rollouts[i : i + num_generations] for i in range(0, len(rollouts), num_generations)]
    return [group[0]["sample"] for group in groups if len({row["reward"] for row in group}) == 1]
