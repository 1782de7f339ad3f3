"""A language model as a judge: several items in one call, strict JSON, a few retries, a budget, and a cache
on disk.

A reply that cannot be read is shown its error and asked again; then each item is asked alone; then the item
stays unjudged. So does everything beyond the budget and everything the server did not answer. Nothing is ever
guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.progress import Meter
from medxiaohe.scoring.judges import prompts
from medxiaohe.scoring.judges.questions import Question, Verdict, digest
from medxiaohe.scoring.judges.store import Store
from medxiaohe.types import Message, Model

CALLS_AT_ONCE = 64  # verdicts reach the disk after so many
SPENT = "the budget"  # how the reason begins of a verdict that was not asked for
LETTERS_A_TOKEN = 4  # of English; a cost is an estimate, because backends do not tell tokens


@dataclass(frozen=True)
class Budget:
    """What a run may spend. Prices are for a million tokens, in any currency; None sets no limit."""

    max_calls: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    @property
    def limited(self) -> bool:
        return self.max_calls is not None or self.max_cost is not None

    def __post_init__(self) -> None:
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ConfigError("max_cost needs price_in or price_out, the prices of a million tokens")


@dataclass
class _Call:
    """One conversation with the judge about one chunk of a question."""

    number: int  # of the question
    first: int  # of the items in it
    question: Question
    messages: tuple[Message, ...]
    problem: str = ""


class ModelJudge:
    """`name` is what the cache goes by: give a name of your own when model.name does not tell everything."""

    def __init__(
        self,
        model: Model,
        *,
        name: str = "",
        batch: int = 8,
        retries: int = 2,
        budget: Budget = Budget(),
        store: Store | None = None,
    ):
        if batch < 1 or retries < 0:
            raise ConfigError(
                f"a judge needs a batch of at least 1 and at least 0 retries, not {batch} and {retries}"
            )
        self.model, self.name = model, name or model.name
        self.batch, self.retries, self.budget = batch, retries, budget
        self.store = store or Store(None)
        self.calls, self.cost, self.failures, self.cached = 0, 0.0, 0, 0
        self.spent = ""  # why nothing more is asked
        self.before = {"calls": 0, "cost": 0.0}  # what its self-test took

    @contextmanager
    def free(self) -> Iterator[None]:
        """Inside, what is asked is counted apart and no part of the budget: a self-test is never cut
        short."""
        budget, self.budget = self.budget, replace(self.budget, max_calls=None, max_cost=None)
        try:
            yield
        finally:
            self.before = {
                "calls": self.before["calls"] + self.calls,
                "cost": self.before["cost"] + self.cost,
            }
            self.budget, self.calls, self.cost, self.failures, self.cached = budget, 0, 0.0, 0, 0

    def ask(self, questions: Sequence[Question], fresh: bool = False) -> list[tuple[Verdict, ...]]:
        """Verdicts in order; `fresh` asks again what is known, and keeps nothing."""
        found: list[list[Verdict | None]] = [[None] * len(question.items) for question in questions]
        waiting = []
        for number, question in enumerate(questions):
            for first in range(0, len(question.items), self.batch):
                chunk = replace(question, items=question.items[first : first + self.batch])
                known = [None if fresh else self._known(chunk, item) for item in chunk.items]
                found[number][first : first + len(known)] = known
                if None in known:
                    waiting.append(_Call(number, first, chunk, prompts.conversation(chunk)))
                else:
                    self.cached += len(known)
        meter = Meter(f"judge {self.name}", len(waiting))
        for start in range(0, len(waiting), CALLS_AT_ONCE):
            part = waiting[start : start + CALLS_AT_ONCE]
            self._settle(part, found, fresh)
            meter.advance(len(part))
        meter.close()
        return [
            tuple(verdict or Verdict("", "not asked", judge=self.name) for verdict in row) for row in found
        ]

    def _settle(self, calls: list[_Call], found: list[list[Verdict | None]], fresh: bool) -> None:
        """Ask, show errors, ask again; then each item alone."""
        calls = self._rounds(calls, found, fresh)
        alone = []
        for call in calls:
            if len(call.question.items) == 1 or self.spent:
                self._give_up(call, found)
                continue
            for i, item in enumerate(call.question.items):
                one = replace(call.question, items=(item,))
                alone.append(_Call(call.number, call.first + i, one, prompts.conversation(one)))
        for call in self._rounds(alone, found, fresh):
            self._give_up(call, found)

    def _rounds(self, calls: list[_Call], found: list[list[Verdict | None]], fresh: bool) -> list[_Call]:
        """Ask up to 1 + retries times; returns the calls that are still not settled, each with its
        problem."""
        for _ in range(1 + self.retries):
            left = []
            for call, reply in zip(calls, self._replies(calls), strict=True):
                if reply is None:
                    left.append(call)
                    continue
                try:
                    said = prompts.read(call.question, reply)
                except prompts.Unreadable as error:
                    call.problem = f"its reply could not be read: {error}"
                    call.messages += prompts.correction(reply[:2000], str(error))
                    left.append(call)
                    continue
                asked = digest([[message.role, message.text] for message in call.messages])
                verdicts = [Verdict(label, why, asked, reply, self.name) for label, why in said]
                if not fresh:
                    self.store.put(self.name, prompts.version(call.question.kind), call.question, verdicts)
                found[call.number][call.first : call.first + len(verdicts)] = verdicts
            calls = left
            if not calls or self.spent:
                break
        return calls

    def _replies(self, calls: Sequence[_Call]) -> list[str | None]:
        """What the model says to each; None where it failed or the budget is spent, with the problem
        noted."""
        allowed = [call for call in calls if self._pay(call)]
        if not allowed:
            return [None] * len(calls)
        try:
            said = {
                id(c): m.text
                for c, m in zip(allowed, self.model.reply([c.messages for c in allowed]), strict=True)
            }
        except ModelError:
            said = {id(call): reply for call in allowed if (reply := self._alone(call)) is not None}
        for reply in said.values():
            self.cost += len(reply) / LETTERS_A_TOKEN * self.budget.price_out / 1e6
        return [said.get(id(call)) for call in calls]

    def _alone(self, call: _Call) -> str | None:
        """One conversation of a batch that failed: the failure of one must not cost the others their
        verdicts."""
        try:
            return self.model.reply([call.messages])[0].text
        except ModelError as error:
            call.problem = str(error)
            return None

    def _pay(self, call: _Call) -> bool:
        cost = (
            sum(len(message.text) for message in call.messages) / LETTERS_A_TOKEN * self.budget.price_in / 1e6
        )
        if self.budget.max_calls is not None and self.calls >= self.budget.max_calls:
            self.spent = f"{SPENT} of {self.budget.max_calls} calls is spent"
        elif self.budget.max_cost is not None and self.cost + cost > self.budget.max_cost:
            self.spent = f"{SPENT} of {self.budget.max_cost:g} is spent"
        if self.spent:
            call.problem = self.spent
            return False
        self.calls, self.cost = self.calls + 1, self.cost + cost
        return True

    def _known(self, question: Question, item: str) -> Verdict | None:
        return self.store.get(self.name, prompts.version(question.kind), question, item)

    def _give_up(self, call: _Call, found: list[list[Verdict | None]]) -> None:
        self.failures += len(call.question.items)
        for i in range(len(call.question.items)):
            if found[call.number][call.first + i] is None:
                asked = digest([[message.role, message.text] for message in call.messages])
                found[call.number][call.first + i] = Verdict(
                    "", call.problem or "no reply", asked, judge=self.name
                )

    def to_json(self) -> dict[str, object]:
        """What a run records of its judge."""
        versions = {kind: prompts.version(kind) for kind in prompts.TASK}
        how = {"judge": self.name, "prompts": versions, "batch": self.batch, "retries": self.retries}
        spent = {
            "calls": self.calls,
            "cost": round(self.cost, 6),
            "cached": self.cached,
            "unjudged": self.failures,
            "spent": self.spent,
        }
        return (
            how
            | spent
            | {"self_test_calls": self.before["calls"], "self_test_cost": round(self.before["cost"], 6)}
        )
