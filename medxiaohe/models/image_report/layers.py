"""Transformer layers of the image-report model: self-attention, cross-attention, pooling."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head attention of queries over a memory."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Any, memory: Any, mask: Any = None, causal: bool = False) -> Any:
        """Apply scaled dot-product attention with several heads.

        Args:
            x: queries, [batch, n, width].
            memory: keys and values, [batch, m, width].
            mask: true where a query may look, broadcast to [batch, heads, n, m]; None: everywhere.
            causal: whether query i sees keys up to i only.

        Returns:
            [batch, n, width]
        """
        batch, n, width = x.shape

        def split(value: Any) -> Any:
            return value.view(batch, -1, self.heads, width // self.heads).transpose(1, 2)

        # (batch, heads, n or m, width / heads)
        parts = split(self.query(x)), split(self.key(memory)), split(self.value(memory))
        attended = functional.scaled_dot_product_attention(*parts, attn_mask=mask, is_causal=causal)
        return self.out(attended.transpose(1, 2).reshape(batch, n, width))


class Block(nn.Module):  # type: ignore[misc]
    """A pre-norm transformer layer: self-attention, cross-attention where it has a memory, feed-forward."""

    def __init__(self, width: int, heads: int, self_attention: bool = True, cross_attention: bool = False):
        super().__init__()
        self.own = Attention(width, heads) if self_attention else None
        self.cross = Attention(width, heads) if cross_attention else None
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(
        self, x: Any, memory: Any = None, mask: Any = None, causal: bool = False, memory_mask: Any = None
    ) -> Any:
        """Apply self-attention, cross-attention and the feed-forward layer, each with a residual connection.

        Args:
            x: (batch, n, width).
            memory: (batch, m, width) for cross-attention, None skips it.
            mask: of self-attention, broadcast to (batch, heads, n, n); true where attention is allowed.
            causal: each position attends to itself and those before.
            memory_mask: of cross-attention.

        Returns:
            (batch, n, width).
        """
        # pre-norm residual layers: x + f(norm(x))
        if self.own is not None:
            normed = self.norms[0](x)
            x = x + self.own(normed, normed, mask, causal)
        if self.cross is not None and memory is not None:
            x = x + self.cross(self.norms[1](x), memory, memory_mask)
        return x + self.narrow(functional.gelu(self.wide(self.norms[2](x))))


class Pool(nn.Module):  # type: ignore[misc]
    """Attention pooling: a learned query attends to a set of tokens."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Any) -> Any:
        """Pool tokens to one vector by the attention of a learned query.

        Args:
            tokens: (batch, n, width).

        Returns:
            (batch, width).
        """
        query = self.query.expand(len(tokens), -1, -1)
        return self.norm(self.attention(query, tokens)[:, 0])
