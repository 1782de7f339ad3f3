"""Settings of train.motor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from medxiaohe.errors import ConfigError
from medxiaohe.recipe.settings import HOW, InputPath

LOSSES = ("ita", "itm", "lm", "mlc")


@dataclass(frozen=True)
class MotorSettings:
    """Names are those of Hugging Face TrainingArguments where they have one; paper: arXiv 2304.14204."""

    model: str = ""
    tags: InputPath = ""  # a file of tags (train/image_report/tags.py); "": 27 of chest radiographs
    # general knowledge: off, the graph of the tags, or the control whose relations are of other tags
    general: Literal["off", "graph", "shuffled"] = "graph"
    # specific knowledge: off, triplets of similar reports, or the control whose reports are drawn at random
    specific: Literal["off", "queue", "random"] = "queue"
    # whether an image may be given triplets of its own study and patient: false shows what the leak does
    exclude_own: bool = True
    losses: tuple[str, ...] = LOSSES  # those that are added up, unweighted
    vision: bool = False  # train the tower too; false: its features are computed once
    width: int = 128  # of the hidden layers
    heads: int = 4  # of attention; a divisor of width
    layers: int = 2  # of the encoder and the decoder of reports
    vector: int = 64  # of the space in which images and reports are compared
    queue_size: int = 4096  # reports; paper: 65536
    top: int = 3  # similar reports whose triplets an image is given
    triplets: int = 30  # of a report
    momentum: float = 0.995  # share that the slow copy of the encoders keeps at each step
    soft: float = 0.4  # share of the teacher in the targets of alignment
    max_length: int = 90  # tokens of a report
    learning_rate: float = 5e-4  # paper: 5e-5, for BERT and ViT that were trained before
    weight_decay: float = 0.02
    warmup_steps: int = 20
    max_grad_norm: float = 1.0
    per_device_train_batch_size: int = 32
    max_steps: int = 0  # 0: as many as num_train_epochs takes
    num_train_epochs: float = 30.0
    rare: float = 0.02  # tags that a smaller share of the training reports affirm are counted as rare
    seed: int = 0
    allow_contaminated: bool = False  # train on rows that were compared with no test split
    save_steps: Annotated[int, HOW] = 200  # a killed run continues from its newest checkpoint

    def __post_init__(self) -> None:
        for name in (
            "width", "heads", "layers", "vector", "queue_size", "top", "triplets", "save_steps",
            "per_device_train_batch_size",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.width % self.heads:
            raise ConfigError(f"width {self.width} must be a multiple of heads {self.heads}")
        if self.max_length < 4:
            raise ConfigError(f"max_length must be at least 4, not {self.max_length}")
        if unknown := set(self.losses) - set(LOSSES):
            raise ConfigError(f"losses: unknown {', '.join(sorted(unknown))}: they are {', '.join(LOSSES)}")
        if not self.losses:
            raise ConfigError(f"losses: all are off; name one or more of {', '.join(LOSSES)}")
        if not 0 <= self.momentum < 1 or not 0 <= self.soft <= 1:
            raise ConfigError("momentum must be from 0 to below 1, and soft from 0 to 1")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate must be above 0, not {self.learning_rate}")
