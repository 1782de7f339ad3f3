"""Result of one request to a model: a message and its token counts, or the error."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medxiaohe.errors import ModelError
from medxiaohe.types import Message


@dataclass(frozen=True, slots=True)
class Reply:
    """The result of one request; a backend that has a method `outcomes` yields these, so that the failure
    of one conversation costs the others nothing.

    `tokens_in` and `tokens_out` are those that the server counted, None where it does not say; `began` is
    time of a request that failed, by `time.monotonic`, in seconds.
    """

    message: Message | None = None
    error: ModelError | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    began: float = math.inf


# is given replies, each with the number of its conversation
Keep = Callable[[Sequence[tuple[int, Reply]]], object]
