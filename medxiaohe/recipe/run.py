"""Run a recipe: skip finished stages, refuse those whose settings, inputs or code have changed, publish each
stage atomically.

    out/<stage>/<version>/            what the stage wrote, with MANIFEST.json (sha256 of every file)
    out/<stage>/<version>/stage.json  settings, inputs, code, summary: written last, so it means done
    out/log.jsonl                     when each stage ran and how long it took

Only log.jsonl has times, so two runs of a deterministic recipe leave identical bytes.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io, progress, threads
from medxiaohe.errors import ConfigError, DataError, RunLocked
from medxiaohe.plugins import nearest
from medxiaohe.progress import clock
from medxiaohe.recipe import carried, ranks
from medxiaohe.recipe.estimate import Estimate
from medxiaohe.recipe.identity import changes, identity
from medxiaohe.recipe.load import Recipe, Stage

NOTES = ".now"  # folder in the run folder: what the running stage has done so far (progress.watched)


@dataclass(frozen=True)
class Done:
    """A stage that is finished: its name, folder, summary, and whether it ran just now."""

    name: str
    folder: Path
    summary: Mapping[str, Any]
    ran: bool
    seconds: float


def run(
    recipe: Recipe,
    say: Callable[[str], None] = print,
    accept_change: bool = False,
    until: str = "",
    given: Mapping[str, Path] | None = None,
    changed: Callable[[], None] = lambda: None,
) -> list[Done]:
    """Run every stage that is not finished, in order.

    Args:
        recipe: the checked recipe.
        say: receives lines about the progress.
        accept_change: run a finished stage again if its settings, inputs or code have changed.
        until: name of the last stage; "": all.
        given: stage name -> published folder that stands for a stage the recipe does not have.
        changed: is called when a stage begins, advances or ends, for a page about the run.

    Returns:
        One entry a stage, in order.

    Raises:
        ConfigError: a finished stage has other settings, inputs or code (the message lists the differences),
            or there is no stage `until`.
        RunLocked: another process runs in the folder.
        DataError: a published folder is damaged.
        MedError: any error of a stage; the finished ones are kept.
    """
    check_until(recipe, until)
    threads.fit()
    for folder in (given or {}).values():
        io.verify(folder)
    done: list[Done] = []
    with lock(recipe.out) if ranks.is_first() else nullcontext():
        estimate = Estimate(recipe, until)
        if ranks.is_first():
            _log(recipe.out, {"recipe": recipe.name, "stages": estimate.stages, "minutes": recipe.minutes})
            say(estimate.at_start())
        for stage in recipe.stages:
            inputs = _inputs(stage, recipe, given or {})
            if ranks.is_first():
                with progress.watched(recipe.out / NOTES, changed):
                    done.append(_run_stage(stage, inputs, recipe, say, accept_change, changed))
                if done[-1].ran:
                    changed()
            else:
                done.append(_join(stage, inputs, recipe))
            if line := estimate.after(done[-1].name, done[-1].seconds, ran=done[-1].ran):
                say(line)
            if stage.name == until:
                break
    return done


def check_until(recipe: Recipe, until: str) -> None:
    """Check the name of the last stage.

    Raises:
        ConfigError: the recipe has no such stage.
    """
    names = [stage.name for stage in recipe.stages]
    if until and until not in names:
        raise ConfigError(f"--until {until}: no such stage{nearest(until, names)}")


def plan(recipe: Recipe, until: str = "") -> dict[str, str]:
    """Predict what `run` would do with each stage; writes nothing.

    Args:
        recipe: the checked recipe.
        until: name of the last stage; "": all.

    Returns:
        Stage -> "done", "run", or "changed: " and the differences.

    Raises:
        ConfigError: there is no stage `until`.
        DataError: the record of a finished stage is damaged.
    """
    check_until(recipe, until)
    plans: dict[str, str] = {}
    for stage in recipe.stages:
        inputs = _inputs(stage, recipe, {})
        if not (stage.folder(recipe.out) / io.RECORD).exists() or any(
            plans.get(name) != "done" for name in stage.needs.values()
        ):
            plans[stage.name] = "run"
        else:
            different = changes(io.read_record(stage.folder(recipe.out)), identity(stage, inputs))
            plans[stage.name] = f"changed: {'; '.join(different)}" if different else "done"
        if stage.name == until:
            break
    return plans


def _run_stage(
    stage: Stage,
    inputs: Mapping[str, Path],
    recipe: Recipe,
    say: Callable[[str], None],
    accept_change: bool,
    changed: Callable[[], None],
) -> Done:
    folder = stage.folder(recipe.out)
    record = identity(stage, inputs)
    with io.storage(folder):
        io.recover(folder)
    if (folder / io.RECORD).exists():
        before = io.read_record(folder)
        different = changes(before, record)
        if not different:
            io.verify(folder)
            io.drop_scratch(folder)
            ranks.agree("")
            say(f"done     {stage.name}@{stage.version}")
            return Done(stage.name, folder, before["summary"], False, 0.0)
        if not accept_change:
            raise ConfigError(
                f"stage {stage.name}@{stage.version} was made with other settings, inputs or code:"
                f" {'; '.join(different)} (give it a new `version:`, delete {folder}, or run with"
                " --accept-change)"
            )
    say(f"running  {stage.name}@{stage.version} ({stage.uses})")
    start, summary = time.time(), dict[str, Any]()
    begun = {"stage": stage.name, "version": stage.version, "started": round(start, 1)}
    _log(recipe.out, begun)
    changed()
    with io.publish(folder, record=lambda: {**record, "summary": summary}) as draft:
        ranks.agree(str(draft))
        summary.update(io.to_json(stage.run(stage.settings, draft, **inputs) or {}))
        carried.carry(inputs, draft)
    ranks.agree()  # published: the others may read it
    seconds = time.time() - start
    _log(recipe.out, {**begun, "seconds": round(seconds, 1)})
    say(f"finished {stage.name}@{stage.version} in {clock(seconds)}")
    return Done(stage.name, folder, summary, True, seconds)


def _join(stage: Stage, inputs: Mapping[str, Path], recipe: Recipe) -> Done:
    """Take part in a training stage, or wait for another one: what processes of other ranks do."""
    if draft := ranks.agree():
        if getattr(stage.run, "together", False):
            stage.run(stage.settings, Path(draft), **inputs)
        ranks.agree()
    folder = stage.folder(recipe.out)
    return Done(stage.name, folder, io.read_record(folder)["summary"], bool(draft), 0.0)


def _inputs(stage: Stage, recipe: Recipe, published: Mapping[str, Path]) -> dict[str, Path]:
    folders = {**{s.name: s.folder(recipe.out) for s in recipe.stages}, **published}
    return {role: folders[name] for role, name in stage.needs.items()}


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on a run folder for this process.

    Args:
        folder: the run folder; it is made.

    Raises:
        RunLocked: another process holds it; the message has its number.
        StorageError: the disk cannot be written.
    """
    with io.storage(folder):
        io.make_folder(folder)
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(handle, 100).decode() or "unknown"
            raise RunLocked(
                f"{folder} is in use by process {holder}: wait for it, or choose another --out"
            ) from error
        with io.storage(folder):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())
        yield
    finally:
        os.close(handle)


def _log(out: Path, row: Mapping[str, Any]) -> None:
    with io.storage(out), open(out / "log.jsonl", "a", encoding="utf-8") as log:
        log.write(json.dumps(row) + "\n")


def seconds(out: Path) -> dict[tuple[str, str], float]:
    """Read how long stages took when they last ran, from log.jsonl; lines that a kill cut short are skipped.

    Args:
        out: the run folder.

    Returns:
        (stage, version) -> seconds.
    """
    result = {}
    path = out / "log.jsonl"
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            result[row["stage"], row["version"]] = float(row["seconds"])
        except (ValueError, KeyError, TypeError):
            continue
    return result


def finished(out: Path) -> dict[str, Path]:
    """List the finished stages of a run folder.

    Args:
        out: the run folder.

    Returns:
        Stage -> its folder; of several versions the one finished last.

    Raises:
        DataError: there is no such folder.
    """
    if not out.is_dir():
        raise DataError(f"no run folder {out}")
    result = {}
    for record in sorted(out.glob("*/*/stage.json"), key=lambda p: p.stat().st_mtime):
        result[record.parent.parent.name] = record.parent
    return result
