"""The reward of a report: how many findings are right, less what is made up, behind the safety gate.

    c = F1 of findings + gate(F1 of the group) * fact,   at least 0, in hundredths
    fact = - weight of what the reference does not say / weight of all that the reply says

The fact term is that of Baichuan-M3 (eq. 10-14: R = R_task + lambda(R_task) R_fact, lambda a logistic
function): while reports are poor it hardly counts, since a static penalty makes models timid; once most
of a group's findings are right it counts in full. The paper gates on each answer's own task reward and
takes weights from the likeness of claims; we gate on the mean of the group, so that a reply cannot lower
its penalty by being worse, and weigh denials less, since lists of them are free. The thresholds are
those of F1, not of rubrics.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.rewards import safety
from medxiaohe.rewards.hybrid import Reward, Weights, hybrid_many
from medxiaohe.scoring._findings import Finding, lexicon
from medxiaohe.scoring._free import reference, said
from medxiaohe.scoring.findings import Comparison, compare
from medxiaohe.types import Sample, Score, Trace

DENIAL = 0.25  # weight of a denied finding; an affirmed one has 1
HEDGE = 0.5  # weight of what is right and only called possible, where the reference affirms it
STEEPNESS = 10.0  # kappa of the paper
LOW, HIGH = 0.3, 0.6  # mean F1 of a group between which the fact term comes in
EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Facts:
    """A reply against the reference: F1 of weighted findings, and the share that the reference does not
    say."""

    f1: float
    made_up: float


@functools.lru_cache(maxsize=4096)
def facts(reply: str, gold: str) -> Facts:
    """Weighted F1 of the findings of a reply, and the weight of what is made up in it.

    Args:
        reply: the report.
        gold: the reference.

    Returns:
        F1 from 0 to 1, and the share of the reply's weight that the reference lacks
    """
    found = compare(reply, gold, lexicon())
    agreed = sum(_weight(b) * weight * _certainty(a, b) for a, b, weight in found.pairs)
    mine = sum(_weight(a) for a, *_ in found.pairs) + sum(map(_weight, found.unsupported))
    theirs = sum(_weight(b) for _, b, _ in found.pairs) + sum(map(_weight, found.omitted))
    if not mine or not theirs:
        return Facts(0.0, float(bool(mine)))
    return Facts(min(1.0, 2 * agreed / (mine + theirs)), _made_up(found) / (mine + EPSILON))


def gate(level: float) -> float:
    """How far the fact term counts, from 0 to 1, where the mean F1 of the group is `level`.

    Args:
        level: mean F1 of the group, from 0 to 1.

    Returns:
        a logistic function of the level
    """
    middle, width = (LOW + HIGH) / 2, HIGH - LOW
    return 1 / (1 + math.exp(-STEEPNESS * (level - middle) / width))


def report(sample: Sample, trace: Trace, *, level: float) -> Score:
    """The part c of the reward: a score from 0 to 1.

    Args:
        level: mean F1 of the replies to the same prompt.
    """
    gold = reference(sample)
    if not lexicon().findings(gold):
        return Score("report", None, "unjudged", why="the reference names no finding")
    one = facts(said(trace), gold)
    value = max(0.0, one.f1 - gate(level) * one.made_up)
    why = f"F1 {one.f1:.3f}, made up {one.made_up:.3f}, gate {gate(level):.3f}"
    return Score("report", value, parsed=f"{value:.3f}", why=why)


def report_many(
    pairs: Sequence[tuple[Sample, Trace]],
    weights: Weights | None = None,
    rules: Sequence[safety.Rule] | None = None,
) -> list[Reward]:
    """The rewards of reports, in order; replies to the same sample are one group.

    Args:
        pairs: (item, trace with the report).
        weights: of process and form, and whether the gate is on.
        rules: of the safety gate; None: those of rewards/safety.py.

    Returns:
        one reward for each pair
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for sample, trace in pairs:
        groups[sample.id].append(facts(said(trace), reference(sample)).f1)
    levels = {id: sum(values) / len(values) for id, values in groups.items()}
    found: list[Reward] = []
    for pair in pairs:
        scorer = functools.partial(report, level=levels[pair[0].id])
        found += hybrid_many([pair], [(scorer, 1.0)], weights, rules)
    return found


def _weight(one: Finding) -> float:
    return DENIAL if one.status == "absent" else 1.0


def _certainty(mine: Finding, gold: Finding) -> float:
    return HEDGE if mine.status == "possible" and gold.status == "present" else 1.0


def _made_up(found: Comparison) -> float:
    return sum(map(_weight, found.unsupported))
