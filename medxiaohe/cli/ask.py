"""`medxiaohe ask`: one question to one model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from medxiaohe import images, plugins
from medxiaohe.errors import ModelError
from medxiaohe.recipe import load
from medxiaohe.types import Message


def ask(args: argparse.Namespace) -> int:
    message = Message("user", (*map(images.ref, args.image), args.question))
    options = dict(map(load.option, args.set))
    model = plugins.load("models", args.backend)(model_folder(args.model), **options)
    replies = model.reply([[message]])
    if len(replies) != 1:
        raise ModelError(f"{args.model}: one question, {len(replies)} answers")
    if args.json:
        print(
            json.dumps(
                {"model": args.model, "question": args.question, "answer": replies[0].text},
                ensure_ascii=False,
            )
        )
    else:
        print(replies[0].text)
        print("(research software: not for clinical use)", file=sys.stderr)
    return 0


def model_folder(name: str) -> str:
    """A finished training stage keeps its checkpoint in model/; everything else stands for itself."""
    inside = Path(name) / "model"
    return str(inside) if (inside / "config.json").is_file() else name
