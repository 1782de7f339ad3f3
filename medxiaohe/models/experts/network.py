"""Network of the specialist: cross-attention from words to patches, a sparse mixture of experts as the gate
between them, scores of answer candidates (MedCoT, arXiv 2412.13736, section 3.3).

    h   [rows, words, width]    question, caption and rationale, one vector a word
    img [rows, words, width]    what each word sees of the image
    w   [rows, words, experts]  weights of the experts, 0 outside of the `top` best, 1 in sum for each word
    h'  = (1 - g) h + g img,  g = sigmoid(sum over experts of w_e expert_e([h, img]))

The paper reads a vote out of its experts, its code sums them into one gate: both are here. Expert e alone
answers with g = sigmoid(expert_e([h, img])).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SEGMENTS = 3  # question, caption, rationale


@dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Attributes:
        text: of the vector of a word.
        image: of the vector of a patch.
        width: of the hidden states.
        experts: number of experts.
        top: experts that each word is sent to.
        longest: words that are read.
        patches: number of patches of an image.
    """

    text: int
    image: int
    width: int = 64
    experts: int = 6
    top: int = 2
    longest: int = 96
    patches: int = 0


@dataclass(frozen=True)
class Read:
    """Scores and routing weights of a batch.

    Attributes:
        gate: scores of the candidates by the mixture, [rows, candidates].
        experts: by each expert alone, [rows, experts, candidates].
        weights: of the experts, [rows, words, experts].
        mask: 1 at words, [rows, words].
    """

    gate: Tensor
    experts: Tensor
    weights: Tensor
    mask: Tensor


class Specialist(nn.Module):  # type: ignore[misc]
    """Network that scores the answer candidates of closed questions."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.words = nn.Linear(shape.text, width)
        self.place = nn.Embedding(shape.longest, width)
        self.segment = nn.Embedding(SEGMENTS, width)
        self.encoder = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.1, batch_first=True)
        self.patches = nn.Linear(shape.image, width)
        self.patch_place = nn.Embedding(max(1, shape.patches), width)
        self.ask, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.router = nn.Linear(2 * width, shape.experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(shape.experts)
        )
        self.answer = nn.Linear(shape.text, width)
        self.pooled = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))

    def forward(
        self, words: Tensor, segments: Tensor, mask: Tensor, patches: Tensor, candidates: Tensor
    ) -> Read:
        """Score the answer candidates (MedCoT, arXiv 2412.13736, section 3.3).

        Args:
            words: vectors of words, (rows, words, text).
            segments: 0 for the question, 1 for the caption, 2 for the rationale, (rows, words).
            mask: 1 at words, 0 at padding, (rows, words).
            patches: features of patches, (rows, patches, image); zeros where a question has no image.
            candidates: vectors of the candidates, (candidates, text).

        Returns:
            scores of the mixture and of each expert alone, with the weights of the experts.
        """
        # word vector + position + segment, then one layer of self-attention
        h = self.words(words) + self.place.weight[: words.shape[1]] + self.segment(segments)
        h = self.encoder(h, src_key_padding_mask=mask == 0)
        # cross-attention: words are queries, patches are keys and values; softmax(q k / sqrt(width)) v
        seen = self.patches(patches) + self.patch_place.weight[: patches.shape[1]]
        scores = self.ask(h) @ self.key(seen).transpose(1, 2) / self.shape.width**0.5
        img = scores.softmax(-1) @ self.value(seen)
        # routing by both views of a word: itself, and what it attends to
        both = torch.cat([h, img], -1)
        weights = routed(self.router(both), self.shape.top)
        # output of every expert for every word, (rows, words, experts, width)
        views = torch.stack([expert(both) for expert in self.experts], 2)
        # gate g of the mixture (index 0) and of each expert alone
        gates = torch.cat([(weights.unsqueeze(-1) * views).sum(2, keepdim=True), views], 2).sigmoid()
        # h' = (1 - g) h + g img
        mixed = (1 - gates) * h.unsqueeze(2) + gates * img.unsqueeze(2)
        # the mean over words, of the mixture first and then of each expert, [rows, 1 + experts, width]
        valid = mask[:, :, None, None].to(mixed.dtype)
        mean = (mixed * valid).sum(1) / valid.sum(1).clamp(min=1)
        # scaled dot product of the pooled words and each candidate
        logits = self.pooled(mean) @ self.answer(candidates).T / self.shape.width**0.5
        return Read(logits[:, 0], logits[:, 1:], weights, mask)


def routed(scores: Tensor, top: int) -> Tensor:
    """Route each word to its `top` best experts: a softmax over their scores, 0 for the others.

    Args:
        scores: of the experts, (..., experts).
        top: number of experts with a weight.

    Returns:
        weights that sum to 1, (..., experts).
    """
    best, which = scores.topk(top, -1)
    return torch.zeros_like(scores).scatter(-1, which, best.softmax(-1))


def balance(read: Read) -> Tensor:
    """Compute the load-balancing loss of a mixture of experts (Switch Transformer, arXiv 2101.03961, eq. 4,
    with the weights themselves as shares).

    Args:
        read: weights (rows, words, experts) and mask (rows, words) of a batch.

    Returns:
        a scalar: 1 where all experts get an equal share of the words, up to the number of experts where
        one gets all.
    """
    # mean routing weight of each expert over real words: sums to 1
    mask = read.mask.unsqueeze(-1).to(read.weights.dtype)
    share = (read.weights * mask).sum((0, 1)) / mask.sum().clamp(min=1)
    # E * sum of squares: 1 for the uniform distribution, E for one expert
    return share.pow(2).sum() * read.weights.shape[-1]


def loss(read: Read, gold: Tensor, experts: float, balanced: float) -> Tensor:
    """Compute the training loss: cross-entropy of the mixture + `experts` x cross-entropy of each expert
    alone + `balanced` x load balancing.

    Args:
        read: scores of a batch.
        gold: index of the right candidate, (rows,).
        experts: weight of the experts' own cross-entropy.
        balanced: weight of the load-balancing loss.

    Returns:
        a scalar, in nats.
    """
    alone = F.cross_entropy(read.experts.flatten(0, 1), gold.repeat_interleave(read.experts.shape[1]))
    return F.cross_entropy(read.gate, gold) + experts * alone + balanced * balance(read)


def on_cpu(tensors: dict[str, Any]) -> dict[str, Any]:
    """Copy tensors to contiguous CPU memory without their graph, as safetensors needs.

    Returns:
        the same names.
    """
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
