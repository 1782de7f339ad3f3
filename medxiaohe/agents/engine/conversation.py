"""State of one running generator. Requests are numbered when they are made, so that the trace does not
depend on the order in which they are answered."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.agents.engine.case import Budget, BudgetSpent, Case
from medxiaohe.agents.engine.record import Conversations
from medxiaohe.agents.engine.requests import Answer, Ask, Note, Rank, Request, Use
from medxiaohe.errors import MedError, WorkflowError
from medxiaohe.types import Message, Step, StopReason, ToolResult, Trace

MAX_FREE = 1000  # yields in a row of one case that cost nothing: notes, and lists without a request
MOST_IDENTICAL = 2  # calls of one tool with the same arguments that are run
REPEATED = (
    "ToolError: {name} was called with these arguments twice already: read its earlier results, or call it"
    " otherwise"
)
BYTES_PER_TOKEN = 4  # of text, where the backend does not count


class Conversation:
    """The state of one case: its generator, its steps, and the requests that wait for a result.

    `advance` runs the generator to its next requests, which are then in `waiting`, by step number; `put`
    hands in the result of one of them. `trace` is complete when `done`.
    """

    def __init__(
        self,
        name: str,
        generator: Any,
        case: Case,
        budget: Budget,
        origin: Mapping[str, str] | None = None,
        roles: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(generator, Generator):
            raise WorkflowError(f"the workflow {name} is no generator: it must yield its requests")
        self.name, self.case, self.budget = name, case, budget
        self.steps: list[Step] = []
        self.waiting: dict[int, Request] = {}
        self.done = False
        self.rounds = 0  # yields that used tools
        self._generator = generator
        self._roles = roles
        self._origin = dict(origin or {})
        self._conversations = Conversations(case.prompt)
        self._spent = ""  # which limit was reached
        self._used = {"asks": 0, "calls": 0, "tokens": 0}
        self._free = 0
        self._calls: Counter[str] = Counter()  # of tools, by name and arguments
        self._began = time.monotonic()
        self._batch: range = range(0)  # numbers of the steps of the last yield
        self._single = True
        self._answer = Answer()

    # ---- results in, requests out --------------------------------------------------------------------

    def put(self, n: int, got: Any, tokens: tuple[int, int] = (0, 0)) -> bool:
        """Pass in the result of step `n`.

        Args:
            n: number of a step in `waiting`.
            got: reply, nats of each answer, or result of a tool.
            tokens: (prompt tokens, reply tokens); (0, 0) if the backend does not count.

        Returns:
            True if the generator waits for nothing more.
        """
        request = self.waiting.pop(n)
        self.steps[n] = replace(self.steps[n], got=got, tokens_in=tokens[0], tokens_out=tokens[1])
        if isinstance(request, Ask):
            self._conversations.replied(n, got)
        if isinstance(request, (Ask, Rank)) and self.budget.tokens is not None:
            self._used["tokens"] += sum(tokens) or _estimated(request.messages, got)
        return not self.waiting

    def name_model(self, n: int, name: str) -> None:
        """Record the model that step `n` is sent to.

        Args:
            n: number of the step, from 0.
            name: of the model.
        """
        self.steps[n] = replace(self.steps[n], model=name)

    def advance(self) -> None:
        """Run the generator until it waits for results or ends.

        Raises:
            WorkflowError: it raised, yielded something that is no request, or returned no Answer.
            MedError: raised by the workflow on purpose.
        """
        batch = [self.steps[n] for n in self._batch]
        replies = (step.got for step in batch if isinstance(step.got, Message))
        if failed := next((reply.error for reply in replies if reply.error), ""):
            self._close(Answer(error=failed))
            return
        self.case.add_images([step.got for step in batch if isinstance(step.got, ToolResult)])
        value = self._value(batch)
        while not self.done and not self.waiting:
            try:
                yielded = self._generator.send(value)
            except StopIteration as stop:
                self._finish(stop.value)
                return
            except Exception as error:
                raise self._raised(error) from error
            value = self._take(yielded)

    def _take(self, yielded: Any) -> Any:
        """Record the yielded requests; return the value to send next if none of them waits for a result."""
        single = not isinstance(yielded, (list, tuple))
        requests: tuple[Request, ...] = (yielded,) if single else tuple(yielded)
        for request in requests:
            if not isinstance(request, (Ask, Rank, Use, Note)):
                raise WorkflowError(
                    f"the workflow {self.name} yielded a {type(request).__name__} after"
                    f" {len(self.steps)} steps: it may yield Ask, Rank, Use, Note, or a list of them"
                )
            role = request.role if isinstance(request, (Ask, Rank)) else ""
            if self._roles is not None and role and role not in self._roles:
                raise WorkflowError(
                    f"the workflow {self.name} asks the role {role!r}, which it does not"
                    f" declare{plugins.nearest(role, self._roles)}"
                )
        if limit := self._limit(requests):
            return self._throw(limit)
        first, after = len(self.steps), tuple(self._batch)
        self.steps += [self._step(first + i, request, after) for i, request in enumerate(requests)]
        self._batch, self._single = range(first, len(self.steps)), single
        self.waiting = {
            first + i: request for i, request in enumerate(requests) if not isinstance(request, Note)
        }
        self.rounds += any(isinstance(request, Use) for request in requests)
        self._refuse_repeated()
        if requests and not self.waiting:
            return self._value([self.steps[n] for n in self._batch])
        return None if single else [None] * len(requests)

    def _refuse_repeated(self) -> None:
        """Answer the third identical call of a tool, and later ones, with an error, to end loops without
        progress."""
        for n, request in list(self.waiting.items()):
            if not isinstance(request, Use):
                continue
            call = request.call(n)
            key = json.dumps([call.name, io.to_json(dict(call.arguments))], sort_keys=True, default=str)
            self._calls[key] += 1
            if self._calls[key] > MOST_IDENTICAL:
                self.put(n, ToolResult(call.id, (), error=REPEATED.format(name=call.name)))

    def _step(self, n: int, request: Request, after: tuple[int, ...]) -> Step:
        if isinstance(request, Note):
            try:
                json.dumps(io.to_json(request.data), allow_nan=False)
            except (TypeError, ValueError, RecursionError) as error:
                raise WorkflowError(
                    f"the workflow {self.name} noted {request.kind!r} with what JSON cannot hold: {error}"
                ) from error
            return Step(n, "note", request.kind, after=after, given=request.data)
        if isinstance(request, Use):
            call = request.call(n)
            return Step(
                n, "use", call.name, after=after, given={"id": call.id, "arguments": dict(call.arguments)}
            )
        added = self._conversations.add(n, request)
        if isinstance(request, Rank):
            return Step(
                n, "rank", request.role, after=after, given={**added, "answers": tuple(request.answers)}
            )
        tools = {"tools": tuple(tool.name for tool in request.tools)} if request.tools else {}
        return Step(n, "ask", request.role, after=after, given={**added, **tools})

    def _value(self, batch: Sequence[Step]) -> Any:
        if not batch:
            return None
        return batch[0].got if self._single else [step.got for step in batch]

    # ---- limits --------------------------------------------------------------------------------------

    def _limit(self, requests: Sequence[Request]) -> str:
        """Name the limit that these requests would exceed, or ""."""
        asks = sum(isinstance(request, (Ask, Rank)) for request in requests)
        calls = sum(isinstance(request, Use) for request in requests)
        if not asks + calls:
            self._free += 1
            return f"{MAX_FREE} notes without a request" if self._free > MAX_FREE else ""
        budget, used = self.budget, self._used
        if self._spent:
            return self._spent
        if used["asks"] + asks > budget.asks:
            return f"{budget.asks} asks"
        if used["calls"] + calls > budget.calls:
            return f"{budget.calls} calls of tools"
        if budget.tokens is not None and used["tokens"] >= budget.tokens:
            return f"{budget.tokens} tokens"
        if budget.seconds is not None and time.monotonic() - self._began > budget.seconds:
            return f"{budget.seconds:g} seconds"
        used["asks"] += asks
        used["calls"] += calls
        self._free = 0
        return ""

    def _throw(self, limit: str) -> Any:
        """Throw BudgetSpent into the workflow, which may return an answer; another request ends it."""
        if not self._spent:
            self._spent = limit
            try:
                yielded = self._generator.throw(BudgetSpent(f"the budget of {limit} is spent"))
            except StopIteration as stop:
                self._finish(stop.value)
                return None
            except BudgetSpent:
                pass
            except Exception as error:
                raise self._raised(error) from error
            else:
                return self._take(yielded)
        self._close(Answer(error=f"no answer within the budget of {self._spent}"))
        return None

    # ---- the end -------------------------------------------------------------------------------------

    def _raised(self, error: Exception) -> Exception:
        if isinstance(error, MedError):
            return error
        return WorkflowError(
            f"the workflow {self.name} raised {type(error).__name__} after {len(self.steps)} steps:"
            f" {error or 'no message'}"
        )

    def _finish(self, value: Any) -> None:
        if isinstance(value, str):
            value = Answer(value)
        if not isinstance(value, Answer):
            raise WorkflowError(
                f"the workflow {self.name} returned a {type(value).__name__}: it must return an Answer or"
                " text"
            )
        self._end(value)

    def _close(self, answer: Answer) -> None:
        """Close the generator at its current yield."""
        try:
            self._generator.close()
        except Exception as error:
            raise self._raised(error) from error
        self._end(answer)

    def _end(self, answer: Answer) -> None:
        self.done, self.waiting, self._answer = True, {}, answer

    @property
    def trace(self) -> Trace:
        """Trace of the case so far.

        Returns:
            prompt, messages, steps, claims and stop reason; `stop` is "" until the case is done.
        """
        answer, prompt = self._answer, self.case.prompt
        messages = tuple(prompt.messages if answer.messages is None else answer.messages)
        last = next((m.text for m in reversed(messages) if m.role == "assistant"), None)
        if (answer.text and answer.text != last) or (
            answer.messages is None and self.done and not answer.error
        ):
            messages = (*messages, Message("assistant", (answer.text,)))
        stop: StopReason = "budget" if self._spent else "failed" if answer.error else "answered"
        return Trace(
            prompt,
            messages,
            answer.error,
            tuple(self.steps),
            answer.claims,
            answer.rulings,
            stop=stop if self.done else "",
            origin=self._origin,
        )


def _estimated(messages: Sequence[Message], got: Any) -> int:
    # one token for every four bytes of UTF-8, at least one
    texts = [message.text for message in messages] + ([got.text] if isinstance(got, Message) else [])
    return 1 + sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) // BYTES_PER_TOKEN
