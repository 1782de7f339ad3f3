"""Use a language model as a judge: several items in one call, strict JSON, and the rules of
`models/asking.py`: one repair request, a budget, a cache on disk.

A call whose reply cannot be read is split: each of its items is asked alone, and stays unjudged where that
fails, too. So does every item beyond the budget or without a reply of the server. Nothing is ever guessed.
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
    """Judge that asks a language model, in batches, through a cache and a budget.

    Args:
        model: any model that replies to conversations.
        name: key of the cache; needed where `model.name` does not tell model, options and weights apart.
        batch: items in one call.
        retries: requests that show the model what is wrong with its reply.
        budget: limits of calls, tokens and cost.
        store: cache of replies; by default in memory only.

    Raises:
        ConfigError: `batch` is below 1 or `retries` below 0.
    """

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
        """Count the requests, without those of the self-test.

        Returns:
            Requests that were sent; cached replies do not count.
        """
        return self.client.spent.calls

    @property
    def cost(self) -> float:
        """Sum the cost of the requests, without those of the self-test.

        Returns:
            In the currency of the budget's prices.
        """
        return self.client.spent.cost

    @contextmanager
    def free(self) -> Iterator[None]:
        """Context in which requests do not count towards the budget, so that a self-test is never cut short.

        Yields:
            Nothing; calls and cost of the block are added to `before`.
        """
        client, self.client = self.client, self.client.unlimited()
        try:
            yield
        finally:
            took = self.client.spent
            self.before = Spending(self.before.calls + took.calls, cost=self.before.cost + took.cost)
            self.client, self.failures, self.cached = client, 0, 0

    def ask(self, questions: Sequence[Question], fresh: bool = False) -> list[tuple[Verdict, ...]]:
        """Ask for a verdict on every item.

        Args:
            questions: each with one or more items, asked in batches.
            fresh: ask again what the cache holds, and store nothing.

        Returns:
            One tuple of verdicts for each question, in order of its items; a verdict without a label where
            the model failed or the budget is spent.
        """
        table: list[list[Verdict | None]] = [[None] * len(question.items) for question in questions]
        calls = [
            _Call(number, first, replace(question, items=question.items[first : first + self.batch]))
            for number, question in enumerate(questions)
            for first in range(0, len(question.items), self.batch)
        ]
        # second round: items of calls whose reply could not be read, one by one
        alone = [
            _Call(call.number, call.first + i, replace(call.question, items=(item,)))
            for call in self._asked(calls, table, fresh, last=False)
            for i, item in enumerate(call.question.items)
        ]
        self._asked(alone, table, fresh, last=True)
        return [
            tuple(verdict or Verdict("", "not asked", judge=self.name) for verdict in row) for row in table
        ]

    def _asked(
        self, calls: Sequence[_Call], table: list[list[Verdict | None]], fresh: bool, last: bool
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
            table[call.number][call.first : call.first + len(verdicts)] = verdicts
        return split

    def _verdicts(self, call: _Call, outcome: Outcome) -> list[Verdict]:
        prompt = digest([[message.role, message.text] for message in outcome.asked])
        if outcome.value is not None:
            return [Verdict(label, why, prompt, outcome.text, self.name) for label, why in outcome.value]
        unread = outcome.status == "unreadable"
        problem = f"its reply could not be read: {outcome.error}" if unread else outcome.error
        return [Verdict("", problem, prompt, judge=self.name) for _ in call.question.items]

    def to_json(self) -> dict[str, object]:
        """Describe the judge for the record of a run.

        Returns:
            Its name, prompt versions, settings, and counts of calls, cost, cached and unjudged items.
        """
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
