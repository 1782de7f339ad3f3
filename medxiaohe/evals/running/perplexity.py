"""Bits per token on held-out documents, which no training stage may read.

perplexity.jsonl has {id, text, nats, tokens}: `text` is a hash, and `tokens` counts those scored, for a
backend may truncate long documents.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.running.settings import RunSettings
from medxiaohe.progress import Meter
from medxiaohe.types import Model, Sample


def perplexity(engine: Model, data: Path, out: Path, settings: RunSettings) -> dict[str, Any]:
    """Measure a model on held-out documents and write perplexity.jsonl.

    Args:
        engine: model with `token_nats`.
        data: folder of a data stage.
        out: folder of the evaluation.
        settings: `perplexity` is the number of documents, `batch_size` that of a batch.

    Returns:
        {documents, tokens, bits_per_token}

    Raises:
        ConfigError: the backend gives no likelihoods of tokens.
        DataError: there is no held-out document, or none has tokens to predict.
    """
    if not hasattr(engine, "token_nats"):
        raise ConfigError(f"the backend {settings.backend} cannot measure perplexity: use transformers")
    documents = held_out(data, settings.perplexity)
    rows, meter = [], Meter("perplexity", len(documents))
    for start in range(0, len(documents), settings.batch_size):
        batch = documents[start : start + settings.batch_size]
        for sample, (nats, tokens) in zip(batch, engine.token_nats([s.text for s in batch]), strict=True):
            rows.append(
                {
                    "id": sample.id,
                    "nats": round(nats, 4),
                    "tokens": tokens,
                    "text": io.fingerprint(sample.text),
                }
            )
        meter.advance(len(batch))
    meter.close()
    io.write_jsonl(out / "perplexity.jsonl", rows)
    return bits(rows)


def held_out(data: Path, limit: int) -> list[Sample]:
    """Sample documents of the split test, by a hash of their ids.

    Args:
        data: folder of a data stage.
        limit: number of documents at most.

    Returns:
        documents without images, sorted by id

    Raises:
        DataError: there is none.
    """
    documents = [
        s
        for s in io.read_samples(data / "samples.jsonl")
        if s.split == "test" and s.is_document and not s.images
    ]
    if not documents:
        raise DataError(f"{data}: no document with split test, so there is nothing to measure perplexity on")
    chosen = sorted(documents, key=lambda s: (io.unit_interval("perplexity", s.id), s.id))[:limit]
    return sorted(chosen, key=lambda s: s.id)


def bits(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Bits per token over all documents; it compares models that share a tokenizer.

    Args:
        rows: {nats, tokens} of each document.

    Returns:
        {documents, tokens, bits_per_token: sum of nats / sum of tokens / ln 2}

    Raises:
        DataError: the documents have no tokens to predict.
    """
    nats, tokens = (math.fsum(row[key] for row in rows) for key in ("nats", "tokens"))
    if not tokens:
        raise DataError("the documents have no tokens to predict: they are empty")
    return {"documents": len(rows), "tokens": int(tokens), "bits_per_token": nats / tokens / math.log(2)}
