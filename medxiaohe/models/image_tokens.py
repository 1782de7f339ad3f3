"""Count tokens of texts with images, each about a thousand tokens, without pixels."""

from __future__ import annotations

import re
from typing import Any


def with_runs(text: str, mark: int | None, tokenizer: Any) -> list[int]:
    """Tokenise a text with images, treating each run of image tokens as one and repeating its id.

    Args:
        text: rendered conversation in which each image is a run of the token `mark`.
        mark: id of the image token.
        tokenizer: a transformers tokenizer; a call with a text gives `input_ids`.

    Returns:
        token ids, as the tokenizer gives for the full text. An image is about a thousand such tokens, and
        a tokenizer takes as long for each as for a word.
    """
    name = str(tokenizer.convert_ids_to_tokens(mark))
    run = re.compile(f"(?:{re.escape(name)})+")
    lengths = [len(match[0]) // len(name) for match in run.finditer(text)]
    tokens = tokenizer(run.sub(lambda _: name, text), add_special_tokens=False)["input_ids"]
    if tokens.count(mark) != len(lengths):  # the token is no word of its own
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])
    ids, repeats = list[int](), iter(lengths)
    for token in tokens:
        ids += [token] * next(repeats) if token == mark else [token]
    return ids
