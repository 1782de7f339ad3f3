"""`--data PATH` of a stage verb: convert rows of any known format to the finished stages that the verb needs.

    medxiaohe train sft --data rows.jsonl --model starter --out out/mine

The format is guessed as `data check` does. The rows are read by data.read, without a tree; a training stage
gets them all as a mixture, but for rows of held-out splits with their patients and studies, and exact copies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.data.coverage.corpora import Corpus, corpus
from medxiaohe.data.formats.guess import PUBLISHED, as_option
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import load
from medxiaohe.recipe import run as recipes

ROWS, CURATED, MIXTURE = "rows", "curated", "mixture"  # the names of the stages
# dropped: held-out rows with their patients and studies, exact copies, rows without an answer; nothing else
KEEP = {"filters": ["empty_answer"], "normalise": False, "near_text": 0.0}
UNCOMPARED = "allow_contaminated"
ROLES = ("data", "corpus")  # the inputs that rows can be


def prepare(
    data: str, uses: str, out: Path, inputs: Mapping[str, Path], *, say: Callable[[str], None]
) -> tuple[str, Path]:
    """Read the rows, and mix them where the stage trains.

    Args:
        data: a file, a folder or asset:NAME.
        uses: the stage that will work on them.
        out: where its folders are finished.
        inputs: the inputs that are there already.
        say: prints a line about progress.

    Returns:
        the role of the input and the folder of the finished stage that is it.

    Raises:
        ConfigError: the stage takes no rows, or has them already.
    """
    role = _role(uses, inputs)
    guessed = corpus(data)
    if guessed.reader == PUBLISHED:
        raise ConfigError(f"--data {data} is the folder of a finished stage: write --input {role}={data}")
    options = f" with {as_option(guessed.options)}" if guessed.options else ""
    say(f"{data}: read by {guessed.reader}{options}")
    done = recipes.run(load.Recipe(ROWS, out, (_read(guessed),)), say=say)[-1]
    if not uses.startswith("train."):
        return role, done.folder
    counts = {
        kind: sum(source[kind] for source in done.summary["sources"].values())
        for kind in ("documents", "instructions")
    }
    curated = load.stage(CURATED, "data.curate", KEEP, {"corpus": ROWS})
    mixed = load.stage(MIXTURE, "data.mixture", counts, {"data": CURATED})
    recipe = load.Recipe(ROWS, out, (_read(guessed), curated, mixed))
    return role, recipes.run(recipe, say=lambda line: None if line.startswith("done") else say(line))[
        -1
    ].folder


def consent(uses: str, *, say: Callable[[str], None]) -> list[str]:
    """Settings without which a training stage refuses rows that were compared with no test split.

    The stage keeps the setting in its record: a score on a public test needs `data curate` first.

    Args:
        uses: the stage, such as train.sft.
        say: prints a note on decontamination.

    Returns:
        values for `--set`; empty for a stage without the setting.
    """
    kind = load.settings_type(plugins.load_stage(uses))
    if UNCOMPARED not in {field.name for field in fields(kind)}:
        return []
    say(
        "note: these rows were compared with no test split; decontaminate them (medxiaohe data curate,"
        " setting `against`) before you report a score of a test"
    )
    return [f"{UNCOMPARED}=true"]


def check_inputs(uses: str, inputs: Mapping[str, Path]) -> None:
    """Check that a stage has all of its required inputs.

    Args:
        uses: the stage, such as train.sft.
        inputs: role of an input -> folder of a finished stage.

    Raises:
        ConfigError: one is missing; the message has the option to write.
    """
    required = load.roles(plugins.load_stage(uses))[1]
    for role in required:
        if role not in inputs:
            rows = f"--data FILE with rows, or --input {role}=DIR" if role in ROLES else f"--input {role}=DIR"
            raise ConfigError(f"{uses} needs its {role}: give {rows} with the folder of a finished stage")


def _role(uses: str, inputs: Mapping[str, Path]) -> str:
    """Choose the input of the stage that the rows become."""
    named = load.roles(plugins.load_stage(uses))[0]
    role = next((role for role in ROLES if role in named), "")
    if not role:
        raise ConfigError(f"--data: {uses} works on no rows: it takes {', '.join(named) or 'no input'}")
    if role in inputs:
        raise ConfigError(f"--data: {uses} has its {role} by --input already: give one of the two")
    return role


def _read(guessed: Corpus) -> load.Stage:
    """Build the stage that reads the rows."""
    path = guessed.path if guessed.path.startswith(("asset:", "hub:")) else str(Path(guessed.path).absolute())
    source: dict[str, Any] = {"reader": guessed.reader, "path": path, "name": ROWS}
    if guessed.options:
        source["options"] = dict(guessed.options)
    return load.stage(ROWS, "data.read", {"sources": [source]})
