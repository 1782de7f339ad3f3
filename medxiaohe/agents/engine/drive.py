"""Run a workflow over many cases: in lock-step for weights in this process, flowing for servers.

    lock-step  all requests of one model that show the same tools are one batch
    flowing    each case goes on as soon as its own requests are answered (`concurrent = True`)

Both give the same traces. The first error stops the run; `done` has been called with every trace before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medxiaohe.agents.engine.case import Budget, Case, Tools
from medxiaohe.agents.engine.cast import Cast, answers, counted
from medxiaohe.agents.engine.conversation import Conversation
from medxiaohe.agents.engine.flows import about, named, options
from medxiaohe.agents.engine.journal import Journal
from medxiaohe.agents.engine.requests import Ask, Flow, Rank, Request, Use
from medxiaohe.agents.engine.threads import Threads
from medxiaohe.types import Message, Model, Prompt, Tool, Trace

Done = Callable[[int, Trace], None]
Result = tuple[Any, tuple[int, int]]  # what came back; tokens given and written


def run(
    flow: Flow,
    prompts: Sequence[Prompt],
    models: Model | Mapping[str, Model],
    tools: Tools = (),
    budget: Budget | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    memory: Any = None,
    journal: Journal | None = None,
    done: Done | None = None,
    concurrent: bool | None = None,
) -> list[Trace]:
    """Run a workflow over many prompts.

    Args:
        flow: a generator function of a Case, or what `workflow` made of one.
        prompts: one for each case.
        models: one model, or role -> model; "" plays the roles that are not named.
        tools: of all cases, or a function of the Case, which is called again when tools return images.
        budget: of each case; None for the limits of `Budget`.
        settings: keyword arguments of the flow.
        memory: a store that workflows may read as `case.memory`.
        journal: where results are kept, so that a run that was killed asks nothing twice.
        done: called with the number of a case and its trace as soon as that is complete.
        concurrent: flowing or lock-step; by default flowing where every backend is `concurrent`.

    Returns:
        one trace for each prompt, in order

    Raises:
        WorkflowError: the workflow raised, or yielded or returned what is no request or answer.
        ConfigError: unknown settings or roles, no likelihoods where it ranks.
        ModelError: a model failed, or gave another number of replies.
    """
    facts = about(flow)
    cast = Cast(models, facts.roles)
    chosen = options(flow, settings or {})
    if facts.needs_likelihoods(chosen):
        cast.needs_likelihoods()
    talks = []
    for prompt in prompts:
        case = Case(prompt, tools, memory)
        origin = named(facts.name, chosen, case.tools)
        talks.append(
            Conversation(
                facts.name, facts.flow(case, **chosen), case, budget or Budget(), origin, facts.roles
            )
        )
    engine = _Engine(talks, cast, journal, done or (lambda n, trace: None))
    if cast.concurrent if concurrent is None else concurrent:
        engine.flowing(max(1, cast.width))
    else:
        engine.lock_step()
    return [talk.trace for talk in talks]


class _Engine:
    """Runs conversations in lock-step or concurrently; cases are numbered by the order of their prompts."""

    def __init__(
        self, talks: Sequence[Conversation], cast: Cast, journal: Journal | None, done: Done
    ) -> None:
        self.talks, self.cast, self.journal, self.done = talks, cast, journal, done
        self._shown: dict[int, tuple[Tool, str]] = {}  # by id of the tool: the tool, and what a model sees

    def advance(self, number: int) -> list[tuple[int, int, Request]]:
        """Run a case to its next requests; those with results in the journal are answered at once.

        Args:
            number: of the case.

        Returns:
            (case, step, request) of each open request; [] if the case is done.
        """
        talk = self.talks[number]
        while not talk.done:
            talk.advance()
            for n, request in list(talk.waiting.items()):
                if isinstance(request, (Ask, Rank)):
                    talk.name_model(n, self.cast.of(request.role).name)
                recorded = self.journal.known(talk.case.prompt.id, talk.steps[n]) if self.journal else None
                if recorded is not None:
                    talk.put(n, recorded.got, (recorded.tokens_in, recorded.tokens_out))
            if talk.waiting:
                return [(number, n, request) for n, request in talk.waiting.items()]
        self.done(number, talk.trace)
        return []

    def remember(self, number: int, n: int, result: Result) -> Result:
        """Write a result into the journal, unless it is an error or the result of a pure tool.

        Args:
            number: of the case.
            n: number of the step.
            result: value and token counts.

        Returns:
            `result`, unchanged.
        """
        talk = self.talks[number]
        no_reply = isinstance(result[0], Message) and bool(result[0].error)  # is asked again on resuming
        if self.journal is not None and not no_reply and not self._repeatable(talk, n):
            self.journal.add(talk.case.prompt.id, talk.steps[n], *result)
        return result

    def put(self, number: int, n: int, result: Result) -> bool:
        """Pass a result to its case.

        Returns:
            True if the case waits for nothing more.
        """
        return self.talks[number].put(n, *result)

    def _repeatable(self, talk: Conversation, n: int) -> bool:
        """Check whether step `n` calls a pure tool, which is run again instead of being journalled."""
        name = talk.steps[n].who
        return isinstance(talk.waiting[n], Use) and all(t.pure for t in talk.case.tools if t.name == name)

    def answer(self, number: int, n: int, request: Request) -> Result:
        """Answer one request on its own, and journal the result.

        Args:
            number: of the case.
            n: number of the step.
            request: `Ask`, `Rank` or `Use`.

        Returns:
            value and token counts.
        """
        return self.remember(number, n, self._answer(number, n, request))

    def _answer(self, number: int, n: int, request: Request) -> Result:
        if isinstance(request, Use):
            return self.talks[number].case.use(request.call(n)), (0, 0)
        assert isinstance(request, (Ask, Rank))
        model = self.cast.of(request.role)
        ((_, got),) = answers(model, [request])
        return got, self.counted(model, request, got)

    def counted(self, model: Model, request: Ask | Rank, got: Any) -> tuple[int, int]:
        """Count the tokens of a request.

        Returns:
            (prompt tokens, reply tokens); (0, 0) for rankings.
        """
        return counted(model, request.messages, got) if isinstance(request, Ask) else (0, 0)

    # ---- lock-step -----------------------------------------------------------------------------------

    def lock_step(self) -> None:
        """Run all cases in rounds: requests of one model with the same tools are one batch.

        Raises:
            ModelError: a model failed, or gave a wrong number of results.
        """
        ready = list(range(len(self.talks)))
        while ready:
            # one round: run tools at once, and group model requests by model, kind and tools into batches
            going: set[int] = set()
            asks: dict[Any, list[tuple[int, int, Request]]] = {}
            for item in [item for number in ready for item in self.advance(number)]:
                number, n, request = item
                if isinstance(request, Use):
                    if self.put(number, n, self.answer(number, n, request)):
                        going.add(number)
                elif isinstance(request, (Ask, Rank)):
                    key = (id(self.cast.of(request.role)), type(request), self.shown(request))
                    asks.setdefault(key, []).append(item)
            for batch in asks.values():
                going.update(self._batch(batch))
            ready = sorted(going)

    def _batch(self, batch: Sequence[tuple[int, int, Any]]) -> list[int]:
        """Answer requests of one kind to one model; return the cases that wait for nothing more."""
        requests = [request for _, _, request in batch]
        model = self.cast.of(requests[0].role)
        going = []
        for i, got in answers(model, requests):
            number, n, request = batch[i]
            result = got, self.counted(model, request, got)
            if self.put(number, n, self.remember(number, n, result)):
                going.append(number)
        return going

    def shown(self, request: Ask | Rank) -> tuple[str, ...]:
        """Build a key of the tools that a request shows to the model, to group requests into batches.

        Args:
            request: to group.

        Returns:
            name, description and parameters of each tool; () for a ranking.
        """
        if isinstance(request, Rank):
            return ()
        for tool in request.tools:
            if id(tool) not in self._shown:
                self._shown[id(tool)] = (tool, f"{tool.name}\0{tool.description}\0{tool.parameters}")
        return tuple(self._shown[id(tool)][1] for tool in request.tools)

    # ---- flowing -------------------------------------------------------------------------------------

    def flowing(self, width: int) -> None:
        """Run cases concurrently; the next one starts when one is complete.

        Args:
            width: maximum number of cases in flight.

        Raises:
            ModelError: a model failed; requests in flight are answered and journalled first.
        """
        waiting = iter(range(len(self.talks)))
        with Threads(min(width, len(self.talks) * 4 or 1)) as threads:

            def go(number: int | None) -> int:
                """Advance a case, and start new cases for those that are complete.

                Args:
                    number: of the case; None if there is none left.

                Returns:
                    1 if a case is in flight, 0 if all are done.
                """
                while number is not None:
                    if items := self.advance(number):
                        for item in items:
                            threads.start(item, self._task(item))
                        return 1
                    number = next(waiting, None)
                return 0

            # fill all slots; each result either advances its case or frees a slot for the next one
            live = sum(go(next(waiting, None)) for _ in range(width))
            while live:
                (number, n, _), result = threads.result()
                if self.put(number, n, result):
                    live += go(number) - 1

    def _task(self, item: tuple[int, int, Request]) -> Callable[[], Result]:
        return lambda: self.answer(*item)
