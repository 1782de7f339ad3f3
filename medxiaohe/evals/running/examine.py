"""Passes of one task: items unchanged, k draws, without images, perturbed, and by likelihood.

Each pass reads a file of items and leaves a file of rows (evals/running/work.py). Numbers are made
from those files alone, so a run that was killed ends with the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.agents.engine import Journal
from medxiaohe.errors import DataError
from medxiaohe.evals.perturb._question import Around, question
from medxiaohe.evals.running import answer_options, fingerprints, work
from medxiaohe.evals.running.examined_model import with_seed
from medxiaohe.evals.running.judging import failed, failure, judge_all, said, unanswered
from medxiaohe.evals.running.settings import Rewriter, RunSettings, TaskRun
from medxiaohe.evals.running.workflows import chosen
from medxiaohe.evals.statistics import clusters
from medxiaohe.models.asking import Client
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.types import ImageRef, Message, Model, Sample, Task, Tool, Trace

BATCHES_A_CALL = 8  # batches in a window, so that a backend can batch conversations of similar length
BLIND = "image_removed"
REWRITE = (
    "Rewrite this question in other words. Keep its meaning, every number, name and side, and whether"
    " something is denied. Write the new question and nothing else."
)


@dataclass(frozen=True)
class Examination:
    """A task under examination: its items, its models, and the folder of its unfinished work."""

    task: Task
    wanted: TaskRun
    settings: RunSettings
    engine: Model
    folder: Path
    derived: Path  # images that were changed
    tree: Path | None = None
    linker: Any = None
    cache: Mapping[str, Any] | None = None  # identity of the model, key of its cache of replies
    window: int = 0
    tools: tuple[Tool, ...] = ()  # of the task, opened
    cast: Mapping[str, Model] = field(default_factory=dict)  # role of the workflow -> its model

    @property
    def items(self) -> Path:
        """File of the items.

        Returns:
            items.jsonl in the folder
        """
        return self.folder / "items.jsonl"

    def rows(self, name: str) -> Path:
        """File of the rows of a pass.

        Args:
            name: of the pass.

        Returns:
            NAME.rows.jsonl in the folder
        """
        return self.folder / f"{name}.rows.jsonl"


def write_items(exam: Examination) -> dict[str, Any]:
    """Write the items of a task once.

    Args:
        exam: the task.

    Returns:
        {n, items, prompts, fingerprint}: their number, digests of items and prompts, and the fingerprint of
        tasks.fingerprint, "" if a limit left items of the split out

    Raises:
        DataError: the split has no items, or two with one id.
    """
    facts = exam.folder / "facts.json"
    if not facts.exists():
        exam.folder.mkdir(parents=True, exist_ok=True)
        digest = fingerprints.Digest()
        samples = iter(exam.task.samples(exam.wanted.split))
        io.write_jsonl(exam.items, _item_rows(exam, _samples(samples, exam.wanted), digest))
        complete = next(samples, None) is None
        io.write_json(facts, digest.facts() | {"fingerprint": str(digest.whole) if complete else ""})
    written: dict[str, Any] = io.read_json(facts)
    if not written["n"]:
        raise DataError(f"the task {exam.wanted.shown} has no samples in split {exam.wanted.split!r}")
    return written


def _item_rows(
    exam: Examination, samples: Iterable[Sample], digest: fingerprints.Digest
) -> Iterator[work.Row]:
    for sample in samples:
        digest.add(sample)
        sample, nodes = linked(sample, exam.linker)
        yield {"sample": sample, "nodes": nodes}


def _samples(samples: Iterator[Sample], task_run: TaskRun) -> Iterator[Sample]:
    seen: set[bytes] = set()
    for sample in islice(samples, task_run.limit):
        key = blake2b(sample.id.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if key in seen:
            raise DataError(f"the task {task_run.shown} has an id more than once: {sample.id!r}")
        seen.add(key)
        yield sample


def linked(sample: Sample, linker: Any) -> tuple[Sample, list[str]]:
    """Link an item to the tree.

    Args:
        sample: the item.
        linker: finds entities in texts; None: only the entities that the task names.

    Returns:
        the sample with the entities of its gold answer, unless the task names them, and the nodes it is
        about: its entities and those of its question before the options, of which most are wrong
    """
    if linker is None:
        return sample, sorted(sample.entities)
    if not sample.entities and sample.messages and sample.messages[-1].role == "assistant":
        sample = replace(
            sample,
            entities=tuple(sorted({mention.entity for mention in linker.find(sample.messages[-1].text)})),
        )
    parts = question(sample)
    nodes = {mention.entity for mention in linker.find(parts.stem)} if parts else set()
    return sample, sorted(nodes | set(sample.entities))


# ---- passes ----------------------------------------------------------------------------------------


def answer(exam: Examination, name: str, items: Path, seed: int) -> Path:
    """Let the model answer items, and score the answers.

    Args:
        exam: the task.
        name: of the pass; "main" is the first.
        items: file of the items.
        seed: of sampling.

    Returns:
        file of rows {task, sample, trace, scores}

    Raises:
        ConfigError: mode rank on a task or a backend that cannot be ranked.
    """
    if exam.settings.mode == "rank":
        return rank(exam, name, items)
    engine = with_seed(exam.engine, seed) if seed != exam.settings.seed else exam.engine
    workflow = chosen(exam.task.workflow, exam.settings.workflow)
    journal = Journal(exam.folder / f"{name}.results.jsonl", ("rank", "use"))  # replies are in the stores
    stores = [ReplyStore(exam.folder / f"{name}.replies.sqlite")]
    cast = {"": _client(exam, engine, seed, stores[0])}
    for role, model in exam.cast.items():
        stores.append(ReplyStore(exam.folder / f"{name}.{role}.replies.sqlite"))
        cast[role] = Client(with_seed(model, seed), journal=stores[-1])
    tools = exam.tools

    def begin(at: int, steps: work.Steps) -> None:
        """Start a window: clients and journal keep replies under its index.

        Args:
            at: index of its first item.
            steps: progress to tick.
        """
        # another pass or a later window implies that the model has answered before
        for client in cast.values():
            client.begin(f"window {at}", steps.tick, going=at > 0 or name != "main")
        journal.begin(at)

    def do(chunk: Sequence[work.Item]) -> list[work.Row]:
        """Answer and score the items of a window.

        Returns:
            their rows, in order
        """
        traces = workflow.traces([item.sample.prompt for item in chunk], cast, tools, journal)
        for client in cast.values():
            client.check()
        return _judged(exam, chunk, traces)

    _fill(exam, name, items, do, begin)
    for store in stores:
        store.delete()
    journal.end()
    return exam.rows(name)


def _client(exam: Examination, engine: Model, seed: int, journal: ReplyStore) -> Client:
    """Client of the examined model, with a store of replies that outlives this process.

    It has those of the current window, and with a cache those of greedy decoding. The cache is a file for
    each model and way of decoding, which runs and processes share.
    """
    if exam.cache is None:
        return Client(engine, journal=journal)
    identity = io.fingerprint({**exam.cache, "seed": seed if exam.settings.temperature else 0})
    cache = ReplyStore(assets.cache_root() / "replies" / f"{identity}.sqlite", shared=True)
    return Client(engine, cache_scope=identity, journal=journal, cache=cache)


def rank(exam: Examination, name: str, items: Path) -> Path:
    """Let the model choose the most likely answer option of items, and score it.

    Args:
        exam: the task.
        name: of the pass.
        items: file of the items.

    Returns:
        file of rows {task, sample, trace, scores, nats}, nats the negative log-likelihood of each option

    Raises:
        ConfigError: the task has no options, or the backend gives no likelihoods.
    """
    offered = answer_options.needed(exam.task, exam.engine)

    def do(chunk: Sequence[work.Item]) -> list[work.Row]:
        """Rank and score the items of a window.

        Returns:
            their rows, in order
        """
        samples = [item.sample for item in chunk]
        nats = answer_options.nats(exam.engine, samples, offered)
        chosen = [offered(sample)[row.index(min(row))] for sample, row in zip(samples, nats, strict=True)]
        traces = [said(sample, text) for sample, text in zip(samples, chosen, strict=True)]
        return [{**row, "nats": n} for row, n in zip(_judged(exam, chunk, traces), nats, strict=True)]

    _fill(exam, name, items, do)
    return exam.rows(name)


def likelihoods(exam: Examination, name: str, items: Path) -> Path:
    """Likelihood and score of each answer option of items.

    Args:
        exam: the task.
        name: of the pass.
        items: file of the items.

    Returns:
        file of rows {id, cluster, answers, nats, values}, one value for each option

    Raises:
        ConfigError: the task has no options, or the backend gives no likelihoods.
    """
    offered = answer_options.needed(exam.task, exam.engine)

    def do(chunk: Sequence[work.Item]) -> list[work.Row]:
        """Likelihoods of the items of a window.

        Returns:
            their rows, in order
        """
        samples = [item.sample for item in chunk]
        rows = zip(samples, answer_options.nats(exam.engine, samples, offered), strict=True)
        return [_likelihood(exam.task, sample, offered(sample), nats) for sample, nats in rows]

    _fill(exam, name, items, do)
    return exam.rows(name)


def _likelihood(task: Task, sample: Sample, answers: Sequence[str], nats: list[float]) -> work.Row:
    values = [task.scorers[0](sample, said(sample, text)).value for text in answers]
    return {
        "id": sample.id,
        "cluster": clusters.of(sample),
        "answers": list(answers),
        "nats": nats,
        "values": values,
    }


def _judged(exam: Examination, chunk: Sequence[work.Item], traces: Sequence[Trace]) -> list[work.Row]:
    """Rows of scored traces; a trace without an answer, because the server failed on it, is an error row."""
    why = [failure(trace) for trace in traces]
    answered = [i for i, error in enumerate(why) if not error]
    scores = judge_all(exam.task, [chunk[i].sample for i in answered], [traces[i] for i in answered])
    by_index = dict(zip(answered, scores, strict=True))
    judged = [
        by_index[i] if i in by_index else unanswered(exam.task, item.sample, why[i])
        for i, item in enumerate(chunk)
    ]
    traces = [failed(trace, error) if error else trace for trace, error in zip(traces, why, strict=True)]
    columns = zip(chunk, traces, judged, strict=True)
    return [
        {
            "task": exam.wanted.shown,
            "sample": i.sample,
            "trace": t,
            **s.to_json(),
            **({"nodes": i.nodes} if i.nodes else {}),
        }
        for i, t, s in columns
    ]


def _fill(
    exam: Examination,
    name: str,
    items: Path,
    do: Callable[[Sequence[work.Item]], list[work.Row]],
    *begin: Any,
) -> None:
    shown = exam.wanted.shown if name == "main" else f"{exam.wanted.shown} {name}"
    work.fill(exam.rows(name), items, exam.window, shown, do, *begin)


# ---- other passes -----------------------------------------------------------------------------------


def perturbed(exam: Examination, name: str) -> Path | None:
    """Write the items that a perturbation applies to, changed.

    Args:
        exam: the task.
        name: of the perturbation.

    Returns:
        file of the items; None if it applies to none

    Raises:
        ConfigError: no perturbation has this name.
    """
    path = exam.folder / f"{name}.items.jsonl"
    if not path.exists():
        change = plugins.load("perturbations", name)
        pictures = _images(exam.items) if name == "image_swapped" else ()
        around = Around(
            exam.settings.seed,
            pictures,
            exam.derived,
            _rewriter(exam.settings.rewriter) if name == "paraphrase" else None,
        )
        rows = (
            {"sample": changed_sample}
            for item in work.items(exam.items)
            if (changed_sample := change(item.sample, around)) is not None
        )
        io.write_jsonl(path, rows)
    return path if work.count(path) else None


def _rewriter(settings: Rewriter) -> Callable[[str], str] | None:
    if not settings.model:
        return None
    client = Client(plugins.load("models", settings.backend)(settings.model, **settings.options))
    return lambda text: client.ask([[Message("user", (f"{REWRITE}\n\n{text}",))]])[0].text.strip()


def _images(items: Path) -> list[ImageRef]:
    """Every image of the task once, in an order that depends on their bytes."""
    images = {image.sha256 or image.uri: image for item in work.items(items) for image in item.sample.images}
    return [images[key] for key in sorted(images)]


def validation_items(exam: Examination, number: int) -> Path | None:
    """Write items to fit a calibration on, of the split `validation`, which no result is about.

    Args:
        exam: the task.
        number: of items at most.

    Returns:
        file of the items; None if the task has no other split `validation`, or no data of it
    """
    path = exam.folder / "validation.items.jsonl"
    if exam.wanted.split == "validation" or "validation" not in exam.task.splits:
        return None
    if not path.exists():
        try:
            samples = list(islice(exam.task.samples("validation"), number))
        except DataError:
            samples = []
        io.write_jsonl(path, ({"sample": sample} for sample in samples))
    return path if work.count(path) else None
