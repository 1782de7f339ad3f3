"""`medxiaohe ask`: one question to one model, through a workflow, with tools."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from medxiaohe import images, io, plugins
from medxiaohe.cli.trace import write
from medxiaohe.errors import ModelError
from medxiaohe.evals.running.workflows import chosen, resources
from medxiaohe.recipe import load
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import Message, Prompt


def ask(args: argparse.Namespace) -> int:
    message = Message("user", (*map(images.ref, args.image), args.question))
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for key, value in map(load.option, args.set):
        if key.startswith("workflow."):
            settings = load.changed(settings, key.split(".")[1:], value, f"--set {key}")
        else:
            options[key] = value
    workflow = chosen(args.workflow, settings)
    names = [name.strip() for name in args.tools.split(",") if name.strip()]
    tools = open_tools(names, resources(str(args.library or "")))
    model = plugins.load("models", args.backend)(model_folder(args.model), **options)
    (trace,) = workflow.traces([Prompt("question", (message,))], model, tools)
    if args.trace:
        write([trace], args.trace, key=args.key, digests={"model": str(args.model), "backend": args.backend})
    if trace.error:
        raise ModelError(f"{args.model}: {trace.error}")
    if args.json:
        used = args.workflow != "answer" or tools
        more = {"workflow": args.workflow, "trace": io.to_json(trace)} if used else {}
        print(
            json.dumps(
                {"model": args.model, "question": args.question, "answer": trace.answer, **more},
                ensure_ascii=False,
            )
        )
    else:
        print(trace.answer)
        print("(research software: not for clinical use)", file=sys.stderr)
    return 0


def model_folder(name: str) -> str:
    """A finished training stage keeps its checkpoint in model/; everything else stands for itself."""
    inside = Path(name) / "model"
    return str(inside) if (inside / "config.json").is_file() else name
