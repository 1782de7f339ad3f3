"""A model that says the same to everything."""

from collections.abc import Sequence

from medxiaohe.types import Message


def model(messages: Sequence[Message]) -> str:
    return "today"
