"""A language model as a judge: several items in one call, strict JSON, and the rules of `models/asking.py`:
one repair request, a budget, a cache on disk.

A call whose reply cannot be read is split: each of its items is asked alone, and then stays unjudged. So does
everything beyond the budget and everything the server did not answer. Nothing is ever guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from medxiaohe.errors import ConfigError
from medxiaohe.models.asking import REPAIRS, UNLIMITED, Client, Outcome
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.models.spending import CallBudget, Spending
from medxiaohe.scoring.judges import prompts
from medxiaohe.scoring.judges.questions import Question, Verdict, digest
from medxiaohe.types import Model


@dataclass(frozen=True)
class _Call:
    """One conversation with the judge about one chunk of a question."""

    number: int  # of the question
    first: int  # of the items in it
    question: Question


class ModelJudge:
    """`name` is what the cache goes by: give a name of your own when model.name does not tell everything."""

    def __init__(
        self,
        model: Model,
        *,
        name: str = "",
        batch: int = 8,
        retries: int = REPAIRS,
        budget: CallBudget = UNLIMITED,
        store: ReplyStore | None = None,
    ):
        if batch < 1 or retries < 0:
            raise ConfigError(
                f"a judge needs a batch of at least 1 and at least 0 retries, not {batch} and {retries}"
            )
        cache = store or ReplyStore(None, shared=True)
        self.client = Client(model, name=name, budget=budget, repairs=retries, cache=cache)
        self.name, self.batch = self.client.name, batch
        self.failures, self.cached = 0, 0
        self.spent = ""  # why nothing more is asked
        self.before = Spending()  # what its self-test took

    @property
    def calls(self) -> int:
        """Requests that were made, without those of the self-test."""
        return self.client.spent.calls

    @property
    def cost(self) -> float:
        return self.client.spent.cost

    @contextmanager
    def free(self) -> Iterator[None]:
        """Inside, what is asked is counted apart and no part of the budget: a self-test is never cut
        short."""
        client, self.client = self.client, self.client.unlimited()
        try:
            yield
        finally:
            took = self.client.spent
            self.before = Spending(self.before.calls + took.calls, cost=self.before.cost + took.cost)
            self.client, self.failures, self.cached = client, 0, 0

    def ask(self, questions: Sequence[Question], fresh: bool = False) -> list[tuple[Verdict, ...]]:
        """Verdicts in order; `fresh` asks again what is known, and keeps nothing."""
        found: list[list[Verdict | None]] = [[None] * len(question.items) for question in questions]
        calls = [
            _Call(number, first, replace(question, items=question.items[first : first + self.batch]))
            for number, question in enumerate(questions)
            for first in range(0, len(question.items), self.batch)
        ]
        alone = [
            _Call(call.number, call.first + i, replace(call.question, items=(item,)))
            for call in self._asked(calls, found, fresh, last=False)
            for i, item in enumerate(call.question.items)
        ]
        self._asked(alone, found, fresh, last=True)
        return [
            tuple(verdict or Verdict("", "not asked", judge=self.name) for verdict in row) for row in found
        ]

    def _asked(
        self, calls: Sequence[_Call], found: list[list[Verdict | None]], fresh: bool, last: bool
    ) -> list[_Call]:
        """Fill in the verdicts of the calls; returns those whose items are to be asked alone."""
        outcomes = self.client.ask(
            [prompts.conversation(call.question) for call in calls],
            [partial(prompts.read, call.question) for call in calls],
            fresh=fresh,
            label=f"judge {self.name}",
        )
        split = []
        for call, outcome in zip(calls, outcomes, strict=True):
            if outcome.status == "spent":
                self.spent = outcome.error
            if outcome.value is not None:
                self.cached += len(call.question.items) if outcome.known else 0
            elif not last and len(call.question.items) > 1 and outcome.status != "spent":
                split.append(call)
                continue
            else:
                self.failures += len(call.question.items)
            verdicts = self._verdicts(call, outcome)
            found[call.number][call.first : call.first + len(verdicts)] = verdicts
        return split

    def _verdicts(self, call: _Call, outcome: Outcome) -> list[Verdict]:
        asked = digest([[message.role, message.text] for message in outcome.asked])
        if outcome.value is not None:
            return [Verdict(label, why, asked, outcome.text, self.name) for label, why in outcome.value]
        unread = outcome.status == "unreadable"
        problem = f"its reply could not be read: {outcome.error}" if unread else outcome.error
        return [Verdict("", problem, asked, judge=self.name) for _ in call.question.items]

    def to_json(self) -> dict[str, object]:
        """What a run records of its judge."""
        versions = {kind: prompts.version(kind) for kind in prompts.TASK}
        return {
            "judge": self.name,
            "prompts": versions,
            "batch": self.batch,
            "retries": self.client.repairs,
            "calls": self.calls,
            "cost": round(self.cost, 6),
            "cached": self.cached,
            "unjudged": self.failures,
            "spent": self.spent,
            "self_test_calls": self.before.calls,
            "self_test_cost": round(self.before.cost, 6),
        }
