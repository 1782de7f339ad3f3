"""`medxiaohe ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import verb

ORDER = 120  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `ask` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    example = 'medxiaohe ask --model out/quickstart/rl/1 "Is there an effusion?" --image x.png'
    ask = verb(verbs, "ask", "ask a model one question", example, "ask:ask")
    ask.add_argument("question", metavar="QUESTION", help="the text of the question")
    ask.add_argument(
        "--model",
        required=True,
        action="append",
        help="starter, a folder in hub layout, a finished training stage, a hub id, URL#NAME, or"
        " file.py:function; ROLE=MODEL for a role of the workflow, repeatable",
    )
    ask.add_argument("--image", action="append", default=[], type=Path, help="a file; repeatable")
    ask.add_argument("--backend", default="", help="of `medxiaohe list models`, when another is meant")
    ask.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="K=V",
        help="an option of the backend, or workflow.K=V one of the workflow; repeatable",
    )
    ask.add_argument("--workflow", default="answer", metavar="NAME", help="of `medxiaohe list workflows`")
    ask.add_argument("--tools", default="", metavar="A,B", help="names of `medxiaohe list tools`")
    ask.add_argument(
        "--library",
        action="append",
        default=[],
        metavar="FILE",
        help="passages for the tool search; NAME=FILE makes search_NAME, graph=DIR and cases=FILE serve tools"
        " that need a graph or cases; repeatable",
    )
    ask.add_argument(
        "--trace", type=Path, metavar="DIR", help="append the trace to this folder: see `medxiaohe trace`"
    )
    ask.add_argument("--key", type=Path, metavar="FILE", help="a private key that signs the traces")
