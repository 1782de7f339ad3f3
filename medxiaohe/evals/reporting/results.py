"""results.json: every number of a run, and all that is needed to reproduce it (schema: docs/evaluation.md).

It has no times: the same run gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe import STATEMENT, io
from medxiaohe.errors import DataError
from medxiaohe.evals.running import fingerprints
from medxiaohe.evals.running.sealing import Sealing
from medxiaohe.evals.running.settings import RunSettings
from medxiaohe.evals.running.task_results import Examined
from medxiaohe.evals.statistics.groups import groups

SCHEMA = 1


def whole(
    settings: RunSettings,
    model: Mapping[str, Any],
    examined: Mapping[str, Examined],
    summary: Mapping[str, Any],
    sealing: Sealing,
    out: Path,
    inputs: Mapping[str, Path | None],
) -> dict[str, Any]:
    """Content of results.json.

    Args:
        settings: of the evaluation.
        model: identity of the model.
        examined: name of a task -> its numbers.
        summary: the summary of the stage.
        sealing: the log of traces.
        out: folder of the evaluation; paths of inputs are relative to its parent.
        inputs: role -> folder of a stage, or None.

    Returns:
        JSON object of schema SCHEMA
    """
    return {
        "schema": SCHEMA,
        "statement": STATEMENT,
        "model": dict(model),
        "settings": io.to_json(settings),
        "inputs": {role: _input(folder, out) for role, folder in inputs.items() if folder is not None},
        "seeds": [settings.seed + i for i in range(settings.samples)],
        "packages": fingerprints.packages(),
        "tasks": (tasks := {name: _task(task, summary) for name, task in examined.items()}),
        "groups": groups(tasks),
        "perplexity": {
            key: summary[key] for key in ("documents", "tokens", "bits_per_token") if key in summary
        },
        "traces": sealing.digest,
        **({"traces_not_recorded": dict(sealing.refused)} if sealing.refused else {}),
    }


def _task(task: Examined, summary: Mapping[str, Any]) -> dict[str, Any]:
    others = {
        name.removeprefix(f"{task.name}."): row for name, row in task.scores.items() if name != task.name
    }
    return {**task.facts, "scores": summary[task.name], "other_scores": others, **task.more}


def _input(folder: Path, out: Path) -> dict[str, str]:
    """An input stage: its path from the parent of the results, and the digest of its manifest."""
    return {"folder": os.path.relpath(folder, out.parent), "manifest": io.digest(folder)}


def read(path: Path) -> tuple[Path, dict[str, Any]]:
    """Read a results.json.

    Args:
        path: of the file, the folder of the stage, or the --out of `eval run`.

    Returns:
        (path of the file, its content)

    Raises:
        DataError: there is no such file or several, or it has another schema.
    """
    candidates = [path] if path.is_file() else [path / "results.json", *sorted(path.glob("*/*/results.json"))]
    files = [candidate for candidate in candidates if candidate.is_file()]
    if len(files) != 1:
        listed = ", ".join(map(str, files)) or "none"
        raise DataError(f"{path}: name one results.json or the folder it is in; found {listed}")
    rows = io.read_json(files[0])
    if not isinstance(rows, dict) or rows.get("schema") != SCHEMA:
        raise DataError(f"{files[0]} is no results.json of schema {SCHEMA}: run `medxiaohe eval run` again")
    return files[0], rows
