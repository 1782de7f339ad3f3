"""Rollouts of several turns with tools, as token rows: what the policy sampled carries loss, what came from
outside never does.

A row starts with the prompt as `models.render` gives it. The tokens of a turn are kept as they were sampled,
and what a tool answered is put behind them by the same render (`models.turns`), its images included. `mask`
is 1 where the policy sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medxiaohe.agents.engine import Ask
from medxiaohe.errors import DataError
from medxiaohe.models import wire
from medxiaohe.models.families import family as families
from medxiaohe.models.render import Rendered, batch, render_prompt
from medxiaohe.models.turns import render_next
from medxiaohe.train.rollouts.talk import Talk

if TYPE_CHECKING:
    import torch

LOOK_BACK = 12  # tokens in which a string that ends a turn is looked for


@dataclass
class Rollout:
    """A conversation and its tokens; the first `num_prompt` of them are the prompt."""

    talk: Talk
    tokens: list[int]
    num_prompt: int
    mask: list[int] = field(default_factory=list)  # of the tokens behind the prompt
    features: list[dict[str, torch.Tensor]] = field(default_factory=list)
    num_images: int = 0

    logprobs: None = None  # they are those of the policy itself

    @property
    def answer(self) -> str:
        return self.talk.trace.answer

    def rendered(self, processor: Any) -> Rendered:
        features = families.of(processor).joined(self.features)
        return Rendered(tuple(self.tokens), (False,) * len(self.tokens), features, self.num_images)

    def add(self, piece: Rendered, sampled: bool) -> None:
        self.tokens += piece.tokens
        self.mask += [int(sampled)] * len(piece.tokens)
        self.features += [piece.features] if piece.num_images else []
        self.num_images += piece.num_images


# padded inputs, strings that end a turn -> tokens [batch, inputs + new], new ones padded on the right
Generate = Callable[[dict[str, Any], tuple[str, ...]], Any]


def roll(
    talks: Sequence[Talk], processor: Any, max_tokens: int, generate: Generate, ends: frozenset[int]
) -> list[Rollout]:
    """Let every conversation run to its end, all that are still going on in one batch.

    Args:
        max_tokens: of a whole row; a conversation that outgrows it ends there.
    """
    rollouts = []
    for talk in talks:
        (ask,) = talk.pending.values()
        one = Rollout(talk, [], 0)
        one.add(render_prompt(ask.messages, processor, ask.tools), False)
        one.num_prompt, one.mask = len(one.tokens), []
        rollouts.append(one)
    while waiting := [one for one in rollouts if not one.talk.done]:
        asks = [next(iter(one.talk.pending.values())) for one in waiting]
        inputs = batch([one.rendered(processor) for one in waiting], processor, "left")
        inputs.pop("labels")
        new = generate(inputs, stops(asks))[:, inputs["input_ids"].shape[1] :].tolist()
        for one, ask, tokens in zip(waiting, asks, new, strict=True):
            _turn(one, ask, tokens, processor, max_tokens, ends)
    return rollouts


def stops(asks: Sequence[Ask]) -> tuple[str, ...]:
    """Every string that ends a turn of one of the asks."""
    return tuple(dict.fromkeys(stop for ask in asks for stop in ask.stop))


def _turn(
    one: Rollout, ask: Ask, tokens: Sequence[int], processor: Any, max_tokens: int, ends: frozenset[int]
) -> None:
    """One turn of the policy, and what answers it."""
    talk = one.talk
    said, marked = _said(tokens, processor, ask.stop, ends)
    one.add(Rendered(tuple(said), (True,) * len(said)), True)
    text = processor.tokenizer.decode(
        [token for token in said if token not in ends], skip_special_tokens=True
    )
    finished = marked or any(stop in text for stop in ask.stop)
    talk.advance(wire.reply_from_text(text, ask.messages, ask.tools))
    if not finished and not talk.done:
        talk.cut("the turn was cut off: raise max_completion_length")
    if talk.done:
        if finished and not marked:  # TRL takes a row without the mark for one that was cut off
            one.add(Rendered((processor.tokenizer.eos_token_id,), (False,)), False)
        return
    try:
        piece = render_next(talk.messages, processor, talk.tools, ended=marked)
    except DataError as error:
        talk.cut(str(error))
        return
    if len(one.tokens) + len(piece.tokens) >= max_tokens:
        talk.cut(f"longer than max_length {max_tokens} tokens with what the tools answered")
        return
    one.add(piece, False)


def _said(
    tokens: Sequence[int], processor: Any, stop_strings: tuple[str, ...], ends: frozenset[int]
) -> tuple[list[int], bool]:
    """The sampled tokens of a turn, and whether the policy marked its end; what it wrote behind a stop is not
    kept."""
    stop = next((i for i, token in enumerate(tokens) if token in ends), None)
    if stop is not None:
        return list(tokens[: stop + 1]), True
    said = list(tokens)
    while len(said) > 1 and said[-1] == processor.tokenizer.pad_token_id:
        said.pop()
    for cut in range(len(said), max(0, len(said) - LOOK_BACK), -1):
        if processor.tokenizer.decode(said[:cut], skip_special_tokens=True).endswith(stop_strings or ("\0",)):
            return said[:cut], False
    return said, False


def stopping(processor: Any, stop_strings: tuple[str, ...], start: int) -> Any:
    """Stops a row that goes on behind the end of its turn, for models that do not mark it by themselves; None
    where none is known.

    start: the number of tokens of the inputs, which may hold such ends themselves.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    if not stop_strings:
        return None

    class BehindTheTurn(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            lasts = processor.tokenizer.batch_decode(
                input_ids[:, max(start, input_ids.shape[1] - LOOK_BACK) :], skip_special_tokens=True
            )
            gone_on = [
                any(stop in last and not last.endswith(stop) for stop in stop_strings) for last in lasts
            ]
            return torch.tensor(gone_on, device=input_ids.device)

    return StoppingCriteriaList([BehindTheTurn()])
