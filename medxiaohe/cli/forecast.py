"""`medxiaohe train estimate`: memory and hours of the training stages of a recipe on GPUs that this
machine lacks."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import load, shipped
from medxiaohe.recipe.settings import without_inputs

if TYPE_CHECKING:
    from medxiaohe.train.loop.forecast import Forecast

GIB = 2**30


def estimate(args: argparse.Namespace) -> int:
    """Estimate memory (GiB) and hours of each training stage of a recipe on given GPUs (`train estimate`).

    Args:
        args: `recipe`, `gpu` (NAME or NAME:COUNT, such as h200:8), `set`, `tokens` (a row), `pixels` (an
            image), `images` (a row), `mfu` (model FLOPs utilisation, above 0 to 1), `json`.

    Returns:
        exit code 0 if every stage fits as configured, 1 if one needs changed settings or does not fit.

    Raises:
        ConfigError: a number out of its range, an unknown GPU or a wrong recipe.
    """
    plugins.need("torch", "transformers", "peft", why="estimates of memory")
    from medxiaohe.train.loop import forecast, gpus

    if not 0 < args.mfu <= 1:
        raise ConfigError(f"--mfu is a share of the peak, above 0 and at most 1, not {args.mfu}")
    if min(args.tokens, args.pixels) < 1 or args.images < 0:
        raise ConfigError("--tokens and --pixels must be at least 1, --images at least 0")
    gpu, count = gpus.parsed(args.gpu)
    with without_inputs():
        recipe = load.load(shipped.recipe(args.recipe), args.set, allow_code=args.allow_code)
    rows = forecast.Rows(args.tokens, args.pixels, args.images)
    stages = forecast.of_recipe(recipe, gpu, count, rows, args.mfu)
    if args.json:
        print(
            json.dumps({"gpu": gpu.name, "count": count, "stages": [io.to_json(asdict(f)) for f in stages]})
        )
    else:
        print(
            f"{recipe.name} on {count} x {gpu.name} ({gpu.memory / 1e9:.0f} GB each); assumed: rows of"
            f" {args.tokens} tokens with {args.images} image(s) of {args.pixels / 1e6:.1f} MP, MFU"
            f" {args.mfu:.0%}"
        )
        for entry in stages:
            print("\n".join(_lines(entry)))
    return 0 if all(item.fits and not item.changes for item in stages) else 1


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(60 * hours))} min"


def _lines(stage: Forecast) -> list[str]:
    needs = ", ".join(f"{name} {size / GIB:.1f}" for name, size in stage.needs.items() if size >= GIB // 20)
    steps = "" if stage.steps is None else f" for {stage.steps:,} steps"
    hours = "hours depend on the number of rows" if stage.hours is None else _time(stage.hours) + steps
    lines = [
        f"{stage.stage} ({stage.uses}, {stage.model}): {stage.total / GIB:.1f} of {stage.room / GIB:.1f} GiB"
        f" a GPU, {hours}",
        f"  {needs}",
    ]
    if stage.changes:
        then = "then it takes" if stage.fits else "even then it takes"
        end = "" if stage.fits else ": take GPUs with more memory, a smaller model, or a shorter max_length"
        lines.append(
            f"  does not fit: set {'; '.join(stage.changes)}; {then} {stage.needs_then / GIB:.1f} GiB{end}"
        )
    elif not stage.fits:
        lines.append("  does not fit, and no setting is left to change: take GPUs with more memory")
    return lines
