"""The options of `medxiaohe eval`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import group, stage_options, verb

ORDER = 90  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `eval` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "eval", "score models and compare them")

    example = "medxiaohe eval run --model starter --tasks medqa,vqa_rad --limit 100 --baselines --perturb all"
    run = verb(words, "run", "answer and score the held-out items of tasks", example, "evals:run")
    run.set_defaults(uses="evals.run")
    _model(run)
    _asked(run)
    _beside(run)
    _left(run)
    stage_options(run, rows=False)

    example = "medxiaohe eval compare out/eval/base out/eval/tuned"
    compare = verb(
        words,
        "compare",
        "paired tests of results on the same items, the base first",
        example,
        "evals:compare",
    )
    compare.set_defaults(uses="evals.compare")
    compare.add_argument(
        "runs", nargs="*", type=Path, metavar="RESULTS", help="folders or results.json of `eval run`"
    )
    _parser(compare)
    _judge(compare, "for the parser `judge`")
    stage_options(compare, rows=False)

    example = "medxiaohe eval reproduce out/eval/base/run/1/results.json"
    about = "repeat the run of a results.json: refuses changed inputs, says whether the numbers are identical"
    again = verb(words, "reproduce", about, example, "evals:reproduce")
    again.add_argument("results", type=Path, help="a results.json, or its folder")
    again.add_argument("--out", type=Path, metavar="DIR", help="write the new results to this folder")
    again.add_argument("--offline", action="store_true", help="fetch nothing")

    example = "medxiaohe eval judge my-model --option url=http://127.0.0.1:8000/v1 --limit 60"
    about = "self-test of a judge, and its agreement with physicians on labels of the data pack"
    judge = verb(words, "judge", about, example, "evals:judge")
    judge.add_argument("model", help="rules, a name behind a URL, what --backend takes, or file.py:function")
    judge.add_argument("--backend", default="", help="openai_compatible when left out")
    judge.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of the backend; repeatable"
    )
    judge.add_argument(
        "--sets", default="kqa,radfact,healthbench", metavar="A,B", help="of kqa, radfact, healthbench"
    )
    judge.add_argument(
        "--limit", type=int, metavar="N", help="only the first N items of each set, in hash order"
    )
    judge.add_argument("--batch", type=int, default=8, metavar="N", help="criteria or claims in one call (8)")
    judge.add_argument(
        "--retries", type=int, default=1, metavar="N", help="after a reply that cannot be read (1)"
    )
    judge.add_argument("--tree", type=Path, metavar="DIR", help="names for the judge `rules`")


def _model(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--model",
        default=[],
        action="append",
        help="starter, a folder, a finished training stage, a hub id, a URL, or file.py:function; ROLE=MODEL"
        " for a role of the workflow, repeatable",
    )
    run.add_argument("--name", default="", help="of the model behind a URL")
    run.add_argument(
        "--backend",
        default="",
        help="a name of `medxiaohe list models`, instead of the one that --model implies",
    )
    run.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of the backend; repeatable"
    )
    run.add_argument("--concurrency", type=int, metavar="N", help="requests in flight to a URL (8)")
    run.add_argument("--offline", action="store_true", help="fetch nothing")
    run.add_argument("--no-cache", action="store_true", help="do not reuse stored replies of the same model")


def _asked(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--tasks",
        default="",
        metavar="A,B",
        help="names of `medxiaohe list tasks`, med* for several, or file.py:function",
    )
    run.add_argument(
        "--limit", type=int, metavar="N", help="only the first N items of each task, in its shuffled order"
    )
    run.add_argument("--split", default="test", help="test, validation or train")
    run.add_argument(
        "--workflow",
        default="",
        metavar="NAME",
        help="of `medxiaohe list workflows`, instead of the task's; --set workflow.rounds=2 sets one of its"
        " settings",
    )
    run.add_argument("--tools", default="", metavar="A,B", help="names of tools, instead of the task's")
    run.add_argument(
        "--rank", action="store_true", help="score options by log-likelihood, as lm-eval multiple_choice does"
    )
    run.add_argument(
        "--k", type=int, metavar="N", help="answers drawn for each item, for pass@k and the majority vote"
    )
    run.add_argument("--temperature", type=float, metavar="T", help="0 is greedy")
    run.add_argument(
        "--max-new-tokens", type=int, metavar="N", dest="max_new_tokens", help="of one answer (64)"
    )
    run.add_argument("--batch-size", type=int, metavar="N", dest="batch_size", help="(16)")
    run.add_argument("--seed", type=int, metavar="N", help="of draws, perturbations and bootstraps (0)")


def _parser(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--parser",
        default="",
        metavar="A,B",
        help="readings of the replies beside the strict one, which is the score: lenient, judge (the model of"
        " --judge reads replies that the strict parser did not)",
    )


def _judge(verb: argparse.ArgumentParser, purpose: str) -> None:
    verb.add_argument(
        "--judge", default="", metavar="NAME", help=f"rules, a URL with #NAME, or file.py:function, {purpose}"
    )
    verb.add_argument(
        "--judge-calls",
        type=int,
        metavar="N",
        help="maximum calls of the judge per task; remaining items are unjudged",
    )


def _beside(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--baselines",
        action="store_true",
        help="the expected score of a random option, and items without their image",
    )
    run.add_argument(
        "--perturb", default="", metavar="A,B", help="all, or names of `medxiaohe list perturbations`"
    )
    run.add_argument(
        "--confidence", action="store_true", help="calibration and selective answering, from likelihoods"
    )
    run.add_argument(
        "--calibrate", type=int, metavar="N", help="the same, and a temperature fitted on N validation items"
    )
    run.add_argument(
        "--compat",
        default="",
        metavar="A,B",
        help="published scorers beside ours: medevalkit, mirage, huatuo",
    )
    _parser(run)
    _judge(run, "for tasks that need a judge, and for the parser `judge`")
    run.add_argument(
        "--tree", type=Path, metavar="DIR", help="a built tree: scores by node, layer, kind and rarity"
    )
    run.add_argument(
        "--coverage",
        type=Path,
        metavar="DIR",
        help="the folder of a data stage with coverage.json: mentions in training",
    )


def _left(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--weak-nodes", type=Path, metavar="FILE", help="write tree nodes by score, the lowest first, as JSON"
    )
    run.add_argument("--inspect", type=Path, metavar="FILE", help="also write a log that Inspect reads")
    run.add_argument("--no-page", action="store_true", help="leave out index.html")
