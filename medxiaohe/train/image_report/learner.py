"""Student, momentum teacher and queue of MOTOR, and one step of its training.

The order is that of the paper, but for the queue: both student and teacher retrieve before the batch is put
into it, and never rows of their own study or patient. The public code puts the triplets of the batch in
first, so that its teacher can read the report that it is asked about.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from medxiaohe.models.image_report.network import Network
from medxiaohe.models.image_report.queue import KnowledgeQueue
from medxiaohe.models.image_report.reader import informed
from medxiaohe.models.image_report.tower import Tower
from medxiaohe.train.image_report import objectives
from medxiaohe.train.image_report.settings import MotorSettings


@dataclass
class Batch:
    """Tensors of some pairs."""

    images: Any  # features of a frozen tower [batch, n, width], or pixels [batch, 3, height, width]
    words: Any  # [batch, length]
    triplets: Any  # [batch, triplets, 3]
    labels: Any  # [batch, tags]
    study: Any  # [batch], numbers
    patient: Any
    report: Any  # number of the report's words: equal for reports that say the same


# "student" or "teacher", the pairs, rows of the queue that were fetched for each [batch, top], -1 for none
Watch = Callable[[str, Batch, Any], None]


class Learner:
    """Trained modules (student) with their momentum copy (teacher) and the queue."""

    def __init__(self, network: Network, tower: Tower, queue: KnowledgeQueue, settings: MotorSettings):
        self.network, self.tower, self.queue, self.settings = network, tower, queue, settings
        self.watch: Watch = lambda *_: None
        # student: what has gradients; teacher: its copy, which follows it (MoCo, BLIP)
        self.student = torch.nn.ModuleDict({"network": network, "projector": tower.projector})
        if settings.vision:
            self.student["vision"] = tower.vision
        for name, module in (("projector", tower.projector), ("vision", tower.vision)):
            module.requires_grad_(name in self.student)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        own, theirs = dict(self.student.named_parameters()), dict(self.teacher.named_parameters())
        self._follow = [(theirs[name], weight) for name, weight in own.items()]

    def image_tokens(self, images: Any, side: str) -> Any:
        """Compute image tokens of the projector by the student or the teacher.

        Args:
            images: features [batch, n, width] of a frozen tower, or pixels [batch, 3, height, width].
            side: "student" or "teacher".

        Returns:
            [batch, n, width of the language model]
        """
        modules = self.student if side == "student" else self.teacher
        if not self.settings.vision:
            return modules["projector"](images)
        if side == "student":
            return self.tower.tokens(self.tower.features(images))
        # the tower's own code with the teacher's weights in place of the student's
        weights = dict(modules["vision"].named_parameters())
        with _swapped(self.tower.vision, weights):
            features = self.tower.features(images)
        return modules["projector"](features)

    def look(self, batch: Batch, side: str, draw: torch.Generator | None) -> tuple[Any, Any, Any]:
        """Compute image tokens with general and specific knowledge.

        Args:
            batch: of pairs.
            side: "student" or "teacher".
            draw: random numbers, for the control that draws reports at random.

        Returns:
            (tokens with knowledge [batch, n, width], image vectors [batch, vector], logits of tags [batch,
            tags])
        """
        network = (self.student if side == "student" else self.teacher)["network"]
        # general knowledge: tags of the graph; labels are read from these tokens
        tokens, logits = network.look(self.image_tokens(batch.images, side))
        # specific knowledge: triplets of similar reports, none of the image's own study or patient
        own = (batch.study, batch.patient) if self.settings.exclude_own else None
        random = draw if self.settings.specific == "random" else None
        tokens, rows = informed(network, tokens, self.queue, own, self.settings.top, random)
        self.watch(side, batch, rows)
        return tokens, network.image_vector(tokens), logits

    def loss(self, batch: Batch, draw: torch.Generator) -> tuple[Any, dict[str, float]]:
        """Sum the losses that are on, unweighted, and put the batch into the queue afterwards.

        Args:
            batch: of pairs.
            draw: random numbers of this step.

        Returns:
            (scalar with gradient, value of each loss in nats)
        """
        on, queue, filled = self.settings.losses, self.queue, self.queue.filled
        tokens, image, logits = self.look(batch, "student", draw)
        # momentum targets: teacher vectors of the same batch, without gradient
        with torch.no_grad():
            _, teacher_image, _ = self.look(batch, "teacher", draw)
            teacher_text = self.teacher["network"].text_vector(batch.words)
        parts: dict[str, Any] = {}
        text = self.network.text_vector(batch.words)
        # columns that say the same as a row are no negatives of it
        same = batch.report[:, None] == batch.report[None]
        if "ita" in on:
            columns = torch.cat([batch.report, queue.report[:filled]])
            parts["ita"] = objectives.alignment(
                (image, text),
                (teacher_image, teacher_text),
                (queue.image[:filled].clone(), queue.text[:filled].clone()),
                (batch.report[:, None] == columns[None]).float(),
                self.network.temperature,
                self.settings.soft,
            )
        if "itm" in on:
            mine = same | (batch.study[:, None] == batch.study[None])
            # cosine / tau of every image and report of the batch, (batch, batch): of vectors of length one
            similarity = (image @ text.T) / self.network.temperature
            parts["itm"] = objectives.matching(self.network, tokens, batch.words, similarity, mine, draw)
        if "lm" in on:
            parts["lm"] = objectives.language(self.network, tokens, batch.words)
        if "mlc" in on:
            parts["mlc"] = objectives.labelling(logits, batch.labels)
        # teacher vectors go in after all losses: no row of the batch can retrieve itself
        queue.put(
            image=teacher_image, text=teacher_text, triplets=batch.triplets, study=batch.study,
            patient=batch.patient, report=batch.report,
        )  # fmt: skip
        return sum(parts.values()), {name: float(value.detach()) for name, value in parts.items()}

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def follow(self) -> None:
        """Move the teacher towards the student: theta' <- m theta' + (1 - m) theta (MoCo, arXiv 1911.05722,
        eq. 2).
        """
        for theirs, own in self._follow:
            theirs.lerp_(own, 1 - self.settings.momentum)

    def tensors(self) -> dict[str, Any]:
        """Collect the tensors of a checkpoint: student, teacher and queue.

        Returns:
            Tensors by name, with the prefix "student ", "teacher " or "queue ".
        """
        result = {f"queue {name}": value for name, value in self.queue.state().items()}
        for side in ("student", "teacher"):
            state = getattr(self, side).state_dict()
            result |= {f"{side} {name}": value for name, value in state.items()}
        return result

    def load(self, tensors: dict[str, Any]) -> None:
        """Take up the tensors of a checkpoint.

        Args:
            tensors: of `tensors`.
        """
        for side in ("student", "teacher"):
            own = {k.removeprefix(f"{side} "): v for k, v in tensors.items() if k.startswith(f"{side} ")}
            getattr(self, side).load_state_dict(own)
        self.queue.load({k.removeprefix("queue "): v for k, v in tensors.items() if k.startswith("queue ")})


class _swapped:
    """Context manager: a module computes with other weights."""

    def __init__(self, module: Any, weights: dict[str, Any]):
        self.module, self.weights = module, weights

    def __enter__(self) -> None:
        self.own = {name: weight.data for name, weight in self.module.named_parameters()}
        self._set({name: weight.data for name, weight in self.weights.items()})

    def __exit__(self, *_: object) -> None:
        self._set(self.own)

    def _set(self, data: dict[str, Any]) -> None:
        for name, weight in self.module.named_parameters():
            weight.data = data[name]
