"""Ring buffer of past image and report vectors with the triplets of each report (MOTOR, section 3.2).

The queue of the public code starts with random tokens, must be a multiple of the batch, and gives the teacher
the triplets of the query's own report. This one starts empty, takes batches of any size, and never
returns a row of the query's study or patient.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

TEMPERATURE = 0.07  # of the softmax over the fetched reports; paper: none, so that all weigh about the same


@dataclass(frozen=True)
class Fetched:
    """Reports that were retrieved from the queue for a batch of images."""

    rows: Any  # of the queue, [batch, top], -1 for none
    weights: Any  # [batch, top], sum to 1 where there is one


class KnowledgeQueue:
    """Ring buffer of vectors, triplets and owners of the newest `size` reports."""

    NAMES = ("image", "text", "triplets", "study", "patient", "report")

    def __init__(self, size: int, vector: int, most_triplets: int):
        """Allocate an empty queue.

        Args:
            size: reports that it holds.
            vector: width of the vectors.
            most_triplets: of a report.
        """
        self.size, self.most_triplets = size, most_triplets
        self.image, self.text = torch.zeros(size, vector), torch.zeros(size, vector)
        self.triplets = torch.zeros(size, most_triplets, 3, dtype=torch.long)
        # numbers of the study, the patient and the words of each report; -1: none
        self.study, self.patient, self.report = (torch.full((size,), -1, dtype=torch.long) for _ in range(3))
        self.filled = self.next = 0

    def put(self, **batch: Any) -> None:
        """Append rows in order and overwrite the oldest; of a batch larger than the queue the last rows
        remain.

        Args:
            batch: image, text [n, vector]; triplets [n, most_triplets, 3]; study, patient, report [n].
        """
        count = len(batch["study"])
        stored = min(count, self.size)
        # rows of the ring that are overwritten, the oldest first
        places = (self.next + count - stored + torch.arange(stored)) % self.size
        for name in self.NAMES:
            getattr(self, name)[places] = batch[name][count - stored :].detach()
        self.next = (self.next + count) % self.size
        self.filled = min(self.size, self.filled + count)

    def fetch(self, query: Any, own: Any, top: int, draw: Any = None) -> Fetched:
        """Retrieve the past reports whose text vectors are most similar to image vectors.

        Args:
            query: image vectors of length one, (batch, vector).
            own: numbers of (study, patient), (batch,) each; reports of the same study or patient are
                excluded. None excludes nothing.
            top: reports for each image.
            draw: generator with which reports are drawn at random instead, with equal weights; None
                retrieves by similarity.

        Returns:
            rows of the queue (batch, top), -1 for none, and weights (batch, top): a softmax over cosine /
            TEMPERATURE that sums to 1, 0 for none. The weights have a gradient to `query`.
        """
        keys = self.text[: self.filled].clone()  # `put` changes them before the backward pass
        # exclude reports of the same study or patient: their triplets would leak the answer
        allowed = torch.ones(len(query), self.filled, dtype=torch.bool)
        if own is not None:
            study, patient = own
            allowed &= self.study[None, : self.filled] != study[:, None]
            allowed &= self.patient[None, : self.filled] != patient[:, None]
        # vectors of length one: the dot product is the cosine
        cosine = query @ keys.T
        order = cosine.detach() if draw is None else torch.rand(cosine.shape, generator=draw)
        number = min(top, self.filled)
        # -9 lies below any cosine, so excluded rows are taken last
        rows = order.masked_fill(~allowed, -9.0).topk(number, dim=1).indices
        valid = allowed.gather(1, rows)
        # softmax over the similarities of the fetched, through which the image vector has a gradient
        logits = cosine.gather(1, rows) / TEMPERATURE if draw is None else torch.zeros(rows.shape)
        # excluded rows that fill up `top` get weight 0
        weights = torch.softmax(logits.masked_fill(~valid, -1e4), dim=1) * valid
        rows = rows.masked_fill(~valid, -1)
        # pad to `top` while the queue has fewer rows
        missing = (0, top - number)
        pad = torch.nn.functional.pad
        return Fetched(pad(rows, missing, value=-1), pad(weights, missing))

    def state(self) -> dict[str, Any]:
        """Export the queue as tensors, for a file.

        Returns:
            tensors by name, copies.
        """
        tensors = {name: getattr(self, name).contiguous().clone() for name in self.NAMES}
        return tensors | {"filled": torch.tensor(self.filled), "next": torch.tensor(self.next)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Restore the queue from `state`.

        Args:
            state: tensors by name, of a queue with the same sizes.
        """
        for name in self.NAMES:
            getattr(self, name).copy_(state[name])
        self.filled, self.next = int(state["filled"]), int(state["next"])
