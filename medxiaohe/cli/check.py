"""`data check`: validate every row of a data set and report the problems by row; exit code 1 if there are
any."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from medxiaohe import assets, io
from medxiaohe.cli.summary import table
from medxiaohe.data.coverage.corpora import corpus, rows
from medxiaohe.data.formats.guess import PUBLISHED, as_option
from medxiaohe.data.formats.validate import HINTS, Report, check
from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml

SHOWN = 50  # problems printed; --json has up to a thousand


def data(args: argparse.Namespace) -> int:
    """Validate the rows of a data set without changing them (`data check`).

    Args:
        args: `path` (a file, a folder or asset:NAME), `reader` ("" to guess it), `set` (options of the
            reader), `limit` (rows to read, None for all), `json`.

    Returns:
        exit code 1 if any row has a problem, else 0; the report is on stdout.

    Raises:
        ConfigError: no such file or folder, or `set` is not option=value in YAML.
    """
    path = args.path
    if not path.startswith("asset:") and not Path(path).exists():
        raise ConfigError(f"no file or folder {path}")
    guessed = corpus(path, args.reader)
    options = {**guessed.options, **dict(map(_option, args.set))}
    location = assets.folder(path.removeprefix("asset:")) if path.startswith("asset:") else Path(path)
    ours = (lambda path, **_: rows(guessed)) if guessed.reader == PUBLISHED else None
    report = check(location, guessed.reader, options, args.limit, read=ours)
    report.options, report.notes = options, guessed.notes
    if args.json:
        print(
            json.dumps(
                {**io.to_json(vars(report)), "hints": {c: HINTS[c] for c in report.counts if c in HINTS}},
                ensure_ascii=False,
            )
        )
    else:
        print(as_text(report))
    return 1 if report.counts else 0


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set {text!r}: write option=value")
    try:
        return key, bounded_yaml.load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from error


def as_text(report: Report) -> str:
    """Format a validation report for a terminal.

    Args:
        report: counts of problems by code, the first problems, and a decoded sample.

    Returns:
        counts, a line for recipes, a table of the first `SHOWN` problems with hints, and the sample.
    """
    num = sum(report.counts.values())
    share = f", {report.with_images:,} with images" if report.with_images else ""
    lines = [
        f"{report.path}, read by {report.reader}: {report.read:,} rows, {report.good:,} good{share}, {num:,}"
        " problems"
    ]
    if report.notes:
        lines.append(f"seen: {'; '.join(report.notes)}")
    if report.reader != PUBLISHED:
        options = f", options: {{{as_option(report.options)}}}" if report.options else ""
        lines.append(f"in a recipe: {{reader: {report.reader}, path: {report.path}{options}}}")
    if report.problems:
        shown = [("row", "what", "why"), *((p.where, p.code, p.reason) for p in report.problems[:SHOWN])]
        lines += ["", table(shown, right=())]
        if num > SHOWN:
            lines.append(
                f"and {num - SHOWN:,} more: "
                + ", ".join(f"{code} {n:,}" for code, n in report.counts.most_common())
            )
        lines += ["", *(f"{code}: {HINTS[code]}" for code in report.counts if code in HINTS)]
    if report.sample:
        lines += ["", f"a decoded sample: {report.sample['id']}"]
        lines += [
            f"  {message['role']:<9} {' '.join(' '.join(message['parts']).split())[:300]}"
            for message in report.sample["messages"]
        ]
        lines += [
            f"  {i['uri']}: {i['width']} x {i['height']} pixels, mean brightness {i['mean']}"
            for i in report.sample["images"]
        ]
    return "\n".join(lines)
