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
    """A prompt with a better and a worse reply.

    Attributes:
        messages: the prompt.
        kind: what the preference is about; "" in files that do not name it.
    """

    id: str
    messages: tuple[Message, ...]  # the prompt
    chosen: str
    rejected: str
    kind: str = ""


def read(path: Path) -> list[Preference]:
    """Read preference pairs from a file.

    Args:
        path: JSON lines, in the form at the top of this file.

    Returns:
        The pairs in the order of the file.

    Raises:
        DataError: no pair, or a line (named) without prompt, chosen or rejected, with equal replies, or whose
            messages end with an answer.
    """
    results = [_pair(row, f"{path}:{number}", number) for number, row in enumerate(io.read_jsonl(path), 1)]
    if not results:
        raise DataError(
            f"{path} holds no pair: make some with train.preferences, or write rows of prompt, chosen and"
            " rejected"
        )
    return results


def _pair(row: dict[str, Any], line: str, number: int) -> Preference:
    for name in ("chosen", "rejected"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            present = ", ".join(sorted(row)) or "nothing"
            raise DataError(
                f"{line}: a pair has prompt (or messages), chosen and rejected; this one has no {name}, but"
                f" {present}"
            )
    if row["chosen"].strip() == row["rejected"].strip():
        raise DataError(
            f"{line}: chosen and rejected say the same, so there is nothing to prefer: leave the row out"
        )
    try:
        if "messages" in row:
            messages = tuple(io.message_from_json(message) for message in row["messages"])
        else:
            messages = (Message("user", (str(row["prompt"]),)),)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{line}: a pair has prompt, or messages of role and parts; this one has no {error}"
        ) from error
    if not messages or messages[-1].role == "assistant":
        raise DataError(f"{line}: messages must end with what is to be answered, not with an answer")
    return Preference(
        str(row.get("id", number)), messages, row["chosen"], row["rejected"], str(row.get("kind", ""))
    )


@dataclass(frozen=True)
class Size:
    """Counts of the two conversations of a pair.

    Attributes:
        tokens: of the longer one.
        trained: tokens with loss, of both together.
        num_images: of the prompt.
    """

    tokens: int
    trained: int
    num_images: int


class PairRows:
    """Pairs as token rows, the reply alone with loss.

    `sizes` comes from one pass at the start, which finds every pair that cannot be rendered.
    """

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
        """Render the conversation with the chosen reply, and with the rejected one.

        Args:
            number: of the pair, from 0.

        Returns:
            (chosen, rejected), cut to `max_length`; only tokens of the last reply carry loss.

        Raises:
            DataError: the pair cannot be rendered, or `max_length` leaves nothing of a reply.
        """
        pair = self._pairs[number]
        try:
            start = len(render_prompt(pair.messages, self.processor).tokens)
            return self._ending(pair, pair.chosen, start), self._ending(pair, pair.rejected, start)
        except DataError as error:
            raise DataError(f"pair {number + 1} ({pair.id}): {error}") from error

    def batch(self, numbers: Sequence[int]) -> dict[str, Any]:
        """Collate pairs: the chosen conversations first, then the rejected ones (as DPOTrainer splits them).

        Args:
            numbers: n pairs.

        Returns:
            Tensors with 2 n rows: input_ids, attention_mask, labels (2n, T), and image features.
        """
        pairs = [self.both(number) for number in numbers]
        return batch([chosen for chosen, _ in pairs] + [rejected for _, rejected in pairs], self.processor)

    def first_with(self, has_images: bool) -> int | None:
        """Find the first pair with images, or the first without.

        Args:
            has_images: which of the two.

        Returns:
            Number of the pair from 0; None where there is none.
        """
        return next(
            (number for number, size in enumerate(self.sizes) if bool(size.num_images) == has_images), None
        )

    def _ending(self, pair: Preference, reply: str, start: int) -> Rendered:
        row = render_turns((*pair.messages, Message("assistant", (reply,))), self.processor)[-1]
        row = row.cut(self.max_length)
        # earlier turns are part of the prompt
        mask = tuple(keep and i >= start for i, keep in enumerate(row.mask))
        if not any(mask):
            raise DataError(
                f"max_length {self.max_length} leaves nothing of the reply: the prompt has {start} tokens;"
                " raise max_length"
            )
        return replace(row, mask=mask)
