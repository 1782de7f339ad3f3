"""Render messages to tokens and loss mask: ONE render for training, rollouts, evaluation and serving.

A conversation is cut before and after each assistant message by the chat template itself, and each piece
is tokenised on its own; so the tokens of a prompt are the first tokens of the same conversation in
training. Only `assistant` and `document` pieces carry loss, image tokens never do. A special token that
occurs in a text is broken up, so text can neither forge a turn nor stand for an image.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe import images
from medxiaohe.errors import DataError, ModelError
from medxiaohe.models import templates, tool_prompt
from medxiaohe.models.families import family as families
from medxiaohe.models.image_tokens import with_runs
from medxiaohe.models.wire import schemas
from medxiaohe.types import ImageRef, Message, Tool, ToolCall, ToolResult

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

Thinking = Literal["auto", "on", "off"]
THINKING = "medxiaohe_thinking"  # attribute of a processor: value of the chat template's switch for thoughts
SWITCHES = ("enable_thinking", "thinking")  # names that chat templates have for it
# what a model writes itself around thoughts and calls; tokenizers differ in whether these are special tokens
OWN_MARKS = ("<think>", "</think>", "[THINK]", "[/THINK]", "<tool_call>", "</tool_call>")
IGNORED = -100  # the label torch's cross entropy skips
REWRITES = (
    "the chat template rewrites earlier turns, so training and rollout would differ: use one that only"
    " appends"
)


class RewritesTurns(DataError):
    """The chat template writes an earlier turn differently from when it was the last one."""


@dataclass(frozen=True)
class Rendered:
    """A tokenised conversation. `mask` is True where a token carries loss."""

    tokens: tuple[int, ...]
    mask: tuple[bool, ...]
    # pixel_values and the like; rows = images
    features: dict[str, torch.Tensor] = field(default_factory=dict)
    num_images: int = 0

    def cut(self, max_tokens: int) -> Rendered:
        """Truncate the row to its first `max_tokens` tokens.

        Args:
            max_tokens: length of the result at most.

        Returns:
            the row itself where it is short enough

        Raises:
            DataError: the row has images and is longer.
        """
        if len(self.tokens) <= max_tokens:
            return self
        if self.num_images:
            raise DataError(
                f"a sample with images has {len(self.tokens)} tokens, more than max_length {max_tokens}:"
                " raise max_length, or set oversize to drop"
            )
        return Rendered(self.tokens[:max_tokens], self.mask[:max_tokens])


def render(
    messages: Sequence[Message],
    processor: Any,
    opener: Callable[[ImageRef], Image] = images.open_image,
    tools: Sequence[Tool] = (),
) -> Rendered:
    """Tokenise a conversation for training, with the mask of the tokens that carry loss.

    Args:
        messages: the conversation, gold answer included, or a document.
        processor: of the model.
        opener: decodes the pixels of a reference.
        tools: those that the conversation was offered.

    Returns:
        token ids and mask, (tokens,) each, with the features of its images.

    Raises:
        DataError: there is no assistant message; RewritesTurns where the chat template rewrites earlier
            turns, so that one row cannot hold several.
    """
    rows = render_turns(messages, processor, opener, tools)
    if len(rows) > 1:
        raise RewritesTurns(REWRITES)
    return rows[0]


def render_turns(
    messages: Sequence[Message],
    processor: Any,
    opener: Callable[[ImageRef], Image] | None = images.open_image,
    tools: Sequence[Tool] = (),
) -> list[Rendered]:
    """What training sees of a conversation: one row, or a row for each assistant message.

    Several rows are for chat templates that rewrite earlier turns when a new one comes, as those that drop
    earlier thoughts do. Each row then is what the model reads when it writes that turn, and only that turn
    carries loss.

    Args:
        messages: of the conversation, or a document.
        processor: of the model.
        opener: makes pixels of a reference; None: tokens and mask alone, from the sizes that the images'
            headers tell, with no pixel unpacked and no features.
        tools: those that were offered.

    Returns:
        rows in the order of the assistant messages; one row where the chat template appends turns
        unchanged.

    Raises:
        DataError: there is no assistant message.
    """
    if messages and messages[0].role == "document":
        return [_join([_document(message, processor, opener) for message in messages], processor)]
    ends = [end for end, message in enumerate(messages, 1) if message.role == "assistant"]
    if not ends:
        raise DataError("nothing to learn: the conversation has no assistant message")
    turns = [_turn(messages[:end], processor, tools) for end in ends]
    if (texts := _appended(turns)) is not None:
        pieces, start = [], 0
        for end, text, turn in zip(ends, texts, turns, strict=True):
            pieces.append(_piece(text, messages[start : end - 1], False, processor, opener))
            pieces.append(_piece(turn.answer, (), True, processor, opener))
            start = end
        return [_join(pieces, processor)]
    rows = []
    for end, turn in zip(ends, turns, strict=True):
        prompt = render_prompt(messages[: end - 1], processor, tools, opener)
        rows.append(_join([prompt, _piece(turn.answer, (), True, processor, opener)], processor))
    return rows


def render_prompt(
    messages: Sequence[Message],
    processor: Any,
    tools: Sequence[Tool] = (),
    opener: Callable[[ImageRef], Image] | None = images.open_image,
) -> Rendered:
    """Tokenise a conversation up to the next reply of the model, for rollouts, evaluation and serving.

    Args:
        messages: the conversation, gold excluded.
        processor: of the model.
        tools: functions that the model may call, shown in the prompt.
        opener: how images are opened; None: their places only.

    Returns:
        tokens, mask (all False) and image features

    Raises:
        DataError: there is no message, or the template cannot show the conversation.
    """
    if not messages:
        raise DataError("nothing to ask: the conversation has no message")
    if messages[0].role == "document":  # a text to continue, unchanged: no chat template, no end
        return _piece(
            "\n".join(plain(m.text, processor) for m in messages), tuple(messages), False, processor, opener
        )
    ends = [end for end, message in enumerate(messages, 1) if message.role == "assistant"]
    turns = [_turn(messages[:end], processor, tools) for end in ends]
    last = _template(messages, processor, generation=True, tools=tools)
    texts = _appended([*turns, _Turn(last, "", "")])
    if texts is None:  # earlier turns are not as they were when they were new: all is one piece
        return _piece(last, messages, False, processor, opener)
    pieces, start = [], 0
    for end, text, turn in zip(ends, texts, turns, strict=False):
        pieces.append(_piece(text, messages[start : end - 1], False, processor, opener))
        pieces.append(_piece(turn.answer, (), False, processor, opener))
        start = end
    pieces.append(_piece(texts[-1], messages[start:], False, processor, opener))
    return _join(pieces, processor)


@dataclass(frozen=True)
class _Turn:
    """An assistant message as the chat template writes it: the text before it, the text of the model, and
    both as the template writes them in an earlier turn.
    """

    asked: str
    answer: str
    answered: str


def _turn(messages: Sequence[Message], processor: Any, tools: Sequence[Tool]) -> _Turn:
    """Render the last assistant message by the chat template; DataError where its text does not follow the
    generation prompt.

    Some templates ask with "assistant\n" and write "assistant \n": the answer then follows what was asked.
    """
    prompt = _template(messages[:-1], processor, generation=True, tools=tools)
    answered = _template(messages, processor, generation=False, tools=tools)
    if answered.startswith(prompt):
        return _Turn(prompt, answered[len(prompt) :], answered)
    same = next((i for i, (a, b) in enumerate(zip(prompt, answered, strict=False)) if a != b), len(answered))
    if prompt[same:].strip():
        raise DataError(
            "the chat template does not ask for an answer in the way it writes one, so training and rollout"
            " would differ: set thinking to on or off as the rows have thoughts or none, or use a template"
            " whose generation prompt begins the assistant's turn"
        )
    return _Turn(prompt, answered[same:].lstrip(), answered)


def _appended(turns: Sequence[_Turn]) -> list[str] | None:
    """List the text between each turn and the answer before it; None where an earlier turn is
    rewritten."""
    texts, before = [], ""
    for turn in turns:
        if not turn.asked.startswith(before):
            return None
        texts.append(turn.asked[len(before) :])
        before = turn.answered
    return texts


def batch(
    rows: Sequence[Rendered], processor: Any, side: str = "right", shared: int = 0
) -> dict[str, torch.Tensor]:
    """Pad several conversations to tensors: input_ids, attention_mask, labels (batch, length), and image
    features.

    `side` is where the padding goes: "right" for training, "left" for generation; there after the first
    `shared` tokens.

    Args:
        rows: rendered conversations.
        processor: of the model.
        side: where the padding goes: right (training) or left (generation).
        shared: with side left, number of first tokens that stay before the padding.

    Returns:
        tensors by name; labels are -100 where no loss is taken
    """
    import torch

    pad = processor.tokenizer.pad_token_id
    length = max(len(row.tokens) for row in rows)
    ids, attention, labels = [], [], []
    for row in rows:
        # padding goes after position `at`: the end of the row, or behind the shared prefix
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
    return out | _inputs(rows, out["input_ids"], processor)


def pack(sequences: Sequence[Sequence[Rendered]], processor: Any) -> dict[str, torch.Tensor]:
    """Pack sequences of several conversations each to tensors: input_ids, labels (batch, length),
    position_ids (batch, length) or (4, batch, length), image features.

    Positions start again with every conversation, and there is no attention mask: that is how transformers
    derives the attention mask. No conversation is trained to predict the first token of the next.

    Args:
        sequences: for each sequence its conversations.
        processor: of the model.

    Returns:
        tensors by name; labels are -100 where no loss is taken
    """
    import torch

    pad, family = processor.tokenizer.pad_token_id, families.of(processor)
    length = max(sum(len(row.tokens) for row in rows) for rows in sequences)
    out: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    positions = []
    for rows in sequences:
        # padding at the end of the sequence
        gap = length - sum(len(row.tokens) for row in rows)
        # the first token of each conversation is no target: its prediction would come from the conversation
        # before
        labels = [
            [IGNORED, *(t if keep else IGNORED for t, keep in zip(r.tokens[1:], r.mask[1:], strict=True))]
            for r in rows
        ]
        out["input_ids"].append([token for row in rows for token in row.tokens] + [pad] * gap)
        # positions restart at 0 for every conversation, and for the padding
        each = [family.positions(processor, row.tokens, row.features) for row in rows]
        each.append(torch.arange(gap).expand(each[0].shape[0], -1))
        positions.append(torch.cat(each, dim=1))
        out["labels"].append([label for row in labels for label in row] + [IGNORED] * gap)
    tensors = {name: torch.tensor(values) for name, values in out.items()}
    kinds = torch.stack(positions, dim=1)  # [1 or 4, batch, length]
    tensors["position_ids"] = kinds[0] if kinds.shape[0] == 1 else kinds
    every = [row for rows in sequences for row in rows]
    return tensors | _inputs(every, tensors["input_ids"], processor)


def _inputs(rows: Sequence[Rendered], input_ids: torch.Tensor, processor: Any) -> dict[str, torch.Tensor]:
    """Build the model inputs besides tokens: the images of the rows, and the type of each token."""
    family = families.of(processor)
    return family.joined([row.features for row in rows]) | family.per_token(input_ids, processor)


def on_device(tensors: Mapping[str, torch.Tensor], model: Any) -> dict[str, torch.Tensor]:
    """Move model inputs to the device of the model, floating-point tensors (pixels) also to its dtype.

    Args:
        tensors: inputs by name.
        model: its `device` and `dtype` are used.

    Returns:
        the same names with the moved tensors.
    """
    device, dtype = model.device, model.dtype
    return {
        name: t.to(device, dtype) if t.is_floating_point() else t.to(device) for name, t in tensors.items()
    }


def chat(messages: Sequence[Message], processor: Any, tools: Sequence[Tool] = ()) -> list[dict[str, Any]]:
    """Convert messages to the Hugging Face chat layout with content parts, as chat templates read them.

    What a template does not support is written as text: tools and calls by `tool_prompt`, a system prompt in
    front of the first turn.

    Args:
        messages: the conversation.
        processor: of the model.
        tools: functions that the model may call.

    Returns:
        rows {role, content, tool_calls}
    """
    rows: list[dict[str, Any]] = []
    for message in messages:
        calls = [
            {"type": "function", "function": {"name": c.name, "arguments": dict(c.arguments)}}
            for c in message.calls
        ]
        marks = OWN_MARKS if message.role == "assistant" else ()
        content = [part for item in message.parts for part in _parts(item, processor, marks)]
        if message.role == "system":  # some templates read its first part only
            content = [{"type": "text", "text": "".join(part["text"] for part in content)}]
        rows.append({"role": message.role, "content": content, **({"tool_calls": calls} if calls else {})})
    uses_tools = tools or any("tool_calls" in row or row["role"] == "tool" for row in rows)
    if uses_tools and not tool_prompt.writes_tools(processor):
        rows = tool_prompt.told(rows, schemas(tools), processor)
    if len(rows) > 1 and rows[0]["role"] == "system" and not tool_prompt.writes_system(processor):
        system, first, *rest = rows
        words = {"type": "text", "text": system["content"][0]["text"] + "\n\n"}
        rows = [{**first, "content": [words, *first["content"]]}, *rest]
    return rows


def plain(text: str, processor: Any, marks: Sequence[str] = ()) -> str:
    """Break up every special token of the model in a text: `<image>` becomes `< image>`.

    Args:
        text: of a message.
        processor: of the model.
        marks: special tokens that are left unchanged.

    Returns:
        the text; no special token can be read from it
    """
    for token in special_tokens(processor):
        if token in text and token not in marks:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def special_tokens(processor: Any) -> list[str]:
    """List the special tokens of a processor, its image token included.

    Args:
        processor: with a transformers tokenizer.

    Returns:
        tokens of two characters and more, longest first, so that no token is a prefix of a later one.
    """
    tokenizer = processor.tokenizer
    tokens = {str(t) for t in tokenizer.all_special_tokens} | {getattr(processor, "image_token", "<image>")}
    tokens |= {t.content for t in tokenizer.added_tokens_decoder.values() if t.special}
    return sorted((t for t in tokens if len(t) > 1), key=lambda t: (-len(t), t))


def _parts(item: Any, processor: Any, marks: Sequence[str] = ()) -> list[dict[str, Any]]:
    if isinstance(item, str):
        return [{"type": "text", "text": plain(item, processor, marks)}]
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
    from jinja2 import TemplateError

    if not (getattr(processor, "chat_template", None) or processor.tokenizer.chat_template):
        raise ModelError(
            "the processor has no chat template, so how to ask the model is unknown: take the"
            " instruction-tuned"
            " checkpoint, or add chat_template.jinja to its folder"
        )
    templates.bound()
    rows = chat(messages, processor, tools)
    offered = schemas(tools) if tools and tool_prompt.writes_tools(processor) else None
    thinking = getattr(processor, THINKING, None)
    switch = {} if thinking is None else dict.fromkeys(SWITCHES, thinking)
    try:
        text = processor.apply_chat_template(
            rows, tokenize=False, add_generation_prompt=generation, tools=offered, **switch
        )
    except TemplateError as error:
        raise DataError(f"the chat template refuses the conversation: {error}") from error
    return str(text)


def set_thinking(processor: Any, thinking: Thinking) -> None:
    """Set whether every later render by this processor asks for thoughts.

    Args:
        processor: changed in place.
        thinking: "on", "off", or "auto", which leaves it to the template.

    Raises:
        ModelError: the chat template has no such switch, so the setting would change nothing.
    """
    if thinking == "auto":
        return
    messages = [Message("user", ("hello",))]
    texts = set()
    for value in (True, False):
        setattr(processor, THINKING, value)
        texts.add(_template(messages, processor, generation=True))
    if len(texts) == 1:
        delattr(processor, THINKING)
        raise ModelError(
            f"thinking: {thinking} would change nothing: the chat template has no switch for thoughts; leave"
            " thinking at auto"
        )
    setattr(processor, THINKING, thinking == "on")


def _document(message: Message, processor: Any, opener: Callable[[ImageRef], Image] | None) -> Rendered:
    mark = families.of(processor).placeholder(processor)
    text = "\n".join(
        mark if isinstance(part, ImageRef) else plain(str(part), processor) for part in message.parts
    )
    return _piece(text + processor.tokenizer.eos_token, (message,), True, processor, opener)


def _piece(
    text: str,
    messages: Sequence[Message],
    trained: bool,
    processor: Any,
    opener: Callable[[ImageRef], Image] | None,
) -> Rendered:
    refs = [ref for message in messages for ref in _images(message)]
    if not refs:
        tokens = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        return Rendered(tuple(tokens), (trained,) * len(tokens))
    family = families.of(processor)
    places = text.count(processor.image_token)
    if places != len(refs):
        raise DataError(
            f"the chat template has places for {places} of {len(refs)} images, so an image would be lost or"
            " taken for another: put images into turns of the user"
        )
    features = {}
    if opener is None:
        words = text.split(processor.image_token)
        shown = family.expanded(processor, [images.size_of(ref) for ref in refs])
        text = words[0] + "".join(image + after for image, after in zip(shown, words[1:], strict=True))
        tokens = with_runs(text, family.image_token_id(processor), processor.tokenizer)
    else:
        opened = [opener(ref) for ref in refs]
        out = dict(processor(text=[text], images=[opened], add_special_tokens=False, return_tensors="pt"))
        tokens = out.pop("input_ids")[0].tolist()
        # token types of the processor; `families` computes them for a batch
        per_token = {name for name in out if name.endswith(families.PER_TOKEN)} | {"attention_mask"}
        features = {name: value for name, value in out.items() if name not in per_token}
    mark = family.image_token_id(processor)
    mask = tuple(trained and token != mark for token in tokens)
    return Rendered(tuple(tokens), mask, features, len(refs))


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
    tokens = tuple(token for piece in pieces for token in piece.tokens)
    mask = tuple(keep for piece in pieces for keep in piece.mask)
    features = families.of(processor).joined([piece.features for piece in pieces])
    return Rendered(tokens, mask, features, sum(piece.num_images for piece in pieces))
