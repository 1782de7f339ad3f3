"""The oracle ladder: workflows of roles that are right with probability p, and their computed accuracy.

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
ERRORS = 4  # binomial standard errors within which a measured share must lie
QUESTION = "Which?\nA. Scurvy\nB. Rickets"
Talk = Sequence[Message]
Reply = Callable[[Talk], str]


class Oracle:
    """Bernoulli draws for each case and role, in each round; correlated: one draw for each case."""

    def __init__(self, p: float, correlated: bool) -> None:
        self.p, self.correlated = p, correlated

    def right(self, talk: Talk, *key: object) -> bool:
        """Whether a role is right about the case of a conversation.

        Args:
            talk: the conversation; one of its messages begins with "case N:".
            key: names the role (and round); the same key gives the same draw.

        Returns:
            True with probability p

        Raises:
            StopIteration: no message names a case.
        """
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
        """Run the workflow on cases.

        Args:
            p: probability that a role is right.
            correlated: whether all roles of a case share one draw.
            number: of cases.

        Returns:
            one trace for each case
        """
        model = Scripted("oracle", self.roles(Oracle(p, correlated)))
        return run(self.workflow, cases(number), model, settings=self.settings)

    def share(self, traces: Sequence[Trace]) -> float:
        """Share of traces with the right outcome.

        Args:
            traces: at least one; a trace with an error is not right.

        Returns:
            from 0 to 1
        """
        return sum(trace.answer.startswith(self.answer) and not trace.error for trace in traces) / len(traces)


def cases(number: int) -> list[Prompt]:
    """Numbered questions with two options.

    Args:
        number: of questions.

    Returns:
        one prompt for each, ids "case 0", "case 1" ...
    """
    options = ("Scurvy", "Rickets")
    texts = (f"case {i}: {QUESTION}" for i in range(number))
    return [Prompt(t.split(":")[0], (Message("user", (t,)),), options) for t in texts]


def answered(right: bool) -> str:
    """Reply that announces its answer.

    Args:
        right: whether it is right.

    Returns:
        such as "Answer: A"
    """
    return f"Answer: {RIGHT if right else WRONG}"


def majority(p: float, n: int) -> float:
    """Probability that the plurality vote of n independent answers is right (Condorcet).

    Args:
        p: probability that an answer is right.
        n: number of answers.

    Returns:
        P(X > n / 2) + P(X = n / 2) / 2 for X of Binomial(n, p): of a tie the first answer wins, which is
        right in half of the ties
    """
    # binomial probabilities of k right answers
    at = {k: math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)}
    return sum(share for k, share in at.items() if 2 * k > n) + (at[n // 2] / 2 if n % 2 == 0 else 0.0)


def standard_error(computed: float, number: int) -> float:
    """Binomial standard error of a share.

    Args:
        computed: the expected share, from 0 to 1.
        number: of cases.

    Returns:
        sqrt(q (1 - q) / n)
    """
    return math.sqrt(computed * (1 - computed) / number)


def near(share: float, computed: float, number: int) -> bool:
    """Whether a measured share agrees with its computed value.

    Args:
        share: measured, from 0 to 1.
        computed: expected, from 0 to 1.
        number: of cases.

    Returns:
        True within ERRORS binomial standard errors
    """
    return abs(share - computed) <= max(ERRORS * standard_error(computed, number), 1e-9)


# ---- roles -----------------------------------------------------------------------------------------


def chains(oracle: Oracle) -> Reply:
    """Script of self_consistency: every chain answers by its own draw.

    Args:
        oracle: the draws.

    Returns:
        the reply to a conversation
    """
    return lambda talk: answered(oracle.right(talk, talk[0].text))


def experts(oracle: Oracle) -> Reply:
    """Script of medcot: every expert answers by its own draw, other roles agree.

    Args:
        oracle: the draws.

    Returns:
        the reply to a conversation
    """

    def reply(talk: Talk) -> str:
        """Answer as the expert that the last message addresses.

        Returns:
            an answer, or "yes" to other roles
        """
        last = talk[-1].text
        return answered(oracle.right(talk, last.split(".")[0])) if "diagnostic expert" in last else "yes"

    return reply


def panelists(oracle: Oracle) -> Reply:
    """Script of panel: specialists draw an answer each round, and the director concludes their majority.

    A specialist votes yes if its own answer of the round is that conclusion.

    Args:
        oracle: the draws.

    Returns:
        the reply to a conversation; it remembers the round and the answers of each case
    """
    rounds: dict[str, int] = {}
    answers: dict[tuple[str, ...], str] = {}

    def reply(talk: Talk) -> str:
        """Answer as the role that the last message addresses.

        Returns:
            an assessment, summary, vote or final answer
        """
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
    """Computed share of right outcomes of the panel: three specialists, three rounds at most.

    Args:
        p: probability that a specialist is right.
        correlated: whether all specialists share one draw.

    Returns:
        probability that all three agree in one of the first two rounds and are right, or that the majority of
        the third round is right
    """
    q = 1 - p
    # probability of another round: the specialists disagree
    going_on = 1 - (1.0 if correlated else p**3 + q**3)
    all_right = p if correlated else p**3
    # unanimous and right in round 1, 2 or 3, or two of three right in round 3: 3 p^2 q
    return all_right * (1 + going_on + going_on**2) + going_on**2 * 3 * p * p * q * (not correlated)


def observers(oracle: Oracle) -> Reply:
    """Script of plan: three signs with weights 0.5, 0.3, 0.2 and threshold 0.4, each seen by its own draw.

    Args:
        oracle: the draws.

    Returns:
        the reply to a conversation
    """
    steps = [{"indicator": f"sign {i}", "weight": w} for i, w in enumerate((0.5, 0.3, 0.2))]
    written = json.dumps({"threshold": 0.4, "steps": steps})

    def reply(talk: Talk) -> str:
        """Write the plan, report a sign, or repeat the decision of the plan.

        Returns:
            JSON, "yes" or "no"
        """
        last = talk[-1].text
        if "You are the planner" in last:
            return written
        if "Is this indicator present" in last:
            return "yes" if oracle.right(talk, last.split("?")[0]) else "no"
        return "yes" if "The decision of the plan is yes" in last else "no"

    return reply


def agents(oracle: Oracle) -> Reply:
    """Script of aide: all four agents are activated and answer by their own draws.

    The synthesis is their majority, of a tie the answer of the lead.

    Args:
        oracle: the draws.

    Returns:
        the reply to a conversation
    """

    def reply(talk: Talk) -> str:
        """Route to all agents, answer as one of them, or synthesise their answers.

        Returns:
            JSON or an answer
        """
        last = talk[-1].text
        if "You route queries" in last:
            return json.dumps({"agents": list(AGENTS)})
        if last.startswith("You are the"):
            return answered(oracle.right(talk, last.split(" agent.")[0]))
        if "These agents contributed" in last:
            votes: list[str] = re.findall(r"Answer: [AB]", last)[: len(AGENTS)]
            return Counter(votes).most_common(1)[0][0] + "\n" + " ".join(f"[{name}]" for name in AGENTS)
        return "{}"

    return reply


def predictor(oracle: Oracle) -> Reply:
    """Script of pathway: the reply follows a right prediction, else it draws its own answer.

    Args:
        oracle: the draws.

    Returns:
        the reply to a conversation
    """

    def reply(talk: Talk) -> str:
        """Predict, or answer by the prediction.

        Returns:
            JSON or an answer
        """
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
