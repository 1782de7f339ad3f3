"""Messages to tokens and loss mask: ONE render for training, rollouts, evaluation and serving.

A conversation is cut before and after each assistant message by the chat template itself, and each piece
is tokenised on its own; so the tokens of a prompt are the first tokens of the same conversation in
training. Only `assistant` and `document` pieces carry loss, image tokens never do. A special token that
stands in somebody's text is broken up, so text can neither forge a turn nor stand for an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.models.wire import schemas
from medxiaohe.types import ImageRef, Message, Tool, ToolCall, ToolResult

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

IGNORED = -100  # the label torch's cross entropy skips


@dataclass(frozen=True)
class Rendered:
    """One conversation as the model sees it. `mask` is True where a token carries loss."""

    tokens: tuple[int, ...]
    mask: tuple[bool, ...]
    # pixel_values and the like; rows = images
    features: dict[str, torch.Tensor] = field(default_factory=dict)
    num_images: int = 0

    def cut(self, max_tokens: int) -> Rendered:
        """The first `max_tokens` tokens; DataError when that would cut into an image."""
        if len(self.tokens) <= max_tokens:
            return self
        if self.num_images:
            raise DataError(
                f"a sample with images has {len(self.tokens)} tokens, more than max_length {max_tokens}:"
                " raise max_length"
            )
        return Rendered(self.tokens[:max_tokens], self.mask[:max_tokens])


def render(
    messages: Sequence[Message],
    processor: Any,
    opener: Callable[[ImageRef], Image] = images.open_image,
    tools: Sequence[Tool] = (),
) -> Rendered:
    """Tokens and mask of a whole conversation, the gold answer included: what training sees. `tools` are
    those it was offered."""
    if messages and messages[0].role == "document":
        return _join([_document(message, processor, opener) for message in messages], processor)
    pieces, before = [], ""
    for end in range(1, len(messages) + 1):
        if messages[end - 1].role != "assistant":
            continue
        asked = _template(messages[: end - 1], processor, generation=True, tools=tools)
        answered = _template(messages[:end], processor, generation=False, tools=tools)
        if not asked.startswith(before) or not answered.startswith(asked):
            raise DataError(
                "the chat template rewrites earlier turns, so training and rollout would differ: use one that"
                " only appends"
            )
        start = _first_new(messages[: end - 1])
        pieces.append(_piece(asked[len(before) :], messages[start : end - 1], False, processor, opener))
        pieces.append(_piece(answered[len(asked) :], (), True, processor, opener))
        before = answered
    if not pieces:
        raise DataError("nothing to learn: the conversation has no assistant message")
    return _join(pieces, processor)


def render_prompt(
    messages: Sequence[Message],
    processor: Any,
    tools: Sequence[Tool] = (),
    opener: Callable[[ImageRef], Image] = images.open_image,
) -> Rendered:
    """Tokens of a conversation up to where the model should go on: what rollouts, evaluation and serving
    see."""
    if not messages:
        raise DataError("nothing to ask: the conversation has no message")
    pieces, before = [], ""
    for end in [i for i, m in enumerate(messages, 1) if m.role == "assistant"]:
        text = _template(messages[: end - 1], processor, generation=True, tools=tools)
        after = _template(messages[:end], processor, generation=False, tools=tools)
        start = _first_new(messages[: end - 1])
        pieces.append(_piece(text[len(before) :], messages[start : end - 1], False, processor, opener))
        pieces.append(_piece(after[len(text) :], (), False, processor, opener))
        before = after
    last = _template(messages, processor, generation=True, tools=tools)
    pieces.append(_piece(last[len(before) :], messages[_first_new(messages) :], False, processor, opener))
    return _join(pieces, processor)


def batch(
    rows: Sequence[Rendered], processor: Any, side: str = "right", shared: int = 0
) -> dict[str, torch.Tensor]:
    """Padded tensors of several conversations: input_ids, attention_mask, labels [batch, length], and image
    features.

    `side` is where the padding goes: "right" for training, "left" for generation; there after the first
    `shared` tokens.
    """
    import torch

    pad = processor.tokenizer.pad_token_id
    length = max(len(row.tokens) for row in rows)
    ids, attention, labels = [], [], []
    for row in rows:
        gap = length - len(row.tokens)
        label = [token if keep else IGNORED for token, keep in zip(row.tokens, row.mask, strict=True)]
        at = shared if side == "left" else len(row.tokens)
        ids.append([*row.tokens[:at], *[pad] * gap, *row.tokens[at:]])
        attention.append([1] * at + [0] * gap + [1] * (len(row.tokens) - at))
        labels.append(label[:at] + [IGNORED] * gap + label[at:])
    out = {
        "input_ids": torch.tensor(ids),
        "attention_mask": torch.tensor(attention),
        "labels": torch.tensor(labels),
    }
    for name in sorted({name for row in rows for name in row.features}):
        out[name] = torch.cat([row.features[name] for row in rows if name in row.features])
    return out


def pack(sequences: Sequence[Sequence[Rendered]], processor: Any) -> dict[str, torch.Tensor]:
    """Tensors of sequences that each hold several conversations: input_ids, position_ids, labels [batch,
    length], image features.

    Positions start again with every conversation, and there is no attention mask: that is how transformers
    knows what must not see what. No conversation is asked to predict the first token of the next.
    """
    import torch

    pad = processor.tokenizer.pad_token_id
    length = max(sum(len(row.tokens) for row in rows) for rows in sequences)
    out: dict[str, list[list[int]]] = {"input_ids": [], "position_ids": [], "labels": []}
    for rows in sequences:
        gap = length - sum(len(row.tokens) for row in rows)
        labels = [
            [IGNORED, *(t if keep else IGNORED for t, keep in zip(r.tokens[1:], r.mask[1:], strict=True))]
            for r in rows
        ]
        out["input_ids"].append([token for row in rows for token in row.tokens] + [pad] * gap)
        out["position_ids"].append([i for row in rows for i in range(len(row.tokens))] + list(range(gap)))
        out["labels"].append([label for row in labels for label in row] + [IGNORED] * gap)
    tensors = {name: torch.tensor(values) for name, values in out.items()}
    every = [row for rows in sequences for row in rows]
    for name in sorted({name for row in every for name in row.features}):
        tensors[name] = torch.cat([row.features[name] for row in every if name in row.features])
    return tensors


def chat(messages: Sequence[Message], processor: Any) -> list[dict[str, Any]]:
    """Messages in the Hugging Face chat layout with content parts, as chat templates read them."""
    rows: list[dict[str, Any]] = []
    for message in messages:
        calls = [
            {"type": "function", "function": {"name": c.name, "arguments": dict(c.arguments)}}
            for c in message.calls
        ]
        content = [part for item in message.parts for part in _parts(item, processor)]
        rows.append({"role": message.role, "content": content, **({"tool_calls": calls} if calls else {})})
    return rows


def plain(text: str, processor: Any) -> str:
    """The text with every special token of the model broken up: `<image>` becomes `< image>`."""
    for token in special_tokens(processor):
        if token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def special_tokens(processor: Any) -> list[str]:
    """Special tokens of two characters and more, longest first."""
    tokenizer = processor.tokenizer
    found = {str(t) for t in tokenizer.all_special_tokens} | {getattr(processor, "image_token", "<image>")}
    found |= {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
    return sorted((t for t in found if len(t) > 1), key=lambda t: (-len(t), t))


def _parts(item: Any, processor: Any) -> list[dict[str, Any]]:
    if isinstance(item, str):
        return [{"type": "text", "text": plain(item, processor)}]
    if isinstance(item, ImageRef):
        return [{"type": "image"}]
    if isinstance(item, ToolResult):
        error = [{"type": "text", "text": plain(f"error: {item.error}", processor)}] if item.error else []
        return [part for inner in item.parts for part in _parts(inner, processor)] + error
    assert isinstance(item, ToolCall)
    return []


def _template(
    messages: Sequence[Message], processor: Any, generation: bool, tools: Sequence[Tool] = ()
) -> str:
    rows = chat(messages, processor)
    return str(
        processor.apply_chat_template(
            rows, tokenize=False, add_generation_prompt=generation, tools=schemas(tools) or None
        )
    )


def _first_new(messages: Sequence[Message]) -> int:
    """Index just after the last assistant message: where the not yet rendered messages start."""
    return max((i for i, m in enumerate(messages, 1) if m.role == "assistant"), default=0)


def _document(message: Message, processor: Any, opener: Callable[[ImageRef], Image]) -> Rendered:
    mark = getattr(processor, "image_token", "<image>")
    text = "\n".join(
        mark if isinstance(part, ImageRef) else plain(str(part), processor) for part in message.parts
    )
    return _piece(text + processor.tokenizer.eos_token, (message,), True, processor, opener)


def _piece(
    text: str, messages: Sequence[Message], trained: bool, processor: Any, opener: Callable[[ImageRef], Image]
) -> Rendered:
    refs = [ref for message in messages for ref in _images(message)]
    if not refs:
        tokens = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return Rendered(tuple(tokens), (trained,) * len(tokens))
    out = dict(
        processor(
            text=[text], images=[opener(ref) for ref in refs], add_special_tokens=False, return_tensors="pt"
        )
    )
    tokens = out.pop("input_ids")[0].tolist()
    out.pop("attention_mask", None)
    mark = processor.image_token_id
    return Rendered(tuple(tokens), tuple(trained and token != mark for token in tokens), out, len(refs))


def _images(message: Message) -> list[ImageRef]:
    inner = [
        ref
        for part in message.parts
        if isinstance(part, ToolResult)
        for ref in part.parts
        if isinstance(ref, ImageRef)
    ]
    return list(message.images) + inner


def _join(pieces: Sequence[Rendered], processor: Any) -> Rendered:
    import torch

    tokens = tuple(token for piece in pieces for token in piece.tokens)
    mask = tuple(keep for piece in pieces for keep in piece.mask)
    names = sorted({name for piece in pieces for name in piece.features})
    features = {name: torch.cat([p.features[name] for p in pieces if name in p.features]) for name in names}
    return Rendered(tokens, mask, features, sum(piece.num_images for piece in pieces))
