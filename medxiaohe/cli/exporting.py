"""`medxiaohe train export`: data and settings for another trainer. `medxiaohe train merge`: an adapter folded
into its model."""

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
    """The settings of the stage that trains so here, from YAML and `--set`."""
    values = load.read_yaml(file) if file else {}
    if not isinstance(values, dict):
        raise ConfigError(f"{file}: must be a mapping of settings, not {values!r}")
    return load.stage(kind, f"train.{kind}", values, {"data": "data"}, changes).settings


def merge(args: argparse.Namespace) -> int:
    from medxiaohe.train.loop.merge import merge as merged

    summary = merged(args.model, args.adapter, args.out)
    print(
        json.dumps(summary)
        if args.json
        else f"{summary['merged']} adapters folded into {summary['base']}: {args.out}",
        file=sys.stdout,
    )
    return 0
