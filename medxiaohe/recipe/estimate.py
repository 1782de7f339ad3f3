"""Estimate how long the rest of a recipe takes, from the minutes that its file states."""

from __future__ import annotations

from medxiaohe import io
from medxiaohe.progress import clock
from medxiaohe.recipe.load import Recipe


class Estimate:
    """Estimate of the time a recipe still takes: its `minutes`, scaled by the pace of this machine so far."""

    def __init__(self, recipe: Recipe, until: str = ""):
        names = [stage.name for stage in recipe.stages]
        self.stages = names[: names.index(until) + 1] if until else names
        self._minutes = recipe.minutes
        finished_before = {s.name for s in recipe.stages if (s.folder(recipe.out) / io.RECORD).exists()}
        self._left = [name for name in self.stages if name not in finished_before]
        self._took = self._expected = 0.0  # seconds of the stages that ran

    def at_start(self) -> str:
        """Describe how much is to be done, before the first stage.

        Returns:
            One line, with the minutes where the recipe states them.
        """
        num = len(self._left)
        line = f"{num} of {len(self.stages)} stages to run"
        minutes = sum(self._minutes.get(name, 0.0) for name in self._left)
        return f"{line}, about {clock(60 * minutes)} on two quiet cores" if minutes else line

    def after(self, stage: str, seconds: float, *, ran: bool) -> str:
        """Describe how much is left after a stage.

        Args:
            stage: that is finished.
            seconds: it took.
            ran: whether it ran now; False: it was finished before.

        Returns:
            One line; "" where there is no estimate, or nothing left.
        """
        if stage in self._left:
            self._left.remove(stage)
        if not ran or not self._left or not self._minutes:
            return ""
        if stage in self._minutes:
            self._took, self._expected = self._took + seconds, self._expected + 60 * self._minutes[stage]
        # the first stages are short: until a tenth has run, the recipe's own figures weigh as much as ours
        prior = 6 * sum(self._minutes.get(name, 0.0) for name in self.stages)
        # pace = (measured + prior) / (expected + prior): 1 before anything ran, the measured ratio in the end
        pace = (self._took + prior) / (self._expected + prior) if prior else 1.0
        remaining = pace * 60 * sum(self._minutes.get(name, 0.0) for name in self._left)
        num = len(self.stages) - len(self._left)
        return f"overall  {num} of {len(self.stages)} stages, about {clock(remaining)} left"
