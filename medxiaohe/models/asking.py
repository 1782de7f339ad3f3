"""Ask models: the client with batches, strict reading with a repair request, a budget, and replies on disk.

Teachers, judges, extraction and evaluation ask through it, so all follow the same rules:

- A reply is addressed by the content of its request: text, image bytes, tools (`models/request_key.py`). A
  journal holds the replies of one run and survives kill -9; a cache is shared by runs
  (`models/reply_store.py`).
- A reply is read strictly. One that cannot be read is shown to the model with what is wrong, once by default;
  then it is unreadable. Nothing is guessed.
- The failure of one conversation (a backend retries what may be transient) is its own outcome and costs the
  others nothing. Only a model that is gone for good ends the run, with one sentence: `ServerGone` from the
  backend, GIVE_UP_AFTER failures in a row, or nothing answered at all.
- A request beyond the budget is not made, and its outcome says so.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from medxiaohe.errors import ModelError, RequestRejected, ServerGone
from medxiaohe.models.replies import Keep, Reply
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.models.request_key import request_key
from medxiaohe.models.spending import LETTERS_A_TOKEN, CallBudget, Spending, estimated_tokens
from medxiaohe.progress import Meter
from medxiaohe.types import Message, Model, Tool

REPAIRS = 1  # repair requests that show the model the problem of its reply
TOGETHER = 64  # conversations in one round: the budget is settled after each
GIVE_UP_AFTER = 32  # failures in a row: with half of all requests failing, chance reaches it once in 4e9
MAX_SHOWN = 300  # characters of what is wrong with a reply, when the model is asked again
MAX_REPLY = 8000  # characters of an unreadable reply that are shown again
UNLIMITED = CallBudget()
ABILITIES = ("choice_nats", "concurrent", "count", "workers")  # what else a backend may have
REPAIR = "That cannot be used: {problem}. Answer again, in the form asked for and nothing else."

Status = Literal["read", "unreadable", "failed", "spent"]
Reader = Callable[[str], Any]


class Unreadable(ValueError):
    """Raised by a reader for a reply that it cannot parse; the message is shown to the model."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one conversation.

    `value` is what the reader returned (without a reader the text of the reply), None where there is none;
    `error` then says why, and `status` which kind it is: `unreadable`, `failed` (the model or its server) or
    `spent` (beyond the budget).
    """

    value: Any = None
    text: str = ""  # of the last reply
    status: Status = "read"
    error: str = ""
    calls: int = 0  # replies that this conversation took, stored ones included
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    cost: float = 0.0
    known: bool = False  # every reply came from a store: no request was sent
    key: str = ""  # of the first request
    asked: tuple[Message, ...] = ()  # the last request

    def record(self, writer: str) -> dict[str, Any]:
        """Describe the provenance of a row that was written from this reply.

        Args:
            writer: name of who wrote the row.

        Returns:
            {writer, calls, cost, asked: key of the request}
        """
        return {"writer": writer, "calls": self.calls, "cost": round(self.cost, 8), "asked": self.key}


@dataclass
class _Talk:
    """State of a conversation until it has an outcome."""

    messages: list[Message]
    read: Reader | None
    keys: list[str] = field(default_factory=list)
    text: str = ""
    value: Any = None
    status: Status | None = None
    error: str = ""
    fresh: int = 0  # requests that were made for it
    calls: int = 0
    spent: Spending = field(default_factory=Spending)

    def end(self, status: Status, error: str = "") -> None:
        """Set the outcome of the conversation.

        Args:
            error: why there is no value.
        """
        self.status, self.error = status, error

    @property
    def outcome(self) -> Outcome:
        """The conversation as an Outcome.

        Returns:
            `unreadable` where no status was set; `known` where every reply came from a store.
        """
        return Outcome(
            self.value, self.text, self.status or "unreadable", self.error, self.calls,
            self.spent.tokens_in, self.spent.tokens_out, self.spent.cost,
            known=bool(self.calls) and not self.fresh, key=self.keys[0], asked=tuple(self.messages),
        )  # fmt: skip


class Client:
    """Client of a model that follows these rules; itself a `Model`, so that workflows may use it.

    Args:
        model: The backend. Its method `outcomes` or `replies` is used where it has one, so that each reply
            is kept as it comes.
        name: Tells weights and settings apart: replies are kept under it. The model's own where it is "".
        budget: What may be spent. A reply of the journal counts as if it had been asked for now, so that a
            run which resumes ends like one that was never stopped; a reply of the cache is free.
        repairs: Requests that name the problem of an unreadable reply.
        together: Conversations in one round of `ask`.
        journal: Replies of this run.
        cache: Replies of all runs; an outcome that is unreadable is not left in it.
        cache_scope: Scope of the cache; "" for the name.
    """

    def __init__(
        self,
        model: Model,
        *,
        name: str = "",
        budget: CallBudget = UNLIMITED,
        repairs: int = REPAIRS,
        together: int = TOGETHER,
        journal: ReplyStore | None = None,
        cache: ReplyStore | None = None,
        cache_scope: str = "",
    ) -> None:
        self.model, self.name = model, name or model.name
        self.budget, self.repairs, self.together = budget, repairs, together
        self.journal, self.cache, self._whose = journal, cache, cache_scope or self.name
        for ability in ABILITIES:
            if hasattr(model, ability):
                setattr(self, ability, getattr(model, ability))
        self.spent = Spending()
        self.seed = 0
        self._scope = ""  # of the journal, where it is not the model's name
        self._times: Counter[str] = Counter()  # how often each conversation was asked by `reply`
        self._health = _Health(answered=journal is not None and not journal.empty)
        self._lock = threading.RLock()
        self._tick: Callable[[int], object] = lambda number: None

    # ---- asking with a reader ----------------------------------------------------------------------

    def ask(
        self,
        conversations: Sequence[Sequence[Message]],
        read: Reader | Sequence[Reader] | None = None,
        *,
        fresh: bool = False,
        label: str = "",
    ) -> list[Outcome]:
        """Ask the model for each conversation and parse the reply.

        Args:
            conversations: The messages of each.
            read: Reads a reply, or raises Unreadable; one for all conversations or one for each.
            fresh: Ignore stored replies, and store nothing.
            label: Shows progress under this name.

        Returns:
            One outcome for each conversation, in order.

        Raises:
            ModelError: The model does not respond any more. Replies so far are in the stores.
        """
        each = list(read) if isinstance(read, Sequence) else [read] * len(conversations)
        talks = [_Talk(list(talk), reader) for talk, reader in zip(conversations, each, strict=True)]
        meter = Meter(label, len(talks)) if label else None
        for start in range(0, len(talks), self.together):
            part = talks[start : start + self.together]
            for left in range(self.repairs, -1, -1):
                if waiting := [talk for talk in part if talk.status is None]:
                    self._round(waiting, fresh)
                    self._read(waiting, left)
            if meter is not None:
                meter.advance(len(part))
        if meter is not None:
            meter.close()
        self.check()
        return [talk.outcome for talk in talks]

    def drawing(self, seed: int) -> Client:
        """Copy the client with another sampling seed of the backend; both share one spending count.

        Args:
            seed: of the backend's sampling.

        Returns:
            this client, or a copy that shares its spending
        """
        if self.seed == seed:
            return self
        client = copy.copy(self)
        client.seed = seed
        client.model = self.model.with_seed(seed) if hasattr(self.model, "with_seed") else self.model
        return client

    def unlimited(self) -> Client:
        """Copy the client without a budget, with a spending count of its own.

        Returns:
            a client of the same model, stores and prices.
        """
        client = copy.copy(self)
        client.budget = CallBudget(price_in=self.budget.price_in, price_out=self.budget.price_out)
        client.spent = Spending()
        return client

    def check(self) -> None:
        """Raise the first error where the model has answered no request so far.

        Raises:
            ModelError: the model answered no request at all.
        """
        self._health.check()

    # ---- as a model --------------------------------------------------------------------------------

    def begin(
        self, scope: str, tick: Callable[[int], object] = lambda number: None, going: bool = False
    ) -> None:
        """Start a section of a run: journal entries of other sections are dropped.

        Args:
            scope: Names the part. The n-th request of a conversation in it gets the n-th reply of the
                journal, so that draws of a model that samples stay different, and the same on resuming.
            tick: Called with the number of conversations that were just answered.
            going: An earlier part was finished, so the model has answered before.
        """
        self._scope, self._tick = scope, tick
        self._times.clear()
        self._health.answered = self._health.answered or going
        if self.journal is not None:
            self.journal.keep_only(scope)

    def reply(self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()) -> list[Message]:
        """Answer a batch of conversations.

        The reply to a conversation that failed or exceeds the budget has `error` set and no parts; a
        conversation that ends with such a reply is not continued.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call.

        Returns:
            one assistant message for each conversation

        Raises:
            ModelError: the model stopped answering for good.
        """
        replies = dict(pair for group in self.replies(conversations, tools) for pair in group)
        return [replies[i] for i in range(len(conversations))]

    def replies(
        self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool] = ()
    ) -> Iterator[list[tuple[int, Message]]]:
        """Answer conversations in groups, as the replies come.

        Args:
            conversations: each a sequence of messages that ends with what is answered.
            tools: functions that the model may call.

        Yields:
            groups of (index of the conversation, its reply)

        Raises:
            ModelError: the model stopped answering for good.
        """
        ready: list[tuple[int, Message]] = []
        places: list[tuple[int, str, int, float]] = []  # index, key, how-manieth time, estimated tokens
        for i, messages in enumerate(conversations):
            if failed := next((message for message in messages if message.error), None):
                ready.append((i, failed))
                continue
            key = request_key(messages, tools)
            with self._lock:
                n, self._times[key] = self._times[key], self._times[key] + 1
                stored, free = self._known(key, n)
                tokens = estimated_tokens(messages)
                if not free and (refusal := self._admit(self.spent, tokens)):
                    ready.append((i, _failed(refusal)))
                elif stored is not None:
                    self._settle(self.spent, stored, tokens, free)
                    ready.append((i, _message(stored)))
                else:
                    places.append((i, key, n, tokens))
        if ready:
            yield ready

        def keep(group: Sequence[tuple[int, Reply]]) -> None:
            self._keep([(places[at][1], places[at][2], reply) for at, reply in group])

        for group in self._requested([conversations[i] for i, *_ in places], tools, keep):
            with self._lock:
                for at, reply in group:
                    self._settle(self.spent, reply, places[at][3])
            self._tick(len(group))
            self._health.watch([reply for _, reply in group], self.name)
            yield [(places[at][0], _message(reply)) for at, reply in group]

    # ---- rounds ------------------------------------------------------------------------------------

    def _round(self, talks: Sequence[_Talk], fresh: bool) -> None:
        """Ask once for every open conversation; each gets a reply, or ends."""
        answers: list[tuple[_Talk, Reply, float, bool]] = []
        waiting: dict[str, list[tuple[_Talk, float]]] = {}
        for talk in talks:
            key = request_key(talk.messages)
            talk.keys.append(key)
            stored, free = (None, False) if fresh else self._known(key, 0)
            tokens = estimated_tokens(talk.messages)
            if not free and (refusal := self._admit(self.spent, tokens)):
                talk.end("spent", refusal)
            elif stored is not None:
                answers.append((talk, stored, tokens, free))
            else:
                waiting.setdefault(key, []).append((talk, tokens))
        keys = list(waiting)

        def keep(group: Sequence[tuple[int, Reply]]) -> None:
            if not fresh:
                self._keep([(keys[i], 0, reply) for i, reply in group])

        for group in self._requested([waiting[key][0][0].messages for key in keys], (), keep):
            self._health.watch([reply for _, reply in group], self.name)
            for i, reply in group:
                for talk, tokens in waiting[keys[i]]:
                    talk.fresh += 1
                    answers.append((talk, reply, tokens, False))
        # what replies cost is settled when all of a round are there, so that the order in which they came
        # changes nothing
        for talk, reply, tokens, free in answers:
            talk.spent.add(self.budget, tokens)
            self._settle(self.spent, reply, tokens, free)
            self._settle(talk.spent, reply, tokens)
            if reply.message is None:
                talk.end("failed", str(reply.error))
            else:
                talk.text = reply.message.text
                talk.calls += 1

    def _read(self, talks: Sequence[_Talk], repairs_left: int) -> None:
        """Parse the replies; a conversation whose reply cannot be parsed is asked again with the reason, or
        ends.
        """
        for talk in talks:
            if talk.status is not None:
                continue
            try:
                talk.value = talk.text if talk.read is None else talk.read(talk.text)
            except Unreadable as wrong:
                talk.error = str(wrong)
                if not repairs_left:
                    talk.end("unreadable", talk.error)
                    if self.cache is not None:
                        self.cache.forget(self._cache_scope, talk.keys)
                    continue
                again = REPAIR.format(problem=talk.error[:MAX_SHOWN])
                talk.messages += [
                    Message("assistant", (talk.text[:MAX_REPLY],)), Message("user", (again,)),
                ]  # fmt: skip
            else:
                talk.end("read")

    # ---- one request -------------------------------------------------------------------------------

    def _keep(self, replies: Sequence[tuple[str, int, Reply]]) -> None:
        """Write replies to disk before the next request; failures are not written."""
        good = [row for row in replies if row[2].message is not None]
        if self.journal is not None:
            self.journal.put(self._journal_scope, good)
        if self.cache is not None:
            self.cache.put(self._cache_scope, [(key, 0, reply) for key, _, reply in good])

    def _requested(
        self,
        conversations: Sequence[Sequence[Message]],
        tools: Sequence[Tool],
        keep: Keep,
    ) -> Iterator[list[tuple[int, Reply]]]:
        """Request a reply or an error for each conversation; yields groups of them after they were stored."""
        if not conversations:
            return
        if hasattr(self.model, "outcomes"):
            yield from self.model.outcomes(conversations, tools, keep)
            return
        done: set[int] = set()
        error = ModelError("")
        try:
            for group in self._whole(conversations, tools):
                done.update(i for i, _ in group)
                replies = [(i, Reply(message)) for i, message in group]
                keep(replies)
                yield replies
        except ServerGone:
            raise
        except ModelError as failure:
            error = failure
        left = [i for i in range(len(conversations)) if i not in done]
        if len(conversations) == 1 and left:
            yield [(0, Reply(error=error))]
            return
        for i in left:  # one failure must not lose the replies of the other conversations of its batch
            yield [
                (i, reply) for _, reply in next(self._requested([conversations[i]], tools, _under(i, keep)))
            ]

    def _whole(
        self, conversations: Sequence[Sequence[Message]], tools: Sequence[Tool]
    ) -> Iterator[list[tuple[int, Message]]]:
        if hasattr(self.model, "replies"):
            yield from self.model.replies(conversations, tools)
            return
        replies = self.model.reply(conversations, tools)
        if len(replies) != len(conversations):
            raise ModelError(f"{self.name} gave {len(replies)} replies to {len(conversations)} conversations")
        yield list(enumerate(replies))

    def _known(self, key: str, n: int) -> tuple[Reply | None, bool]:
        """Look up a reply on disk, and whether it is free."""
        stored = self.journal.get(self._journal_scope, key, n) if self.journal is not None else None
        free = stored is None and self.cache is not None
        if stored is None and self.cache is not None:
            stored = self.cache.get(self._cache_scope, key)
        if stored is None:
            return None, False
        self._health.known()
        return stored, free

    @property
    def _cache_scope(self) -> str:
        return f"{self._whose}@{self.seed}" if self.seed else self._whose

    @property
    def _journal_scope(self) -> str:
        return self._scope or self._cache_scope

    def _admit(self, spent: Spending, tokens: float) -> str:
        """Count the tokens of a request, or say why it exceeds the budget."""
        if refusal := spent.refusal(self.budget, tokens):
            return refusal
        spent.calls += 1
        spent.add(self.budget, tokens)
        return ""

    def _settle(self, spent: Spending, reply: Reply, tokens: float, free: bool = False) -> None:
        """Replace the estimate by the tokens that a reply really used; a failed request used none."""
        if free:
            return
        if reply.message is None:
            spent.add(self.budget, -tokens)
            return
        out = len(reply.message.text) / LETTERS_A_TOKEN if reply.tokens_out is None else reply.tokens_out
        spent.add(self.budget, 0.0 if reply.tokens_in is None else reply.tokens_in - tokens, out)


class _Health:
    """Whether the model responds: shared by all requests of one client."""

    def __init__(self, answered: bool) -> None:
        self.answered = answered
        self.answered_at = 0.0
        self.in_a_row = 0
        self.first: ModelError | None = None

    def known(self) -> None:
        """Count a stored reply as a success between failures, which a resumed run asks again: without it they
        would look like failures in a row.
        """
        self.answered = True
        self.in_a_row = max(min(self.in_a_row, 0) - 1, -GIVE_UP_AFTER)

    def watch(self, replies: Sequence[Reply], name: str) -> None:
        """Count failures in a row over all requests of a client.

        Args:
            replies: those of one batch, with the time at which each request began.
            name: of the model, for the message.

        Raises:
            ServerGone: GIVE_UP_AFTER requests in a row failed. A request that the server rejects is the
                fault of its item and does not count, unless the server has never answered.
        """
        for reply in replies:
            if reply.error is None:
                self.answered, self.in_a_row = True, min(self.in_a_row, 0)
                self.answered_at = time.monotonic()
                continue
            self.first = self.first or reply.error
            # the slow failures of a batch come last, long after the answers to what was asked with them: only
            # a request that was made after the last answer says that the model is gone
            if reply.began > self.answered_at:
                self.in_a_row += not (self.answered and isinstance(reply.error, RequestRejected))
            if self.in_a_row >= GIVE_UP_AFTER:
                raise ServerGone(
                    f"{name} failed {self.in_a_row} requests in a row (the last: {reply.error}); what was"
                    " answered is kept: mend it and run again"
                )

    def check(self) -> None:
        """Raise the first failure where the model has never answered.

        Raises:
            ModelError: the error of the first request that failed.
        """
        if self.first is not None and not self.answered:
            raise self.first


def _under(i: int, keep: Keep) -> Keep:
    """Copy a reply as that of one conversation that was asked alone."""
    return lambda group: keep([(i, reply) for _, reply in group])


def _message(reply: Reply) -> Message:
    return reply.message if reply.message is not None else _failed(str(reply.error))


def _failed(error: str) -> Message:
    return Message("assistant", (), error=error)
