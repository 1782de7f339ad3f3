"""The tokens that stand between two turns of a model: rollouts keep what was sampled as it was, and add only
what came from outside.

Tokens of a whole conversation are then those of `render`, as long as the model samples the tokens that its
tokenizer would make of the same text; what it really sampled is what its probabilities are of.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.models.render import Rendered, _piece, _template
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
    """What follows the last assistant message, up to where the model should go on: the answers of tools, and
    turn marks.

    `ended`: the model has sampled the mark that ends its turn; where it has not, that mark is the first token
    here. DataError when the chat template rewrites earlier turns, or writes no end of turn.
    """
    last = max(i for i, message in enumerate(messages) if message.role == "assistant")
    before = _template(messages[: last + 1], processor, generation=False, tools=tools)
    text = _template(messages, processor, generation=True, tools=tools)
    if not text.startswith(before):
        raise DataError(
            "the chat template rewrites earlier turns, so training and rollout would differ: use one that"
            " only appends"
        )
    end = processor.tokenizer.eos_token
    at = before.rfind(end)
    if at < 0:
        raise DataError(
            f"the chat template does not end a turn with {end}: rollouts of several turns need one that does"
        )
    start = at + len(end) if ended else at
    return _piece(text[start:], messages[last + 1 :], False, processor, opener)
