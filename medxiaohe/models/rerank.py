"""Rerank with a cross-encoder: query and passage are read together and scored (Nogueira and Cho 2019)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

from medxiaohe import plugins
from medxiaohe.errors import ModelError
from medxiaohe.io.checkpoint_files import refuse_code

MAX_TOKENS = 256  # of query and passage together
BATCH = 32


@functools.lru_cache(maxsize=2)
def cross_encoder(folder: Path, device: str = "cpu") -> Callable[[Sequence[tuple[str, str]]], list[float]]:
    """Load a cross-encoder in hub layout with one output, such as one of `train.retriever`.

    Args:
        folder: of the model and its tokenizer.
        device: where it runs.

    Returns:
        (query, passage) pairs -> a number each, higher for a better match. The same pairs give the same
        numbers.

    Raises:
        ModelError: no such model, or one with several outputs.
    """
    plugins.need("torch", "transformers", why="reranking by a cross-encoder")
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no cross-encoder: give a folder in hub layout, with config.json")
    refuse_code(folder)
    try:
        model = AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"cannot load the cross-encoder {folder}: {' '.join(str(error).split())[:300]}"
        ) from error
    if model.config.num_labels != 1:
        raise ModelError(f"{folder} has {model.config.num_labels} outputs: a cross-encoder has one")
    model = model.float().to(device).eval()

    def score(pairs: Sequence[tuple[str, str]]) -> list[float]:
        # pairs of about one length share a batch
        order = sorted(range(len(pairs)), key=lambda i: (len(pairs[i][0]) + len(pairs[i][1]), i))
        scores = [0.0] * len(pairs)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = tokenizer(
                [pairs[i][0] for i in rows],
                [pairs[i][1] for i in rows],
                padding=True,
                truncation="longest_first",
                max_length=MAX_TOKENS,
                return_tensors="pt",
            ).to(device)
            with torch.inference_mode():
                values = model(**batch).logits[:, 0].tolist()
            for i, value in zip(rows, values, strict=True):
                scores[i] = value
        return scores

    return score
