"""Oracle ladder: roles that are right with a known probability; what comes out must be what was computed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest

from medxiaohe.agents.ensemble import ensemble
from medxiaohe.errors import ConfigError
from medxiaohe.evals.ladder import LadderSettings
from medxiaohe.evals.oracle.rungs import RIGHT, RUNGS, Oracle, answered, cases, majority, near
from medxiaohe.models.backends.scripted import Scripted
from medxiaohe.types import Message

N = 400
LADDER = [(p, correlated) for p in (0.5, 0.6, 0.8) for correlated in (False, True)]


@pytest.mark.parametrize("name", RUNGS)
@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_a_workflow_is_right_as_often_as_computed(name: str, p: float, correlated: bool) -> None:
    rung = RUNGS[name]
    traces = rung.traces(p, correlated, N)
    assert not [trace.error for trace in traces if trace.error]
    assert near(rung.share(traces), rung.computed(p, correlated), N)
    if name == "panel":
        agreed = 1.0 if correlated else p**3 + (1 - p) ** 3  # all three give one answer
        rounds = Counter(
            sum(step.who == "votes" and step.kind == "note" for step in trace.steps) for trace in traces
        )
        shares = {1: agreed, 2: (1 - agreed) * agreed, 3: (1 - agreed) ** 2}
        assert all(near(rounds[stop] / N, computed, N) for stop, computed in shares.items())


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_refinements_that_copy_the_majority_of_their_chains_are_right_as_often(p: float) -> None:
    oracle = Oracle(p, False)

    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        if "lines of reasoning" in last:
            return answered(last.count(f"Answer: {RIGHT}") >= 2)
        return answered(oracle.right(talk, talk[0].text))

    traces = ensemble(cases(N), Scripted("oracle", reply), chains=3, refinements=3)
    share = sum(trace.answer == f"Answer: {RIGHT}" for trace in traces) / N
    assert near(share, majority(p, 3), N)


def test_the_computed_values_are_those_of_three_independent_roles() -> None:
    assert majority(0.6, 3) == pytest.approx(0.648) and majority(0.5, 6) == pytest.approx(0.5)
    values = [majority(0.6, n) for n in (1, 3, 5, 7)]
    assert all(later > earlier for earlier, later in pairwise(values))
    assert RUNGS["plan"].computed(0.6, False) == pytest.approx(0.6 + 0.4 * 0.36)


def test_these_workflows_are_on_the_ladder() -> None:
    assert set(RUNGS) == {"self_consistency", "medcot", "panel", "plan", "aide", "pathway"}


def test_an_interval_that_is_missed_is_seen() -> None:
    assert not near(0.8, 0.6, N) and near(0.62, 0.6, N) and not near(0.99, 1.0, N)
    with pytest.raises(ConfigError, match="did you mean 'panel'"):
        LadderSettings(("pannel",))
