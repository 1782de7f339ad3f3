"""Conversations of workflows, step by step: each step folds, and one button folds all steps of a role."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.pages.elements.html import Html, count, details, excerpt, plural, section, tag
from medxiaohe.pages.sections.example_answers import judgement
from medxiaohe.types import ImageRef, Message, Step, ToolCall, ToolResult

MOST = 4000  # letters of one text
FIRST = 90  # letters of a summary
DEFAULT = "default"  # the role ""


def talks_section(stages: Mapping[str, Path], most: int, *, words: bool) -> Html:
    """The conversations of each evaluation, at most `most` of each, in the order of the task.

    Args:
        stages: name -> folder of an evals.run stage.
        most: items of each that are shown.
        words: False shows roles and kinds of steps, and nothing that was said.
    """
    results = [_stage(name, folder, most, words) for name, folder in stages.items()]
    explanation = (
        "Each evaluation holds its items, each item the steps of its conversation in the order in which they"
        " were asked. A step shows what it adds to what its role had read before."
    )
    return section(
        "talks", "Conversations", tag("p", explanation, class_="quiet"), tag("div", results, class_="talks")
    )


def _stage(name: str, folder: Path, most: int, words: bool) -> Html:
    rows: list[Html] = []
    total = 0
    for row in io.read_jsonl(folder / "traces.jsonl"):
        total += 1
        if len(rows) < most:
            rows.append(_talk(row, words))
    remaining = f"; the first {len(rows):,} are here" if len(rows) < total else ""
    return details(f"{name}: {plural(total, 'conversation')}{remaining}", rows)


def _talk(row: Mapping[str, Any], words: bool) -> Html:
    trace = io.trace_from_json(row["trace"])
    verdict = judgement(row["scores"]).verdict
    roles = list(dict.fromkeys(_role(step) for step in trace.steps))
    buttons = [tag("button", role, type="button", data_role=role, aria_pressed="false") for role in roles]
    head = tag(
        "summary",
        tag("span", verdict, class_=f"verdict {verdict}"),
        tag("code", row["sample"]["id"] if words else "item"),
        tag("span", f"{plural(len(trace.steps), 'step')}, {plural(len(roles), 'role')}", class_="quiet"),
        tag("span", trace.error, class_="quiet") if trace.error else None,
    )
    question = "\n\n".join(_text(message) for message in trace.prompt.messages)
    body = [
        tag("div", buttons, class_="roles", hidden=True),
        *([_block("question", question, "given")] if words else []),
        *(step_details(step, words) for step in trace.steps),
        *([_block("answer", trace.answer, "")] if words and trace.answer else []),
    ]
    return tag("details", head, body, class_="talk")


def _role(step: Step) -> str:
    """Role of an `ask` or `rank` step, or the kind of another step."""
    if step.kind in ("ask", "rank"):
        return step.who or DEFAULT
    return f"tool {step.who}" if step.kind == "use" else "notes"


def step_details(step: Step, words: bool, number: Html | None = None) -> Html:
    """Show a step of a workflow that unfolds: its role, its first words, the request and the reply.

    Args:
        step: of a trace.
        words: False shows the role and the kind of step only.
        number: markup before the role; None for none.
    """
    request, got = _request_text(step), _reply_text(step)
    first = excerpt(" ".join((got or request).split()), FIRST) if words else ""
    facts = f"{count(step.tokens_in)} + {count(step.tokens_out)} tokens" if step.tokens_out else ""
    head = tag(
        "summary",
        number,
        tag("span", _role(step), class_="who"),
        tag("span", {"ask": "", "rank": "ranks", "use": "", "note": step.who}[step.kind], class_="quiet"),
        tag("span", first, class_="first"),
        tag("span", facts, class_="quiet") if facts else None,
    )
    heading = {"ask": "asked", "rank": "asked", "use": "called with", "note": "noted"}[step.kind]
    body = [_block(heading, request, "given"), _block("replied", got, "")] if words else []
    return tag("details", head, *body, class_=f"step {step.kind}", data_role=_role(step))


def _request_text(step: Step) -> str:
    """Format the request of a step: the messages it adds, the arguments of a call, or the data of a note."""
    if step.kind in ("ask", "rank"):
        added = "\n\n".join(f"{m.role}: {_text(m)}" for m in step.given["add"])
        before = step.given["keep"]
        earlier = f"({plural(before, 'message')} as before)\n\n" if before else ""
        offered = step.given.get("answers")
        return earlier + added + (f"\n\noffered: {', '.join(offered)}" if offered else "")
    data = step.given["arguments"] if step.kind == "use" else step.given
    return json.dumps(io.to_json(data), ensure_ascii=False)


def _reply_text(step: Step) -> str:
    if isinstance(step.got, Message):
        return step.got.error or _text(step.got)
    if isinstance(step.got, ToolResult):
        return _text(Message("tool", (step.got,)))
    return "" if step.got is None else ", ".join(f"{value:.3f} nats" for value in step.got)


def _text(message: Message) -> str:
    return "\n".join(_parts(message.parts))


def _parts(parts: Sequence[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, ImageRef):
            yield f"[image {part.sha256[:8]}{f', box {part.box}' if part.box else ''}]"
        elif isinstance(part, ToolCall):
            yield f"[calls {part.name} {json.dumps(io.to_json(dict(part.arguments)), ensure_ascii=False)}]"
        elif isinstance(part, ToolResult):
            yield from _parts((*part.parts, *([part.error] if part.error else [])))
        else:
            yield str(part)


def _block(name: str, words: str, kind: str) -> Html:
    if not words:
        return Html("")
    cut = f"\n[{len(words) - MOST:,} more letters]" if len(words) > MOST else ""
    return Html(tag("p", name, class_="label") + tag("p", words[:MOST] + cut, class_=f"words {kind}".strip()))
