"""Save, load and apply a trained specialist."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medxiaohe import io
from medxiaohe.errors import ModelError
from medxiaohe.models.embed import embedder
from medxiaohe.models.experts.features import Question, padded, patches_of, vectors_of, words_of
from medxiaohe.models.experts.network import Shape, Specialist, on_cpu

WEIGHTS, FACTS = "experts.safetensors", "experts.json"
BATCH = 64


@dataclass(frozen=True)
class Facts:
    """Metadata of a specialist that is stored with its weights.

    Attributes:
        text: embedder of words; tower: of images.
        candidates: answers that it chooses from.
        shape: of the network.
    """

    text: str
    tower: str
    candidates: tuple[str, ...]
    shape: Shape


@dataclass(frozen=True)
class Answered:
    """Answer of a specialist to one question.

    Attributes:
        gate: the mixture's answer; experts: of each expert alone; vote: the plurality of the experts, of
            equal answers the one of the experts with more weight.
        weights: mean weight of each expert over the words; it sums to 1.
    """

    gate: str
    experts: tuple[str, ...]
    vote: str
    weights: tuple[float, ...]


def save(network: Specialist, facts: Facts, folder: Path) -> None:
    """Write weights (safetensors, no pickle) and facts to a folder.

    Args:
        folder: made where it is missing.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(on_cpu(network.state_dict()), folder / WEIGHTS)
    io.write_json(folder / FACTS, asdict(facts))


def load(folder: Path) -> tuple[Specialist, Facts]:
    """Read a network and its facts from a folder.

    Args:
        folder: `model` of a stage train.moe.

    Returns:
        (network in evaluation mode, facts).

    Raises:
        ModelError: the folder has no such files, or they do not fit together.
    """
    from safetensors.torch import load_file

    try:
        metadata = io.read_json(folder / FACTS)
        shape = Shape(**metadata["shape"])
        facts = Facts(metadata["text"], metadata["tower"], tuple(metadata["candidates"]), shape)
        network = Specialist(shape)
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{folder} is no folder of train.moe ({reason}): give the folder `model` of that stage"
        ) from error
    return network.eval(), facts


def prepared(questions: Sequence[Question], facts: Facts) -> dict[str, np.ndarray]:
    """Compute the input arrays of all questions and candidates.

    Args:
        facts: which embedder, tower and candidates to use.

    Returns:
        words (n, words, dim), segments and mask (n, words), patches (n, patches, width of the tower),
        candidates (candidates, dim).
    """
    encoder = embedder(facts.text)
    words = [word for question in questions for word, _ in words_of(question, facts.shape.longest)]
    vectors = vectors_of(words, encoder)
    text, segments, mask = padded(questions, vectors, encoder.dim, facts.shape.longest)
    images = patches_of([question.image for question in questions], facts.tower)
    patches = np.stack([images[question.image] for question in questions])
    candidates = encoder.encode(list(facts.candidates))
    return {
        "words": text, "segments": segments, "mask": mask, "patches": patches, "candidates": candidates,
    }  # fmt: skip


def batch(arrays: dict[str, np.ndarray], rows: Sequence[int]) -> dict[str, Any]:
    """Select rows as tensors, without the columns that are padding in all of them.

    Args:
        arrays: as `prepared` returns them.
        rows: numbers of the rows.

    Returns:
        the same names; `candidates` is not selected by row.
    """
    import torch

    chosen = list(rows)
    width = int(arrays["mask"][chosen].sum(1).max())
    tensors = {"candidates": torch.from_numpy(arrays["candidates"])}
    tensors["patches"] = torch.from_numpy(arrays["patches"][chosen])
    for name in ("words", "segments", "mask"):
        tensors[name] = torch.from_numpy(arrays[name][chosen][:, :width])
    return tensors


def answers(network: Specialist, arrays: dict[str, np.ndarray], candidates: Sequence[str]) -> list[Answered]:
    """Answer questions with the network, in batches of BATCH.

    Args:
        arrays: as `prepared` returns them.
        candidates: texts of the answers, in the order of their scores.

    Returns:
        one Answered for each question, in order.
    """
    import torch

    results: list[Answered] = []
    network.eval()
    for start in range(0, len(arrays["mask"]), BATCH):
        rows = range(start, min(start + BATCH, len(arrays["mask"])))
        with torch.inference_mode():
            read = network(**batch(arrays, rows))
        # mean routing weight of each expert over the words of the question
        valid = read.mask.unsqueeze(-1)
        weights = ((read.weights * valid).sum(1) / valid.sum(1)).tolist()
        # answer of the mixture and of each expert
        gates, alone = read.gate.argmax(-1).tolist(), read.experts.argmax(-1).tolist()
        for gate, own, weight in zip(gates, alone, weights, strict=True):
            votes = tuple(candidates[index] for index in own)
            vote = voted(votes, weight)
            results.append(Answered(candidates[gate], votes, vote, tuple(round(w, 6) for w in weight)))
    return results


def voted(votes: Sequence[str], weights: Sequence[float]) -> str:
    """Take a plurality vote over the answers of experts.

    Args:
        votes: answer of each expert.
        weights: weight of each expert, which breaks ties; equal sums are broken by the text.

    Returns:
        the winning answer.
    """
    counts = Counter(votes)
    heard: Counter[str] = Counter()
    for answer, weight in zip(votes, weights, strict=True):
        heard[answer] += weight  # type: ignore[assignment]
    return max(counts, key=lambda answer: (counts[answer], heard[answer], answer))
