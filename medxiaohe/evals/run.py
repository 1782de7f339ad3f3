"""Stage `evals.run`: evaluate one model on tasks and keep every trace, so that each number can be inspected.

    traces.jsonl      {task, sample, trace, scores}, and `values` of all draws if there are several: the gold
    is
                      in the sample, the model saw trace.prompt. With a judge: `verdicts` of each scorer
                      {label, why, prompt, judge} and `judge_replies`, by the digest of the prompt. `head` is
                      the name of the trace in traces/
    traces/           the same traces as a log that anyone verifies offline (docs/traces.md)
    judges.json       {task: its judge's description, its self-test, and its calls, cost and cache hits}
    draws.jsonl       {task, id, draw, answer, scores} of the draws after the first
    variants.jsonl    {task, variant, sample, trace, scores} of perturbed and blind items
    likelihoods.jsonl {task, id, cluster, answers, nats, values}, with calibration
    readings.jsonl    {task, id, strict, lenient, judge}: result of each parser, of replies that they read
                      differently, with other parsers
    perplexity.jsonl  see evals/running/perplexity.py
    slices.json       scores by tree node, layer, kind and rarity, with a tree
    results.json      every number and all that is needed to reproduce it (docs/evaluation.md); results.md
                      for reading
    summary.json      the summary of the stage: {task: {n, mean, low, high, clusters, unparsed, refused,
                      truncated, unjudged, constant}}

A run that is killed resumes from its finished windows, which are stored beside the draft of the stage
(evals/running/work.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.entity.linking.finder import finder
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError
from medxiaohe.evals.reporting import results
from medxiaohe.evals.reporting.table import markdown
from medxiaohe.evals.running import examined_model as engines
from medxiaohe.evals.running import fingerprints
from medxiaohe.evals.running.examine import BATCHES_A_CALL, Examination, write_items
from medxiaohe.evals.running.examined_model import load_cast, load_model
from medxiaohe.evals.running.origin import digests
from medxiaohe.evals.running.perplexity import perplexity
from medxiaohe.evals.running.sealing import FOLDER, Sealing
from medxiaohe.evals.running.settings import RunSettings, TaskRun
from medxiaohe.evals.running.task_results import Examined, examined
from medxiaohe.evals.running.workflows import resources, tools_of, with_workflow
from medxiaohe.evals.statistics.slices import slices
from medxiaohe.recipe.identity import plugin_files
from medxiaohe.scoring.judges import use
from medxiaohe.tasks import make
from medxiaohe.types import Model, Task, Tool

__all__ = ["RunSettings", "TaskRun", "run"]


def run(
    settings: RunSettings,
    out: Path,
    *,
    model: Path | None = None,
    tree: Path | None = None,
    data: Path | None = None,
    corpus: Path | None = None,
) -> dict[str, Any]:
    """Evaluate a model on tasks, and measure its perplexity on held-out documents.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.
        model: folder of a training stage; None: `settings.model`.
        tree: folder of a built tree, for tasks that need one and for scores by node.
        data: folder of a data stage, for perplexity and tasks of its rows.
        corpus: folder of a data stage with coverage.json: mentions in training; None: that of `data`, if any.

    Returns:
        the summary of the stage: task -> {n, mean, low, high, clusters, unparsed, refused, truncated,
        unjudged, constant}

    Raises:
        ConfigError: a task, tool or setting that cannot be used.
        DataError: the data of a task is missing.
    """
    if settings.perplexity and data is None:
        raise ConfigError("perplexity needs documents: name a stage of them in `needs:` as `data`")
    instances = [make(task_run.name, tree, task_run.args, data) for task_run in settings.tasks]
    tasks = [with_workflow(task, settings.workflow, settings.tools) for task in instances]
    sources = resources(settings.library, settings.stores)
    # a tool that lacks its source fails before any work
    tools = [
        tools_of(
            task.tools, {**task.resources, **sources}, settings.stores, settings.knowledge, settings.seed
        )
        for task in tasks
    ]
    # missing data fails before weights are fetched
    for task_run, task in zip(settings.tasks, tasks, strict=True):
        next(iter(task.samples(task_run.split)), None)
    engine, cast = load_model(settings, model), load_cast(settings)
    inputs = {"model": model, "tree": tree, "data": data, "corpus": corpus}
    about = engines.identity(settings, model, out)
    packages = fingerprints.packages()
    scratch = io.scratch(
        out,
        {
            "settings": settings,
            "model": about,
            "inputs": _manifests(inputs),
            "packages": packages,
            "tasks": settings.reads({role: path for role, path in inputs.items() if path is not None}),
            "code": io.code.digest(__name__),
        },
    )
    offered = list(zip(settings.tasks, tasks, tools, strict=True))
    results_of = dict(_examined(settings, offered, engine, cast, scratch, about, inputs))
    summary: dict[str, Any] = {}
    for name, examined_task in results_of.items():
        summary |= examined_task.scores
        summary[name] = {**examined_task.scores[name], **examined_task.constant}
    sealing = _collect(results_of, out, _origins(settings, about, offered))
    if settings.perplexity and data is not None:
        summary |= perplexity(engine, data, out, settings)
    all_results = results.whole(settings, about, results_of, summary, sealing, out, inputs)
    # not in `scores` of the results: a rerun may know it sooner
    for name, examined_task in results_of.items():
        if why := examined_task.facts.get("judge_doubted"):
            summary[name]["judge_doubted"] = why
    if tree is not None and results_of:
        sliced = slices(
            {name: examined_task.rows for name, examined_task in results_of.items()},
            Tree.load(tree),
            _coverage(corpus, data),
            settings.min_items,
        )
        io.write_json(out / "slices.json", sliced)
        all_results["slices"] = "slices.json"
    io.write_json(out / "results.json", all_results)
    io.write_text(out / "results.md", markdown(all_results))
    io.write_json(out / "summary.json", summary)
    if not out.name.endswith(".draft"):
        io.drop_scratch(out)
    return summary


def _examined(
    settings: RunSettings,
    offered: Sequence[tuple[TaskRun, Task, tuple[Tool, ...]]],
    engine: Model,
    cast: Mapping[str, Model],
    scratch: Path,
    about: Mapping[str, Any],
    inputs: Mapping[str, Path | None],
) -> Iterator[tuple[str, Examined]]:
    """Examine the tasks one after another; yields (name, numbers) of each."""
    tree = inputs["tree"]
    linker = finder(tree) if settings.tasks and tree is not None else None
    cache = about if settings.cache and engines.repeatable(settings, about) else None
    workers = int(settings.options.get("workers", 8 if settings.backend == "openai_compatible" else 0))
    window = BATCHES_A_CALL * max(settings.batch_size, workers)
    for i, (task_run, task, tools) in enumerate(offered):
        code = [
            fingerprints.task_code(task_run.name),
            plugin_files("workflows", task.workflow),
            fingerprints.scorers(task),
            fingerprints.template(task),
        ]
        folder = scratch / f"{i:03}-{io.fingerprint(code)[:8]}"  # work of other code is not reused
        exam = Examination(
            task,
            task_run,
            settings,
            engine,
            folder,
            scratch / "images",
            inputs["tree"],
            linker,
            cache,
            window,
            tools,
            cast,
        )
        with use.opened(settings.judge, task.scorers, tree=inputs["tree"]) as judge:
            examined_task = examined(exam, write_items(exam), use.record(judge))
            yield task_run.shown, replace(examined_task, judge=use.record(judge))


def _coverage(corpus: Path | None, data: Path | None) -> dict[str, int] | None:
    """Mentions of entities in training, of the first folder that has a coverage.json; None without one."""
    for folder in (corpus, data):
        if folder is not None and (folder / "coverage.json").is_file():
            return dict(io.read_json(folder / "coverage.json"))
    if corpus is not None:
        raise ConfigError(
            f"{corpus} has no coverage.json: name a stage of data.read or data.curate as `corpus`"
        )
    return None


def _manifests(inputs: Mapping[str, Path | None]) -> dict[str, str]:
    return {
        role: io.digest(folder) or os.fspath(folder) for role, folder in inputs.items() if folder is not None
    }


def _origins(
    settings: RunSettings, about: Mapping[str, Any], offered: Sequence[tuple[TaskRun, Task, tuple[Tool, ...]]]
) -> dict[str, dict[str, str]]:
    """Digests of the origin of the traces of each task."""
    stores = {**settings.stores, **({"library": settings.library} if settings.library else {})}
    return {
        task_run.shown: {
            **digests(about, workflow=task.workflow, tools=tools, stores=stores, settings=settings.workflow),
            "task": task_run.shown,
            "task.prompt": fingerprints.template(task),
        }
        for task_run, task, tools in offered
    }


def _collect(
    examined_tasks: Mapping[str, Examined], out: Path, origins: Mapping[str, Mapping[str, str]]
) -> Sealing:
    """Write the rows of all tasks to the files of the stage, and their traces to a log."""
    sealing = Sealing(out / FOLDER, origins)
    all_rows = (row for task in examined_tasks.values() for row in task.traces())
    io.write_jsonl(out / "traces.jsonl", sealing.rows(all_rows))
    sealing.close()
    if judges := {name: task.judge for name, task in examined_tasks.items() if task.judge}:
        io.write_json(out / "judges.json", judges)
    others = {
        "draws": Examined.draws, "variants": Examined.variants, "likelihoods": Examined.likely,
        "readings": Examined.readings,
    }  # fmt: skip
    for name, rows in others.items():
        if any(next(rows(task), None) for task in examined_tasks.values()):
            io.write_jsonl(
                out / f"{name}.jsonl", (row for task in examined_tasks.values() for row in rows(task))
            )
    return sealing
