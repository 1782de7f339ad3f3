"""Content address of a request: everything that a model is shown, images by their bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.types import ImageRef, Message, Tool, ToolResult


def request_key(messages: Sequence[Message], tools: Sequence[Tool] = ()) -> str:
    """Hash what a model is shown: roles, words, image bytes, tool calls and results, offered tools.

    Args:
        messages: the conversation.
        tools: those that are offered.

    Returns:
        32 hex digits. The path of an image is no part of them, nor is the evidence of a tool result, which
        is for the record and never sent.
    """
    shown = [[message.role, *map(shown_part, message.parts)] for message in messages]
    text = json.dumps(
        [shown, [[t.name, t.description, io.to_json(t.parameters)] for t in tools]],
        ensure_ascii=False,
        sort_keys=True,
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def shown_part(part: Any) -> Any:
    """Convert a part of a message to JSON as the model sees it: an image is the digest of its bytes,
    whichever path the file has.

    Args:
        part: text, ImageRef, ToolCall or ToolResult.

    Returns:
        JSON data; of a tool result its text, images and error, without evidence and data.
    """
    if isinstance(part, str):
        return part
    if isinstance(part, ImageRef):
        return ["image", part.sha256 or io.sha256(Path(part.uri)), part.frame, part.box]
    if isinstance(part, ToolResult):
        return ["result", part.call_id, list(map(shown_part, part.parts)), part.error]
    return io.to_json(part)
