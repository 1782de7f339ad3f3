"""One case of a workflow: its prompt, its images, the tools bound to them, its budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.tools.toolbox import call_tool, conversation_images
from medxiaohe.types import ImageRef, Prompt, Tool, ToolCall, ToolResult

Tools = Sequence[Tool] | Callable[["Case"], Sequence[Tool]]


class BudgetSpent(Exception):
    """Thrown into a workflow at its limit: it may return an answer; another request ends it."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one case; None is no limit.

    Tokens are those that the backend counts (`count`), or else one for every four bytes of text: a limit,
    not a measurement. Seconds are wall time from the first request, checked at each request.
    """

    asks: int = 64  # replies and rankings
    calls: int = 64  # of tools
    tokens: int | None = None  # given and written, of all asks together
    seconds: float | None = None

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is not None and value <= 0:
                raise ConfigError(f"the budget of {limit.name} must be above 0, not {value:g}")


class Case:
    """Input of a workflow: a prompt without the gold answer, and the tools and images of this case.

    `images` are those of the prompt, then those that tools returned, in the order of the requests; tools
    count them from 1. Where tools come from a function of the case, they are bound again when images arrive.
    """

    __slots__ = ("_bind", "images", "memory", "prompt", "tools")

    def __init__(self, prompt: Prompt, tools: Tools = (), memory: Any = None) -> None:
        self.prompt = prompt
        self.images = conversation_images(prompt.messages)
        self.memory = memory  # a store to read; nothing is written to it while cases run
        self._bind = tools if callable(tools) else None
        self.tools: tuple[Tool, ...] = () if callable(tools) else tuple(tools)
        if self._bind is not None:
            self.tools = tuple(self._bind(self))

    @property
    def facts(self) -> Mapping[str, Any]:
        """Facts of the prompt.

        Returns:
            what the other side of a conversation knows, such as a simulated patient.
        """
        return self.prompt.facts

    def use(self, call: ToolCall) -> ToolResult:
        """Run a tool call with the images of the case.

        Args:
            call: of one of the tools.

        Returns:
            the result; a failure, also an unknown tool, is its `error`.

        Raises:
            MedError: a failure that no model can repair, such as RetrieverDown.
        """
        return call_tool(call, self.tools, self.images)

    def add_images(self, results: Sequence[ToolResult]) -> None:
        """Make images that tools returned available to the tools of this case.

        Args:
            results: whose images are appended to `images`, in order.
        """
        parts = [part for result in results for part in result.parts if isinstance(part, ImageRef)]
        if parts:
            self.images += tuple(parts)
            if self._bind is not None:
                self.tools = tuple(self._bind(self))
