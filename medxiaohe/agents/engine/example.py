"""Example replies of a workflow, for documentation and for the contract tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medxiaohe.types import Message


@dataclass(frozen=True)
class Example:
    """Replies in the grammar of a workflow: `EXAMPLE` of its file.

    Attributes:
        ends: a reply that is a last word.
        goes_on: a reply after which the workflow asks again, for ever if it is always given.
        facts: of the prompt, where the workflow needs some.
        answers: what the workflow then answers, where that is not the reply itself.
    """

    ends: str
    goes_on: Message
    facts: Mapping[str, Any] = field(default_factory=dict)
    answers: str = ""
