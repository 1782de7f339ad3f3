"""Stage `evals.compare`: compare several runs of the same tasks, with paired tests.

The inputs are `evals.run` stages under any names; the first is the base. Each is compared with the base and
with the one before it, on the items both answered. `corpus`, a stage with coverage.json, splits scores by how
often the corpus mentions the rarest entity of an item. `costs` has what an item took in requests, calls of
tools and tokens; `equal_budget` compares each workflow with `answer`, and with self-consistency of as many
requests. `readings` has the shares of unparsed, refused and truncated replies, the means with them as wrong
and left out, and the mean by each parser, `by_model` the shares over all tasks; `unread.jsonl` has 20 unread
replies of each task and model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.entity.tree.frequency import BUCKETS, buckets
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.evals.running import other_readings
from medxiaohe.evals.statistics import clusters, costs, readings, stats
from medxiaohe.models.asking import Client
from medxiaohe.scoring.judges.use import JudgeSettings
from medxiaohe.scoring.parsers import STRICT, lenient
from medxiaohe.tasks import make

RARITY = {"head": 0, "torso": 1, "tail": 2}


@dataclass(frozen=True)
class CompareSettings:
    seed: int = 0  # of the random sign flips
    # readings of the replies beside the strict one, which is what the tests are about: lenient, judge
    parsers: tuple[str, ...] = ()
    judge: JudgeSettings = field(default_factory=JudgeSettings)  # of the parser `judge`

    def __post_init__(self) -> None:
        other_readings.check(self.parsers, self.judge)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a task as one model answered it; `value` is None when the judge failed."""

    value: float | None
    cluster: clusters.Units
    entities: tuple[str, ...]
    asked: str  # fingerprint of the prompt and the gold


Items = Mapping[str, Item]  # sample id -> item


def compare(
    settings: CompareSettings, out: Path, *, corpus: Path | None = None, **stages: Path
) -> dict[str, Any]:
    """Compare evaluations on the items that they have in common.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        corpus: folder of a data stage with coverage.json, for scores by entity frequency.
        stages: name -> folder of an evals.run stage, the base first.

    Returns:
        the content of comparison.json: {stages, tasks, paired, costs, equal_budget, buckets, perplexity,
        readings, by_model, warnings, tests}

    Raises:
        ConfigError: there is no input, or one is not an evaluation.
        DataError: two runs have no judged item in common, or other prompts under the same ids.
    """
    if not stages:
        raise ConfigError("nothing to compare: name evals.run stages in `needs:`, the base first")
    for name, folder in stages.items():
        if not (folder / "traces.jsonl").is_file():
            raise ConfigError(
                f"the input {name!r} is no evaluation ({folder} has no traces.jsonl): compare takes stages of"
                " evals.run"
            )
    runs = {name: _items(folder / "traces.jsonl") for name, folder in stages.items()}
    read = {name: readings.read_rows(folder / "traces.jsonl") for name, folder in stages.items()}
    summaries = {name: io.read_json(folder / "summary.json") for name, folder in stages.items()}
    perplexity = {name: _documents(folder / "perplexity.jsonl") for name, folder in stages.items()}
    read_alike = readings.readings(read)
    _parsed(settings, stages, read_alike)
    tasks = sorted({task for run in runs.values() for task in run})
    paired = [
        row
        for task in tasks
        for row in _paired(task, {n: r[task] for n, r in runs.items() if task in r}, settings.seed)
    ]
    perplexity_paired = list(
        _paired("bits per token", {n: d for n, d in perplexity.items() if d}, settings.seed)
    )
    everything = paired + perplexity_paired
    # Holm's correction over all pairs of runs, tasks and perplexity together
    for row, p in zip(everything, stats.holm([row["p"] for row in everything]), strict=True):
        row["p_holm"] = p
    spent = _spent(stages, tasks)
    result = {
        "stages": list(stages),
        "tasks": {
            task: [{"stage": name, **summaries[name][task]} for name in stages if task in summaries[name]]
            for task in tasks
        },
        "paired": paired,
        "costs": {task: [{"stage": n, **row} for n, row in rows.items()] for task, rows in spent.items()},
        "equal_budget": _budgets(runs, spent, settings.seed),
        "buckets": _buckets(runs, tasks, corpus) if corpus else {},
        "perplexity": {
            "stages": [
                {"stage": n, **{k: s[k] for k in PERPLEXITY}}
                for n, s in summaries.items()
                if "bits_per_token" in s
            ],
            "paired": perplexity_paired,
        },
        "readings": read_alike,
        "by_model": readings.by_model(read),
        "warnings": readings.warnings(read_alike),
        "tests": len(everything),
    }
    io.write_jsonl(out / "unread.jsonl", readings.unread(read))
    io.write_json(out / "comparison.json", result)
    return result


def _parsed(
    settings: CompareSettings, stages: Mapping[str, Path], readings_of: dict[str, dict[str, Any]]
) -> None:
    """Add `parsers` to each stage of each task: the mean by each parser, of the run itself or read again."""
    who = other_readings.client(settings.parsers, settings.judge)
    for name, folder in stages.items():
        results = io.read_json(folder / "results.json") if (folder / "results.json").is_file() else {}
        for task, row in readings_of.items():
            if name not in row["stages"]:
                continue
            reading = row["stages"][name]
            facts = results.get("tasks", {}).get(task, {})
            means = {parser: measured["mean"] for parser, measured in (facts.get("readings") or {}).items()}
            missing = [parser for parser in settings.parsers if parser not in means]
            if missing and facts:
                inputs = results.get("inputs", {})
                means |= _read_now(folder, _inputs(folder, inputs), task, facts, missing, who)
            reading["parsers"] = {**means, STRICT: reading["wrong"]}


def _inputs(folder: Path, inputs: Mapping[str, Mapping[str, str]]) -> dict[str, Path]:
    """Folders of the tree and the data that a run read, if they still exist."""
    folders = {role: folder.parent / inputs[role]["folder"] for role in ("tree", "data") if role in inputs}
    return {role: path for role, path in folders.items() if path.is_dir()}


def _read_now(
    folder: Path,
    inputs: Mapping[str, Path],
    task: str,
    facts: Mapping[str, Any],
    parsers: Sequence[str],
    who: Client | None,
) -> dict[str, float | None]:
    """Mean by each parser of a run that was not read by them; {} for a scorer with one reading."""
    instance = make(facts["task"], inputs.get("tree"), facts.get("args"), inputs.get("data"))
    scorer = instance.scorers[0]
    if lenient.reader(scorer) is None:
        return {}
    rows = (row for row in io.read_jsonl(folder / "traces.jsonl") if row["task"] == task and row["scores"])
    measured = other_readings.summary(other_readings.read_again(rows, scorer, parsers, who, task))
    return {parser: row["mean"] for parser, row in measured.items()}


PERPLEXITY = ("documents", "tokens", "bits_per_token")


def _items(path: Path) -> dict[str, dict[str, Item]]:
    """Task -> sample id -> item, by the first scorer of the task."""
    runs: dict[str, dict[str, Item]] = {}
    for row in io.read_jsonl(path):
        sample = io.sample_from_json(row["sample"])
        prompt_digest = io.fingerprint(
            {"prompt": [_words(m) for m in row["sample"]["messages"]], "target": sample.target}
        )
        item = Item(_value(row), clusters.of(sample), sample.entities, prompt_digest)
        runs.setdefault(row["task"], {})[sample.id] = item
    return runs


def _value(row: Mapping[str, Any]) -> float | None:
    """Value of the first scorer; the mean if several answers were drawn."""
    values = [value for value in row.get("values") or [row["scores"][0]["value"]] if value is not None]
    return math.fsum(values) / len(values) if values else None


def _words(message: Mapping[str, Any]) -> list[Any]:
    """Parts of a message; an image is its digest, wherever the file is."""
    return [
        part if isinstance(part, str) else {k: v for k, v in part.items() if k != "uri"}
        for part in message.get("parts", ())
    ]


def _documents(path: Path) -> dict[str, Item]:
    if not path.exists():
        return {}
    return {
        row["id"]: Item(row["nats"] / row["tokens"] / math.log(2), "", (), f"{row['text']} {row['tokens']}")
        for row in io.read_jsonl(path)
        if row["tokens"]
    }


def _paired(task: str, runs: Mapping[str, Items], seed: int) -> Iterator[dict[str, Any]]:
    """Compare each run with the base and with the one before it."""
    names = list(runs)
    pairs = dict.fromkeys(
        pair for i, b in enumerate(names[1:], 1) for pair in ((names[0], b), (names[i - 1], b))
    )
    for a, b in pairs:
        yield _pair(task, a, b, runs, seed)


def _pair(task: str, a: str, b: str, runs: Mapping[str, Items], seed: int) -> dict[str, Any]:
    """Compare run b with run a on the items that both answered."""
    common = sorted(set(runs[a]) & set(runs[b]))
    if differing := [id for id in common if runs[a][id].asked != runs[b][id].asked]:
        raise DataError(
            f"{task}: {a} and {b} were asked different things as {differing[0]!r}: run both on the same data"
            " and tokenizer"
        )
    judged = [id for id in common if runs[a][id].value is not None and runs[b][id].value is not None]
    if not judged:
        raise DataError(f"{task}: {a} and {b} have no judged item in common")
    # paired values of the items that have both
    before, after = ([float(runs[name][id].value or 0.0) for id in judged] for name in (a, b))
    test = asdict(stats.paired(before, after, clusters.joined([runs[a][id].cluster for id in judged]), seed))
    left_out = len(set(runs[a]) | set(runs[b])) - len(judged)
    return {"task": task, "a": a, "b": b, **{k: _finite(v) for k, v in test.items()}, "unpaired": left_out}


def _budgets(
    runs: Mapping[str, Mapping[str, Items]], spent: Mapping[str, Mapping[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Compare every workflow with `answer`, and with self-consistency of as many calls; p after Holm."""
    rows = []
    for task in spent:
        for b, against, a in costs.equal_budget(spent[task]):
            pair = _pair(task, a, b, {name: run[task] for name, run in runs.items() if task in run}, seed)
            calls = {"calls": spent[task][b]["calls"], "calls_a": spent[task][a]["calls"]}
            rows.append({"against": against, **pair, **calls})
    for row, p in zip(rows, stats.holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _spent(stages: Mapping[str, Path], tasks: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Task -> stage -> its workflow and the mean cost of an item."""
    costs_of: dict[str, dict[str, Any]] = {task: {} for task in tasks}
    for name, folder in stages.items():
        path = folder / "results.json"
        facts = io.read_json(path).get("tasks", {}) if path.is_file() else {}
        for task, spent in costs.costs(folder / "traces.jsonl").items():
            costs_of[task][name] = {"workflow": facts.get(task, {}).get("workflow", ""), **spent}
    return costs_of


def _buckets(runs: Mapping[str, Mapping[str, Items]], tasks: Sequence[str], corpus: Path) -> dict[str, Any]:
    """Task -> stage -> bucket -> estimate, for tasks whose items name entities."""
    bucket_of = bucket_of_item(io.read_json(corpus / "coverage.json"))
    results: dict[str, Any] = {}
    for task in tasks:
        for name, run in runs.items():
            groups: dict[str, list[Item]] = {bucket: [] for bucket in BUCKETS}
            for item in run.get(task, {}).values():
                if item.entities and item.value is not None:
                    groups[bucket_of(item.entities)].append(item)
            if rows := {bucket: _estimate(items) for bucket, items in groups.items() if items}:
                results.setdefault(task, {})[name] = rows
    return results


def bucket_of_item(counts: Mapping[str, int]) -> Callable[[Sequence[str]], str]:
    """Bucket of items by the frequency of their rarest entity.

    Args:
        counts: entity id -> mentions in the corpus.

    Returns:
        a function: ids of the entities of an item, at least one -> head, torso or tail; an entity that the
        corpus never mentions is tail
    """
    bucket_of = buckets(counts)
    return lambda entities: max(
        (bucket_of.get(e, "tail").replace("unseen", "tail") for e in entities), key=RARITY.__getitem__
    )


def _estimate(items: Sequence[Item]) -> dict[str, Any]:
    e = stats.estimate(
        [float(item.value or 0.0) for item in items], clusters.joined([item.cluster for item in items])
    )
    return {key: _finite(value) for key, value in asdict(e).items()}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
