"""Reproduce an evaluation from its results.json, and report every number that differs.

First everything that the numbers depend on is compared: the data, the prompts, the code that parses
and scores, the judge, the model. A change is refused by name, since a number that differs would not say
why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import io, permission
from medxiaohe.errors import ConfigError
from medxiaohe.evals.run import run
from medxiaohe.evals.running import examined_model, fingerprints
from medxiaohe.evals.running.settings import RunSettings, TaskRun
from medxiaohe.evals.running.workflows import with_workflow
from medxiaohe.recipe.settings import build
from medxiaohe.tasks import make

WHAT = {
    "prompt_template": "the prompt",
    "dataset": "the dataset",
    "prompts": "the words of the prompts",
    "scorers": "a parser or scorer",
    "judge": "the judge",
    "workflow": "the workflow",
    "tools": "the tools",
}


def settings_of(results: Mapping[str, Any]) -> RunSettings:
    """Settings of a run, without the cache of replies, which would make every number the same.

    Args:
        results: content of results.json.

    Returns:
        the settings

    Raises:
        ConfigError: they are no settings of this version.
        CodeRefused: they name code that nobody allowed.
    """
    for name in filter(permission.is_code, permission.texts(results["settings"])):
        permission.check(name, from_data=True)
    settings: RunSettings = build(RunSettings, {**results["settings"], "cache": False}, "results.json")
    return settings


def inputs_of(file: Path, results: Mapping[str, Any]) -> dict[str, Path]:
    """Folders of the stages that a run read.

    Args:
        file: path of results.json.
        results: its content.

    Returns:
        role -> folder

    Raises:
        ConfigError: one no longer exists or has changed.
    """
    folders = {}
    for role, recorded in results["inputs"].items():
        folder = (file.parent.parent / recorded["folder"]).resolve()
        if not folder.is_dir():
            raise ConfigError(f"the {role} of the run no longer exists: {folder}")
        if recorded["manifest"] and io.digest(folder) != recorded["manifest"]:
            raise ConfigError(f"the {role} of the run has changed: {folder}")
        folders[role] = folder
    return folders


def check(file: Path, results: Mapping[str, Any]) -> None:
    """Check that everything that the numbers of a run depend on is unchanged.

    Args:
        file: path of results.json.
        results: its content.

    Raises:
        ConfigError: the model, or the data, prompt, parser, scorer or judge of a task has changed; the
            message names each.
    """
    settings, inputs = settings_of(results), inputs_of(file, results)
    problems = []
    weights = examined_model.weights(settings, inputs.get("model"))
    if weights != results["model"]["weights"]:
        problems.append(
            f"the model {results['model']['name']} has other weights ({results['model']['weights']} then,"
            f" {weights} now)"
        )
    then, now = results["model"].get("cast", {}), examined_model.cast_identity(settings)
    problems += [f"the model of the role {role} is another" for role in now if then.get(role) != now[role]]
    for task in settings.tasks:
        before = results["tasks"][task.shown]
        now = facts(task, settings, inputs)
        different = [
            key for key in WHAT if key in before and key in now and _plain(before[key]) != _plain(now[key])
        ]
        if "prompt_template" in different and "prompts" in different:
            different.remove("prompts")  # follows from it
        if "dataset" in different and "prompts" in different:
            different.remove("prompts")
        problems += [
            f"{WHAT[key]} of {task.shown} has changed{_named(before[key], now[key])}" for key in different
        ]
    if problems:
        raise ConfigError(
            f"this run cannot be made again: {'; '.join(problems)}. Run `medxiaohe eval run` for new numbers"
        )


def facts(task_run: TaskRun, settings: RunSettings, inputs: Mapping[str, Path]) -> dict[str, Any]:
    """Digests of what the numbers of a task depend on, at present.

    Args:
        task_run: the task.
        settings: of the evaluation.
        inputs: role -> folder of a stage.

    Returns:
        a value for each key of WHAT
    """
    instance = make(task_run.name, inputs.get("tree"), task_run.args, inputs.get("data"))
    task = with_workflow(instance, settings.workflow, settings.tools)
    digest = fingerprints.Digest()
    for sample in islice(task.samples(task_run.split), task_run.limit):
        digest.add(sample)
    digests = digest.facts()
    return {
        "prompt_template": fingerprints.template(task),
        "dataset": digests["items"],
        "prompts": digests["prompts"],
        "scorers": fingerprints.scorers(task),
        "judge": fingerprints.judge(settings.judge, task, inputs.get("tree")),
        "workflow": task.workflow,
        "tools": list(task.tools),
    }


def _plain(value: Any) -> str:
    return json.dumps(io.to_json(value), sort_keys=True)


def _named(before: Any, now: Any) -> str:
    """Names of the scorers that changed, if there are several."""
    if not isinstance(before, dict) or not isinstance(now, dict):
        return ""
    names = sorted(key for key in set(before) | set(now) if _plain(before.get(key)) != _plain(now.get(key)))
    return f" ({', '.join(names)})"


def notes(results: Mapping[str, Any]) -> list[str]:
    """Notes on packages with other versions, which may change a number and are not refused.

    Args:
        results: content of results.json.

    Returns:
        one line for each package
    """
    now = fingerprints.packages()
    then = results["packages"]
    names = sorted(name for name in set(now) | set(then) if now.get(name) != then.get(name))
    return [
        f"{name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}: numbers may differ for that"
        for name in names
    ]


def rerun(file: Path, results: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Run the evaluation again.

    Args:
        file: path of results.json.
        results: its content.
        out: folder for the new results.

    Returns:
        content of the new results.json
    """
    with io.publish(out) as draft:
        run(settings_of(results), draft, **inputs_of(file, results))
    fresh: dict[str, Any] = io.read_json(out / "results.json")
    return fresh


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Differences between the numbers of two runs.

    Args:
        before: content of the first results.json.
        after: content of the second.

    Yields:
        one line for each number that differs, and one if the traces do
    """
    measures = ("scores", "other_scores", "samples", "baselines", "perturb", "calibration")
    for name, task in before["tasks"].items():
        again = after["tasks"].get(name, {})
        for key in measures:
            yield from _differences(task.get(key), again.get(key), f"{name}.{key}")
    yield from _differences(before["perplexity"], after["perplexity"], "perplexity")
    if before["traces"] != after["traces"]:
        yield "traces: an answer, or where a file lies, is not the same (traces.jsonl has another digest)"


def _differences(before: Any, after: Any, path: str) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(set(before) | set(after)):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}")
    elif before != after:
        yield f"{path}: {_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
