"""Cost of answers (requests to models, calls of tools, tokens), read from traces, and equal budgets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.agents.engine import asked
from medxiaohe.types import Message, Trace

BYTES_PER_TOKEN = 4  # of UTF-8, if the backend did not count tokens
VOTES = "self_consistency"  # the workflow whose only cost is independent chains


@dataclass(frozen=True)
class Cost:
    """Cost of one item on average.

    Attributes:
        calls: requests to models: replies and rankings.
        tools: calls of tools.
        tokens_in: tokens that models read, the same words once for each request.
        tokens_out: tokens that models wrote.
        estimated: the share of requests whose tokens are one for every four bytes of text, because the
            backend does not count.
    """

    calls: float = 0.0
    tools: float = 0.0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    estimated: float = 0.0


def costs(traces: Path) -> dict[str, dict[str, Any]]:
    """Mean cost of the items of each task.

    Args:
        traces: a file of rows {task, trace}.

    Returns:
        task -> {items, and the mean of each field of `Cost`}
    """
    costs_of: dict[str, list[Cost]] = {}
    for row in io.read_jsonl(traces):
        costs_of.setdefault(row["task"], []).append(cost(io.trace_from_json(row["trace"])))
    return {task: {"items": len(each), **asdict(mean(each))} for task, each in costs_of.items()}


def cost(trace: Trace) -> Cost:
    """Cost of one trace.

    Args:
        trace: of one item.

    Returns:
        totals: requests, calls of tools, tokens read, tokens written; `estimated` is a number of requests
        here
    """
    models = [step for step in trace.steps if step.kind in ("ask", "rank")]
    if not trace.steps:  # a workflow that is a plain function: only its messages are known
        own = trace.messages[len(trace.prompt.messages) :]
        replies = [m for m in own if m.role == "assistant"]
        read = len(replies) * _estimated(trace.prompt.messages)
        return Cost(len(replies), 0, read, _estimated(replies), len(replies))
    tokens_read = tokens_written = num_estimated = 0
    for step in models:
        reply = [step.got] if isinstance(step.got, Message) else []
        if step.tokens_in or step.tokens_out:
            tokens_read, tokens_written = tokens_read + step.tokens_in, tokens_written + step.tokens_out
            continue
        num_estimated += 1
        tokens_read, tokens_written = (
            tokens_read + _estimated(asked(trace, step.n)),
            tokens_written + _estimated(reply),
        )
    return Cost(
        len(models),
        sum(step.kind == "use" for step in trace.steps),
        tokens_read,
        tokens_written,
        num_estimated,
    )


def mean(each: Sequence[Cost]) -> Cost:
    """Mean of costs.

    Args:
        each: cost of each item, as `cost` returned it.

    Returns:
        means per item; `estimated` becomes a share of the requests
    """
    totals = {key: math.fsum(getattr(item, key) for item in each) for key in asdict(Cost())}
    calls = totals["calls"]
    shares = {key: value / max(1, len(each)) for key, value in totals.items()}
    return Cost(**{**shares, "estimated": totals["estimated"] / calls if calls else 0.0})


def equal_budget(runs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Pair each workflow with runs of a comparable budget.

    Each is compared with `answer`, and with the run of self-consistency that has the fewest calls not below
    its own (within half a call), or the most if none has as many.

    Args:
        runs: stage -> {"workflow", "calls"} on one task, calls per item.

    Returns:
        (stage, workflow it is compared with, stage of that workflow)
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
            enough = next((stage for calls, stage in votes if calls >= run["calls"] - 0.5), votes[-1][1])
            pairs.append((name, VOTES, enough))
    return pairs


def pareto(points: Sequence[tuple[float, float]]) -> list[bool]:
    """Pareto frontier of cost and score.

    Args:
        points: (cost, score) of each run; less cost and more score are better.

    Returns:
        for each point whether no other point costs at most as much and scores more, or costs less and scores
        at least as much
    """
    return [
        not any((c <= cost_ and s > score) or (c < cost_ and s >= score) for c, s in points)
        for cost_, score in points
    ]


def _estimated(messages: Iterable[Message]) -> int:
    """Estimated tokens of messages: bytes of UTF-8 / BYTES_PER_TOKEN, rounded up."""
    size = sum(len(message.text.encode("utf-8", "surrogatepass")) for message in messages)
    return math.ceil(size / BYTES_PER_TOKEN)
