"""Apply a trained image-report model: images and reports as vectors of one space.

model/                  checkpoint with the trained projector (and tower), in hub layout
network/network.json    shape, vocabulary, tags, graph, terms of triplets
network/*.safetensors   weights; knowledge.safetensors: the queue of triplets at the end of training
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medxiaohe import io, plugins
from medxiaohe.errors import DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.image_report.network import Network, Shape
from medxiaohe.models.image_report.queue import KnowledgeQueue
from medxiaohe.models.image_report.tower import Tower
from medxiaohe.models.image_report.vocabulary import Vocabulary
from medxiaohe.types import ImageRef

FOLDER, RECORD, WEIGHTS, KNOWLEDGE = "network", "network.json", "network.safetensors", "knowledge.safetensors"
TOGETHER = 32  # images or reports of one forward pass


def save_network(
    folder: Path,
    network: Network,
    queue: KnowledgeQueue,
    vocabulary: Vocabulary,
    tags: Sequence[str],
    terms: Sequence[str],
    top: int,
) -> None:
    """Write the network, its vocabulary and its queue to `network/` below a folder.

    Args:
        tags: names of the tags, in the order of their embeddings.
        terms: names of the terms of triplets, in order.
        top: number of past reports from which triplets are fetched.

    Raises:
        StorageError: the disk is full or read-only.
    """
    from safetensors.torch import save_file

    path = folder / FOLDER
    io.make_folder(path)
    io.write_json(
        path / RECORD,
        {
            "shape": asdict(network.shape), "tags": list(tags), "terms": list(terms), "top": top,
            "relation": [[int(allowed) for allowed in row] for row in network.relation.tolist()],
            "vocabulary": list(vocabulary.tokens), "queue": queue.size, "triplets": queue.most_triplets,
        },
    )  # fmt: skip
    weights = {name: value.detach().contiguous().clone() for name, value in network.state_dict().items()}
    with io.storage(path):
        save_file(weights, path / WEIGHTS)
        save_file(queue.state(), path / KNOWLEDGE)


class ImageReportModel:
    """Embedder of images and reports, by a model of the stage train.motor."""

    def __init__(self, folder: Path):
        """Open the stage's folder; DataError where it has no network."""
        plugins.need("torch", "transformers", "safetensors", why="an image-report model")
        from safetensors.torch import load_file

        path = folder / FOLDER
        if not (path / RECORD).is_file():
            raise DataError(f"{folder}: no {FOLDER}/{RECORD}: give the folder of a train.motor stage")
        record = io.read_json(path / RECORD)
        self.tags, self.top = tuple(record["tags"]), int(record["top"])
        self.network = Network(Shape(**record["shape"]), [[bool(x) for x in y] for y in record["relation"]])
        self.network.load_state_dict(load_file(path / WEIGHTS))
        self.network.eval()
        shape = self.network.shape
        self.queue = KnowledgeQueue(record["queue"], shape.vector, record["triplets"])
        self.queue.load(load_file(path / KNOWLEDGE))
        self.vocabulary = Vocabulary(tuple(record["vocabulary"]))
        loaded = checkpoint.load(str(folder / "model"))
        self.tower, self.tokenizer = Tower(loaded), loaded.processor.tokenizer

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def images(self, refs: Sequence[ImageRef]) -> np.ndarray:
        """Embed images, in batches of TOGETHER.

        Returns:
            vectors of length one, float32 (images, vector).

        Raises:
            DataError: an image cannot be read.
        """
        rows = [
            self._vectors(self.tower.features(self.tower.pixels(refs[start : start + TOGETHER])))
            for start in range(0, len(refs), TOGETHER)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.network.shape.vector), np.float32)

    def _vectors(self, features: Any) -> np.ndarray:
        tokens, _ = self.network.look(self.tower.tokens(features))
        tokens = informed(self.network, tokens, self.queue, None, self.top)[0]
        return np.asarray(self.network.image_vector(tokens).numpy(), np.float32)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Embed reports, in batches of TOGETHER.

        Returns:
            vectors of length one, float32 (texts, vector).
        """
        rows = []
        for start in range(0, len(texts), TOGETHER):
            numbers = self.vocabulary.encode(
                self.tokenizer, texts[start : start + TOGETHER], self.network.shape.length
            )
            rows.append(self.network.text_vector(torch.tensor(numbers)).numpy())
        return np.concatenate(rows) if rows else np.zeros((0, self.network.shape.vector), np.float32)


def informed(
    network: Network, tokens: Any, queue: KnowledgeQueue, own: Any, top: int, draw: Any = None
) -> tuple[Any, Any]:
    """Retrieve similar reports and fuse image tokens with their triplets.

    Args:
        network: which computed the tokens.
        tokens: [batch, n, width], of `Network.look`.
        queue: of triplets, keyed by text vectors.
        own: (studies, patients) of the images, [batch] each, whose reports are excluded; None: none.
        top: reports fetched for each image.
        draw: a generator of random numbers: reports are drawn with it in place of the most similar ones.

    Returns:
        (tokens, rows of the queue that were fetched [batch, top], -1 for none)
    """
    if not network.shape.specific or not queue.filled:
        return tokens, torch.full((len(tokens), top), -1)
    fetched = queue.fetch(network.image_vector(tokens), own, top, draw)
    return network.inform(tokens, queue.triplets[fetched.rows.clamp(min=0)], fetched.weights), fetched.rows
