"""Processor of a language model without vision: a tokenizer behind the processor interface that refuses
images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from medxiaohe.errors import DataError


class TextProcessor:
    """The processor interface that `models.render` needs, from a tokenizer only."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self.tokenizer, self.name = tokenizer, name

    def apply_chat_template(self, rows: Sequence[dict[str, Any]], **options: Any) -> str:
        """Render messages with the tokenizer's chat template, which takes plain strings.

        Args:
            rows: messages whose `content` is a list of parts; texts are concatenated.
            options: passed to the tokenizer.

        Returns:
            the rendered text.

        Raises:
            DataError: a part is an image: the model reads text only.
        """
        if any(part["type"] == "image" for row in rows for part in row["content"]):
            raise self._blind()
        plain = [{**row, "content": "".join(part["text"] for part in row["content"])} for row in rows]
        return str(self.tokenizer.apply_chat_template(plain, **options))

    def __call__(self, **_: Any) -> Any:
        raise self._blind()

    def save_pretrained(self, folder: Any) -> None:
        """Save the tokenizer files in a folder."""
        self.tokenizer.save_pretrained(folder)

    def _blind(self) -> DataError:
        return DataError(
            f"the model {self.name!r} reads text only: choose tasks without images, or a vision-language"
            " model"
        )
