"""Cache the keys and values of the common prefix of a batch: the system prompt, worked examples, the frame of
a question.

The keys and values of that beginning are computed for one row and repeated for the others. Which tokens they
are follows from the batch alone, so a run that resumes computes the same. Rows then read `beginning, padding,
rest`: positions are counted by the attention mask, which models with windows or recurrent states do not do;
`shares_beginnings` says so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from medxiaohe.models.ranking import shares_prompts
from medxiaohe.models.render import Rendered

SHORTEST = 8  # tokens; reading fewer twice costs less than the extra pass
SEES_PART = ("sliding_attention", "chunked_attention", "linear_attention", "mamba", "alibi")


def shares_beginnings(model: Any) -> bool:
    """Say whether prompts of this model may share the keys and values of a common prefix.

    Args:
        model: a transformers model; its forward function and its config are read.

    Returns:
        False for models with M-RoPE or sliding windows, and where the forward function lacks an argument
        (`shares_prompts`).
    """
    config = json.dumps(model.config.to_dict(), default=str)
    windowed = any(f'"{name}"' in config for name in SEES_PART)
    return shares_prompts(model) and not windowed


def common(rows: Sequence[Rendered]) -> int:
    """Find the length of the longest common token prefix of a batch.

    Args:
        rows: rendered prompts; rows with images have no common prefix.

    Returns:
        number of tokens, at least one less than the shortest row; 0 where it is below SHORTEST or there
        are fewer than two rows.
    """
    if len(rows) < 2 or any(row.num_images for row in rows):
        return 0
    # the common prefix of the smallest and the largest row in lexicographic order is that of all rows
    first, last = min(row.tokens for row in rows), max(row.tokens for row in rows)
    # every row keeps one token of its own to predict from
    most = min(len(row.tokens) for row in rows) - 1
    same = next((i for i in range(most) if first[i] != last[i]), most)
    return same if same >= SHORTEST else 0


class Beginnings:
    """Key-value cache of the prefix that was read last: batches of one task mostly share it."""

    def __init__(self, model: Any) -> None:
        self.model, self.able = model, shares_beginnings(model)
        self._tokens: tuple[int, ...] = ()
        self._cache: Any = None

    def length(self, rows: Sequence[Rendered]) -> int:
        """Compute the keys and values of the common prefix of these rows.

        Returns:
            length of the prefix in tokens; 0 for a model whose cache drops or mixes what it has read.
        """
        same = common(rows) if self.able else 0
        if same:
            self._read(rows[0].tokens[:same])
            self.able = _remembers_all(self._cache)
        return same if self.able else 0

    def cache(self, tokens: Sequence[int], rows: int) -> Any:
        """Copy the keys and values of a prefix for a batch.

        Args:
            tokens: token ids of the prefix; computed where it is not the prefix of the last call.
            rows: batch size.

        Returns:
            a transformers cache repeated for `rows` rows, which the caller may change.
        """
        self._read(tokens)
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(rows)
        return cache

    def _read(self, tokens: Sequence[int]) -> None:
        import torch

        if self._tokens != tuple(tokens):
            ids = torch.tensor([list(tokens)], device=self.model.device)
            with torch.inference_mode():
                self._cache = self.model(input_ids=ids, use_cache=True, logits_to_keep=1).past_key_values
            self._tokens = tuple(tokens)


def _remembers_all(cache: Any) -> bool:
    from transformers.cache_utils import DynamicCache, DynamicLayer

    return isinstance(cache, DynamicCache) and all(type(layer) is DynamicLayer for layer in cache.layers)
