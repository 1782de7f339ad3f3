"""What a tracker kept of a run."""

from pathlib import Path

import pytest


def tracked(place: Path, name: str) -> list[float]:
    """The values of one curve, as TensorBoard itself reads them back."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    (file,) = place.rglob("events.out.tfevents.*")
    return [event.value for event in accumulator.EventAccumulator(str(file.parent)).Reload().Scalars(name)]
