"""Export traces as one log of Inspect (inspect.aisi.org.uk), with claims and rulings as metadata.

Scores of an evaluation are in the log of `eval run --inspect` (inspect_log.py); here each sample is a trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from medxiaohe import io
from medxiaohe.evals.reporting.inspect_log import NO_TIME, VERSION
from medxiaohe.types import ImageRef, Message, ToolCall, ToolResult, Trace

DATASET = "medxiaohe/traces"


def inspect_log(traces: Sequence[tuple[str, Trace]], packages: dict[str, str]) -> dict[str, Any]:
    """Convert traces to a log of Inspect.

    Args:
        traces: (SHA-256 of the head of a trace, the trace).
        packages: name -> version.

    Returns:
        JSON object of the log, without scores
    """
    names = [name for name, _ in traces]
    models = {step.model for _, trace in traces for step in trace.steps if step.model}
    return {
        "version": VERSION,
        "status": "success",
        "eval": {
            "eval_id": io.fingerprint([DATASET, *names]),
            "run_id": io.fingerprint(names),
            "created": NO_TIME,
            "task": "traces",
            "task_id": io.fingerprint(DATASET),
            "task_version": 0,
            "task_attribs": {},
            "task_args": {},
            "dataset": {"name": DATASET, "samples": len(traces), "sample_ids": names, "shuffled": False},
            "model": " ".join(sorted(models)) or "none",
            "model_args": {},
            "config": {},
            "packages": packages,
        },
        "plan": {"name": "plan", "steps": [{"solver": name, "params": {}} for name in _workflows(traces)],
                 "config": {}},
        "results": {"total_samples": len(traces), "completed_samples": len(traces), "scores": []},
        "stats": {"started_at": NO_TIME, "completed_at": NO_TIME, "model_usage": {}},
        "samples": [_sample(name, trace) for name, trace in traces],
    }  # fmt: skip


def _workflows(traces: Sequence[tuple[str, Trace]]) -> list[str]:
    return sorted({trace.origin.get("workflow", "workflow") for _, trace in traces})


def _sample(name: str, trace: Trace) -> dict[str, Any]:
    message = {"role": "assistant", "content": trace.answer, "source": "generate"}
    model = next((step.model for step in reversed(trace.steps) if step.model), "")
    metadata = {
        "trace": name,
        "prompt": trace.prompt.id,
        "stop": trace.stop,
        "claims": io.to_json(list(trace.claims)),
        "rulings": io.to_json(list(trace.rulings)),
        "origin": dict(trace.origin),
    }
    return {
        "id": name,
        "epoch": 1,
        "input": list(_messages(trace.prompt.messages)),
        "choices": list(trace.prompt.choices) or None,
        "target": "",
        "messages": list(_messages(trace.messages)),
        "output": {"model": model, "choices": [{"message": message, "stop_reason": "stop"}]},
        "scores": {},
        "metadata": metadata,
        "store": {},
        "events": [],
        "model_usage": {},
        "attachments": {},
    }


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, Any]]:
    """Messages in the form of Inspect: each result of a tool is a message of its own."""
    names: dict[str, str] = {}  # id of a call -> name of the tool
    for message in messages:
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        if message.parts and len(results) == len(message.parts):
            for result in results:
                entry: dict[str, Any] = {"role": "tool", "content": _content(result.parts)}
                entry["tool_call_id"] = result.call_id
                entry["function"] = names.get(result.call_id, "")
                if result.error:
                    entry["error"] = {"type": "unknown", "message": result.error}
                yield entry
            continue
        role = message.role if message.role in ("system", "user", "assistant") else "user"
        row: dict[str, Any] = {"role": role, "content": _content(message.parts)}
        if role == "assistant" and message.calls:
            names |= {call.id: call.name for call in message.calls}
            row["tool_calls"] = [
                {
                    "id": tool_call.id,
                    "function": tool_call.name,
                    "arguments": io.to_json(dict(tool_call.arguments)),
                }
                for tool_call in message.calls
            ]
        yield row


def _content(parts: Sequence[Any]) -> list[dict[str, Any]]:
    """Text and names of images; calls are fields of their own."""
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, ImageRef):
            content.append({"type": "image", "image": part.uri, "detail": "auto"})
        elif isinstance(part, str):
            content.append({"type": "text", "text": part})
        elif not isinstance(part, ToolCall):
            content.append({"type": "text", "text": json.dumps(io.to_json(part), ensure_ascii=False)})
    return content
