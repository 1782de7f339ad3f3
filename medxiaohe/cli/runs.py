"""`medxiaohe run`: run a recipe. `medxiaohe stage`, and the verbs named after stages: run one stage."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from medxiaohe import io, permission
from medxiaohe.cli import own_rows
from medxiaohe.cli.summary import as_json, as_text, headline, table
from medxiaohe.errors import ConfigError, DataError, MedError, RunLocked, StorageError
from medxiaohe.pages.sections import progress_page
from medxiaohe.progress import clock
from medxiaohe.recipe import load, ranks, shipped
from medxiaohe.recipe import run as recipes
from medxiaohe.recipe import status as status_of


def say(text: str) -> None:
    """Print a line on progress to stderr, in the first process of a distributed run only.

    Args:
        text: the line.
    """
    if ranks.is_first():
        print(text, file=sys.stderr, flush=True)


def run(args: argparse.Namespace) -> int:
    """Run a recipe, or print its plan (`run`).

    Args:
        args: `recipe` (a file or the name of a shipped one), `set` (K=V), `out` (a folder, None for the
            recipe's), `dry_run`, `full`, `until` (the last stage to run), `accept_change`, `allow_code`,
            `json`.

    Returns:
        exit code 0; with `dry_run` 1 if a finished stage would run again because it changed.

    Raises:
        ConfigError: the recipe or a setting is wrong.
        RunLocked: another process runs in the same folder.
    """
    recipe = load.load(shipped.recipe(args.recipe), args.set, args.out, allow_code=args.allow_code)
    if args.dry_run:
        return _dry_run(recipe, args)
    with _page(recipe.out) as changed:
        done = recipes.run(
            recipe, say=say, accept_change=args.accept_change, until=args.until, changed=changed
        )
    _print(recipe, done, args.json)
    ranks.leave()
    return 0


@contextmanager
def _page(out: Path) -> Iterator[Callable[[], None]]:
    """Keep a progress page in the run folder; the yielded function rewrites it, at most every few seconds.

    A page that cannot be written ends no run: what fills the disk is reported by the stage that needs it.
    """
    last = 0.0

    def changed() -> None:
        """Write the page again, unless it was written less than `progress_page.REFRESH` seconds ago."""
        nonlocal last
        if not last:
            say(f"page     {out / progress_page.NAME}")
        if time.monotonic() - last >= progress_page.REFRESH or not last:
            last = time.monotonic()
            _written(out)

    if not ranks.is_first():
        yield lambda: None
        return
    try:
        yield changed
    except RunLocked:
        raise  # the page is that of the other process
    except BaseException as error:
        if last:  # a run that is refused before a stage begins leaves what is there
            _written(out, str(error) if isinstance(error, MedError) else type(error).__name__)
        raise
    page = out / progress_page.NAME
    if last or not page.is_file() or page.with_name(f".{page.name}.draft").exists():  # half written by a kill
        _written(out)


def _written(out: Path, failed: str = "") -> None:
    with suppress(StorageError, DataError):
        progress_page.write(out, failed=failed)


def status(args: argparse.Namespace) -> int:
    """Print which stages of a run are finished or running, and the estimated time that remains (`status`).

    Args:
        args: `out` (the run folder), `json`.

    Returns:
        exit code 0.
    """
    state = status_of.state(args.out)
    took = recipes.seconds(args.out)
    if args.json:
        print(json.dumps({**io.to_json(vars(state)), "seconds": {k[0]: v for k, v in took.items()}}))
        return 0
    rows = [("stage", "time", "state")]
    for name in state.stages:
        folder = state.done.get(name)
        if name == state.running:
            rows.append((name, clock(time.time() - state.started), f"running, process {state.process}"))
        elif folder is not None:
            seconds = took.get((name, folder.name))
            summary = headline(io.read_record(folder)["summary"])
            rows.append((name, "-" if seconds is None else clock(seconds), f"done: {summary}"))
        else:
            rows.append((name, "-", "to run"))
    print(table(rows))
    done = sum(name in state.done for name in state.stages)
    remaining = 60 * sum(state.minutes.get(name, 0.0) for name in state.stages if name not in state.done)
    about = f", about {clock(remaining)} left on two quiet cores" if remaining else ""
    print(f"\n{done} of {len(state.stages)} stages done{about}")
    return 0


def stage(args: argparse.Namespace) -> int:
    """Run one stage outside a recipe (`stage`, and verbs such as `data read`).

    Args:
        args: `uses` (the stage), `input` (ROLE=DIR each), `data` (rows to read first), `model`,
            `settings` (YAML, or a recipe with this stage), `set` (K=V), `out`, `accept_change`,
            `allow_code`, `json`.

    Returns:
        exit code 0.

    Raises:
        ConfigError: a wrong setting, a missing input, or a role that appears twice.
    """
    inputs = dict(map(given_input, args.input))
    if len(inputs) < len(args.input):
        raise ConfigError("--input: a role is given twice")
    if args.out is None:
        args.out = Path("out") / args.uses.rpartition(":")[2].replace(".", "_")
    if args.model:
        args.set = [*args.set, f"model={args.model}"]
    if args.data:
        role, folder = own_rows.prepare(args.data, args.uses, args.out, inputs, say=say)
        inputs[role] = folder
        args.set = [*own_rows.consent(args.uses, say=say), *args.set]
    values = load.read_yaml(args.settings) if args.settings else {}
    if not isinstance(values, dict):
        raise ConfigError(f"{args.settings}: must be a mapping of settings, not {values!r}")
    if "stages" in values:
        full_recipe = load.load(args.settings, args.set, args.out, allow_code=args.allow_code)
        recipe = _only(args.uses, full_recipe, inputs)
    else:
        permission.check_file(values, str(args.settings), allow_code=args.allow_code)
        name = args.uses.rpartition(":")[2].replace(".", "_")
        own_rows.check_inputs(args.uses, inputs)
        configured = load.stage(name, args.uses, values, {role: role for role in inputs}, args.set)
        recipe = load.Recipe(name, args.out, (configured,))
    done = recipes.run(recipe, say=say, accept_change=args.accept_change, given=inputs)
    _print(recipe, done, args.json)
    ranks.leave()
    return 0


def _only(uses: str, recipe: load.Recipe, inputs: Mapping[str, Path]) -> load.Recipe:
    """Reduce a recipe to its one stage of this kind, which must need no other stage."""
    results = [stage for stage in recipe.stages if stage.uses == uses]
    if len(results) != 1 or results[0].needs or inputs:
        raise ConfigError(
            f"--with: the recipe {recipe.name} has {len(results)} stages {uses} to run alone: use `medxiaohe"
            " run`"
        )
    return replace(recipe, stages=tuple(results))


def _print(recipe: load.Recipe, done: list[recipes.Done], wants_json: bool) -> None:
    if not ranks.is_first():
        return
    seconds = recipes.seconds(recipe.out)
    print(
        json.dumps(as_json(recipe, done, seconds), ensure_ascii=False)
        if wants_json
        else as_text(recipe, done, seconds)
    )


def _dry_run(recipe: load.Recipe, args: argparse.Namespace) -> int:
    import yaml

    plan = recipes.plan(recipe, args.until)
    resolved = io.to_json(recipe.resolved())
    if args.json:
        print(json.dumps({"recipe": resolved, "plan": plan}, ensure_ascii=False))
    else:
        if args.full:
            print(yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=120))
        rows = [(name, *_minutes(recipe, name), state) for name, state in plan.items()]
        print(table([("stage", *(("about",) if recipe.minutes else ()), "state"), *rows]))
        remaining = sum(state != "done" for state in plan.values())
        print(f"\n{remaining} of {len(plan)} stages to run; --dry-run --full prints every setting")
    return 1 if any(state.startswith("changed") for state in plan.values()) else 0


def _minutes(recipe: load.Recipe, name: str) -> tuple[str, ...]:
    """Format the estimated time of a stage; () if the recipe states no minutes."""
    if not recipe.minutes:
        return ()
    return (clock(60 * recipe.minutes[name]) if name in recipe.minutes else "",)


def given_input(text: str) -> tuple[str, Path]:
    """Parse `--input ROLE=DIR`.

    Args:
        text: as typed; DIR may also be a folder with exactly one finished version below it.

    Returns:
        the role and the folder of the finished stage.

    Raises:
        ConfigError: not of this form, or not a finished stage.
    """
    role, equals, folder = text.partition("=")
    if not equals or not role.isidentifier() or not folder:
        raise ConfigError(f"--input {text}: write role=folder, such as tree=work/entity_build/1")
    return role, finished_folder(Path(folder), f"--input {role}")


def finished_folder(path: Path, argument: str) -> Path:
    """Resolve the folder of a finished stage.

    Args:
        path: the folder itself, or its parent if exactly one version is below it.
        argument: the option or argument, for the message.

    Returns:
        the folder that has the manifest.

    Raises:
        ConfigError: neither has one, or several versions are below it.
    """
    versions = (
        [path]
        if (path / io.MANIFEST).is_file()
        else [p.parent for p in sorted(path.glob(f"*/{io.MANIFEST}"))]
    )
    if len(versions) != 1:
        listed = ", ".join(map(str, versions)) or "none"
        raise ConfigError(
            f"{argument}: {path} is not the folder of a finished stage (no {io.MANIFEST}); below it there"
            f" are: {listed}"
        )
    return versions[0]
