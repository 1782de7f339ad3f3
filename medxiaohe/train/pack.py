"""Stage train.pack: the packing plan of a mixture before anything is trained: how long rows are in tokens,
and which share a sequence.

Training with `packing: true`, the same max_length and seed packs by the same function (plan.py), so this says
beforehand how full its sequences are. Needs the tokenizer of a checkpoint and none of its weights; tokens of
images are counted from the headers of their files.

    documents.plan.jsonl, instructions.plan.jsonl     a sequence a line: {rows, tokens}; an
                                                      interrupted run resumes at a line
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.recipe.settings import HOW, decisive
from medxiaohe.train.loop import batch_plan
from medxiaohe.train.loop.row_index import Reading
from medxiaohe.train.loop.rows import Rows

FILES = ("documents", "instructions")


@dataclass(frozen=True)
class PackSettings:
    model: str = "starter"  # whose tokenizer counts
    max_length: int = 2048  # tokens of a sequence
    seed: int = 0
    workers: Annotated[int, HOW] = 0  # processes that count

    def __post_init__(self) -> None:
        if self.max_length < 2:
            raise ConfigError(f"max_length must be at least 2 tokens, not {self.max_length}")


def pack(settings: PackSettings, out: Path, *, data: Path) -> dict[str, Any]:
    """Plan the sequences of a mixture and write which rows share one.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.

    Returns:
        the summary of the stage: `fill`, and for each kind {rows, tokens, sequences, fill, fill_unpacked}

    Raises:
        DataError: the mixture has no rows to train on.
    """
    processor = checkpoint.processor(settings.model)
    result = dict[str, Any]()
    for name in FILES:
        file = data / f"{name}.jsonl"
        if file.is_file() and file.stat().st_size:
            reading = Reading(settings.model, settings.max_length)
            work = io.scratch(
                out, [decisive(settings), io.content(data, file.name), io.code.digest(__name__)]
            )
            rows = Rows(file, processor, reading, f"count {name}", work=work, workers=settings.workers)
            if len(rows):
                result[name] = _planned(rows.tokens, settings, out / f"{name}.plan.jsonl")
    if not result:
        raise DataError(
            f"{data} has neither documents nor instructions to pack: look at the mixture stage's counts"
        )
    return {"fill": min(item["fill"] for item in result.values()), **result}


def _planned(lengths: Sequence[int], settings: PackSettings, path: Path) -> dict[str, Any]:
    epoch = batch_plan.batches_of_an_epoch(lengths, 1, settings.seed, settings.max_length)
    sequences = batch_plan.plan(lengths, 1, epoch, settings.seed, settings.max_length)
    io.write_jsonl(
        path, ({"rows": rows, "tokens": sum(lengths[row] for row in rows)} for (rows,) in sequences)
    )
    # fill: tokens / positions of all sequences of `max_length`
    tokens = sum(lengths)
    return {
        "rows": len(lengths),
        "tokens": tokens,
        "sequences": len(sequences),
        "fill": round(tokens / (settings.max_length * len(sequences)), 4),
        # of sequences of one row each
        "fill_unpacked": round(tokens / (settings.max_length * len(lengths)), 4),
    }
