"""Tokens between two turns of a model: rollouts keep the sampled tokens unchanged, and add only what came
from outside.

Tokens of a whole conversation are then those of `render`, as long as the model samples the tokens that its
tokenizer would produce for the same text; its probabilities are those of the tokens it sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.models.render import (
    OWN_MARKS,
    REWRITES,
    Rendered,
    RewritesTurns,
    _piece,
    _template,
    _turn,
    special_tokens,
)
from medxiaohe.types import ImageRef, Message, Tool

if TYPE_CHECKING:
    from PIL.Image import Image


def render_next(
    messages: Sequence[Message],
    processor: Any,
    tools: Sequence[Tool] = (),
    ended: bool = True,
    opener: Callable[[ImageRef], Image] = images.open_image,
) -> Rendered:
    """Tokenise what follows the last assistant message up to the next reply: tool results and turn marks.

    Args:
        messages: the conversation; the last assistant message was sampled.
        processor: of the model.
        tools: functions that the model may call.
        ended: whether the sampled tokens include the mark that ends the turn; where they do not, that mark
            is the first token here.
        opener: how images are opened.

    Returns:
        tokens that follow the sampled ones, without loss

    Raises:
        RewritesTurns: the chat template rewrites earlier turns.
        DataError: the chat template writes no end of turn.
    """
    last = max(i for i, message in enumerate(messages) if message.role == "assistant")
    before = _template(messages[: last + 1], processor, generation=False, tools=tools)
    text = _template(messages, processor, generation=True, tools=tools)
    if not text.startswith(before):
        raise RewritesTurns(REWRITES)
    end, at = end_mark(before, processor)
    if at < 0:
        raise DataError(
            "the chat template ends no turn with a special token: rollouts of several turns need one that"
            " does"
        )
    start = at + len(end) if ended else at
    return _piece(text[start:], messages[last + 1 :], False, processor, opener)


def end_mark(text: str, processor: Any) -> tuple[str, int]:
    """Find the special token that ends a turn: the last one in the text.

    Args:
        text: an assistant's turn as the chat template renders it.
        processor: for its special tokens.

    Returns:
        (token, its offset in characters); ("", -1) or an offset of -1 where the text has none.
    """
    places = {token: text.rfind(token) for token in special_tokens(processor) if token not in OWN_MARKS}
    end = max(places, key=lambda token: (places[token], len(token)), default="")
    return end, places.get(end, -1)


def end_of_turn(processor: Any) -> int | None:
    """Find the token with which the chat template ends an assistant's turn.

    Returns:
        its id, None where the template writes none.
    """
    turn = _turn([Message("user", ("hello",)), Message("assistant", ("hello",))], processor, ())
    end, at = end_mark(turn.answer, processor)
    return int(processor.tokenizer.convert_tokens_to_ids(end)) if at >= 0 else None


def written(tokens: Sequence[int], processor: Any) -> str:
    """Decode sampled tokens, without special tokens other than the marks of thoughts and calls.

    Some tokenizers have those as special tokens; without them a thought would be read as the answer.

    Args:
        tokens: ids that the model sampled.
        processor: of the model.

    Returns:
        the text
    """
    tokenizer = processor.tokenizer
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(tokenizer.all_special_ids)
    marks = {tokenizer.convert_tokens_to_ids(mark) for mark in OWN_MARKS} - {tokenizer.unk_token_id}
    return str(tokenizer.decode([token for token in tokens if token in marks or token not in special]))
