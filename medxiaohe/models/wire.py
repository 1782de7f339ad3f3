"""Convert messages to the OpenAI chat layout, which servers and vLLM read, and parse replies from it or from
text.

Images travel as data URIs of freshly encoded PNG: exactly the pixels a local model would see, and none of the
metadata of the file they came from.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.types import ImageRef, Message, Part, Tool, ToolCall, ToolResult

CALL = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)  # Hermes and Qwen models write calls like this


def conversation(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Convert messages to the `messages` of an OpenAI chat completion request.

    Args:
        messages: images become data URIs.

    Returns:
        rows of role and content, in order; one message may become several rows.

    Raises:
        DataError: an image cannot be read.
    """
    return [row for message in messages for row in _rows(message)]


def schemas(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Convert tools to the `tools` of a chat completion request and of chat templates.

    Returns:
        {"type": "function", "function": {name, description, parameters}} for each, in order.
    """
    return [
        {
            "type": "function",
            "function": {"name": t.name, "description": t.description, "parameters": dict(t.parameters)},
        }
        for t in tools
    ]


def reply_from_text(text: str, messages: Sequence[Message], tools: Sequence[Tool]) -> Message:
    """Parse generated text to an assistant message; `<tool_call>{...}</tool_call>` becomes a ToolCall where
    tools were offered.

    What is not a well-formed call stays text: the workflow sees what the model wrote.

    Args:
        text: what the model generated.
        messages: the conversation, for the ids of new calls.
        tools: functions that were offered.

    Returns:
        an assistant message of texts and calls
    """
    if not tools:
        return Message("assistant", _texts([text]))
    parts: list[Part] = []
    numbers = call_numbers(messages)
    end = 0
    for match in CALL.finditer(text):
        if (call := call_of(match[1], f"call_{next(numbers)}")) is not None:
            parts += [*_texts([text[end : match.start()]]), call]
            end = match.end()
    return Message("assistant", (*parts, *_texts([text[end:]])))


def reply_from_json(answer: Mapping[str, Any], messages: Sequence[Message]) -> Message:
    """Parse `choices[0].message` of a chat completion to an assistant message.

    Args:
        answer: `choices[0].message` of a chat completion.
        messages: the conversation, for the ids of new calls.

    Returns:
        an assistant message of texts and calls

    Raises:
        DataError: the message has another form.
    """
    content = answer.get("content") or answer.get("refusal") or ""
    if not isinstance(content, (str, list)):
        raise DataError("its message has no text where text should be")
    texts: list[Any] = (
        [content]
        if isinstance(content, str)
        else [p.get("text") for p in content if isinstance(p, dict) and p.get("type") == "text"]
    )
    if not all(isinstance(text, str) for text in texts) or (content and not texts):
        raise DataError("its message has no text where text should be")
    parts: list[Part] = [*_texts(texts)]
    numbers = call_numbers(messages)
    for row in answer.get("tool_calls") or []:
        function = row.get("function") if isinstance(row, dict) else None
        if not isinstance(function, dict):
            raise DataError("its tool_calls are not a list of function calls")
        written = json.dumps(
            {"name": function.get("name"), "arguments": function.get("arguments")}, ensure_ascii=False
        )
        call = call_of(written, str(row.get("id") or f"call_{next(numbers)}"))
        parts.append(call or f"<tool_call>{written}</tool_call>")
    return Message("assistant", tuple(parts))


def call_numbers(messages: Iterable[Message]) -> Iterator[int]:
    """Number new tool calls, after those that the conversation already has.

    Args:
        messages: the conversation so far.

    Returns:
        an endless iterator over the numbers.
    """
    return itertools.count(sum(len(message.calls) for message in messages))


def data_uri(ref: ImageRef) -> str:
    """Encode the pixels of a reference as the data URI of a PNG, without metadata.

    Returns:
        "data:image/png;base64,...".

    Raises:
        DataError: the image cannot be read (images.open_image).
    """
    out = io.BytesIO()
    images.open_image(ref).save(out, format="PNG", icc_profile=None, exif=None)  # pixels only
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def call_of(written: str, name: str) -> ToolCall | None:
    """Parse a tool call from JSON {name, arguments}.

    Args:
        written: the JSON.
        name: id of the new call.

    Returns:
        the call, or None
    """
    try:
        call = json.loads(written)
        arguments = call["arguments"]
        arguments = json.loads(arguments or "{}") if isinstance(arguments, str) else arguments
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    valid = isinstance(call["name"], str) and isinstance(arguments, dict) if "name" in call else False
    return ToolCall(name, call["name"], arguments) if valid else None


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts if text.strip())


def _rows(message: Message) -> list[dict[str, Any]]:
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if results:
        return _result_rows(results)
    content = [_content(part) for part in message.parts if isinstance(part, (str, ImageRef))]
    row: dict[str, Any] = {"role": message.role, "content": content}
    if all(part["type"] == "text" for part in content) and len(content) <= 1:
        row["content"] = content[0]["text"] if content else ""
    if message.calls:
        row["tool_calls"] = [
            {
                "id": c.id,
                "type": "function",
                "function": {"name": c.name, "arguments": json.dumps(dict(c.arguments), ensure_ascii=False)},
            }
            for c in message.calls
        ]
    return [row]


def _result_rows(results: Sequence[ToolResult]) -> list[dict[str, Any]]:
    """Results of tools; their images follow in a user message, because the layout allows a tool only text."""
    rows: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    for result in results:
        texts = [part for part in result.parts if isinstance(part, str)] + (
            [f"error: {result.error}"] if result.error else []
        )
        rows.append({"role": "tool", "tool_call_id": result.call_id, "content": "\n".join(texts)})
        seen += [_content(part) for part in result.parts if isinstance(part, ImageRef)]
    return rows + ([{"role": "user", "content": seen}] if seen else [])


def _content(part: str | ImageRef) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image_url", "image_url": {"url": data_uri(part)}}
