"""`medxiaohe train export`: data and settings for another trainer. `medxiaohe train merge`: merge an
adapter into its base model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from medxiaohe.cli.runs import finished_folder
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import load


def export(args: argparse.Namespace) -> int:
    """Export rows and settings for another trainer: ms-swift, LLaMA-Factory or verl (`train export`).

    Args:
        args: `data` (the folder of a stage), `to`, `model`, `kind` ("" to infer it from the data),
            `settings` (YAML), `set`, `template` (a chat template's name), `out` (a folder), `json`.

    Returns:
        exit code 0; the command that starts the trainer is printed last.

    Raises:
        ConfigError: `data` is not the folder of a finished stage, or a setting is wrong.
    """
    from medxiaohe.train.exporters import export as exporting

    data = (
        args.data
        if args.data.is_dir() and any((args.data / file).is_file() for file in exporting.FILES.values())
        else None
    )
    data = data or finished_folder(args.data, "DATA")
    kind = args.kind or exporting._kind(data)
    settings = stage_settings(kind, args.settings, args.set)
    counts = exporting.export(data, args.to, args.out, args.model, kind, settings, args.template)
    if args.json:
        print(json.dumps({"out": str(args.out), **counts}))
        return 0
    print(
        f"{counts['rows']:,} rows, {counts['images']:,} images in {args.out}; {counts['left_out']:,} left out"
    )
    print((args.out / "README.md").read_text().strip().splitlines()[-1].strip())
    return 0


def stage_settings(kind: str, file: Path | None, changes: list[str]) -> Any:
    """Read the settings of a training stage from YAML and `--set`.

    Args:
        kind: the stage without `train.`, such as sft.
        file: a YAML mapping; None for the defaults.
        changes: K=V each; they override the file.

    Returns:
        an instance of the settings type of `train.KIND`.

    Raises:
        ConfigError: the file is no mapping, or a setting is unknown or has a wrong type.
    """
    values = load.read_yaml(file) if file else {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: must be a mapping of settings, not {values!r}")
    return load.stage(kind, f"train.{kind}", values, {"data": "data"}, changes).settings


def merge(args: argparse.Namespace) -> int:
    """Merge a LoRA adapter into the weights of its base model (`train merge`).

    Args:
        args: `model` (the base), `adapter` (a folder), `out` (a folder), `json`.

    Returns:
        exit code 0.
    """
    from medxiaohe.train.loop.merge import merge as merged

    summary = merged(args.model, args.adapter, args.out)
    print(
        json.dumps(summary)
        if args.json
        else f"{summary['merged']} adapters folded into {summary['base']}: {args.out}",
        file=sys.stdout,
    )
    return 0
