"""What is not independent of what: items that share a patient or a study, and whatever those connect.

A study may hold several patients (a published report of a family) and a patient several studies (films of
many years), so neither id is always the larger unit: the clusters are the connected components of both, which
hold either whole. `Task.cluster` says in a word what such a unit is.
"""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.tasks._common import components
from medxiaohe.types import Sample

Units = str | tuple[str, ...]  # what an item is one of; "" and () for an item on its own


def of(sample: Sample) -> tuple[str, ...]:
    return named(sample.patient_id, sample.study_id)


def named(patient: str, study: str) -> tuple[str, ...]:
    """Patients and studies by name; those of one number are different things."""
    return tuple(f"{what} {id}" for what, id in (("patient", patient), ("study", study)) if id)


def joined(units: Sequence[Units]) -> list[str]:
    """The cluster of each item, "" for an item on its own. It does not depend on the order of the items."""
    rows = [(one,) if isinstance(one, str) else tuple(one) for one in units]
    if all(len(row) <= 1 for row in rows):
        return [row[0] if row else "" for row in rows]
    leader = components([name for name in row if name] for row in rows)
    return [next((leader[name] for name in row if name), "") for row in rows]
