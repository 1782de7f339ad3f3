"""`medxiaohe completion` and `tasks`."""

from __future__ import annotations

from typing import Any

from medxiaohe.cli.verbs.common import code_options, verb

ORDER = 150  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `completion` and `tasks` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    completion = verb(verbs, "completion", "print what makes a shell complete verbs and options",
                       "medxiaohe completion bash > ~/.local/share/bash-completion/completions/medxiaohe",
                       "look:completion")  # fmt: skip
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that is set up")
    about = "list tasks with modality, licence and where their data is"
    tasks = verb(verbs, "tasks", about, "medxiaohe tasks --check", "tasks:tasks")
    tasks.add_argument("names", nargs="*", metavar="TASK", help="all of them when left out")
    tasks.add_argument(
        "--check", action="store_true", help="read the items: how many there are, and whether they changed"
    )
    code_options(tasks)
