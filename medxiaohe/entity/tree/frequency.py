"""Head, torso and tail: split entities by how often a corpus mentions them.

`counts` is what `coverage.json` of a stage has: entity id -> number of samples that mention it.
"""

from collections.abc import Mapping

BUCKETS = ("head", "torso", "tail")  # an unseen entity counts as tail where three buckets are reported
HEAD_PERCENT, TORSO_PERCENT = 50, 30  # of all mentions; the tail has the remaining 20 %


def buckets(counts: Mapping[str, int]) -> dict[str, str]:
    """Split entities into head, torso and tail by how often they are mentioned.

    From the most to the least mentioned (equal counts by id), head is the smallest set that covers 50 % of
    all mentions, torso the smallest next one that brings it to 80 %, tail the rest.

    Args:
        counts: entity id -> number of samples that mention it.

    Returns:
        entity id -> "head", "torso", "tail", or "unseen" where its count is 0; the most mentioned first
    """
    total, covered = sum(counts.values()), 0
    result = {}
    for entity in sorted(counts, key=lambda id: (-counts[id], id)):
        if counts[entity] <= 0:
            result[entity] = "unseen"
        # integers, not shares: a boundary does not depend on rounding
        elif covered * 100 < total * HEAD_PERCENT:
            result[entity] = "head"
        elif covered * 100 < total * (HEAD_PERCENT + TORSO_PERCENT):
            result[entity] = "torso"
        else:
            result[entity] = "tail"
        covered += counts[entity]
    return result
