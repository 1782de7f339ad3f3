"""Clusters of items that are not independent: connected components of shared patients and studies.

A study may have several patients (a published report of a family) and a patient several studies (films of
many years), so neither id is always the larger unit: the clusters are the connected components of both, which
contain either whole. `Task.cluster` is the word for such a unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe.tasks._common import components
from medxiaohe.types import Sample

Units = str | tuple[str, ...]  # patient and study of an item; "" and () for an independent item


def of(sample: Sample) -> tuple[str, ...]:
    """Units of a sample.

    Args:
        sample: the item.

    Returns:
        names of its patient and study; () without both
    """
    return named(sample.patient_id, sample.study_id)


def named(patient: str, study: str) -> tuple[str, ...]:
    """Names of a patient and a study as units; a patient and a study of the same id are different units.

    Args:
        patient: id, or "".
        study: id, or "".

    Returns:
        such as ("patient 7", "study 7"), without empty ids
    """
    return tuple(f"{kind} {id}" for kind, id in (("patient", patient), ("study", study)) if id)


def joined(units: Sequence[Units]) -> list[str]:
    """Join units into clusters, independent of the order of the items.

    Args:
        units: units of each item.

    Returns:
        the cluster of each item, in the same order; "" for an item without units
    """
    rows = [(item_units,) if isinstance(item_units, str) else tuple(item_units) for item_units in units]
    if all(len(row) <= 1 for row in rows):
        return [row[0] if row else "" for row in rows]
    leader = components([name for name in row if name] for row in rows)
    return [next((leader[name] for name in row if name), "") for row in rows]
