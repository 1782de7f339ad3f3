"""Networks of MOTOR (arXiv 2304.14204, section 3) over the image tokens of a checkpoint's projector.

    image tokens -> general knowledge (tags of a graph) -> labels (MLC)
                 -> specific knowledge (triplets of similar reports) -> image vector (ITA)
    report       -> text vector (ITA); with the image: matched or not (ITM); word by word (LM)

Paper: BLIP with ViT-B/16 and SciBERT; we: the tower and projector of a checkpoint and small transformers, for
two CPU cores. Paper: 90 word tokens of triplets through the text encoder; we: each triplet is one token, the
sum of the embeddings of its finding, relation and value. Paper: `sigmoid(100 cos)`, which saturates; we: a
learned scale of at most 30 and a learned bias.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from medxiaohe.models.image_report.layers import Block, Pool
from medxiaohe.models.image_report.vocabulary import PAD

FIRST_SCALE, MOST_SCALE = 10.0, 30.0  # of the cosine in the logits of labels
FIRST_TEMPERATURE, LEAST_TEMPERATURE = 0.07, 0.01  # of image-text similarity (CLIP, BLIP)


@dataclass(frozen=True)
class Shape:
    """Sizes of a network, and which knowledge it has."""

    image: int  # width of the image tokens that come in
    words: int  # of the vocabulary of reports
    terms: int  # of the vocabulary of triplets
    tags: int
    width: int = 128
    heads: int = 4
    layers: int = 2
    vector: int = 64  # of the space in which images and reports are compared
    length: int = 90  # most tokens of a report
    general: bool = True
    specific: bool = True
    seed: int = 0


class Network(nn.Module):  # type: ignore[misc]
    """Every trained module except the projector and the vision tower."""

    def __init__(self, shape: Shape, relation: Sequence[Sequence[bool]]):
        """Initialise the weights; those of a module do not depend on which other modules exist.

        Args:
            shape: sizes.
            relation: [tags, tags], true where one tag may attend to another.
        """
        super().__init__()
        self.shape = shape
        width, heads = shape.width, shape.heads
        self.register_buffer("relation", torch.tensor(relation, dtype=torch.bool), persistent=False)
        part = self._part
        # image side
        self.project = part("project", lambda: nn.Linear(shape.image, width))
        self.norm = nn.LayerNorm(width)
        self.pool = part("pool", lambda: Pool(width, heads))
        self.image_head = part("image_head", lambda: nn.Linear(width, shape.vector))
        # general knowledge: vectors of tags, two layers over what the graph relates, fusion with the image
        self.tags = part("tags", lambda: nn.Embedding(shape.tags, width))
        self.tag_layers = part("tag_layers", lambda: self._blocks(2 if shape.general else 0))
        self.general = part("general", lambda: self._blocks(int(shape.general), False, True))
        # specific knowledge: embeddings of the three roles of a triplet, two layers of fusion
        self.terms = part("terms", lambda: nn.ModuleList(self._embedding(shape.terms) for _ in range(3)))
        self.term_norm = nn.LayerNorm(width)
        self.specific = part("specific", lambda: self._blocks(2 if shape.specific else 0, False, True))
        # report side
        self.words = part("words", lambda: self._embedding(shape.words))
        self.places = part("places", lambda: nn.Embedding(shape.length + 2, width))
        self.encoder = part("encoder", lambda: self._blocks(shape.layers))
        self.text_pool = part("text_pool", lambda: nn.Linear(width, shape.vector))
        self.grounded = part("grounded", lambda: self._blocks(shape.layers, True, True))
        self.match = part("match", lambda: nn.Linear(width, 2))
        self.decoder = part("decoder", lambda: self._blocks(shape.layers, True, True))
        self.decoder_norm = nn.LayerNorm(width)
        self.log_temperature = nn.Parameter(torch.tensor(FIRST_TEMPERATURE).log())
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))
        # a tag starts at a probability of about 0.1
        self.bias = nn.Parameter(torch.full((shape.tags,), -2.0))

    def _part(self, name: str, make: Callable[[], Any]) -> Any:
        """Initialise a module with weights that depend on the seed and the name only."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(f"{self.shape.seed} {name}".encode()))
            return make()

    def _blocks(self, number: int, own: bool = True, cross: bool = False) -> nn.ModuleList:
        return nn.ModuleList(Block(self.shape.width, self.shape.heads, own, cross) for _ in range(number))

    def _embedding(self, number: int) -> nn.Embedding:
        embedding = nn.Embedding(number, self.shape.width, padding_idx=0)
        nn.init.normal_(embedding.weight, std=0.05)
        return embedding

    @property
    def temperature(self) -> Any:
        """The learned temperature of the contrastive loss.

        Returns:
            a scalar tensor between LEAST_TEMPERATURE and 0.5.
        """
        return self.log_temperature.exp().clamp(LEAST_TEMPERATURE, 0.5)

    # ---- images ---------------------------------------------------------------------------------------

    def tag_vectors(self) -> Any:
        """Compute the vectors of all tags; with general knowledge each attends to the tags that the graph
        relates to it.

        Returns:
            (tags, width).
        """
        vectors = self.tags.weight[None]
        for block in self.tag_layers:
            vectors = block(vectors, mask=self.relation[None, None])
        return vectors[0]

    def look(self, tokens: Any) -> tuple[Any, Any]:
        """Fuse image tokens with general knowledge, and predict the labels of the image.

        Args:
            tokens: [batch, n, image], as the projector gives them.

        Returns:
            ([batch, n, width], logits [batch, tags])
        """
        # project image tokens to the width of the network
        tokens = self.norm(self.project(tokens))
        tags = self.tag_vectors()
        # cross-attention of image tokens to tags
        for block in self.general:
            tokens = block(tokens, tags[None].expand(len(tokens), -1, -1))
        # label logits: cosine of the image and the tag, scaled
        cosine = functional.normalize(self.pool(tokens), dim=-1) @ functional.normalize(tags, dim=-1).T
        return tokens, self.scale.clamp(1.0, MOST_SCALE) * cosine + self.bias

    def image_vector(self, tokens: Any) -> Any:
        """Pool image tokens to an embedding for retrieval.

        Args:
            tokens: (batch, n, width).

        Returns:
            vectors of length one, (batch, vector).
        """
        return functional.normalize(self.image_head(self.pool(tokens)), dim=-1)

    def inform(self, tokens: Any, triplets: Any, weights: Any) -> Any:
        """Fuse image tokens with the triplets of similar reports (specific knowledge).

        Args:
            tokens: [batch, n, width].
            triplets: terms, [batch, reports, triplets, 3]; 0 is none.
            weights: of the reports, [batch, reports]; 0 for one that is not there.

        Returns:
            [batch, n, width]; rows without a triplet are as they were.
        """
        if not len(self.specific):
            return tokens
        # a triplet is the sum of the embeddings of its three terms
        embedded = sum(table(triplets[..., role]) for role, table in enumerate(self.terms))
        # weighted by the similarity of its report; one memory token a triplet
        memory = (self.term_norm(embedded) * weights[..., None, None]).flatten(1, 2)
        # triplets that exist, of reports that exist
        present = ((triplets[..., 0] > 0) & (weights[..., None] > 0)).flatten(1)
        has_triplet = present.any(1)
        # attention over no key gives NaN: such a row attends to everything, and its result is dropped below
        mask = (present | ~has_triplet[:, None])[:, None, None]
        informed = tokens
        for block in self.specific:
            informed = block(informed, memory, memory_mask=mask)
        return torch.where(has_triplet[:, None, None], informed, tokens)

    # ---- reports --------------------------------------------------------------------------------------

    def embed(self, words: Any) -> Any:
        """Add embeddings of words and of their positions.

        Args:
            words: numbers of words, (batch, length).

        Returns:
            (batch, length, width).
        """
        return self.words(words) + self.places.weight[: words.shape[1]]

    def text_vector(self, words: Any) -> Any:
        """Encode reports to embeddings for retrieval: the mean over their tokens.

        Args:
            words: numbers of words, (batch, length), padded with PAD.

        Returns:
            vectors of length one, (batch, vector).
        """
        seen = words != PAD
        x = self.embed(words)
        for block in self.encoder:
            x = block(x, mask=seen[:, None, None])
        # mean over real tokens
        mean = (x * seen[..., None]).sum(1) / seen.sum(1, keepdim=True).clamp(min=1)
        return functional.normalize(self.text_pool(mean), dim=-1)

    def matches(self, words: Any, tokens: Any) -> Any:
        """Classify whether report and image belong together (image-text matching).

        Args:
            words: numbers of words, (batch, length), padded with PAD.
            tokens: of images, (batch, n, width).

        Returns:
            logits of [not matched, matched], (batch, 2).
        """
        seen = words != PAD
        x = self.embed(words)
        for block in self.grounded:
            x = block(x, tokens, mask=seen[:, None, None])
        return self.match((x * seen[..., None]).sum(1) / seen.sum(1, keepdim=True).clamp(min=1))

    def next_words(self, words: Any, tokens: Any) -> Any:
        """Predict the next word at each position of reports, given their images.

        Args:
            words: numbers of words, (batch, length).
            tokens: of images, (batch, n, width).

        Returns:
            logits, (batch, length, words).
        """
        x = self.embed(words)
        for block in self.decoder:
            x = block(x, tokens, causal=True)
        return self.decoder_norm(x) @ self.words.weight.T
