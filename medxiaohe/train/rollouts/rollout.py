"""Multi-turn rollouts with tools as token rows: tokens that the policy sampled carry loss, all others do not.

A row starts with the prompt as `models.render` gives it. The tokens of a turn are stored as they were
sampled, and what a tool answered is appended by the same render (`models.turns`), its images included. `mask`
is 1 where the policy sampled. An episode has a row for each conversation that the workflow starts anew with
the policy; all of them earn the reward of the episode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from medxiaohe.agents.engine import Ask, Cast
from medxiaohe.errors import ConfigError
from medxiaohe.models import wire
from medxiaohe.models.families import family as families
from medxiaohe.models.render import Rendered, RewritesTurns, batch, render_prompt
from medxiaohe.models.turns import render_next, written
from medxiaohe.train.rollouts.talk import Talk, answer_others
from medxiaohe.types import Message, Tool

if TYPE_CHECKING:
    import torch

LOOK_BACK = 12  # tokens in which a string that ends a turn is looked for


@dataclass
class Rollout:
    """A row: a conversation of the policy and its tokens; the first `num_prompt` of them are the prompt."""

    talk: Talk
    tokens: list[int]
    num_prompt: int
    mask: list[int] = field(default_factory=list)  # of the tokens behind the prompt
    features: list[dict[str, torch.Tensor]] = field(default_factory=list)
    num_images: int = 0
    logprobs: None = None  # they are those of the policy itself
    messages: tuple[Message, ...] = ()  # of its last ask, and the reply
    asked: tuple[Message, ...] = ()  # of its first ask, which its prompt is the render of
    tools: tuple[Tool, ...] = ()  # that the first ask offers
    marked: bool = False  # the policy has sampled the end of its last turn
    finished: bool = False  # its last turn has an end, sampled or not

    @property
    def answer(self) -> str:
        """Final answer of the conversation.

        Returns:
            Text of its last message.
        """
        return self.talk.trace.answer

    @property
    def episode(self) -> Talk:
        """What all rows of one conversation share.

        Returns:
            The conversation.
        """
        return self.talk

    def rendered(self, processor: Any) -> Rendered:
        """Convert the tokens so far to a row for a batch; no token carries loss.

        Args:
            processor: of the policy.

        Returns:
            Tokens and joined image features.
        """
        features = families.of(processor).joined(self.features)
        return Rendered(tuple(self.tokens), (False,) * len(self.tokens), features, self.num_images)

    def begin(self, prompt: Rendered) -> None:
        """Start the row with its prompt.

        Args:
            prompt: of the policy's first ask.
        """
        self.add(prompt, False)
        self.num_prompt, self.mask = len(self.tokens), []

    def add(self, piece: Rendered, sampled: bool) -> None:
        """Append tokens.

        Args:
            piece: tokens with their image features.
            sampled: whether the policy sampled them, so that they carry loss.
        """
        self.tokens += piece.tokens
        self.mask += [int(sampled)] * len(piece.tokens)
        self.features += [piece.features] if piece.num_images else []
        self.num_images += piece.num_images

    def continues(self, ask: Ask) -> bool:
        """Whether an ask continues this conversation: its messages first, and then none of another model.

        Args:
            ask: of the policy.

        Returns:
            True where new messages follow, none of an assistant.
        """
        new = ask.messages[len(self.messages) :]
        same = tuple(ask.messages[: len(self.messages)]) == self.messages
        return same and bool(new) and all(message.role != "assistant" for message in new)


# padded inputs, strings that end a turn -> tokens [batch, inputs + new], new ones padded on the right
Generate = Callable[[dict[str, Any], tuple[str, ...]], Any]


def roll(
    talks: Sequence[Talk],
    processor: Any,
    max_tokens: int,
    generate: Generate,
    ends: frozenset[int],
    cast: Cast | None = None,
) -> list[Rollout]:
    """Let every conversation run to its end, all that are unfinished in one batch.

    An ask of the policy that does not continue its last conversation starts a new row of the same talk, and
    so does one before which the chat template rewrites earlier turns: the tokens of a row are always those of
    `render_turns` of its asks.

    Args:
        talks: conversations that wait for the policy or other roles.
        processor: of the policy.
        max_tokens: of a row; a conversation that outgrows it ends there.
        generate: samples the next turn of each row.
        ends: ids of the tokens that end a turn.
        cast: who plays the roles that are not the policy; their tokens are in no row of their own.

    Returns:
        Rows in the order of the talks, those of one talk one after the other.

    Raises:
        ConfigError: a role is asked that nobody plays, or the policy is never asked.
    """
    rows: list[list[Rollout]] = [[] for _ in talks]
    while going := [i for i, talk in enumerate(talks) if not talk.done]:
        answer_others([talks[i] for i in going], cast)
        turns = [turn for i in going for turn in _turns(talks[i], rows[i], processor, max_tokens)]
        if not turns:
            continue
        # one generation step for all rows that wait, padded on the left
        inputs = batch([row.rendered(processor) for row, _, _ in turns], processor, "left")
        inputs.pop("labels")
        new = generate(inputs, stops([ask for _, _, ask in turns]))[:, inputs["input_ids"].shape[1] :]
        for (row, n, ask), tokens in zip(turns, new.tolist(), strict=True):
            _turn(row, n, ask, tokens, processor, ends)
    for talk, own in zip(talks, rows, strict=True):
        if not own:
            raise ConfigError(
                f"the workflow never asks the role {talk.policy!r}, which `policy` says to train: name one"
                " that it asks"
            )
        for row in own[:-1] if talk.was_cut else own:
            if row.finished and not row.marked:  # TRL takes a row without the mark for one that was cut off
                row.add(Rendered((processor.tokenizer.eos_token_id,), (False,)), False)
    return [item for own in rows for item in own]


def stops(asks: Sequence[Ask]) -> tuple[str, ...]:
    """Collect every string that ends a turn of one of the asks.

    Args:
        asks: of the policy.

    Returns:
        Strings, each once, in order.
    """
    return tuple(dict.fromkeys(stop for ask in asks for stop in ask.stop))


def _turns(
    talk: Talk, rows: list[Rollout], processor: Any, max_tokens: int
) -> list[tuple[Rollout, int, Ask]]:
    """Collect the rows on which the policy continues, with step numbers and asks; a row that gets too long
    ends its talk.
    """
    last = rows[-1] if rows else None
    results = []
    for n, ask in talk.pending.items():
        if last is not None and last.continues(ask):
            row, last = last, None  # a second ask that continues it has a row of its own
            try:
                piece = render_next(ask.messages, processor, ask.tools, ended=row.marked)
            except RewritesTurns:  # it drops earlier thoughts: the turn has a row of its own, as in training
                row = Rollout(talk, [], 0)
                piece = render_prompt(ask.messages, processor, ask.tools)
        else:
            row = Rollout(talk, [], 0)
            piece = render_prompt(ask.messages, processor, ask.tools)
        if rows and len(row.tokens) + len(piece.tokens) >= max_tokens:
            talk.cut(f"longer than max_length {max_tokens} tokens with what the tools answered")
            return []
        results.append((row, n, ask, piece))
    for row, _, ask, piece in results:
        if row.tokens:
            row.add(piece, False)
        else:
            row.asked, row.tools = tuple(ask.messages), tuple(ask.tools)
            row.begin(piece)
            rows.append(row)
    return [(row, n, ask) for row, n, ask, _ in results]


def _turn(
    row: Rollout, n: int, ask: Ask, tokens: Sequence[int], processor: Any, ends: frozenset[int]
) -> None:
    """Append one turn of the policy and give it to the workflow."""
    talk = row.talk
    sampled, row.marked = _said(tokens, processor, ask.stop, ends)
    row.add(Rendered(tuple(sampled), (True,) * len(sampled)), True)
    text = written([token for token in sampled if token not in ends], processor)
    row.finished = row.marked or any(stop in text for stop in ask.stop)
    reply = wire.reply_from_text(text, ask.messages, ask.tools)
    row.messages = (*ask.messages, reply)
    if not talk.done:
        talk.put(n, reply)
    if not row.finished and not talk.done:
        talk.cut("the turn was cut off: raise max_completion_length")


def _said(
    tokens: Sequence[int], processor: Any, stop_strings: tuple[str, ...], ends: frozenset[int]
) -> tuple[list[int], bool]:
    """Cut the sampled tokens at the end of the turn, and report whether the policy sampled its end token."""
    stop = next((i for i, token in enumerate(tokens) if token in ends), None)
    if stop is not None:
        return list(tokens[: stop + 1]), True
    own = list(tokens)
    while len(own) > 1 and own[-1] == processor.tokenizer.pad_token_id:
        own.pop()
    # the longest prefix that ends with a stop string, which may span several tokens
    for cut in range(len(own), max(0, len(own) - LOOK_BACK), -1):
        if processor.tokenizer.decode(own[:cut], skip_special_tokens=True).endswith(stop_strings or ("\0",)):
            return own[:cut], False
    return own, False


def stopping(processor: Any, stop_strings: tuple[str, ...], start: int) -> Any:
    """Build a stopping criterion for models that do not mark the end of a turn by a token.

    A row stops when an end string is followed by more text.

    Args:
        processor: of the policy.
        stop_strings: that end a turn.
        start: number of tokens of the inputs, which may hold such strings themselves.

    Returns:
        A transformers.StoppingCriteriaList; None without end strings.
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
