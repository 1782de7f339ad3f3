"""Export traces: OpenTelemetry spans (GenAI semantic conventions), in-toto statements."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from medxiaohe.traces.canonical import loads, unpacked
from medxiaohe.traces.records import Opening, Record
from medxiaohe.traces.store import Stored, head_name, parse_openings

STATEMENT = "https://in-toto.io/Statement/v1"
PROVIDER = "medxiaohe"
INTERNAL, CLIENT = 1, 3  # kinds of spans of OTLP
PREDICATE = "https://medxiaohe.org/trace/v1"


def read(trace: Stored) -> tuple[list[Record], dict[str, Opening]]:
    """Parse the records and openings of a trace.

    Args:
        trace: as it is stored.

    Returns:
        its records, and id -> opening of those that are open

    Raises:
        DataError: a line is damaged.
    """
    return [loads(line) for line in trace.lines], parse_openings(trace.openings)[1]


def in_toto(trace: Stored) -> dict[str, Any]:
    """Convert a trace to an in-toto Statement v1: the subject is its answer, the predicate its head.

    Args:
        trace: as it is stored.

    Returns:
        a statement as JSON
    """
    records, openings = read(trace)
    answer = next(record for record in records if record["kind"] == "answer")
    subjects = [{"name": f"{answer['id']}/sealed", "digest": {"sha256": answer["sealed"]}}]
    if answer["id"] in openings:
        text = str(openings[answer["id"]][1]["text"])
        subjects.append(
            {"name": "answer.txt", "digest": {"sha256": hashlib.sha256(text.encode()).hexdigest()}}
        )
    return {
        "_type": STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {"trace": head_name(trace.lines[-1]), "head": records[-1]},
    }


def open_telemetry(trace: Stored, *, content: bool = False) -> dict[str, Any]:
    """Convert a trace to one line of an OTLP file (JSON lines): a span `invoke_agent` with children `chat`
    and `execute_tool`.

    Args:
        trace: as it is stored.
        content: with messages, arguments and results, where they are open.

    Returns:
        the JSON row. Traces hold no times, so each span begins and ends at its step number, in
        nanoseconds.
    """
    scope = {"scope": {"name": "medxiaohe"}, "spans": _spans(trace, content)}
    service = {"attributes": _attributes({"service.name": "medxiaohe"})}
    return {"resourceSpans": [{"resource": service, "scopeSpans": [scope]}]}


def _spans(trace: Stored, content: bool) -> list[dict[str, Any]]:
    records, openings = read(trace)
    name, workflow = head_name(trace.lines[-1]), records[-1]["origin"].get("workflow", "workflow")
    steps = [record for record in records if record["kind"] in ("generation", "call")]
    root = _id(name, "root")
    last = 1 + max((record["step"] for record in steps), default=0)
    about = {
        "gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": PROVIDER,
        "gen_ai.agent.name": workflow, "medxiaohe.trace": name,
    }  # fmt: skip
    spans = [_span(name, root, "", f"invoke_agent {workflow}", (0, last), about)]
    for record in steps:
        opened = unpacked(openings[record["id"]][1]) if content and record["id"] in openings else {}
        if record["kind"] == "call":
            title, about = f"execute_tool {record['who']}", {
                "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": record["who"],
            }  # fmt: skip
            keys = ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result")
        else:
            title, about = f"chat {record['model']}", {
                "gen_ai.operation.name": "chat", "gen_ai.provider.name": PROVIDER,
                "gen_ai.request.model": record["model"],
                "gen_ai.usage.input_tokens": record["tokens_in"],
                "gen_ai.usage.output_tokens": record["tokens_out"],
            }  # fmt: skip
            keys = ("gen_ai.input.messages", "gen_ai.output.messages")
        for key, part in zip(keys, ("given", "got"), strict=True):
            if part in opened:
                about[key] = json.dumps(_shown(record, part, opened[part]), ensure_ascii=False)
        about |= {"medxiaohe.record": record["id"], "medxiaohe.role": record["who"]}
        n = record["step"]
        kind = CLIENT if record["kind"] == "generation" else INTERNAL
        spans.append(_span(name, _id(name, record["id"]), root, title, (n, n + 1), about, kind))
    return spans


def _shown(record: Record, part: str, value: Any) -> Any:
    """Messages as the conventions have them; arguments and results as they are."""
    if record["kind"] == "call":
        return value.get("arguments", {}) if part == "given" else value
    rows = value.get("add", []) if part == "given" else [value]
    if not all(isinstance(row, dict) for row in rows):
        return value  # likelihoods of a ranking
    messages = [{"role": row["role"], "parts": list(map(_part, row["parts"]))} for row in rows]
    return messages if part == "given" else [{**row, "finish_reason": "stop"} for row in messages]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "content": part}
    kind = part.get("type")
    if kind == "ToolCall":
        called = {"name": part["name"], "arguments": part["arguments"]}
        return {"type": "tool_call", "id": part["id"], **called}
    if kind == "ToolResult":
        return {"type": "tool_call_response", "id": part["call_id"], "response": part["parts"]}
    return {"type": "uri", "modality": "image", "uri": str(part.get("uri", ""))}


def _span(
    trace: str,
    id: str,
    parent: str,
    name: str,
    times: tuple[int, int],
    about: dict[str, Any],
    kind: int = INTERNAL,
) -> dict[str, Any]:
    return {
        "traceId": trace[:32],
        "spanId": id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(times[0]),
        "endTimeUnixNano": str(times[1]),
        "attributes": _attributes(about),
    }


def _id(trace: str, record: str) -> str:
    return hashlib.sha256(f"{trace} {record}".encode()).hexdigest()[:16]


def _attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"key": k, "value": {"intValue": str(v)} if isinstance(v, int) else {"stringValue": v}}
        for k, v in values.items()
    ]
