"""Count what requests to a model cost, and limit how much of it a client may spend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medxiaohe.errors import ConfigError
from medxiaohe.types import Message

LETTERS_A_TOKEN = 4  # of English: an estimate where the server does not count tokens
SPENT = "the budget"  # first words of the reason where a request would exceed the budget


@dataclass(frozen=True, slots=True)
class CallBudget:
    """Limits on what a client may spend. None sets no limit; prices are for a million tokens, in any
    currency.
    """

    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    price_in: float = 0.0
    price_out: float = 0.0

    def __post_init__(self) -> None:
        limits = (self.max_calls, self.max_tokens, self.max_cost)
        if any(limit is not None and limit < 0 for limit in limits) or min(self.price_in, self.price_out) < 0:
            raise ConfigError("limits and prices must be at least 0")
        if self.max_cost is not None and not (self.price_in or self.price_out):
            raise ConfigError("max_cost needs price_in or price_out, the prices of a million tokens")

    @property
    def limited(self) -> bool:
        """Whether any limit is set.

        Returns:
            True where the number of calls, tokens or the cost is limited.
        """
        return self.max_calls is not None or self.max_tokens is not None or self.max_cost is not None

    def cost(self, tokens_in: float, tokens_out: float) -> float:
        """Compute the price of tokens.

        Args:
            tokens_in: tokens of prompts.
            tokens_out: tokens of replies.

        Returns:
            cost in the currency of the prices, which are for a million tokens.
        """
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6


@dataclass
class Spending:
    """Count of requests, tokens in and out, and cost."""

    calls: int = 0
    tokens_in: float = 0.0
    tokens_out: float = 0.0
    cost: float = 0.0

    def add(self, budget: CallBudget, tokens_in: float, tokens_out: float = 0.0) -> None:
        """Add the tokens of a request and their cost; the number of calls is counted by the caller.

        Args:
            budget: for its prices.
            tokens_in: tokens of the prompt.
            tokens_out: tokens of the reply.
        """
        self.tokens_in, self.tokens_out = self.tokens_in + tokens_in, self.tokens_out + tokens_out
        self.cost += budget.cost(tokens_in, tokens_out)

    def refusal(self, budget: CallBudget, tokens_in: float) -> str:
        """Say why a request would exceed the budget.

        Args:
            budget: the limits.
            tokens_in: estimated tokens of the request.

        Returns:
            a sentence, or ""
        """
        if budget.max_calls is not None and self.calls >= budget.max_calls:
            return f"{SPENT} of {budget.max_calls} calls is spent"
        if budget.max_tokens is not None and self.tokens_in + self.tokens_out + tokens_in > budget.max_tokens:
            return f"{SPENT} of {budget.max_tokens} tokens is spent"
        if budget.max_cost is not None and self.cost + budget.cost(tokens_in, 0.0) > budget.max_cost:
            return f"{SPENT} of {budget.max_cost:g} is spent"
        return ""


def estimated_tokens(messages: Sequence[Message]) -> float:
    """Estimate the number of tokens of a conversation from its characters.

    Args:
        messages: only their text is counted; images and tool calls are not.

    Returns:
        characters / LETTERS_A_TOKEN, not rounded.
    """
    return sum(len(message.text) for message in messages) / LETTERS_A_TOKEN
