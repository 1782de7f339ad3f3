"""`medxiaohe eval run`, `eval compare`, `eval reproduce` and `eval judge`: the stages of a recipe, run
without one."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe import io, permission, plugins
from medxiaohe.cli import runs
from medxiaohe.cli.summary import budgets, costs, scores, table
from medxiaohe.errors import ConfigError
from medxiaohe.evals.compare import CompareSettings
from medxiaohe.evals.compare import compare as compare_stages
from medxiaohe.evals.reporting import peer_scorers, results
from medxiaohe.evals.reporting import reproduce as again
from medxiaohe.evals.reporting.inspect_log import export
from medxiaohe.evals.reporting.table import READING_HEAD, cautions, estimate, reading_rows
from medxiaohe.evals.reporting.table import number as figure
from medxiaohe.evals.running import human_labels
from medxiaohe.evals.statistics.readings import UNREAD
from medxiaohe.evals.statistics.slices import weak_nodes
from medxiaohe.models.players import by_name, player_of
from medxiaohe.pages import compare as pairs
from medxiaohe.recipe import load
from medxiaohe.recipe import run as recipes
from medxiaohe.scoring.judges import belief, selftest, use
from medxiaohe.scoring.parsers import PARSERS, STRICT
from medxiaohe.tasks import _lm_eval

RUN, PAGE = "run", "page"  # the folders below --out


def run(args: argparse.Namespace) -> int:
    """Evaluate a model on tasks, and write results and a page (`eval run`).

    Resumable: the same command continues a killed run. Without `--model` and `--tasks` it runs as a stage.

    Args:
        args: options of cli/verbs/eval.py, such as `model`, `tasks`, `limit`, `workflow`, `judge`, `out`.

    Returns:
        exit code 0; a table of scores (or results.json) is on stdout.

    Raises:
        ConfigError: no model, an unknown task, or settings that do not fit each other.
    """
    if not args.model and not args.tasks:
        return _as_stage(args)
    args.model, args.cast = by_name(args.model, "--model")
    if args.offline:
        os.environ.update(
            HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1", MEDXIAOHE_OFFLINE="1"
        )
    values = _values(args)
    inputs = dict(map(runs.given_input, args.input)) | _folders(args)
    stage = load.stage(RUN, "evals.run", values, {role: role for role in inputs}, args.set)
    out = args.out or Path("out/eval") / f"{_slug(args.model)}-{io.fingerprint([stage.settings, inputs])[:8]}"
    page = load.stage(PAGE, "pages.evaluation", {}, {"run": RUN})
    recipe = load.Recipe(out.name, out, (stage,) if args.no_page else (stage, page))
    done = recipes.run(recipe, say=runs.say, accept_change=args.accept_change, given=inputs)
    folder = done[0].folder
    record = io.read_json(folder / "results.json")
    _exports(args, folder, record)
    print(
        json.dumps(record, ensure_ascii=False)
        if args.json
        else _scores_text(record, [d.folder for d in done])
    )
    return 0


def _as_stage(args: argparse.Namespace) -> int:
    if args.out is None:
        raise ConfigError("eval run needs --model and --tasks, or --with SETTINGS.yaml and --out DIR")
    return runs.stage(args)


def _values(args: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = load.read_yaml(args.settings) if args.settings else {}
    if not isinstance(values, dict):
        raise ConfigError(f"{args.settings}: must be a mapping of settings")
    if not args.model:
        raise ConfigError("eval run needs --model: starter, a folder, a hub id, a URL, or file.py:function")
    result = {
        "batch_size": args.batch_size,
        "max_new_tokens": args.max_new_tokens,
        "seed": args.seed,
        "samples": args.k,
        "temperature": args.temperature,
        "mode": "rank" if args.rank else None,
        "tools": _names(args.tools) or None,
        "baselines": ["random", "blind"] if args.baselines else None,
        "perturb": _names(args.perturb) or None,
        "confidence": args.confidence or bool(args.calibrate) or None,
        "calibrate": args.calibrate,
        "compat": _names(args.compat) or None,
        "parsers": other_parsers(_names(args.parser)) or None,
        "cache": not args.no_cache and not values.get("temperature") and not args.temperature,
    }
    if args.tasks:
        allow_task_files(_names(args.tasks), allow_code=args.allow_code)
        values["tasks"] = [
            {"name": name, "limit": args.limit, "split": args.split} for name in _tasks(_names(args.tasks))
        ]
    if args.workflow:
        values["workflow"] = {**values.get("workflow", {}), "name": args.workflow}
    if judge := {**values.get("judge", {}), **_judge(args)}:
        values["judge"] = judge
    return values | {key: value for key, value in result.items() if value is not None} | _model(args, values)


def other_parsers(names: list[str]) -> list[str]:
    """Select the parsers besides the strict one, which always runs and gives the score.

    Args:
        names: as typed in `--parser`.

    Returns:
        `names` without the strict parser, in the same order.
    """
    return [name for name in names if name != STRICT]


def _judge(args: argparse.Namespace) -> dict[str, Any]:
    """Convert `--judge` and `--judge-calls` to settings."""
    calls = {"max_calls": args.judge_calls} if args.judge_calls is not None else {}
    if not re.match(r"https?://", args.judge):
        code = {"backend": "python"} if ":" in args.judge and not Path(args.judge).exists() else {}
        return ({"model": args.judge} if args.judge else {}) | code | calls
    url, _, name = args.judge.partition("#")
    if not name:
        raise ConfigError(f"--judge {args.judge}: the server has several models: write {args.judge}#NAME")
    return {"model": name, "backend": "openai_compatible", "options": {"url": url}} | calls


def _model(args: argparse.Namespace, values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert `--model` to the settings `model`, `backend`, `options` and `cast`."""
    options = {**values.get("options", {}), **dict(map(load.option, args.option))}
    player = player_of(args.model, args.name)
    options |= player.options
    if "url" in player.options and args.concurrency:
        options["workers"] = args.concurrency
    roles = {role: io.to_json(player_of(text)) for role, text in args.cast.items()}
    cast = {"cast": {**values.get("cast", {}), **roles}} if roles else {}
    return {"model": player.model, "backend": args.backend or player.backend, "options": options, **cast}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def allow_task_files(names: list[str], *, allow_code: bool) -> None:
    """Allow the code that task files of lm-eval and lmms-eval name with `!function`.

    Args:
        names: of tasks; those that are no such file are skipped.
        allow_code: whether the user typed `--allow-code`; otherwise nothing is allowed.
    """
    for name in names if allow_code else ():
        if name.endswith((".yaml", ".yml")) and Path(name).is_file() and _lm_eval.is_one(Path(name)):
            permission.allow(_lm_eval.functions(Path(name)))


def _tasks(names: list[str]) -> list[str]:
    """Expand names of tasks: a pattern such as med* is every shipped task that matches."""
    selected: list[str] = []
    for name in names:
        if name.endswith(".py"):
            raise ConfigError(f"--tasks {name}: which function of the file makes the task? write {name}:NAME")
        if name.endswith((".yaml", ".yml")) and Path(name).is_file() and _lm_eval.is_one(Path(name)):
            selected += _lm_eval.members(Path(name))  # a group file stands for its tasks
            continue
        fits = fnmatch.filter(plugins.available("tasks"), name) if set("*?[") & set(name) else [name]
        if not fits:
            raise ConfigError(
                f"--tasks {name}: no such task; there are {', '.join(plugins.available('tasks'))}"
            )
        selected += fits
    return list(dict.fromkeys(selected))


def _folders(args: argparse.Namespace) -> dict[str, Path]:
    folders = {"tree": args.tree, "corpus": args.coverage}
    if args.weak_nodes and args.tree is None:
        raise ConfigError("--weak-nodes needs --tree, the folder of a built tree")
    return {
        role: runs.finished_folder(folder, f"--{role}")
        for role, folder in folders.items()
        if folder is not None
    }


def _slug(model: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", re.sub(r"^https?://", "", model)).strip("-.")[-40:] or "model"


def _exports(args: argparse.Namespace, folder: Path, record: Mapping[str, Any]) -> None:
    if args.weak_nodes:
        io.write_json(args.weak_nodes, weak_nodes(io.read_json(folder / "slices.json")))
    if args.inspect:
        for path in export(folder, record, args.inspect):
            runs.say(f"inspect  {path}")


def _scores_text(record: Mapping[str, Any], folders: list[Path]) -> str:
    head = ("task", "n", "score", "95% interval", "unparsed", "refused", "truncated", "unjudged", "constant")
    rows = [head]
    for name, task in record["tasks"].items():
        row = task["scores"]
        faults = tuple(str(row.get(key, 0)) for key in ("unparsed", "refused", "truncated", "unjudged"))
        rows.append((name, *estimate(row), *faults, figure(row.get("constant"))))  # type: ignore[arg-type]
    paths = [("results", folders[0] / "results.json"), ("table", folders[0] / "results.md")]
    paths += [("page", folder / "index.html") for folder in folders[1:]]
    places = "\n".join(f"{name:<8} {path}" for name, path in paths)
    apart = cautions(record["tasks"])
    apart += [
        f"{name}: {line}"
        for name, task in record["tasks"].items()
        for item in task.get("compat", {}).values()
        for line in peer_scorers.lines(item)
    ]
    if read := reading_rows(record):
        apart = [table([READING_HEAD, *read], right=set(range(2, 10))), "", *apart]
    if apart:
        places = "\n".join([*apart, "", places])
    return f"{table(rows, right={1, 2, 4, 5, 6, 7})}\n\n{places}\n(research software: not for clinical use)"


def compare(args: argparse.Namespace) -> int:
    """Compare results with paired tests; the first folder is the base (`eval compare`).

    Args:
        args: `runs` (folders or results.json of `eval run`), `parser`, `judge`, `judge_calls`, `out` (a
            folder, None to write nothing), `json`. Without `runs` it runs as a stage.

    Returns:
        exit code 0; tables of differences, Holm-adjusted p values, costs and readings are on stdout.

    Raises:
        ConfigError: one result folder only, or neither `runs` nor `out`.
    """
    if not args.runs:
        if args.out is None:
            raise ConfigError("eval compare needs two result folders, or --input and --out")
        return runs.stage(args)
    if len(args.runs) < 2:
        raise ConfigError(
            "eval compare needs at least two result folders: the base, then what is compared with it"
        )
    stages: dict[str, Path] = {}
    for path in args.runs:
        file, record = results.read(path)
        name = Path(record["model"]["name"]).name
        stages[name if name not in stages else f"{name} ({path})"] = file.parent
    with tempfile.TemporaryDirectory() as scratch:
        parsers = tuple(other_parsers(_names(args.parser)))
        settings = CompareSettings(parsers=parsers, judge=use.JudgeSettings(**_judge(args)))
        comparison = compare_stages(settings, Path(scratch), **stages)
        if args.out is not None:
            io.write_jsonl(args.out / "unread.jsonl", io.read_jsonl(Path(scratch) / "unread.jsonl"))
    for line in comparison["warnings"]:
        runs.say(f"warning: {line}")
    for rows in comparison["costs"].values():
        for row in rows:
            row["seconds"] = _seconds(stages[row["stage"]])
    if args.out is not None:
        io.write_json(args.out / "comparison.json", comparison)
        base, other = list(stages.values())[:2]
        pairs.compare(pairs.ComparisonSettings(), args.out, base=base, other=other)
        runs.say(f"items side by side: {args.out / 'index.html'}")
    parts = [
        scores(comparison),
        _detectable(comparison),
        costs(comparison),
        budgets(comparison),
        _readings(comparison),
    ]
    print(json.dumps(comparison, ensure_ascii=False) if args.json else "\n\n".join(filter(None, parts)))
    return 0


def _seconds(folder: Path) -> float | None:
    """Wall time of the stage in seconds, from the log of its run folder; None without a log."""
    return recipes.seconds(folder.parent.parent).get((folder.parent.name, folder.name))


def _detectable(comparison: Mapping[str, Any]) -> str:
    """Tabulate each paired test with its minimum detectable difference."""
    rows = [("task", "difference", "95% interval", "test", "p (Holm)", "minimum detectable")]
    for row in comparison["paired"]:
        interval = f"[{figure(row['low'])}, {figure(row['high'])}]"
        seen = figure(row["minimum_detectable"])
        rows.append(
            (row["task"], f"{row['difference']:+.3f}", interval, row["test"], f"{row['p_holm']:.3f}", seen)
        )
    return table(rows, right={1, 4, 5})


def _readings(comparison: Mapping[str, Any]) -> str:
    """Tabulate how replies were parsed, by task and model, with the mean under each parser."""
    names = [
        n
        for n in PARSERS
        if any(n in s["parsers"] for r in comparison["readings"].values() for s in r["stages"].values())
    ]
    head = ("task", "model", *UNREAD, *names, "strict, unread left out")
    rows: list[tuple[str, ...]] = [head]
    for task, row in comparison["readings"].items():
        for stage, reading in row["stages"].items():
            means = (figure(reading["parsers"].get(name)) for name in names)
            rows.append(
                (task, stage, *(f"{reading[key]:.1%}" for key in UNREAD), *means, figure(reading["left_out"]))
            )
    for stage, reading in comparison["by_model"].items():
        rows.append(
            ("all tasks", stage, *(f"{reading[key]:.1%}" for key in UNREAD), *("" for _ in names), "")
        )
    return table(rows, right=set(range(2, len(head))))


def reproduce(args: argparse.Namespace) -> int:
    """Run the evaluation of a results.json again and compare every number (`eval reproduce`).

    Args:
        args: `results` (a results.json or its folder), `out` (a folder for the new results, None for a
            temporary one), `offline`, `json`.

    Returns:
        exit code 0 if every number is identical, else 1.

    Raises:
        ConfigError: a model, task or input has changed since, so that the results cannot be reproduced.
    """
    file, record = results.read(args.results)
    if args.offline:
        os.environ.update(
            HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", HF_DATASETS_OFFLINE="1", MEDXIAOHE_OFFLINE="1"
        )
    for line in again.notes(record):
        print(f"medxiaohe: {line}", file=sys.stderr)
    again.check(file, record)
    with tempfile.TemporaryDirectory(prefix="medxiaohe-") as scratch:
        out = args.out or Path(scratch) / "again"
        fresh = again.rerun(file, record, out)
    changed = list(again.differences(record, fresh))
    if args.json:
        print(json.dumps({"identical": not changed, "differences": changed}, ensure_ascii=False))
    else:
        print(
            "\n".join(changed) or f"identical: every number of {len(record['tasks'])} tasks, and every trace"
        )
    return 1 if changed else 0


def judge(args: argparse.Namespace) -> int:
    """Test a judge on known cases, and measure its agreement with human labels (`eval judge`).

    The agreement on K-QA is stored and decides whether evaluations believe the judge.

    Args:
        args: `model` (rules, a served name or file.py:function), `backend`, `option`, `sets` (of kqa,
            radfact, healthbench), `limit` (items of each set), `batch` (criteria in one call), `retries`,
            `tree`.

    Returns:
        exit code 0 if the judge passes the self-test, else 1.

    Raises:
        ConfigError: `model` names no judge.
    """
    backend = args.backend or (
        "python" if ":" in args.model and not Path(args.model).exists() else "openai_compatible"
    )
    options = dict(map(load.option, args.option))
    if backend == "openai_compatible" and args.model != use.RULES and "url" not in options:
        raise ConfigError(
            f"no judge {args.model!r}: give rules, file.py:function, or the name of a served model with"
            " --option url=URL"
        )
    settings = use.JudgeSettings(args.model, backend, options, batch=args.batch, retries=args.retries)
    candidate = use.make(settings, args.tree)
    if candidate is None:
        raise ConfigError(
            "eval judge needs a judge: rules, a served name with --option url=URL, or file.py:function"
        )
    report = selftest.run(candidate, ("rubric", "claim"))
    print(
        f"{candidate.name}: self-test {'passed' if report.passed else 'FAILED'}\n\n{report.table()}",
        flush=True,
    )
    for name in _names(args.sets):
        labelled = human_labels.items(name)
        print(f"\n{human_labels.SETS[name][0]}\n\n{human_labels.HEAD}", flush=True)
        for line in human_labels.rows([(args.model, candidate, args.limit)], labelled):
            print(line, flush=True)
        for physician in human_labels.physicians() if name == "kqa" else ():
            print(human_labels.row(*physician), flush=True)
        if name == "kqa":
            belief.keep(candidate.name, human_labels.with_physicians(candidate, args.limit))
            reason = belief.of(candidate.name)["why"]
            print(f"\nbelieved: {f'no: {reason}' if reason else 'yes'}", flush=True)
    return 0 if report.passed else 1
