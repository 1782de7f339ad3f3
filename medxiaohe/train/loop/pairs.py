"""Preference pairs: one prompt, the better reply, the worse one. A line of `pairs.jsonl`:

    {"prompt": "...", "chosen": "...", "rejected": "..."}              a question in words
    {"messages": [{"role": "user", "parts": [...]}], "chosen": ...}    a conversation, images and tools'
    answers included

Other keys (`id`, `kind`) are kept and not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import io, progress
from medxiaohe.errors import DataError
from medxiaohe.models.render import Rendered, batch, render_prompt, render_turns
from medxiaohe.types import Message

FILE = "pairs.jsonl"


@dataclass(frozen=True)
class Preference:
    id: str
    messages: tuple[Message, ...]  # the prompt
    chosen: str
    rejected: str
    kind: str = ""


def read(path: Path) -> list[Preference]:
    """The pairs of a file, in order; DataError names the line of one that lacks a column, or that prefers
    nothing."""
    results = [_pair(row, f"{path}:{number}", number) for number, row in enumerate(io.read_jsonl(path), 1)]
    if not results:
        raise DataError(
            f"{path} holds no pair: make some with train.preferences, or write rows of prompt, chosen and"
            " rejected"
        )
    return results


def _pair(row: dict[str, Any], where: str, number: int) -> Preference:
    for name in ("chosen", "rejected"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            there = ", ".join(sorted(row)) or "nothing"
            raise DataError(
                f"{where}: a pair has prompt (or messages), chosen and rejected; this one has no {name}, but"
                f" {there}"
            )
    if row["chosen"].strip() == row["rejected"].strip():
        raise DataError(
            f"{where}: chosen and rejected say the same, so there is nothing to prefer: leave the row out"
        )
    try:
        if "messages" in row:
            messages = tuple(io.message_from_json(message) for message in row["messages"])
        else:
            messages = (Message("user", (str(row["prompt"]),)),)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{where}: a pair has prompt, or messages of role and parts; this one has no {error}"
        ) from error
    if not messages or messages[-1].role == "assistant":
        raise DataError(f"{where}: messages must end with what is to be answered, not with an answer")
    return Preference(
        str(row.get("id", number)), messages, row["chosen"], row["rejected"], str(row.get("kind", ""))
    )


@dataclass(frozen=True)
class Size:
    """Of the longer of the two replies' conversations."""

    tokens: int
    trained: int
    num_images: int


class PairRows:
    """Pairs as the model sees them, the reply alone with loss. `sizes` comes from one pass at the start,
    which finds every bad row."""

    def __init__(self, pairs: Sequence[Preference], processor: Any, max_length: int, label: str):
        self.processor, self.max_length, self._pairs = processor, max_length, pairs
        self.sizes = []
        for number, _ in enumerate(progress.track(pairs, label)):
            both = self.both(number)
            self.sizes.append(
                Size(
                    max(len(item.tokens) for item in both),
                    sum(sum(item.mask) for item in both),
                    both[0].num_images,
                )
            )

    def __len__(self) -> int:
        return len(self.sizes)

    def both(self, number: int) -> tuple[Rendered, Rendered]:
        """The conversation with the chosen reply, and with the rejected one."""
        pair = self._pairs[number]
        try:
            asked = len(render_prompt(pair.messages, self.processor).tokens)
            return self._ending(pair, pair.chosen, asked), self._ending(pair, pair.rejected, asked)
        except DataError as error:
            raise DataError(f"pair {number + 1} ({pair.id}): {error}") from error

    def batch(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Tensors of the chosen conversations and then of the rejected ones: input_ids, attention_mask,
        labels, image features."""
        pairs = [self.both(number) for number in numbers]
        return batch([chosen for chosen, _ in pairs] + [rejected for _, rejected in pairs], self.processor)

    def first_with(self, has_images: bool) -> int | None:
        return next(
            (number for number, size in enumerate(self.sizes) if bool(size.num_images) == has_images), None
        )

    def _ending(self, pair: Preference, reply: str, asked: int) -> Rendered:
        row = render_turns((*pair.messages, Message("assistant", (reply,))), self.processor)[-1]
        row = row.cut(self.max_length)
        # earlier turns are part of the prompt
        mask = tuple(keep and i >= asked for i, keep in enumerate(row.mask))
        if not any(mask):
            raise DataError(
                f"max_length {self.max_length} leaves nothing of the reply: the prompt has {asked} tokens;"
                " raise max_length"
            )
        return replace(row, mask=mask)
