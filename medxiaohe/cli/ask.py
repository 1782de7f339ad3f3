"""`medxiaohe ask`: ask one question of one model, through a workflow, with tools."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

from medxiaohe import STATEMENT, images, io
from medxiaohe.cli.printable import printable
from medxiaohe.cli.trace import write
from medxiaohe.errors import ConfigError, ModelError
from medxiaohe.evals.running.origin import digests, identity_of
from medxiaohe.evals.running.workflows import chosen, resources, tools_of
from medxiaohe.models.players import by_name, load_player, player_of
from medxiaohe.recipe import load
from medxiaohe.retrieval.library import source_documents
from medxiaohe.types import Message, Prompt


def ask(args: argparse.Namespace) -> int:
    """Ask one question of one model, through a workflow, with tools and images (`ask`).

    Args:
        args: `question`, `model` (one of them for the default role), `image` (files), `workflow`, `tools`
            (names with commas), `library`, `set` (options of the backend, or `workflow.K=V`), `backend`,
            `trace` (a folder to append to), `key`, `json`.

    Returns:
        exit code 0; the answer is on stdout.

    Raises:
        ConfigError: no model for the default role, or an unknown role, tool or setting.
        ModelError: the model or the workflow failed; a requested trace is written first.
    """
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
    library, stores = by_name(args.library, "--library")
    tools = tools_of(names, resources(library, stores), stores)
    named, roles = by_name(args.model, "--model")
    if not named:
        raise ConfigError("--model names no model for the default role: add one, such as --model starter")
    workflow.check_roles(roles)
    default = replace(player_of(named), **({"backend": args.backend} if args.backend else {}))
    default = replace(default, options=default.options | options)
    cast = {"": load_player(default), **{role: load_player(player_of(text)) for role, text in roles.items()}}
    (trace,) = workflow.traces([Prompt("question", (message,))], cast, tools)
    if args.trace:
        stated = identity_of({"": default, **{role: player_of(text) for role, text in roles.items()}})
        paths = {**stores, **({"library": library} if library else {})}
        who = digests(stated, workflow=args.workflow, tools=tools, stores=paths, settings=settings)
        documents = source_documents(trace.evidence, paths.values())
        write([trace], args.trace, key=args.key, digests=who, documents=documents)
    if trace.error:
        raise ModelError(f"{named}: {trace.error}")
    if args.json:
        used = args.workflow != "answer" or tools
        extra = {"workflow": args.workflow, "trace": io.to_json(trace)} if used else {}
        print(
            json.dumps(
                {
                    "model": named,
                    "question": args.question,
                    "answer": trace.answer,
                    "statement": STATEMENT,
                    **extra,
                },
                ensure_ascii=False,
            )
        )
    else:
        print(printable(trace.answer))
        print("(research software: not for clinical use)", file=sys.stderr)
    return 0
