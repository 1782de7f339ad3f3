"""Stage: knowledge-preference pairs from the model's own answers (HeteroRAG's HKPT), for train.dpo.

    pairs.jsonl      {id, kind, k, messages, prompt, chosen, rejected} (train/loop/pairs.py)
    replies.jsonl    {id, replies {how: text}, values {how: value}} of every prompt that was asked

Each prompt is answered with all that is fetched (K), without each part k of it (reports, docs, both), and
with the least similar image:

    cross-modal   right with its own image           chosen: with its image       rejected: with the other
                  image, where that is wrong
    use           right with K, wrong without k      chosen: with K               rejected: without k
    robustness    wrong with K, right without k      chosen: without k            rejected: with K

All pairs are trained with the prompt of K and the own image. "Right" is a score of at least `right` by the
task's scorer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from medxiaohe import io, progress
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.backends.transformers import Transformers
from medxiaohe.recipe.settings import HOW, InputPath, decisive
from medxiaohe.rewards.hybrid import answered
from medxiaohe.tasks import make
from medxiaohe.train.loop.contamination_check import carry, refuse_unchecked
from medxiaohe.train.loop.fit import base_model, code, device, identity
from medxiaohe.train.loop.pairs import FILE
from medxiaohe.train.rollouts.knowledge import Knowledge, asked, refuse_blind
from medxiaohe.train.rollouts.prompt_tasks import ScoresPrompts
from medxiaohe.types import Message, Sample, Task

LABEL = "knowledge preferences"
CHUNK = 32  # prompts; one that is done is on disk
WITH_ALL, OTHER_IMAGE = "with everything", "with another image"


@dataclass(frozen=True)
class PreferenceSettings(ScoresPrompts):
    """`reports` and `docs` are files of passages (retrieval/passages.py), those of reports with an image
    each."""

    model: str = ""
    reports: InputPath = ""  # a file of reports with an image each, retrieved by image
    docs: InputPath = ""  # a file of passages that a preferred answer may rest on
    top_reports: int = 2  # reports retrieved for a prompt
    top_docs: int = 2  # passages retrieved for a prompt, as in HeteroRAG
    right: float = 0.5
    max_new_tokens: int = 64
    batch_size: Annotated[int, HOW] = 16
    limit: int = 0  # prompts; 0: all
    seed: int = 0
    allow_contaminated: bool = False

    def __post_init__(self) -> None:
        if (
            min(self.top_reports, self.top_docs, self.max_new_tokens, self.batch_size) < 1
            or not 0 < self.right <= 1
        ):
            raise ConfigError(
                "top_reports, top_docs, max_new_tokens and batch_size must be at least 1, right above 0 and"
                " at most 1"
            )


def preferences(
    settings: PreferenceSettings,
    out: Path,
    *,
    data: Path,
    model: Path | None = None,
    tree: Path | None = None,
) -> dict[str, Any]:
    """Ask `prompts.jsonl` of a mixture in every way, and pair what came of it. DataError when no pair did.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        data: folder of a mixture stage.
        model: folder of a training stage to start from; None: `settings.model`.
        tree: folder of a built tree, for tasks and rewards that need one.

    Returns:
        the summary of the stage: `pairs`, `kinds`, `right`

    Raises:
        DataError: no prompt made a pair.
    """
    refuse_unchecked(data, settings.allow_contaminated, LABEL)
    base = base_model(settings, model)
    samples = list(io.read_samples(data / "prompts.jsonl"))[: settings.limit or None]
    tasks = {name: make(name, tree, from_data=True) for name in sorted({sample.source for sample in samples})}
    refuse_blind(base, samples, settings.reports)
    loaded = checkpoint.load(base, device())
    knowledge = Knowledge(
        samples, loaded, settings.reports, settings.docs, settings.top_reports, settings.top_docs
    )
    inputs = [
        io.sha256(Path(path))
        for path in (str(data / "prompts.jsonl"), settings.reports, settings.docs)
        if path
    ]
    file = io.scratch(out, [LABEL, decisive(settings), inputs, identity(base), code()]) / "replies.jsonl"
    io.drop_torn_line(file)
    rows = list(io.read_jsonl(file)) if file.exists() else []
    engine = Transformers(loaded, settings.batch_size, settings.max_new_tokens, 0.0, settings.seed)
    meter = progress.Meter(LABEL, len(samples))
    meter.advance(len(rows))
    for start in range(len(rows), len(samples), CHUNK):
        chunk = samples[start : start + CHUNK]
        rows += (new := _replies(chunk, knowledge, engine, tasks))
        io.append_jsonl(file, new)
        meter.advance(len(chunk))
    meter.close()
    pairs = [
        pair
        for sample, row in zip(samples, rows, strict=True)
        for pair in paired(sample, row, knowledge, settings.right)
    ]
    if not pairs:
        shares = Counter(
            way
            for row in rows
            for way, value in row["values"].items()
            if value is not None and value >= settings.right
        )
        raise DataError(
            f"no preference in the answers to {len(rows)} prompts (right: {dict(shares)}): take other"
            " prompts, or lower `right`"
        )
    io.write_jsonl(out / FILE, pairs)
    io.write_jsonl(out / "replies.jsonl", rows)
    carry(data, out)
    return {
        "prompts": len(rows),
        "pairs": len(pairs),
        "kinds": dict(sorted(Counter(pair["kind"] for pair in pairs).items())),
        **shares_of(rows, settings.right),
    }


def ways(sample: Sample, knowledge: Knowledge) -> dict[str, tuple[Message, ...]]:
    """List the ways a prompt is asked: with all evidence, without each kind of it, with the least similar
    image.

    Args:
        sample: the prompt.
        knowledge: reports, passages and images of the run.

    Returns:
        Name of the way -> messages.
    """
    fetched = knowledge.of(sample)
    result = {WITH_ALL: asked(sample, fetched)}
    parts = [(kind,) for kind in fetched] + ([tuple(fetched)] if len(fetched) > 1 else [])
    result |= {f"without {' and '.join(left_out)}": asked(sample, fetched, left_out) for left_out in parts}
    dissimilar = knowledge.least_like(sample.images[0]) if sample.images else None
    if dissimilar is not None:
        result[OTHER_IMAGE] = asked(sample, fetched, image=dissimilar)
    return result


def _replies(
    samples: Sequence[Sample], knowledge: Knowledge, engine: Any, tasks: dict[str, Task]
) -> list[dict[str, Any]]:
    """Rows of replies.jsonl; all ways of all samples go to the model together."""
    every = [
        (sample, way, messages) for sample in samples for way, messages in ways(sample, knowledge).items()
    ]
    replies = [reply.text for reply in engine.reply([messages for _, _, messages in every])]
    rows: dict[str, dict[str, Any]] = {
        sample.id: {"id": sample.id, "replies": {}, "values": {}} for sample in samples
    }
    for (sample, way, _), text in zip(every, replies, strict=True):
        rows[sample.id]["replies"][way] = text
        rows[sample.id]["values"][way] = tasks[sample.source].scorers[0](sample, answered(sample, text)).value
    return list(rows.values())


def paired(
    sample: Sample, row: dict[str, Any], knowledge: Knowledge, right: float
) -> Iterator[dict[str, Any]]:
    """Form the preference pairs of one prompt; a pair of equal replies is given once.

    Args:
        sample: the prompt.
        row: of replies.jsonl: `replies` and `values` by way of asking.
        knowledge: reports, passages and images of the run.
        right: value from which a reply is right.

    Yields:
        Rows of pairs.jsonl. A value of None, which could not be judged, forms no pair.
    """
    replies, values = row["replies"], row["values"]
    messages = asked(sample, knowledge.of(sample))
    seen = set()

    def pair(kind: str, k: str, chosen: str, rejected: str) -> dict[str, Any]:
        """Format a row of pairs.jsonl.

        Returns:
            {id, kind, k, source, prompt, messages, chosen, rejected}
        """
        words = "\n".join(message.text for message in messages)
        content = {
            "prompt": words,
            "messages": [io.to_json(m) for m in messages],
            "chosen": chosen,
            "rejected": rejected,
        }
        return {"id": f"{sample.id}/{kind}", "kind": kind, "k": k, "source": sample.source, **content}

    results = []
    for way, value in values.items():
        if way == WITH_ALL or value is None or values[WITH_ALL] is None:
            continue
        # use: right with K and wrong without k; robustness: the reverse
        better = values[WITH_ALL] >= right > value
        worse = values[WITH_ALL] < right <= value
        if way == OTHER_IMAGE:
            results += [pair("cross-modal", "image", replies[WITH_ALL], replies[way])] if better else []
        elif better:
            results.append(pair("use", way.removeprefix("without "), replies[WITH_ALL], replies[way]))
        elif worse:
            results.append(pair("robustness", way.removeprefix("without "), replies[way], replies[WITH_ALL]))
    for result in results:
        key = (result["chosen"].strip(), result["rejected"].strip())
        if all(key) and key not in seen:
            seen.add(key)
            yield result


def shares_of(rows: Sequence[dict[str, Any]], right: float) -> dict[str, Any]:
    """Compute the accuracy of each way of asking; HeteroRAG's diagnostics are differences of these.

    Args:
        rows: of replies.jsonl.
        right: value from which a reply is right.

    Returns:
        {right: {way: share of the judged prompts}}
    """
    result: dict[str, list[bool]] = {}
    for row in rows:
        for way, value in row["values"].items():
            if value is not None:
                result.setdefault(way, []).append(value >= right)
    return {"right": {way: round(sum(values) / len(values), 4) for way, values in sorted(result.items())}}
