"""Traces for programs of others: OpenTelemetry spans (GenAI semantic conventions), in-toto statements."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from medxiaohe.traces.canonical import loads, unpacked
from medxiaohe.traces.records import Opening, Record
from medxiaohe.traces.store import Stored, head_name, parse_openings, stored

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://medxiaohe.org/trace/v1"


def read(trace: Stored) -> tuple[list[Record], dict[str, Opening]]:
    """The records and openings of a trace; DataError where they cannot be read."""
    return [loads(line) for line in trace.lines], parse_openings(trace.openings)[1]


def in_toto(trace: Stored) -> dict[str, Any]:
    """An in-toto Statement v1: its subject is the answer of the trace, its predicate the head."""
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


def open_telemetry(folder: Path, *, content: bool = False) -> dict[str, Any]:
    """All traces as OTLP JSON: a span `invoke_agent` for each, below it `chat` and `execute_tool`.

    Traces hold no times, so each span begins and ends at its step number, in nanoseconds.

    Args:
        content: with messages, arguments and results, where they are open.
    """
    spans = [span for trace in stored(folder) for span in _spans(trace, content)]
    scope = {"scope": {"name": "medxiaohe"}, "spans": spans}
    service = {"attributes": _attributes({"service.name": "medxiaohe"})}
    return {"resourceSpans": [{"resource": service, "scopeSpans": [scope]}]}


def _spans(trace: Stored, content: bool) -> list[dict[str, Any]]:
    records, openings = read(trace)
    name, workflow = head_name(trace.lines[-1]), records[-1]["origin"].get("workflow", "workflow")
    steps = [record for record in records if record["kind"] in ("generation", "call")]
    root = _id(name, "root")
    last = 1 + max((record["step"] for record in steps), default=0)
    about = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": workflow, "medxiaohe.trace": name}
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
                "gen_ai.operation.name": "chat", "gen_ai.request.model": record["model"],
                "gen_ai.usage.input_tokens": record["tokens_in"],
                "gen_ai.usage.output_tokens": record["tokens_out"],
            }  # fmt: skip
            keys = ("gen_ai.input.messages", "gen_ai.output.messages")
        for key, part in zip(keys, ("given", "got"), strict=True):
            if part in opened:
                about[key] = json.dumps(opened[part], ensure_ascii=False)
        about |= {"medxiaohe.record": record["id"], "medxiaohe.role": record["who"]}
        n = record["step"]
        spans.append(_span(name, _id(name, record["id"]), root, title, (n, n + 1), about))
    return spans


def _span(
    trace: str, id: str, parent: str, name: str, times: tuple[int, int], about: dict[str, Any]
) -> dict[str, Any]:
    return {
        "traceId": trace[:32],
        "spanId": id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": 1,  # internal
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
