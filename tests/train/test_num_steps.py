"""How many optimizer steps a run takes: over all processes, an epoch holds every row once."""

import pytest

from medxiaohe.recipe import ranks
from medxiaohe.train.loop.fit import FitSettings, num_steps


@pytest.mark.parametrize(
    ("world", "accumulation", "epochs", "steps"),
    [(1, 1, 1.0, 40), (2, 1, 1.0, 20), (4, 2, 2.0, 10), (8, 8, 1.0, 1)],
)
def test_an_epoch_is_shared_by_the_processes(
    world: int, accumulation: int, epochs: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranks, "world", lambda: world)
    settings = FitSettings(gradient_accumulation_steps=accumulation, num_train_epochs=epochs)
    assert num_steps(settings, 40) == steps


def test_steps_that_are_set_are_taken_whatever_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "world", lambda: 8)
    assert num_steps(FitSettings(max_steps=3), 40) == 3
