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

from medxiaohe.agents import _loop
from medxiaohe.agents._loop import Form, Talk
from medxiaohe.models.render import Rendered, batch, render_prompt
from medxiaohe.models.turns import render_next

if TYPE_CHECKING:
    import torch

# a turn ends there, whoever marks its end
STOPS: dict[str, tuple[str, ...]] = {"calls": (), "rwr": ("</query>", "</answer>")}
LOOK_BACK = 12  # tokens in which such an end is looked for


@dataclass
class Rollout:
    """A conversation and its tokens; the first `num_prompt` of them are the prompt."""

    talk: Talk
    tokens: list[int]
    num_prompt: int
    mask: list[int] = field(default_factory=list)  # of the tokens behind the prompt
    features: list[dict[str, torch.Tensor]] = field(default_factory=list)
    num_images: int = 0

    @property
    def rendered(self) -> Rendered:
        return Rendered(
            tuple(self.tokens), (False,) * len(self.tokens), joined(self.features), self.num_images
        )

    def add(self, piece: Rendered, sampled: bool) -> None:
        self.tokens += piece.tokens
        self.mask += [int(sampled)] * len(piece.tokens)
        self.features += [piece.features] if piece.num_images else []
        self.num_images += piece.num_images


@dataclass(frozen=True)
class Turns:
    """How a conversation goes. `max_tokens` bounds a whole row: a conversation that outgrows it ends
    there."""

    form: Form
    max_rounds: int
    max_tokens: int


# padded inputs -> tokens [batch, inputs + new], new ones padded on the right
Generate = Callable[[dict[str, Any]], Any]


def roll(
    talks: Sequence[Talk], processor: Any, turns: Turns, generate: Generate, ends: frozenset[int]
) -> list[Rollout]:
    """Let every conversation run to its end, all that are still going on in one batch."""
    rollouts = []
    for talk in talks:
        prompt = render_prompt(talk.prompt.messages, processor, _loop.offered(talk, turns.form))
        one = Rollout(talk, [], 0)
        one.add(prompt, False)
        one.num_prompt, one.mask = len(one.tokens), []
        rollouts.append(one)
    while waiting := [one for one in rollouts if not one.talk.done]:
        inputs = batch([one.rendered for one in waiting], processor, "left")
        inputs.pop("labels")
        new = generate(inputs)[:, inputs["input_ids"].shape[1] :].tolist()
        for one, tokens in zip(waiting, new, strict=True):
            _turn(one, tokens, processor, turns, ends)
    return rollouts


def _turn(one: Rollout, tokens: Sequence[int], processor: Any, turns: Turns, ends: frozenset[int]) -> None:
    """One turn of the policy, and what answers it."""
    talk = one.talk
    said, marked = _said(tokens, processor, turns.form, ends)
    one.add(Rendered(tuple(said), (True,) * len(said)), True)
    text = processor.tokenizer.decode(
        [token for token in said if token not in ends], skip_special_tokens=True
    )
    finished = marked or any(stop in text for stop in STOPS[turns.form])
    _loop.advance(talk, _loop.parsed(text, talk, turns.form), turns.form, turns.max_rounds)
    if not finished and not talk.done:
        talk.done, talk.error = True, "the turn was cut off: raise max_completion_length"
    if talk.done:
        if finished and not marked:  # TRL takes a row without the mark for one that was cut off
            one.add(Rendered((processor.tokenizer.eos_token_id,), (False,)), False)
        return
    piece = render_next(talk.messages, processor, _loop.offered(talk, turns.form), ended=marked)
    if len(one.tokens) + len(piece.tokens) >= turns.max_tokens:
        talk.done, talk.error = (
            True,
            f"longer than max_length {turns.max_tokens} tokens with what the tools answered",
        )
        return
    one.add(piece, False)


def _said(tokens: Sequence[int], processor: Any, form: Form, ends: frozenset[int]) -> tuple[list[int], bool]:
    """The sampled tokens of a turn, and whether the policy marked its end; what it wrote behind a stop is not
    kept."""
    stop = next((i for i, token in enumerate(tokens) if token in ends), None)
    if stop is not None:
        return list(tokens[: stop + 1]), True
    said = list(tokens)
    while len(said) > 1 and said[-1] == processor.tokenizer.pad_token_id:
        said.pop()
    for cut in range(len(said), max(0, len(said) - LOOK_BACK), -1):
        if processor.tokenizer.decode(said[:cut], skip_special_tokens=True).endswith(STOPS[form] or ("\0",)):
            return said[:cut], False
    return said, False


def stopping(processor: Any, form: Form, start: int) -> Any:
    """Stops a row that goes on behind the end of its turn, for models that do not mark it by themselves; None
    where none is known.

    start: the number of tokens of the inputs, which may hold such ends themselves.
    """
    import torch
    from transformers import StoppingCriteria, StoppingCriteriaList

    if not STOPS[form]:
        return None

    class BehindTheTurn(StoppingCriteria):  # type: ignore[misc]
        def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            lasts = processor.tokenizer.batch_decode(
                input_ids[:, max(start, input_ids.shape[1] - LOOK_BACK) :], skip_special_tokens=True
            )
            gone_on = [
                any(stop in last and not last.endswith(stop) for stop in STOPS[form]) for last in lasts
            ]
            return torch.tensor(gone_on, device=input_ids.device)

    return StoppingCriteriaList([BehindTheTurn()])


def joined(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import torch

    return {
        name: torch.cat([part[name] for part in parts if name in part])
        for name in sorted({n for part in parts for n in part})
    }
