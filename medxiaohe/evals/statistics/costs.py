"""What answers took: requests to models, calls of tools and tokens, read off the steps of traces; and which
run had as much to spend."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.agents.engine import asked
from medxiaohe.types import Message, Trace

BYTES_PER_TOKEN = 4  # where the backend did not count
VOTES = "self_consistency"  # the workflow that spends its budget on chains alone


@dataclass(frozen=True)
class Cost:
    """Of one item on average.

    Attributes:
        calls: requests to models: replies and rankings.
        tools: calls of tools.
        tokens_in: that models read, the same words once for each request.
        tokens_out: that models wrote.
        estimated: the share of requests whose tokens are one for every four bytes of text, because the
            backend does not count.
    """

    calls: float = 0.0
    tools: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    estimated: float = 0.0


def costs(traces: Path) -> dict[str, dict[str, Any]]:
    """Task -> the cost of its items, of a file of rows {task, trace}.

    Args:
        traces: a file of rows {task, trace}.

    Returns:
        task -> {items, and the mean of each field of `Cost`}
    """
    found: dict[str, list[Cost]] = {}
    for row in io.read_jsonl(traces):
        found.setdefault(row["task"], []).append(cost(io.trace_from_json(row["trace"])))
    return {task: {"items": len(each), **asdict(mean(each))} for task, each in found.items()}


def cost(trace: Trace) -> Cost:
    """The cost of one trace; `estimated` is a number of requests here.

    Args:
        trace: of one item.

    Returns:
        requests, calls of tools, tokens read, tokens written, and requests whose tokens are estimated
    """
    models = [step for step in trace.steps if step.kind in ("ask", "rank")]
    if not trace.steps:  # of a function of the outer shape: all that is known are its messages
        own = trace.messages[len(trace.prompt.messages) :]
        replies = [m for m in own if m.role == "assistant"]
        read = len(replies) * _estimated(trace.prompt.messages)
        return Cost(len(replies), 0, read, _estimated(replies), len(replies))
    given = wrote = guessed = 0
    for step in models:
        reply = [step.got] if isinstance(step.got, Message) else []
        if step.tokens_in or step.tokens_out:
            given, wrote = given + step.tokens_in, wrote + step.tokens_out
            continue
        guessed += 1
        given, wrote = given + _estimated(asked(trace, step.n)), wrote + _estimated(reply)
    return Cost(len(models), sum(step.kind == "use" for step in trace.steps), given, wrote, guessed)


def mean(each: Sequence[Cost]) -> Cost:
    """The mean of costs; `estimated` becomes a share of the requests.

    Args:
        each: what `cost` returned of each item.

    Returns:
        means per item
    """
    totals = {key: math.fsum(getattr(one, key) for one in each) for key in asdict(Cost())}
    calls = totals["calls"]
    shares = {key: value / max(1, len(each)) for key, value in totals.items()}
    return Cost(**{**shares, "estimated": totals["estimated"] / calls if calls else 0.0})


def equal_budget(runs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(stage, what for, the stage to compare it with) of every workflow.

    Each is compared with `answer`, and with the run of self-consistency that has the fewest calls not below
    its own, or the most where none has as many.

    Args:
        runs: stage -> {"workflow", "calls"} on one task.
    """
    plain = next((name for name, run in runs.items() if run["workflow"] == "answer"), None)
    votes = sorted((run["calls"], name) for name, run in runs.items() if run["workflow"] == VOTES)
    pairs = []
    for name, run in runs.items():
        if run["workflow"] in ("answer", VOTES):
            if run["workflow"] == VOTES and plain is not None:
                pairs.append((name, "answer", plain))
            continue
        if plain is not None:
            pairs.append((name, "answer", plain))
        if votes:
            enough = next((other for calls, other in votes if calls >= run["calls"] - 0.5), votes[-1][1])
            pairs.append((name, VOTES, enough))
    return pairs


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Whether each (cost, score) is on the frontier: nothing cheaper or as cheap scores more, and nothing
    that scores as much is cheaper.

    Args:
        points: (cost, score) of each run.

    Returns:
        one truth value for each point
    """
    return [
        not any((c <= cost_ and s > score) or (c < cost_ and s >= score) for c, s in points)
        for cost_, score in points
    ]


def _estimated(messages: Iterable[Message]) -> int:
    size = sum(len(message.text.encode("utf-8", "surrogatepass")) for message in messages)
    return math.ceil(size / BYTES_PER_TOKEN)
