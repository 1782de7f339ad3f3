"""Describe tools in the system prompt for chat templates without tools, in the form of Hermes and Qwen
models.

    # Tools ... <tools> {"type": "function", ...} </tools>         in the system prompt
    <tool_call> {"name": "zoom", "arguments": {...}} </tool_call>   what the model writes, and is trained to
    <tool_response> ... </tool_response>                            a turn of the user, images included

Many templates silently drop what they do not support: tools that are offered, calls in training rows,
results.
`writes_tools` tries a template before it is trusted with them. One that writes calls in a form that
`wire.reply_from_text` does not read counts as one that knows none, because its calls would be lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe.models import wire

OFFER = """# Tools

You may call these functions, whose signatures stand between <tools></tools>, one on each line:
<tools>
{signatures}
</tools>

To call one, write its name and arguments as one JSON object between <tool_call></tool_call>:
<tool_call>
{{"name": "NAME", "arguments": {{...}}}}
</tool_call>
What it returns comes between <tool_response></tool_response>."""
PROBE = {
    "type": "function",
    "function": {
        "name": "probe_of_tools",
        "description": "a probe",
        "parameters": {"type": "object", "properties": {"amount": {"type": "integer"}}},
    },
}
CALL = {"name": "probe_of_tools", "arguments": {"amount": 7}}
RESULT = "result of the probe"
Row = dict[str, Any]

_known: dict[tuple[str, str], bool] = {}  # (question, chat template) -> answer


def writes_tools(processor: Any) -> bool:
    """Test whether the chat template renders tool definitions, tool results, and tool calls in a form that
    can be read back.

    Args:
        processor: its template is tried once; the answer is cached.

    Returns:
        True where the template may be trusted with tools.
    """
    return _ask("tools", processor, _tries_tools)


def writes_system(processor: Any) -> bool:
    """Test whether the chat template renders a system prompt.

    Args:
        processor: its template is tried once; the answer is cached.

    Returns:
        True where the text of a system message is in the rendered prompt.
    """
    return _ask("system", processor, _tries_system)


def told(rows: Sequence[Row], schemas: Sequence[Mapping[str, Any]], processor: Any) -> list[Row]:
    """Rewrite a conversation so that tools, calls and results are text of the system prompt and of turns.

    Args:
        rows: messages in the chat layout with content parts, as `render.chat` makes them.
        schemas: tools as chat templates take them.

    Returns:
        rows with the roles system, user and assistant only; neighbouring turns of the user are joined.
    """
    result: list[Row] = []
    for row in rows:
        parts = list(row["content"])
        if row["role"] == "tool":
            parts = [_text("<tool_response>\n"), *parts, _text("\n</tool_response>")]
            row = {"role": "user", "content": parts}
        elif calls := row.get("tool_calls"):
            texts = [_written(call["function"]) for call in calls]
            parts += [_text(("\n" if parts or i else "") + text) for i, text in enumerate(texts)]
            row = {"role": row["role"], "content": parts}
        if result and row["role"] == "user" == result[-1]["role"]:  # some templates want turns to alternate
            row = {"role": "user", "content": [*result.pop()["content"], _text("\n"), *row["content"]]}
        result.append({**row, "content": _merged(row["content"])})
    return _offered(result, schemas, processor) if schemas else result


def _merged(parts: Sequence[Row]) -> list[Row]:
    """Join texts that follow each other: some templates trim each content part."""
    result: list[Row] = []
    for part in parts:
        if result and part["type"] == "text" == result[-1]["type"]:
            result[-1] = _text(result[-1]["text"] + part["text"])
        else:
            result.append(part)
    return result


def _offered(rows: list[Row], schemas: Sequence[Mapping[str, Any]], processor: Any) -> list[Row]:
    """The rows with the tools in the system prompt, or in front of the first turn where there is no such."""
    signatures = "\n".join(json.dumps(schema, ensure_ascii=False) for schema in schemas)
    offer = OFFER.format(signatures=signatures)
    if rows and rows[0]["role"] == "system":
        words = "".join(part["text"] for part in rows[0]["content"])  # one part: some templates read no other
        return [{**rows[0], "content": [_text(f"{words}\n\n{offer}")]}, *rows[1:]]
    if writes_system(processor):
        return [{"role": "system", "content": [_text(offer)]}, *rows]
    first = {**rows[0], "content": [_text(f"{offer}\n\n"), *rows[0]["content"]]}
    return [first, *rows[1:]]


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _written(function: Mapping[str, Any]) -> str:
    call = {"name": function["name"], "arguments": function["arguments"]}
    return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


def _ask(question: str, processor: Any, tries: Any) -> bool:
    template = str(getattr(processor, "chat_template", None) or processor.tokenizer.chat_template)
    key = (question, template)
    if key not in _known:
        try:
            _known[key] = tries(processor)
        except Exception:  # a template may raise what it likes for a role that it does not know
            _known[key] = False
    return _known[key]


def _tries_tools(processor: Any) -> bool:
    question: Row = {"role": "user", "content": [_text("hello")]}
    answered: Row = {
        "role": "assistant",
        "content": [],
        "tool_calls": [{"type": "function", "function": CALL}],
    }
    result: Row = {"role": "tool", "content": [_text(RESULT)]}
    offered = processor.apply_chat_template([question], tokenize=False, tools=[PROBE])
    written = processor.apply_chat_template([question, answered, result], tokenize=False, tools=[PROBE])
    read = [wire.call_of(match[1], "") for match in wire.CALL.finditer(written.removeprefix(offered))]
    same = [call for call in read if call and (call.name, dict(call.arguments)) == tuple(CALL.values())]
    return CALL["name"] in offered and len(same) == 1 and RESULT in written


def _tries_system(processor: Any) -> bool:
    rows = [{"role": role, "content": [_text(f"words of {role}")]} for role in ("system", "user")]
    written = processor.apply_chat_template(rows, tokenize=False)
    return all(f"words of {role}" in written for role in ("system", "user"))
