"""Verify a folder of traces, without a network and without trusting who wrote it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from medxiaohe.errors import DataError
from medxiaohe.traces import checkpoint as notes
from medxiaohe.traces import merkle, store
from medxiaohe.traces.blobs import Blobs
from medxiaohe.traces.intact import Opened, check_records
from medxiaohe.traces.records import Pixels
from medxiaohe.traces.resolve import Resolver
from medxiaohe.traces.verdict import LEVELS, Verdict
from medxiaohe.types import Trace

ASKED_FOR = {"regenerated": "no model", "entailed": "no second verifier"}


@dataclass(frozen=True, slots=True)
class Replayed:
    """Result of replaying a part of a trace."""

    step: int  # -1: the whole trace
    same: bool | None  # None: it cannot be done again here
    why: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """One comparison of a level that reports a rate."""

    same: bool | None  # None: there was nothing to compare
    why: str = ""


Replay = Callable[[Trace], Iterable[Replayed]]
Compare = Callable[[Trace], Iterable[Compared]]


def verify(
    folder: Path,
    *,
    public_key: str = "",
    since: Path | None = None,
    pixels: Pixels | None = None,
    replay: Replay | None = None,
    regenerate: Compare | None = None,
    entail: Compare | None = None,
    blobs: Blobs | None = None,
) -> Verdict:
    """Check every trace of a folder, up to each level that the arguments allow.

    Args:
        public_key: of whoever signed; without one the signature counts as not checked.
        since: an earlier checkpoint from another copy: detects truncation and forks by the signer too.
        pixels: reads the RGB bytes of a region; without it regions are checked by their frame only.
        replay: does tools and the workflow of a trace again; without it that level is not checked.
        regenerate: asks the model of a trace again.
        entail: asks a second verifier about the claims of a trace.
        blobs: where files are looked up by digest; by default blobs/ of the folder.

    Returns:
        problems by record, and for each level how much was checked and how much was not.

    Raises:
        DataError: there is no log, or `since` is no checkpoint.
        MissingExtra: a key is given and the package cryptography is not installed.
    """
    result = Verdict()
    resolver = Resolver(blobs or Blobs(folder), pixels)
    old = store.read_checkpoint(since) if since else None
    if old and public_key and (why := notes.check_signature(old[1], public_key)):
        raise DataError(f"{since}: {why}")
    if not (folder / store.LOG).is_file():
        raise DataError(f"{folder} is no folder of traces: there is no {store.LOG} in it")
    frontier, early = merkle.Frontier(), merkle.root([])
    try:
        for trace in store.stored(folder):
            frontier.add(merkle.leaf_hash(trace.lines[-1]))
            if old and frontier.size == old[0].size:
                early = frontier.root()
            result.traces += 1
            result.records += len(trace.lines)
            opened = check_records(trace, result)
            if opened is not None:
                resolver.check(opened, result)
                _replay(opened, replay, result)
                _compare(opened.trace, "regenerated", regenerate, result)
                _compare(opened.trace, "entailed", entail, result)
            else:
                for level in list(LEVELS)[1:]:
                    result.levels[level].skip("a trace is not intact")
    except DataError as error:
        result.add(-1, "log", "intact", str(error).removeprefix(f"{folder}/"))
    _log(folder, public_key, frontier, result)
    if old and frontier.size < old[0].size:
        why = f"{frontier.size} traces, and the checkpoint that you kept has {old[0].size}: truncated"
        result.add(-1, "log", "intact", why)
    elif old and early != old[0].root:
        why = "the log does not continue the checkpoint that you kept: it was written again (a fork)"
        result.add(-1, "log", "intact", why)
    return result


def _log(folder: Path, public_key: str, frontier: merkle.Frontier, verdict: Verdict) -> None:
    """Compare the log with its checkpoint, and the checkpoint with its signature."""
    intact = verdict.levels["intact"]
    try:
        checkpoint, note = store.read_checkpoint(folder)
        why = notes.check_signature(note, public_key) if public_key else ""
    except DataError as error:
        verdict.add(-1, "checkpoint", "intact", str(error).removeprefix(f"{folder}/"))
        return
    if not public_key:
        intact.skip("no public key was given, so the signature was not looked at")
    if why:
        verdict.add(-1, "checkpoint", "intact", why)
    if checkpoint.origin != notes.ORIGIN:
        verdict.add(-1, "checkpoint", "intact", f"of the log {checkpoint.origin!a}, not of {notes.ORIGIN}")
    if checkpoint.size != frontier.size:
        why = f"the log has {frontier.size} traces, its checkpoint covers {checkpoint.size}"
        verdict.add(-1, "log", "intact", why)
    elif checkpoint.root != frontier.root():
        why = "a head was changed, or heads changed places: the root is another"
        verdict.add(-1, "log", "intact", why)
    else:
        intact.checked += 1


def _replay(opened: Opened, replay: Replay | None, verdict: Verdict) -> None:
    level = verdict.levels["replayed"]
    if replay is None:
        level.skip("replay was not asked for")
        return
    if opened.trace is None:
        level.closed += 1
        return
    steps = {record["step"]: record["id"] for record in opened.records if "step" in record}
    for item in replay(opened.trace):
        if item.same is None:
            level.skip(item.why)
        elif item.same:
            level.checked += 1
        else:
            verdict.add(opened.index, steps.get(item.step, opened.answer), "replayed", item.why)


def _compare(trace: Trace | None, name: str, compare: Compare | None, verdict: Verdict) -> None:
    level = verdict.levels[name]
    if compare is None:
        level.skip(f"{ASKED_FOR[name]} was given")
        return
    if trace is None:
        level.closed += 1
        return
    for item in compare(trace):
        if item.same is None:
            level.skip(item.why)
        else:
            level.compare(item.same, item.why)
