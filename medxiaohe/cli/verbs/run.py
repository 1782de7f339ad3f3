"""`medxiaohe run`, `status` and `init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import code_options, verb

ORDER = 10  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `run`, `status` and `init` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    run = verb(
        verbs,
        "run",
        "run a recipe: every stage that is not done yet",
        "medxiaohe run recipes/quickstart.yaml",
        "runs:run",
    )
    run.add_argument("recipe", type=Path, help="a YAML file, or the name of a recipe, such as quickstart")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        help="parameter=value or stage.setting=value; repeatable",
    )
    run.add_argument("--out", type=Path, help="the run folder, instead of the recipe's `out:`")
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would run; write nothing",
    )
    run.add_argument("--full", action="store_true", help="with --dry-run: every setting, defaults too")
    run.add_argument("--until", default="", metavar="STAGE", help="stop after this stage")
    run.add_argument(
        "--accept-change",
        action="store_true",
        help="run finished stages again whose settings, inputs or code changed",
    )
    code_options(run)

    about = "what a run has finished, what runs now"
    status = verb(verbs, "status", about, "medxiaohe status out/quickstart", "runs:status")
    status.add_argument("out", type=Path, metavar="OUT", help="the folder of a run")
    init = verb(verbs, "init", "write a commented recipe or file to start from", "medxiaohe init own_data",
                 "init:init")  # fmt: skip
    init.add_argument("what", choices=("own_data", "benchmark", "workflow", "gpu"), help="what to write")
    init.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="target folder (default: the current one)"
    )
