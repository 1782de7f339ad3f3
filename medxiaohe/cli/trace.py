"""`medxiaohe trace`: show, verify, redact and export traces."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins, traces
from medxiaohe.cli.trace_again import entailed, regenerated
from medxiaohe.cli.trace_replay import LIBRARY, Replayer, pixels
from medxiaohe.errors import ConfigError
from medxiaohe.evidence.rule import named
from medxiaohe.models.players import by_name, load_player, player_of
from medxiaohe.recipe import load
from medxiaohe.traces import checkpoint, exports, store
from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.records import KINDS
from medxiaohe.traces.redact import redacted
from medxiaohe.types import Model, Trace

SIGNS = {"verified": "+", "partly": "~", "not checked": "-", "failed": "x", "reported": "%"}
MOST_NOTES = 5


def write(
    recorded: Sequence[Trace],
    folder: Path,
    *,
    key: Path | None = None,
    digests: Mapping[str, str] | None = None,
    documents: Mapping[str, bytes] | None = None,
) -> list[str]:
    """Seal traces and append them to a log.

    Args:
        recorded: traces, in order.
        folder: of the log; created if missing.
        key: a file with the private key that signs the checkpoint; None to leave it unsigned.
        digests: name -> digest of the model, tools and stores that made the traces.
        documents: SHA-256 -> bytes of the documents that evidence was cut from.

    Returns:
        the names of the traces in the log.

    Raises:
        ConfigError: the key cannot be read.
    """
    log = traces.Log(folder, read_key(key) if key else "")
    sealed = [traces.seal(item, log.secret, digests=digests, pixels=pixels) for item in recorded]
    return log.append(sealed, documents)


def show(args: argparse.Namespace) -> int:
    """List the traces of a folder, or print the records of one, or write its page (`trace show`).

    Args:
        args: `folder`, `which` (a number or the beginning of a name, "" to list), `html` (a file), the
            options of `verdict_of`, `json`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: no log in the folder, no such trace, or `html` without `which`.
    """
    _check_log(args.folder)
    if args.html and not args.which:
        raise ConfigError("--html is a page of one trace: give its number, such as 0")
    if not args.which:
        rows = [_line(trace) for trace in store.stored(args.folder)]
        if args.json:
            print(json.dumps(rows, ensure_ascii=False))
        else:
            print("\n".join(f"{r['index']:>5}  {r['trace'][:16]}  {r['records']:>5} records" for r in rows))
        return 0
    stored = _find(args.folder, args.which)
    if args.html:
        write_page(stored, args.html, Blobs(args.folder, args.sources), verdict_of(args))
        print(json.dumps({"page": str(args.html)}) if args.json else f"page     {args.html}")
        return 0
    records, openings = exports.read(stored)
    if args.json:
        opened = [{**r, "opened": openings[r["id"]][1]} if r["id"] in openings else r for r in records]
        print(json.dumps(opened, ensure_ascii=False))
        return 0
    for record in records:
        public = {k: v for k, v in record.items() if k not in ("id", "kind", "sealed", "leaves")}
        print(f"{record['id']:<16} {json.dumps(public, ensure_ascii=False)}")
        if record["id"] in openings:
            text = json.dumps(openings[record["id"]][1], ensure_ascii=False)
            print(f"{'':<16} {text if len(text) <= 300 else text[:300] + ' ...'}")
        elif "sealed" in record:
            print(f"{'':<16} (closed)")
    return 0


def write_page(stored: store.Stored, path: Path, blobs: Blobs, verdict: traces.Verdict) -> None:
    """Write the HTML page of a trace.

    Args:
        stored: the stored trace.
        path: the file to write.
        blobs: images and documents by SHA-256.
        verdict: the result of verifying its folder.
    """
    from medxiaohe.pages.sections.trace_page import trace_page
    from medxiaohe.pages.sections.trace_view import view

    records, openings = exports.read(stored)
    shown = view(stored.index, store.head_name(stored.lines[-1]), records, openings, blobs, verdict)
    io.write_text(path, trace_page(shown))


def verify(args: argparse.Namespace) -> int:
    """Verify the traces of a folder, level by level (`trace verify`).

    Args:
        args: the options of `verdict_of`, `level` (the level that must be reached, "" for none), `json`.

    Returns:
        exit code 1 if there is a problem or `level` is not reached, else 0.

    Raises:
        ConfigError: as `verdict_of`.
    """
    verdict = verdict_of(args)
    names = list(traces.LEVELS)
    requested = names[: names.index(args.level) + 1] if args.level else []
    short = [name for name in requested if verdict.state(name) != "verified"]
    if args.json:
        levels = {name: {"state": verdict.state(name), **io.to_json(verdict.levels[name])} for name in names}
        problems = [io.to_json(problem) for problem in verdict.problems]
        print(json.dumps({"traces": verdict.traces, "records": verdict.records, "levels": levels,
                          "problems": problems}, ensure_ascii=False))  # fmt: skip
        return 1 if verdict.problems or short else 0
    print(f"{verdict.traces:,} traces, {verdict.records:,} records")
    for name in names:
        _print_level(name, verdict)
    if not args.key:
        print("the signature was NOT checked: give the public key with --key", file=sys.stderr)
    for problem in verdict.problems[:20]:
        print(f"bad: {problem}")
    if len(verdict.problems) > 20:
        print(f"{len(verdict.problems) - 20:,} more problems: --json has all of them")
    if short and not verdict.problems:
        print(f"not all of the level {short[0]} could be checked")
    return 1 if verdict.problems or short else 0


def verdict_of(args: argparse.Namespace) -> traces.Verdict:
    """Verify a folder with the levels that the options enable.

    Args:
        args: `folder`, `key` (the public key or its file), `since` (an earlier checkpoint), `sources`
            (folders of blobs), `library` (stores to replay searches in), `no_replay`, `model`, `backend`
            and `set` (to regenerate replies), `second` (a verifier for the claims).

    Returns:
        the state of each level and the problems.

    Raises:
        ConfigError: no log in the folder, or an option names something that does not exist.
    """
    _check_log(args.folder)
    for folder in args.sources:
        if not folder.is_dir():
            raise ConfigError(f"--sources {folder}: no such folder")
    blobs = Blobs(args.folder, args.sources)
    library, stores = by_name(args.library, "--library")
    replay = Replayer(blobs, {**stores, **({LIBRARY: library} if library else {})})
    options = dict(map(load.option, args.set))
    model = None
    if args.model:
        player = player_of(args.model)
        player = replace(player, **({"backend": args.backend} if args.backend else {}))
        model = load_player(replace(player, options={**player.options, **options}))
    return traces.verify(
        args.folder,
        public_key=_public(args.key),
        since=args.since,
        pixels=pixels,
        replay=None if args.no_replay else replay,
        regenerate=partial(regenerated, model=model, blobs=blobs) if model else None,
        entail=_second_verifier(args.second, model) if args.second else None,
        blobs=blobs,
    )


def _second_verifier(name: str, model: Model | None) -> traces.Compare:
    """Build the comparison with a second verifier."""
    available = plugins.available("verifiers")
    if name not in available:
        raise ConfigError(f"--second: no verifier {name!r}{plugins.nearest(name, available)}")
    settings: dict[str, Any] = {
        "judged": {"rules": True}, "region": {"model": model}, "searched": {"model": model},
    }  # fmt: skip
    (verifier,) = named([name], settings)
    return partial(entailed, name=name, verifier=verifier)


def _print_level(name: str, verdict: traces.Verdict) -> None:
    level, state = verdict.levels[name], verdict.state(name)
    checked = f"{level.checked:,} checked"
    if state == "reported":
        share, low, high = level.interval()
        checked = f"{level.agrees:,} of {level.checked:,} agree ({share:.3f}, 95 % {low:.3f} to {high:.3f})"
    print(
        f"{SIGNS[state]} {name:<11} {state:<11}  {checked}, {level.not_checked:,} not checked,"
        f" {level.closed:,} closed"
    )
    for why, n in sorted(level.reasons.items()):
        print(f"    not checked: {why} ({n:,})")
    for difference, n in sorted(level.notes.items(), key=lambda row: (-row[1], row[0]))[:MOST_NOTES]:
        print(f"    differs: {difference} ({n:,})")
    if (remaining := len(level.notes) - MOST_NOTES) > 0:
        print(f"    differs: in {remaining:,} other ways")


def redact(args: argparse.Namespace) -> int:
    """Copy traces with only some kinds of records open (`trace redact`).

    Args:
        args: `folder`, `out` (a new folder), `keep` (kinds of records with commas), `json`.

    Returns:
        exit code 0; the copy still verifies.

    Raises:
        ConfigError: no log in the folder, or an unknown kind.
    """
    _check_log(args.folder)
    keep = [kind.strip() for kind in args.keep.split(",") if kind.strip()]
    if unknown := [kind for kind in keep if kind not in KINDS[:-1]]:
        raise ConfigError(f"--keep {unknown[0]}: kinds of records are {', '.join(KINDS[:-1])}")
    result = redacted(args.folder, args.out, keep)
    if args.json:
        print(json.dumps({"open": result[0], "closed": result[1], "out": str(args.out)}))
    else:
        print(f"{args.out}: {result[0]:,} records open, {result[1]:,} closed")
    return 0


def export(args: argparse.Namespace) -> int:
    """Export traces in the format of another program (`trace export`).

    Args:
        args: `folder`, `which` (one trace, "" for all), and the options of `trace_export.export`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: no log in the folder, no such trace, or options that exclude each other.
    """
    from medxiaohe.cli import trace_export

    _check_log(args.folder)
    trace_export.check(args)
    selected = iter([_find(args.folder, args.which)]) if args.which else store.stored(args.folder)
    return trace_export.export(args, selected)


def key(args: argparse.Namespace) -> int:
    """Create an Ed25519 key pair for checkpoints: OUT.key, readable by its owner only, and OUT.pub (`trace
    key`).

    Args:
        args: `name` (of the signer), `out` (the path without suffix), `json`.

    Returns:
        exit code 0; the public key is on stdout.

    Raises:
        ConfigError: one of the files exists.
    """
    private, public = checkpoint.new_key(args.name)
    secret, shown = args.out.with_name(args.out.name + ".key"), args.out.with_name(args.out.name + ".pub")
    if secret.exists() or shown.exists():
        raise ConfigError(f"{secret} already exists: choose another --out")
    with io.storage(secret):
        secret.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w") as file:
            file.write(private + "\n")
    io.write_text(shown, public + "\n")
    print(json.dumps({"key": str(secret), "public": public}) if args.json else public)
    return 0


def _check_log(folder: Path) -> None:
    if not (folder / store.LOG).is_file():
        raise ConfigError(f"{folder} is no folder of traces: there is no {store.LOG} in it")


def _line(trace: store.Stored) -> dict[str, Any]:
    return {"index": trace.index, "trace": store.head_name(trace.lines[-1]), "records": len(trace.lines)}


def _find(folder: Path, which: str) -> store.Stored:
    for trace in store.stored(folder):
        if which == str(trace.index) or (len(which) > 5 and _line(trace)["trace"].startswith(which)):
            return trace
    raise ConfigError(f"no trace {which!r} in {folder}: `medxiaohe trace show {folder}` lists them")


def read_key(path: Path) -> str:
    """Read a key file.

    Args:
        path: a text file.

    Returns:
        its text without surrounding white space.

    Raises:
        ConfigError: it cannot be read as text.
    """
    try:
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the key {path}") from error


def _public(key: str) -> str:
    return read_key(Path(key)) if key and Path(key).is_file() else key
