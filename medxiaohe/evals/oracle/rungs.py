"""The oracle ladder: workflows whose roles are right with probability p, and the share of right outcomes that
follows from it.

A wrong role gives the one other option. Roles are independent, or correlated: one draw for all roles of a
case. Outcomes come from the workflow's own code; only the models are scripted.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medxiaohe.agents.aide import AGENTS, aide
from medxiaohe.agents.engine import run
from medxiaohe.agents.medcot import medcot
from medxiaohe.agents.panel import panel
from medxiaohe.agents.pathway import pathway
from medxiaohe.agents.plan import plan
from medxiaohe.agents.self_consistency import self_consistency
from medxiaohe.models.backends.scripted import Scripted
from medxiaohe.types import Message, Prompt, Trace

RIGHT, WRONG = "A", "B"
CHAINS, EXPERTS = 5, 6
ERRORS = 4  # standard errors of the binomial distribution within which a share must lie
QUESTION = "Which?\nA. Scurvy\nB. Rickets"
Talk = Sequence[Message]
Reply = Callable[[Talk], str]


class Oracle:
    """A draw for each case and role, in each round; correlated: one draw for each case."""

    def __init__(self, p: float, correlated: bool) -> None:
        self.p, self.correlated = p, correlated

    def right(self, talk: Talk, *key: object) -> bool:
        """Whether the role that `key` names is right about the case of a conversation."""
        case = next(m.text for m in talk if m.text.startswith("case ")).split(":")[0]
        name = case if self.correlated else " ".join(map(str, (case, *key)))
        return random.Random(f"{self.p} {name}").random() < self.p


@dataclass(frozen=True)
class Rung:
    """A workflow on the ladder.

    Attributes:
        workflow: a flow.
        roles: an oracle -> what all roles reply.
        computed: (p, correlated) -> the share of right outcomes.
        answer: how a right outcome begins.
        settings: of the workflow.
    """

    workflow: Any
    roles: Callable[[Oracle], Reply]
    computed: Callable[[float, bool], float]
    answer: str = f"Answer: {RIGHT}"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def traces(self, p: float, correlated: bool, number: int) -> list[Trace]:
        """The traces of so many cases."""
        model = Scripted("oracle", self.roles(Oracle(p, correlated)))
        return run(self.workflow, cases(number), model, settings=self.settings)

    def share(self, traces: Sequence[Trace]) -> float:
        """The share that is right; a trace with an error is not."""
        return sum(one.answer.startswith(self.answer) and not one.error for one in traces) / len(traces)


def cases(number: int) -> list[Prompt]:
    """Questions with two options, numbered."""
    options = ("Scurvy", "Rickets")
    texts = (f"case {i}: {QUESTION}" for i in range(number))
    return [Prompt(t.split(":")[0], (Message("user", (t,)),), options) for t in texts]


def answered(right: bool) -> str:
    """A reply that announces its answer."""
    return f"Answer: {RIGHT if right else WRONG}"


def majority(p: float, n: int) -> float:
    """The probability that the plurality of n independent answers is right; of a tie the first answer wins,
    which is right in half of the ties."""
    at = {k: math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)}
    return sum(share for k, share in at.items() if 2 * k > n) + (at[n // 2] / 2 if n % 2 == 0 else 0.0)


def standard_error(computed: float, number: int) -> float:
    """Of a share of so many cases."""
    return math.sqrt(computed * (1 - computed) / number)


def near(share: float, computed: float, number: int) -> bool:
    """Whether a share lies within the binomial interval of its computed value."""
    return abs(share - computed) <= max(ERRORS * standard_error(computed, number), 1e-9)


# ---- roles -----------------------------------------------------------------------------------------


def chains(oracle: Oracle) -> Reply:
    """Every chain answers by its own draw."""
    return lambda talk: answered(oracle.right(talk, talk[0].text))


def experts(oracle: Oracle) -> Reply:
    """Every expert answers by its own draw."""

    def reply(talk: Talk) -> str:
        last = talk[-1].text
        return answered(oracle.right(talk, last.split(".")[0])) if "diagnostic expert" in last else "yes"

    return reply


def panelists(oracle: Oracle) -> Reply:
    """Specialists draw an answer each round; the director's conclusion is the majority of what it reads; a
    specialist votes yes where its own answer of the round is that conclusion."""
    rounds: dict[str, int] = {}
    answers: dict[tuple[str, ...], str] = {}

    def reply(talk: Talk) -> str:
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


def panel_is_right(p: float, correlated: bool) -> float:
    """All three agree in one of the first two rounds and are right, or the majority of the third round is."""
    q = 1 - p
    going_on = 1 - (1.0 if correlated else p**3 + q**3)
    all_right = p if correlated else p**3
    return all_right * (1 + going_on + going_on**2) + going_on**2 * 3 * p * p * q * (not correlated)


def observers(oracle: Oracle) -> Reply:
    """A plan of three signs with weights 0.5, 0.3, 0.2 and threshold 0.4; each sign is seen by its own
    draw."""
    steps = [{"indicator": f"sign {i}", "weight": w} for i, w in enumerate((0.5, 0.3, 0.2))]
    written = json.dumps({"threshold": 0.4, "steps": steps})

    def reply(talk: Talk) -> str:
        last = talk[-1].text
        if "You are the planner" in last:
            return written
        if "Is this indicator present" in last:
            return "yes" if oracle.right(talk, last.split("?")[0]) else "no"
        return "yes" if "The decision of the plan is yes" in last else "no"

    return reply


def agents(oracle: Oracle) -> Reply:
    """All four agents are activated and answer by their own draws; the synthesis is their majority, of a tie
    the lead's."""

    def reply(talk: Talk) -> str:
        last = talk[-1].text
        if "You route queries" in last:
            return json.dumps({"agents": list(AGENTS)})
        if last.startswith("You are the"):
            return answered(oracle.right(talk, last.split(" agent.")[0]))
        if "These agents contributed" in last:
            said: list[str] = re.findall(r"Answer: [AB]", last)[: len(AGENTS)]
            return Counter(said).most_common(1)[0][0] + "\n" + " ".join(f"[{name}]" for name in AGENTS)
        return "{}"

    return reply


def predictor(oracle: Oracle) -> Reply:
    """The reply follows a prediction that is right, and else what it knows itself."""

    def reply(talk: Talk) -> str:
        last = talk[-1].text
        if "You are the predictor" in last:
            entity = RIGHT if oracle.right(talk, "predictor") else WRONG
            return json.dumps({"entities": [entity], "acts": ["inquire"]})
        return answered(f"entities: {RIGHT};" in last or oracle.right(talk, "reply"))

    return reply


RUNGS = {
    "self_consistency": Rung(
        self_consistency,
        chains,
        lambda p, same: p if same else majority(p, CHAINS),
        settings={"samples": CHAINS},
    ),
    "medcot": Rung(medcot, experts, lambda p, same: p if same else majority(p, EXPERTS)),
    "panel": Rung(panel, panelists, panel_is_right),
    "plan": Rung(
        plan, observers, lambda p, same: p if same else p + (1 - p) * p * p, "yes", {"reflect": False}
    ),
    "aide": Rung(aide, agents, lambda p, same: p if same else majority(p, len(AGENTS))),
    "pathway": Rung(pathway, predictor, lambda p, same: p if same else 1 - (1 - p) ** 2),
}
