"""Oracle ladder: roles that are right with a known probability; what comes out must be what was computed.

A wrong role gives the one other option, so a majority of three is right with
3p²q + p³. An outcome lies within
the binomial interval of its computed value: four standard errors of N cases.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest

from medxiaohe.agents.aide import AGENTS, aide
from medxiaohe.agents.engine import run
from medxiaohe.agents.ensemble import ensemble
from medxiaohe.agents.medcot import medcot
from medxiaohe.agents.panel import panel
from medxiaohe.agents.pathway import pathway
from medxiaohe.agents.plan import plan
from medxiaohe.agents.self_consistency import self_consistency
from medxiaohe.models.backends.scripted import Scripted
from medxiaohe.types import Message, Prompt, Trace

N = 400
LADDER = [(p, correlated) for p in (0.5, 0.6, 0.8) for correlated in (False, True)]
RIGHT, WRONG = "A", "B"
Key = tuple[str, ...]


def cases(text: str = "Which?\nA. Scurvy\nB. Rickets") -> list[Prompt]:
    return [
        Prompt(f"case {i}", (Message("user", (f"case {i}: {text}",)),), ("Scurvy", "Rickets"))
        for i in range(N)
    ]


class Oracle:
    """A draw for each case, role and round; correlated: one draw for each case."""

    def __init__(self, p: float, correlated: bool) -> None:
        self.p, self.correlated = p, correlated

    def right(self, talk: Sequence[Message], *key: object) -> bool:
        case = next(m.text for m in talk if m.text.startswith("case ")).split(":")[0]
        name = case if self.correlated else " ".join(map(str, (case, *key)))
        return random.Random(f"{self.p} {name}").random() < self.p


def near(share: float, computed: float) -> None:
    error = math.sqrt(computed * (1 - computed) / N)
    assert abs(share - computed) <= max(4 * error, 1e-9), (share, computed)


def share(traces: Sequence[Trace], answer: str = f"Answer: {RIGHT}") -> float:
    assert not [trace.error for trace in traces if trace.error]
    return sum(trace.answer == answer for trace in traces) / len(traces)


def answered(right: bool) -> str:
    return f"Answer: {RIGHT if right else WRONG}"


def majority(p: float, n: int) -> float:
    """Of n independent answers; of a tie the first answer wins, which is right in half of the ties."""
    at = {k: math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)}
    return sum(share for k, share in at.items() if 2 * k > n) + at.get(n / 2, 0) / 2  # type: ignore[call-overload]


@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_self_consistency_is_right_as_often_as_the_majority_of_its_chains(p: float, correlated: bool) -> None:
    oracle = Oracle(p, correlated)
    model = Scripted("oracle", lambda talk: answered(oracle.right(talk, talk[0].text)))
    traces = self_consistency(cases(), model, samples=5)
    near(share(traces), p if correlated else majority(p, 5))


@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_medcot_is_right_as_often_as_the_vote_of_its_experts(p: float, correlated: bool) -> None:
    oracle = Oracle(p, correlated)

    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        return answered(oracle.right(talk, last.split(".")[0])) if "diagnostic expert" in last else "yes"

    near(share(medcot(cases(), Scripted("oracle", reply))), p if correlated else majority(p, 6))


def panelist(oracle: Oracle) -> Callable[[Sequence[Message]], str]:
    """Specialists draw an answer each round; the director's conclusion is the majority of what it reads; a
    specialist votes yes where its own answer of the round is that conclusion."""
    rounds: Counter[str] = Counter()
    answers: dict[Key, str] = {}

    def reply(talk: Sequence[Message]) -> str:
        last, case = talk[-1].text, talk[0 if talk[0].role == "user" else 1].text.split(":")[0]
        if "steps of your assessment" in last:
            role, round_ = last.split(":")[0].removeprefix("As the "), talk[0].text.split("This is round ")[1]
            rounds[case] = int(round_[0])
            answers[case, role, round_[0]] = answered(oracle.right(talk, role, round_[0]))
            return answers[case, role, round_[0]]
        if "Write a summary" in last:
            return answered(last.count(f"Answer: {RIGHT}") >= 2)
        if "Do you agree" in last:
            role = last.split(":")[0].removeprefix("As the ")
            return "yes" if answers[case, role, str(rounds[case])] in last else "No."
        if "Write the final answer" in last:
            return answered(f"Answer: {RIGHT}" in last)
        return "yes"

    return reply


@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_a_panel_is_right_and_stops_as_computed(p: float, correlated: bool) -> None:
    traces = panel(cases(), Scripted("oracle", panelist(Oracle(p, correlated))))
    q = 1 - p
    agreed = 1.0 if correlated else p**3 + q**3  # all three give one answer
    going_on = 1 - agreed
    all_right = p if correlated else p**3
    computed = all_right * (1 + going_on + going_on**2) + going_on**2 * 3 * p * p * q * (not correlated)
    near(share(traces), computed)
    rounds = Counter(
        sum(step.who == "votes" and step.kind == "note" for step in trace.steps) for trace in traces
    )
    near(rounds[1] / N, agreed)
    near(rounds[2] / N, going_on * agreed)
    near(rounds[3] / N, going_on**2)


@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_the_decision_of_a_plan_is_that_of_its_weights(p: float, correlated: bool) -> None:
    """Weights 0.5, 0.3, 0.2 and threshold 0.4: positive where the first is, or else both of the others."""
    oracle = Oracle(p, correlated)
    steps = [{"indicator": f"sign {i}", "weight": w} for i, w in enumerate((0.5, 0.3, 0.2))]
    written = json.dumps({"threshold": 0.4, "steps": steps})

    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        if "You are the planner" in last:
            return written
        if "Is this indicator present" in last:
            return "yes" if oracle.right(talk, last.split("?")[0]) else "no"
        return "yes" if "The decision of the plan is yes" in last else "no"

    traces = run(plan, cases(), Scripted("oracle", reply), settings={"reflect": False})
    near(share(traces, "yes"), p if correlated else p + (1 - p) * p * p)


@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_the_synthesis_of_aide_is_right_as_often_as_the_majority_of_its_agents(
    p: float, correlated: bool
) -> None:
    """Four agents; of a tie the lead wins, which is right in half of the ties."""
    oracle = Oracle(p, correlated)

    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        if "You route queries" in last:
            return json.dumps({"agents": list(AGENTS)})
        if last.startswith("You are the"):
            return answered(oracle.right(talk, last.split(" agent.")[0]))
        if "These agents contributed" in last:
            said = re.findall(r"Answer: [AB]", last)[: len(AGENTS)]
            return Counter(said).most_common(1)[0][0] + "\n" + " ".join(f"[{name}]" for name in AGENTS)
        return "{}"

    traces = aide(cases(), Scripted("oracle", reply))
    shown = f"{answered(True)}\n" + " ".join(f"[{name}]" for name in AGENTS)
    near(share(traces, shown), p if correlated else majority(p, 4))


@pytest.mark.parametrize(("p", "correlated"), LADDER)
def test_the_reply_of_a_pathway_is_right_where_its_prediction_or_its_own_knowledge_is(
    p: float, correlated: bool
) -> None:
    """The reply follows a prediction that is right, and else what it knows itself: 1 - q²."""
    oracle = Oracle(p, correlated)

    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        if "You are the predictor" in last:
            entity = RIGHT if oracle.right(talk, "predictor") else WRONG
            return json.dumps({"entities": [entity], "acts": ["inquire"]})
        return answered(f"entities: {RIGHT};" in last or oracle.right(talk, "reply"))

    near(share(pathway(cases(), Scripted("oracle", reply))), p if correlated else 1 - (1 - p) ** 2)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_refinements_that_copy_the_majority_of_their_chains_are_right_as_often(p: float) -> None:
    oracle = Oracle(p, False)

    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        if "lines of reasoning" in last:
            return answered(last.count(f"Answer: {RIGHT}") >= 2)
        return answered(oracle.right(talk, talk[0].text))

    near(share(ensemble(cases(), Scripted("oracle", reply), chains=3, refinements=3)), majority(p, 3))


def test_the_computed_values_are_those_of_three_independent_roles() -> None:
    assert majority(0.6, 3) == pytest.approx(0.648) and majority(0.5, 6) == pytest.approx(0.5)
    values = [majority(0.6, n) for n in (1, 3, 5, 7)]
    assert all(later > earlier for earlier, later in pairwise(values))
