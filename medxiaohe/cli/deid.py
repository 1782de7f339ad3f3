"""`deid`: de-identify DICOM, images and text. The output has counts and reasons; never a path or a value
of the files."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.io import bounded_yaml
from medxiaohe.privacy import collection, pixels, secret

PROBLEMS = 1


def deid(args: argparse.Namespace) -> int:
    """De-identify DICOM files, images and text (`deid`).

    Args:
        args: `path`, `out` (a folder), `key` (file of the pseudonym key), `pixels` (the policy for burnt-
            in text), `boxes` (a YAML file of regions to blank), `keep` (names with commas), `sources` (a
            file for the paths of quarantined files), `json`.

    Returns:
        exit code 1 if a file was quarantined, else 0.

    Raises:
        ConfigError: `boxes` is not readable YAML.
    """
    key = secret.load(args.key)
    try:
        rules = bounded_yaml.read(args.boxes) if args.boxes else []
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"{args.boxes} is not a readable YAML file") from error
    policy = pixels.policy(args.pixels, rules or [])
    summary = collection.clean(
        args.path, args.out, key=key, policy=policy, keep=frozenset(filter(None, args.keep.split(",")))
    )
    if args.sources:
        _sources(args.path, args.sources, {row["number"]: row["reason"] for row in summary["quarantine"]})
    if args.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        print(f"{summary['files']} files: {summary['written']} written, {summary['quarantined']} quarantined")
        reasons: dict[str, int] = {}
        for row in summary["quarantine"]:
            reasons[f"{row['kind']}: {row['reason']}"] = reasons.get(f"{row['kind']}: {row['reason']}", 0) + 1
        for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
            print(f"  {count:>6}  {reason}")
        print(f"list  {args.out / collection.FILES}")
    if summary["quarantined"] and not args.sources:
        print(
            "which files they are: the same command with --sources FILE writes a list for you, which may hold"
            " names",
            file=sys.stderr,
        )
    return PROBLEMS if summary["quarantined"] else 0


def _sources(source: Path, out: Path, reasons: dict[int, str]) -> None:
    """Write number, path and reason of the quarantined files, readable by its owner only: paths may
    contain names."""
    files = sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]
    io.write_jsonl(
        out, ({"number": n, "path": str(files[n - 1]), "reason": why} for n, why in sorted(reasons.items()))
    )
    out.chmod(0o600)
