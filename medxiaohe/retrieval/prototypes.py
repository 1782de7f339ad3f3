"""Classify the intents of a query by prototypes: the mean vector of labelled questions of each intent
(MedAide, arXiv 2410.12532, section on intent recognition).

paper says                              we do, and why
17 intents, cosine to each prototype,   the same, with the intents of the rows that are given
softmax, all above a threshold
the threshold is not given              fitted on development rows, never on test rows
nothing about other queries             a softmax sums to 1 whatever is asked, so the best cosine must also
                                        reach a floor, fitted so that at most 5 % of development queries
                                        without medicine activate an intent
BioBERT                                 any embedder of `models/embed.py`
prototypes move with the turns of a     not here: the tool is pure, and a query gives the same intents again
conversation
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.embed import embedder

if TYPE_CHECKING:
    import numpy as np

TEMPERATURE = 0.05  # of the softmax over cosines
SILENT = 0.95  # of the development queries without medicine that must activate nothing
GRID = [round(0.01 * n, 2) for n in range(1, 61)]  # thresholds of the softmax
FLOORS = [round(0.02 * n, 2) for n in range(0, 45)]  # of the cosine


@dataclass(frozen=True)
class Prototypes:
    """Prototypes of intents, with threshold and floor.

    Attributes:
        vectors: intent -> vector of length one.
        agents: intent -> the agent that it activates.
        threshold: of the softmax over intents; floor: of the best cosine.
        encoder: embedder of the texts.
    """

    vectors: Mapping[str, Sequence[float]]
    agents: Mapping[str, str] = field(default_factory=dict)
    threshold: float = 0.5
    floor: float = 0.0
    encoder: str = "minilm"

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Compute the cosine of each text and each prototype.

        Args:
            texts: queries.

        Returns:
            cosines, of shape [texts, intents]
        """
        import numpy as np

        matrix = np.array(list(self.vectors.values()), np.float32)
        cosines: np.ndarray = embedder(self.encoder).encode(list(texts)) @ matrix.T
        return cosines

    def of(self, texts: Sequence[str]) -> list[list[str]]:
        """Classify the intents of each text, the most likely first.

        Args:
            texts: queries.

        Returns:
            names of intents of each text; [] where none is near enough
        """
        names = list(self.vectors)
        return [
            [names[i] for i in row.argsort()[::-1] if active[i]]
            for row, active in _chosen(self.scores(texts), self.threshold, self.floor)
        ]

    def agents_of(self, intents: Collection[str]) -> list[str]:
        """List the agents that intents activate.

        Args:
            intents: names; one without an agent is passed over.

        Returns:
            names of agents, sorted, each once.
        """
        return sorted({self.agents[intent] for intent in intents if intent in self.agents})


def _chosen(cosines: np.ndarray, threshold: float, floor: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(softmax, which are activated) of each row."""
    import numpy as np

    # softmax over cosine / TEMPERATURE; the largest is subtracted so that exp does not overflow
    raised = np.exp((cosines - cosines.max(1, keepdims=True)) / TEMPERATURE)
    shares = raised / raised.sum(1, keepdims=True)
    # an intent is active where its share reaches the threshold and the best cosine the floor
    active = (shares >= threshold) & (cosines.max(1, keepdims=True) >= floor)
    return list(zip(shares, active, strict=True))


def fitted(
    rows: Sequence[tuple[str, str]],
    dev: Sequence[tuple[str, Collection[str]]],
    elsewhere: Sequence[str],
    encoder: str = "minilm",
    agents: Mapping[str, str] | None = None,
) -> Prototypes:
    """Fit prototypes to labelled questions; threshold and floor are fitted to development rows.

    Args:
        rows: (question, intent), for the prototypes.
        dev: (query, intents), for the threshold.
        elsewhere: development queries without medicine, for the floor.
        encoder: embedder.
        agents: intent -> agent.

    Returns:
        prototypes with vectors of length one.

    Raises:
        DataError: an intent of `dev` has no row, or there are no rows.
    """
    import numpy as np

    if not rows or not dev:
        raise DataError("intents: give labelled questions and development rows")
    vectors = embedder(encoder).encode([text for text, _ in rows])
    names = sorted({intent for _, intent in rows})
    if unknown := sorted({intent for _, own in dev for intent in own} - set(names)):
        raise DataError(f"intents: no question is labelled {unknown[0]!r}, which a development row has")
    means = {}
    for name in names:
        # prototype: the mean vector of the intent's questions, scaled to length one
        mean = vectors[[i for i, (_, intent) in enumerate(rows) if intent == name]].mean(0)
        means[name] = (mean / max(1e-9, float(np.linalg.norm(mean)))).tolist()
    plain = Prototypes(means, agents or {}, encoder=encoder)
    # labels of the development rows, (rows, intents)
    gold = np.array([[name in own for name in names] for _, own in dev])
    cosines = plain.scores([text for text, _ in dev])
    best_elsewhere = plain.scores(elsewhere).max(1) if elsewhere else np.zeros(1)
    # the smallest floor that leaves most queries without medicine silent, then the best threshold above it
    floor = next((low for low in FLOORS if float((best_elsewhere < low).mean()) >= SILENT), FLOORS[-1])
    floor = floor if elsewhere else 0.0
    best = max(GRID, key=lambda threshold: _micro(_chosen(cosines, threshold, floor), gold))
    return Prototypes(means, agents or {}, best, floor, encoder)


def _micro(chosen: list[tuple[np.ndarray, np.ndarray]], gold: np.ndarray) -> float:
    import numpy as np

    predicted = np.stack([active for _, active in chosen])
    # micro F1 = 2 TP / (predicted + gold)
    both = int((predicted & gold).sum())
    return 2 * both / max(1, int(predicted.sum()) + int(gold.sum()))


def f1(
    predicted: Sequence[Collection[str]], gold: Sequence[Collection[str]], names: Sequence[str]
) -> dict[str, float]:
    """Compute micro F1 over all intents, and macro F1 over those that occur in the gold.

    Args:
        predicted: intents predicted for each text.
        gold: right intents of each text.
        names: all intents.

    Returns:
        {micro, macro}, each from 0 to 1
    """
    counts = {name: [0, 0, 0] for name in names}  # right, said, gold
    for own, right in zip(predicted, gold, strict=True):
        for name in names:
            counts[name][0] += name in own and name in right
            counts[name][1] += name in own
            counts[name][2] += name in right
    # micro F1 over the counts of all intents; macro F1 is the mean over intents with gold labels
    total = [sum(count[k] for count in counts.values()) for k in range(3)]
    each = [2 * a / (b + c) for a, b, c in counts.values() if c]
    return {"micro": 2 * total[0] / max(1, total[1] + total[2]), "macro": sum(each) / max(1, len(each))}


def save(prototypes: Prototypes, path: Path) -> None:
    """Write prototypes as JSON, for `read`.

    Args:
        path: the file; replaced where it exists.

    Raises:
        StorageError: the disk is full or read-only.
    """
    io.write_json(path, {**prototypes.__dict__, "vectors": dict(prototypes.vectors)})


def read(path: Path) -> Prototypes:
    """Read prototypes from a JSON file.

    Returns:
        what `save` wrote.

    Raises:
        ConfigError: the file is missing or is no file of intent prototypes.
    """
    try:
        settings: dict[str, Any] = io.read_json(path)
        return Prototypes(
            settings["vectors"],
            settings["agents"],
            float(settings["threshold"]),
            float(settings["floor"]),
            settings["encoder"],
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} is no file of intent prototypes ({type(error).__name__}): benchmarks/intents.py makes"
            " one"
        ) from error
