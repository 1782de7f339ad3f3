"""The reward of a report: F1 of findings less the unsupported share, behind the safety gate.

    c = F1 of findings + gate(mean F1 of the group) * fact,   at least 0, in hundredths
    fact = - weight of the findings that the reference lacks / weight of all findings of the reply

The fact term is that of Baichuan-M3 (eq. 10-14: R = R_task + lambda(R_task) R_fact, lambda a logistic
function): while reports are poor it hardly counts, since a static penalty makes models timid; once most
of a group's findings are right it counts in full. The paper gates on each answer's own task reward and
takes weights from the similarity of claims; we gate on the mean of the group, so that a reply cannot lower
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

DENIAL = 0.25  # weight of a negative finding; a positive one weighs 1
HEDGE = 0.5  # factor of a right finding that the reply calls possible and the reference present
STEEPNESS = 10.0  # kappa of the paper
LOW, HIGH = 0.3, 0.6  # mean F1 of a group: the gate is 0.5 midway, 0.007 at LOW and 0.993 at HIGH
EPSILON = 1e-6  # avoids a division by 0


@dataclass(frozen=True, slots=True)
class Facts:
    """Comparison of a report with the reference: weighted F1, and the unsupported share of the report."""

    f1: float
    made_up: float


@functools.lru_cache(maxsize=4096)
def facts(reply: str, gold: str) -> Facts:
    """Weighted F1 of the findings of a report, and its unsupported share; cached.

    Args:
        reply: the report.
        gold: the reference.

    Returns:
        F1 from 0 to 1, and the share of the reply's weight, from 0 to 1, that the reference lacks; F1 is 0 if
        either text has no finding
    """
    comparison = compare(reply, gold, lexicon())
    # true positives: weight of the reference's finding * agreement * certainty, over the pairs
    agreed = sum(_weight(b) * weight * _certainty(a, b) for a, b, weight in comparison.pairs)
    # weight of all findings of the reply, and of the reference
    reply_weight = sum(_weight(a) for a, *_ in comparison.pairs) + sum(map(_weight, comparison.unsupported))
    gold_weight = sum(_weight(b) for _, b, _ in comparison.pairs) + sum(map(_weight, comparison.omitted))
    if not reply_weight or not gold_weight:
        return Facts(0.0, float(bool(reply_weight)))
    # F1 = 2 TP / (reply + reference); R_fact = unsupported / (reply + epsilon)
    return Facts(
        min(1.0, 2 * agreed / (reply_weight + gold_weight)), _made_up(comparison) / (reply_weight + EPSILON)
    )


def gate(level: float) -> float:
    """Logistic gate lambda of the fact term (Baichuan-M3, eq. 10-14), at the mean F1 of the group.

    Args:
        level: mean F1 of the group, from 0 to 1.

    Returns:
        1 / (1 + exp(-kappa (level - m) / (HIGH - LOW))), m midway between LOW and HIGH; from 0 to 1
    """
    middle, width = (LOW + HIGH) / 2, HIGH - LOW
    return 1 / (1 + math.exp(-STEEPNESS * (level - middle) / width))


def report(sample: Sample, trace: Trace, *, level: float) -> Score:
    """The correctness c of a report: F1 less the gated unsupported share.

    Args:
        sample: the item with the reference.
        trace: with the report.
        level: mean F1 of the replies to the same prompt, from 0 to 1.

    Returns:
        a score from 0 to 1; unjudged if the reference names no finding
    """
    gold = reference(sample)
    if not lexicon().findings(gold):
        return Score("report", None, "unjudged", why="the reference names no finding")
    measured = facts(said(trace), gold)
    value = max(0.0, measured.f1 - gate(level) * measured.made_up)
    why = f"F1 {measured.f1:.3f}, made up {measured.made_up:.3f}, gate {gate(level):.3f}"
    return Score("report", value, parsed=f"{value:.3f}", why=why)


def report_many(
    pairs: Sequence[tuple[Sample, Trace]],
    weights: Weights | None = None,
    rules: Sequence[safety.Rule] | None = None,
) -> list[Reward]:
    """Rewards of reports; replies to the same sample are one group.

    Args:
        pairs: (item, trace with the report).
        weights: of process and form, and whether the gate is on; None: the defaults.
        rules: of the safety gate; None: those of rewards/safety.py.

    Returns:
        one reward for each pair, in order
    """
    groups: dict[str, list[float]] = defaultdict(list)
    for sample, trace in pairs:
        groups[sample.id].append(facts(said(trace), reference(sample)).f1)
    # mean F1 of each group, at which its fact term is gated
    levels = {id: sum(values) / len(values) for id, values in groups.items()}
    rewards: list[Reward] = []
    for pair in pairs:
        scorer = functools.partial(report, level=levels[pair[0].id])
        rewards += hybrid_many([pair], [(scorer, 1.0)], weights, rules)
    return rewards


def _weight(finding: Finding) -> float:
    return DENIAL if finding.status == "absent" else 1.0


def _certainty(mine: Finding, gold: Finding) -> float:
    return HEDGE if mine.status == "possible" and gold.status == "present" else 1.0


def _made_up(comparison: Comparison) -> float:
    return sum(map(_weight, comparison.unsupported))
