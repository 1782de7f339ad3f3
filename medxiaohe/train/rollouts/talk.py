"""A conversation of a workflow in which one role is the policy: the same generator as in evaluation, whose
requests to that role are answered by sampling.

Tools are run here. Other roles are played by frozen models (`others`), whose tokens carry no loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from medxiaohe.agents.answer import answer
from medxiaohe.agents.engine import Ask, Budget, Case, Cast, Conversation, Flow, Rank, Use, options
from medxiaohe.agents.engine.cast import answers
from medxiaohe.agents.engine.flows import about
from medxiaohe.agents.engine.tool_loop import Need
from medxiaohe.agents.rwr import rwr
from medxiaohe.errors import ConfigError
from medxiaohe.types import Message, Prompt, Tool, ToolResult, Trace

Form = Literal["calls", "rwr"]  # the model's own tool calls; Med-RwR's turn grammar
FLOWS: dict[str, Any] = {"calls": answer, "rwr": rwr}


class Talk:
    """An unfinished conversation. `pending` holds the asks of the policy by step number, `others` the
    requests to
    other roles.
    """

    def __init__(
        self,
        prompt: Prompt,
        tools: Sequence[Tool],
        use: Need = "allowed",
        flow: Flow = rwr,
        settings: Mapping[str, Any] | None = None,
        policy: str = "",
    ) -> None:
        facts, chosen = about(flow), dict(settings or {})
        if "use" in inspect.signature(facts.flow).parameters:
            chosen["use"] = use
        elif use == "forced":
            raise ConfigError(f"the workflow {facts.name} has no setting `use`: it cannot force a tool")
        case = Case(prompt, () if use == "none" else tools)
        self.prompt, self.use, self.policy = prompt, use, policy
        self.error = ""
        self._cut = False
        self._last: Ask | None = None  # of the policy
        self._run = Conversation(
            facts.name, facts.flow(case, **options(flow, chosen)), case, Budget(), roles=facts.roles
        )
        self._advance()

    def _advance(self) -> None:
        """Run the workflow to its next requests to models."""
        run = self._run
        while not run.done and not run.waiting:
            run.advance()
            for n, request in list(run.waiting.items()):
                if isinstance(request, Use):
                    run.put(n, run.case.use(request.call(n)))
        if asks := list(self.pending.values()):
            self._last = asks[0]
        if run.done:
            self.error = self.error or run.trace.error

    # ---- what is asked -------------------------------------------------------------------------------

    @property
    def pending(self) -> dict[int, Ask]:
        """Asks of the policy that wait for a reply.

        Returns:
            Asks by step number; empty when the talk is done.
        """
        waiting = {} if self.done else self._run.waiting
        return {n: r for n, r in waiting.items() if isinstance(r, Ask) and r.role == self.policy}

    @property
    def others(self) -> dict[int, Ask | Rank]:
        """Requests to other roles that wait for a result.

        Returns:
            Asks and rankings by step number; empty when the talk is done.
        """
        waiting = {} if self.done else self._run.waiting
        return {
            n: r
            for n, r in waiting.items()
            if isinstance(r, (Ask, Rank)) and not (isinstance(r, Ask) and r.role == self.policy)
        }

    def put(self, n: int, got: Any) -> None:
        """Give a reply, or the likelihoods of a ranking, and run the workflow on; tools that it calls are
        run.

        Args:
            n: step number of the request.
            got: a Message, or what a ranking returns.
        """
        self._run.put(n, got)
        self._advance()

    def advance(self, reply: Message) -> None:
        """Give the reply to the first pending ask.

        Args:
            reply: a message of the policy.
        """
        self.put(next(iter(self.pending)), reply)

    def cut(self, error: str) -> None:
        """End the talk before its workflow does.

        Args:
            error: the reason, for the trace.
        """
        self._cut, self.error = True, error

    @property
    def was_cut(self) -> bool:
        """Whether `cut` ended the talk, and not its workflow.

        Returns:
            True after `cut`.
        """
        return self._cut

    # ---- what happened -------------------------------------------------------------------------------

    @property
    def done(self) -> bool:
        """Whether nothing more will be asked.

        Returns:
            True after the workflow's end or `cut`.
        """
        return self._cut or self._run.done

    @property
    def tools(self) -> Sequence[Tool]:
        """Tools that the chat template listed to the policy.

        Returns:
            Those of its latest ask.
        """
        return self._last.tools if self._last is not None else ()

    @property
    def messages(self) -> list[Message]:
        """The conversation: as the workflow returned it, or as the policy was last asked with it.

        Returns:
            Messages, those of the prompt first.
        """
        if self._run.done:
            return list(self._run.trace.messages)
        return list(self.prompt.messages if self._last is None else self._last.messages)

    @property
    def results(self) -> list[ToolResult]:
        """Results of tools in the conversation.

        Returns:
            In order, errors included.
        """
        own = self.messages[len(self.prompt.messages) :]
        return [content for message in own for content in message.parts if isinstance(content, ToolResult)]

    @property
    def rounds(self) -> int:
        """Turns that were answered with results of tools.

        Returns:
            Their number.
        """
        return self._run.rounds

    @property
    def used(self) -> bool:
        """Whether a tool has answered without an error.

        Returns:
            True after the first such result.
        """
        got = (step.got for step in self._run.steps)
        return any(isinstance(item, ToolResult) and not item.error for item in got)

    def measured(self, tokens: int) -> dict[str, float]:
        """Measure how the policy talks, for the curves of training.

        Args:
            tokens: that it sampled in this conversation.

        Returns:
            tool_turns: share of its turns behind which a tool was called; turn_tokens: tokens a turn;
            distinct_calls: calls of tools that differ in name or arguments.
        """
        steps = self._run.steps
        turns = max(1, sum(step.kind == "ask" and step.who == self.policy for step in steps))
        uses = [step for step in steps if step.kind == "use"]
        calls = {repr((step.who, step.given["arguments"])) for step in uses}
        return {
            "tool_turns": min(1.0, self.rounds / turns),
            "turn_tokens": tokens / turns,
            "distinct_calls": float(len(calls)),
        }

    @property
    def trace(self) -> Trace:
        """Trace of the conversation.

        Returns:
            That of the workflow; after `cut`, what happened until then, with stop "failed".
        """
        trace = self._run.trace
        if self._cut:
            return Trace(self.prompt, tuple(self.messages), self.error, trace.steps, stop="failed")
        return trace


def started(prompt: Prompt, tools: Sequence[Tool], use: Need, form: Form = "rwr", rounds: int = 3) -> Talk:
    """Start a talk in one of the two forms.

    Args:
        prompt: the question.
        tools: that may be called.
        use: "none", "allowed" or "forced".
        form: Med-RwR's turn grammar, or the model's own tool calls.
        rounds: turns with tools at most.

    Returns:
        A talk that waits for the policy.
    """
    return Talk(prompt, tools, use, FLOWS[form], {"rounds": rounds})


def answer_others(talks: Sequence[Talk], cast: Cast | None) -> None:
    """Let frozen models answer the roles that are not the policy, until every talk waits for the policy.

    Args:
        talks: unfinished or done.
        cast: models by role; None where the policy plays every role.

    Raises:
        ConfigError: a role is asked that the cast has no model for.
    """
    while requested := [(talk, n, request) for talk in talks for n, request in talk.others.items()]:
        if cast is None:
            raise ConfigError(
                f"the workflow asks the role {requested[0][2].role!r}, which is not the policy: give it a"
                " model in `cast`"
            )
        groups: dict[Any, list[tuple[Talk, int, Any]]] = {}
        for item in requested:
            request = item[2]
            tools = tuple(tool.name for tool in request.tools) if isinstance(request, Ask) else ("", "")
            groups.setdefault((id(cast.of(request.role)), type(request), tools), []).append(item)
        for group in groups.values():
            requests = [request for _, _, request in group]
            for i, got in answers(cast.of(requests[0].role), requests):
                talk, n, _ = group[i]
                talk.put(n, got)
