"""Stage `evals.run`: one model on tasks, every trace kept, so that each number can be looked into.

traces.jsonl has {task, sample, trace, scores}: the gold is in the sample, the model saw trace.prompt. perplexity.jsonl
has {id, text, nats, tokens} of documents that no training stage may read: `text` is a hash, and `tokens` counts those
scored, for a backend may cut long documents. summary.json is what the stage returns.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals import stats
from medxiaohe.progress import Meter
from medxiaohe.tasks import make
from medxiaohe.types import Message, Model, Sample, Score, Task, Tool, Trace

BATCHES_A_CALL = 8  # a backend puts conversations of like length into one batch
MAX_TRAIN_GOLDS = 2000  # enough to know the most frequent answer


@dataclass(frozen=True)
class TaskRun:
    name: str
    limit: int | None = None  # the first items in the task's own order, which is shuffled
    split: str = "test"
    args: dict[str, Any] = field(default_factory=dict)
    label: str = ""  # the name in the results, when one task runs twice

    @property
    def shown(self) -> str:
        return self.label or Path(self.name.partition(":")[0]).stem


@dataclass(frozen=True)
class RunSettings:
    tasks: tuple[TaskRun, ...] = ()
    model: str = ""  # for a model that is no earlier stage: starter, a folder, a hub id, a served name
    backend: str = "transformers"
    options: dict[str, Any] = field(default_factory=dict)  # of the backend: url, api_key_env, ...
    perplexity: int = 0  # how many test documents of the `data` stage to measure
    batch_size: int = 16
    max_new_tokens: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.tasks and not self.perplexity:
            raise ConfigError("give `tasks`, or a number of documents as `perplexity`")
        if self.batch_size < 1 or self.max_new_tokens < 1 or self.perplexity < 0:
            raise ConfigError("batch_size and max_new_tokens must be at least 1, perplexity at least 0")
        for task in self.tasks:
            make(task.name, None, task.args)
            if task.limit is not None and task.limit < 1:
                raise ConfigError(f"the limit of task {task.shown!r} must be at least 1, not {task.limit}")
        if len({task.shown for task in self.tasks}) < len(self.tasks):
            raise ConfigError("two tasks have the same name: give one of them a `label`")


def run(
    settings: RunSettings, out: Path, *, model: Path | None = None, tree: Path | None = None, data: Path | None = None
) -> dict[str, Any]:
    if settings.perplexity and data is None:
        raise ConfigError("perplexity needs documents: name a stage of them in `needs:` as `data`")
    engine = load_model(settings, model)
    summary: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    linker = _linker(tree)
    for wanted in settings.tasks:
        task = make(wanted.name, tree, wanted.args, data)
        samples = [_linked(sample, linker) for sample in _samples(task, wanted)]
        traces = _traces(task, samples, engine, settings.batch_size, wanted.shown)
        judged = [judge(task, sample, trace) for sample, trace in zip(samples, traces, strict=True)]
        for sample, trace, scores in zip(samples, traces, judged, strict=True):
            rows.append({"task": wanted.shown, "sample": sample, "trace": trace, "scores": scores})
        for i, scorer in enumerate(zip(*judged, strict=True)):
            name = wanted.shown if i == 0 else f"{wanted.shown}.{scorer[0].name}"
            summary[name] = summarise(samples, scorer) | (constant(task, samples, wanted.split) if i == 0 else {})
    io.write_jsonl(out / "traces.jsonl", sorted(rows, key=lambda row: (row["task"], row["sample"].id)))
    if settings.perplexity and data is not None:
        summary |= _perplexity(engine, data, out, settings)
    io.write_json(out / "summary.json", summary)
    return summary


# ---- the model and the tasks -----------------------------------------------------------------------


def load_model(settings: RunSettings, stage: Path | None) -> Model:
    """The backend of the settings on the model of an earlier stage, or on the one the settings name."""
    if stage is not None and settings.model:
        raise ConfigError(f"two models: `needs: model` is a stage, and `model: {settings.model}` is set; keep one")
    name = str(stage / "model" if stage is not None else settings.model)
    if not name:
        raise ConfigError("no model: name a training stage in `needs:` as `model`, or set `model`")
    backend = plugins.load("models", settings.backend)
    known = inspect.signature(backend).parameters
    common = {"max_new_tokens": settings.max_new_tokens, "batch_size": settings.batch_size, "seed": settings.seed}
    options = {key: value for key, value in common.items() if key in known} | settings.options
    if unknown := [key for key in options if key not in known]:
        raise ConfigError(f"the backend {settings.backend} has no option {unknown[0]!r}{plugins.nearest(unknown[0], known)}")
    return backend(name, **options)  # type: ignore[no-any-return]


def _samples(task: Task, wanted: TaskRun) -> list[Sample]:
    samples = list(islice(task.samples(wanted.split), wanted.limit))
    if not samples:
        raise DataError(f"the task {wanted.shown} has no samples in split {wanted.split!r}")
    if twice := [id for id, n in Counter(sample.id for sample in samples).items() if n > 1]:
        raise DataError(f"the task {wanted.shown} has {len(twice)} ids more than once, such as {twice[0]!r}")
    return samples


def _tools(task: Task) -> list[Tool]:
    tools = [plugins.load("tools", name) for name in task.tools]
    return [tool if isinstance(tool, Tool) else tool() for tool in tools]


def _traces(task: Task, samples: Sequence[Sample], engine: Model, batch_size: int, label: str) -> list[Trace]:
    workflow, tools, traces = plugins.load("workflows", task.workflow), _tools(task), list[Trace]()
    meter = Meter(label, len(samples))
    step = batch_size * BATCHES_A_CALL
    for start in range(0, len(samples), step):
        prompts = [sample.prompt for sample in samples[start : start + step]]
        traces += workflow(prompts, engine, tools)
        meter.advance(len(prompts))
    meter.close()
    if [trace.prompt.id for trace in traces] != [sample.id for sample in samples]:
        raise DataError(f"the workflow {task.workflow} must return one trace for each prompt, in order")
    return traces


def _linker(tree: Path | None) -> Any:
    from medxiaohe.entity.link import Linker
    from medxiaohe.entity.tree import Tree

    return None if tree is None else Linker(Tree.load(tree))


def _linked(sample: Sample, linker: Any) -> Sample:
    """The sample with the entities of its gold answer, unless the task names them: scores are reported by frequency."""
    if linker is None or sample.entities or not sample.messages or sample.messages[-1].role != "assistant":
        return sample
    return replace(sample, entities=tuple(sorted({mention.entity for mention in linker.find(sample.messages[-1].text)})))


# ---- numbers ---------------------------------------------------------------------------------------


def judge(task: Task, sample: Sample, trace: Trace) -> list[Score]:
    return [scorer(sample, trace) for scorer in task.scorers]


def cluster(sample: Sample) -> str:
    """What is not independent of what: the patient, else the study."""
    return sample.patient_id or sample.study_id


def summarise(samples: Iterable[Sample], scores: Iterable[Score]) -> dict[str, Any]:
    """Mean and interval of the judged, unparsed and refused together; the unjudged are counted, never averaged."""
    pairs = [(sample, score) for sample, score in zip(samples, scores, strict=True)]
    known = [(cluster(sample), float(score.value)) for sample, score in pairs if score.value is not None]
    counts = Counter(score.status for _, score in pairs)
    found: dict[str, Any] = {"n": len(known), "mean": None, "low": None, "high": None, "clusters": 0}
    if known:
        e = stats.estimate([value for _, value in known], [group for group, _ in known])
        found = {"n": e.n, "mean": e.mean, "low": _finite(e.low), "high": _finite(e.high), "clusters": e.clusters}
    return found | {status: counts[status] for status in ("unparsed", "refused", "unjudged")}


def constant(task: Task, samples: Sequence[Sample], split: str) -> dict[str, Any]:
    """What always giving one answer would score: the most frequent of train, or, where there is none, the best on these."""
    try:
        golds = Counter(map(task.gold, islice(task.samples("train"), MAX_TRAIN_GOLDS))) if split != "train" else Counter[str]()
    except DataError:
        golds = Counter()
    source = "train" if golds else split
    golds = golds or Counter(map(task.gold, samples))
    said = min(golds, key=lambda gold: (-golds[gold], gold))
    scores = [judge(task, sample, _said(sample, said))[0] for sample in samples]
    values = [score.value for score in scores if score.value is not None]
    mean = math.fsum(values) / len(values) if values else None
    return {"constant": mean, "constant_answer": said, "constant_from": source}


def _said(sample: Sample, answer: str) -> Trace:
    return Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))


def _perplexity(engine: Model, data: Path, out: Path, settings: RunSettings) -> dict[str, Any]:
    if not hasattr(engine, "token_nats"):
        raise ConfigError(f"the backend {settings.backend} cannot measure perplexity: use transformers")
    documents = held_out(data, settings.perplexity)
    rows, meter = [], Meter("perplexity", len(documents))
    for start in range(0, len(documents), settings.batch_size):
        batch = documents[start : start + settings.batch_size]
        for sample, (nats, tokens) in zip(batch, engine.token_nats([s.text for s in batch]), strict=True):
            rows.append({"id": sample.id, "nats": round(nats, 4), "tokens": tokens, "text": io.fingerprint(sample.text)})
        meter.advance(len(batch))
    meter.close()
    io.write_jsonl(out / "perplexity.jsonl", rows)
    return bits(rows)


def held_out(data: Path, limit: int) -> list[Sample]:
    """The first `limit` test documents of a stage of data, in an order that depends on their ids only."""
    found = [s for s in io.read_samples(data / "samples.jsonl") if s.split == "test" and s.is_document and not s.images]
    if not found:
        raise DataError(f"{data}: no document with split test, so there is nothing to measure perplexity on")
    chosen = sorted(found, key=lambda s: (io.unit_interval("perplexity", s.id), s.id))[:limit]
    return sorted(chosen, key=lambda s: s.id)


def bits(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Bits per token over all documents; it compares models that share a tokenizer."""
    nats, tokens = (math.fsum(row[key] for row in rows) for key in ("nats", "tokens"))
    if not tokens:
        raise DataError("the documents have no tokens to predict: they are empty")
    return {"documents": len(rows), "tokens": int(tokens), "bits_per_token": nats / tokens / math.log(2)}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
