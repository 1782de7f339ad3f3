"""Convert a row of a chat layout to a Sample, or raise a DataError that says what is wrong with it.

    {"messages": [{"role": "user", "content": "<image>\nIs there an effusion?"},
                  {"role": "assistant", "content": "Yes."}], "images": ["a.png"]}

`content` is text, or a list of parts {"type": "text" | "image" | "image_url", ...}. An image part without a
path of its own, and every `<image>` in a text, takes the next entry of `images`; the two numbers must agree.
{"text": "..."} is a document. Optional: id, target, choices, source, license, patient_id, study_id, split,
meta.

The layouts of other projects are rewritten to this one first (`LAYOUTS`): ShareGPT and LLaVA `conversations`
of {from, value} with `image` or `images`, Alpaca's `instruction`, `input`, `output` (`system` and `history`
where given), and TRL's `prompt` and `completion`, as texts or messages. One image may stand alone where a
list is meant. An image may be a DICOM or NIfTI file: its middle frame or slice is taken (volumes.py).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.formats import volumes
from medxiaohe.data.readers import Rejected
from medxiaohe.errors import DataError
from medxiaohe.io import Confined
from medxiaohe.plugins import nearest
from medxiaohe.types import ROLES, ImageRef, Message, Part, Sample, Split

PLACEHOLDER = "<image>"
SPLIT_NAMES: dict[str, Split] = {
    "": "", "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "bard": "assistant",
    "model": "assistant",
    "assistant": "assistant", "system": "system", "observation": "tool", "tool": "tool",
    "function_response": "tool",
    "function_call": "assistant",
}  # fmt: skip
LAYOUTS = {
    "chat": "messages",
    "sharegpt": "conversations",
    "llava": "conversations",
    "alpaca": "instruction",
    "completion": "completion",
    "document": "text",
}


def layout(row: Mapping[str, Any]) -> str:
    """Recognise the chat layout of a row by its keys.

    Args:
        row: a JSON object.

    Returns:
        The first key of LAYOUTS that fits; "" where none does.
    """
    return next((name for name, key in LAYOUTS.items() if key in row), "")


def rewritten(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Rewrite a row of another project's layout to `messages` and `images`.

    Args:
        row: in any of LAYOUTS.

    Returns:
        A new row; a row without a conversation is returned unchanged.

    Raises:
        DataError: an unknown speaker, or a value of another type than the layout has.
        Rejected: empty for a row without an answer.
    """
    if "messages" in row:
        result = dict(row)
    elif "conversations" in row:
        turns = [_turn(turn) for turn in _list(row, "conversations")]
        result = {**row, "messages": [*_system(row, turns), *turns]}
    elif "instruction" in row:
        result = {**row, "messages": _alpaca(row)}
    elif "completion" in row:
        result = {**row, "messages": _prompt_and_completion(row)}
    else:
        return row
    pictures = result.get("images", result.get("image"))
    if isinstance(pictures, (str, Mapping)):
        result["images"] = [pictures]
    elif "images" not in result and isinstance(pictures, list):
        result["images"] = pictures
    return result


def _turn(turn: Any) -> dict[str, Any]:
    if isinstance(turn, Mapping) and "role" in turn:
        return dict(turn)
    speaker = turn.get("from") if isinstance(turn, Mapping) else turn
    if not isinstance(speaker, str) or speaker not in SPEAKERS:
        raise DataError(f"unknown speaker {str(speaker)[:80]!r}: `from` must be one of {', '.join(SPEAKERS)}")
    return {"role": SPEAKERS[speaker], "content": turn.get("value")}


def _system(row: Mapping[str, Any], turns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    text = _text(row, "system")
    return (
        [{"role": "system", "content": text}]
        if text and not any(t["role"] == "system" for t in turns)
        else []
    )


def _alpaca(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    prompt = "\n".join(filter(None, (_text(row, "instruction"), _text(row, "input"))))
    turns = _system(row, [])
    for pair in _list(row, "history"):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise DataError("history must be a list of [question, answer]")
        turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    if not _text(row, "output").strip():
        raise Rejected("empty", "output is empty: give the answer or leave the row out")
    return [
        *turns,
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": _text(row, "output")},
    ]


def _prompt_and_completion(row: Mapping[str, Any]) -> list[Any]:
    """The messages of a row of TRL: `prompt` and `completion`, each a text or a list of messages."""
    if not row["completion"]:
        raise Rejected("empty", "completion is empty: give the answer or leave the row out")
    turns = _system(row, [])
    for key, role in (("prompt", "user"), ("completion", "assistant")):
        if isinstance(row.get(key), (list, tuple)):
            turns += [_turn(turn) for turn in row[key]]
        elif _text(row, key):
            turns.append({"role": role, "content": _text(row, key)})
    return turns


def sample(row: Mapping[str, Any], folder: Path, default_id: str, within: Confined) -> Sample:
    """Convert a row of a chat layout to a Sample.

    Args:
        row: in any of LAYOUTS.
        folder: where relative image paths start.
        default_id: "NAME:ROW", for a row that has no id; NAME is the source of a row that states none.
        within: folders that image paths may lead into.

    Returns:
        The sample; a target without an answer becomes the answer.

    Raises:
        DataError: the row is not in the layout; Rejected with a code for empty rows, placeholders that do
            not match the images, and unsafe paths.
    """
    row = rewritten(row)
    target, images = _text(row, "target"), [_image(value, folder, within) for value in _list(row, "images")]
    if "target" in row and row["target"] is not None and not target.strip():
        raise Rejected("empty", "target is empty: give the answer or leave the key out")
    messages = _messages(row, images, folder, within)
    if not any(m.role in ("document", "assistant") for m in messages[-1:]):
        if not target:
            raise DataError(
                f"the last message is of role {messages[-1].role}: end with an assistant message, or give a"
                " target"
            )
        messages = (*messages, Message("assistant", (target,)))
    result = Sample(
        id=_text(row, "id") or default_id,
        messages=messages,
        target=target,
        choices=tuple(str(choice) for choice in _list(row, "choices")),
        source=_text(row, "source") or default_id.partition(":")[0],
        license=_text(row, "license"),
        patient_id=_text(row, "patient_id"),
        study_id=_text(row, "study_id"),
        split=split(_text(row, "split")),
        meta=row.get("meta") or {},
    )
    return io.lifted(result) if result.meta else result


def conversation(rows: list[Any], folder: Path) -> list[Message]:
    """Convert a list of {role, content}, as the OpenAI API writes it, to messages.

    Args:
        rows: of the list.
        folder: where image paths start, and that they may not lead out of.

    Returns:
        The messages.

    Raises:
        DataError: an unknown role or part, no message, an image outside of the folder, or no folder.
    """
    if not folder.is_dir():
        raise DataError(f"no folder {folder}: images of messages start from it")
    return list(_messages({"messages": rows}, [], folder, io.confined(folder)))


def split(name: str) -> Split:
    """Normalise the name of a split.

    Args:
        name: a key of SPLIT_NAMES, in any case.

    Returns:
        "train", "validation", "test" or "".

    Raises:
        DataError: another name.
    """
    if name.lower() not in SPLIT_NAMES:
        raise DataError(
            f"unknown split {name!r}{nearest(name, [option for option in SPLIT_NAMES if option])}"
        )
    return SPLIT_NAMES[name.lower()]


def _messages(
    row: Mapping[str, Any], images: list[ImageRef], folder: Path, within: Confined
) -> tuple[Message, ...]:
    if "messages" not in row and "text" in row:
        if not _text(row, "text").strip():
            raise Rejected("empty", "text is empty")
        row = {"messages": [{"role": "document", "content": _text(row, "text")}]}
    if not _list(row, "messages"):
        raise Rejected("empty", "no messages: a row needs `messages`, at least one, or `text`")
    raw = [(_role(message), _contents(message)) for message in row["messages"]]
    places = sum(_places(content) for _, contents in raw for content in contents)
    if places != len(images):
        raise Rejected("placeholder", f"{places} image placeholders but {len(images)} images")
    queue = iter(images)
    messages = tuple(
        Message(role, tuple(p for c in contents for p in _parts(c, queue, folder, within)))
        for role, contents in raw
    )
    for message in messages:
        if not message.parts:
            raise Rejected("empty", f"a message of role {message.role} is empty")
    return messages


def _role(message: Any) -> Any:
    if not isinstance(message, Mapping) or message.get("role") not in ROLES:
        role = message.get("role") if isinstance(message, Mapping) else message
        raise DataError(f"unknown role {role!r}: it must be one of {', '.join(ROLES)}")
    return message["role"]


def _contents(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise DataError(f"content must be text or a list of parts, not {type(content).__name__}")
    parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in content]
    for part in parts:
        if not isinstance(part, Mapping) or part.get("type") not in ("text", "image", "image_url"):
            raise DataError(f"a content part must have type text, image or image_url, not {str(part)[:80]}")
    return parts


def _places(part: Mapping[str, Any]) -> int:
    """Count the entries of `images` that a part takes."""
    if part["type"] == "text":
        return _text(part, "text").count(PLACEHOLDER)
    return int(_own_image(part) is None)


def _parts(part: Mapping[str, Any], queue: Any, folder: Path, within: Confined) -> list[Part]:
    if part["type"] != "text":
        own = _own_image(part)
        return [next(queue) if own is None else _image(own, folder, within)]
    results: list[Part] = []
    for number, piece in enumerate(_text(part, "text").split(PLACEHOLDER)):
        if number:
            results.append(next(queue))
        if piece.strip():
            results.append(piece.strip())
    return results


def _own_image(part: Mapping[str, Any]) -> Any:
    for key in ("image_url", "image", "url", "path"):
        if part.get(key):
            return part[key]
    return None


def _image(value: Any, folder: Path, within: Confined) -> ImageRef:
    """Convert a path, a data: URI, {"url": ...}, or what `datasets` gives, {"bytes": ..., "path": ...}, to a
    reference.
    """
    if isinstance(value, Mapping):
        if isinstance(value.get("bytes"), bytes):
            return ImageRef("data:;base64," + base64.b64encode(value["bytes"]).decode())
        value = value.get("url") or value.get("path")
    if not isinstance(value, str) or not value:
        raise DataError(f"an image must be a path or a data: URI, not {str(value)[:80]!r}")
    if value.startswith("data:"):
        return ImageRef(value)
    if value.startswith(("http:", "https:")):
        raise DataError(f"remote images are not fetched: download {value[:120]} and give its path")
    return volumes.picture(within.path(value, folder))


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise DataError(f"{key} must be text, not {type(value).__name__}")
    return str(value)


def _list(row: Mapping[str, Any], key: str) -> list[Any]:
    value = row.get(key)
    if value is None:
        return []
    if not isinstance(value, (list, tuple)):
        raise DataError(f"{key} must be a list, not {type(value).__name__}")
    return list(value)
