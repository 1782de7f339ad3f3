"""`init`: write a commented recipe or file that runs unchanged, to start from."""

from __future__ import annotations

import argparse
import json
import runpy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.recipe import shipped


@dataclass(frozen=True)
class Kit:
    """Files to copy, and what to do with them.

    Attributes:
        files: name of the copy -> kind and name of what is copied.
        next: commands to run, in order; {out} is the folder.
        rows: the path of rows that the copy names, which are drawn beside it so that it runs unchanged.
    """

    files: dict[str, tuple[str, str]]
    next: tuple[str, ...]
    rows: str = ""


KITS = {
    "own_data": Kit(
        {
            "own_data.yaml": ("recipes", "own_data.yaml"),
            "make_own_data.py": ("examples", "make_own_data.py"),  # what drew the rows
        },
        ("medxiaohe data check {out}/rows.jsonl", "medxiaohe run {out}/own_data.yaml"),
        rows="examples/own_data/rows.jsonl",
    ),
    "benchmark": Kit(
        {
            "custom_task.yaml": ("examples", "custom_task.yaml"),
            "custom_task.jsonl": ("examples", "custom_task.jsonl"),
        },
        ("medxiaohe eval run --model starter --tasks {out}/custom_task.yaml",),
    ),
    "workflow": Kit(
        {"own_workflow.py": ("examples", "own_workflow.py")},
        ('medxiaohe ask "Which deficiency?" --model starter --workflow {out}/own_workflow.py:second',),
    ),
    "gpu": Kit(
        {"gpu.yaml": ("recipes", "gpu/qwen3_vl_4b_lora.yaml")},
        ("medxiaohe doctor", "medxiaohe run {out}/gpu.yaml --dry-run"),
    ),
}


def _copy(file: IO[bytes], *, data: bytes) -> None:
    file.write(data)


def draw(folder: Path) -> None:
    """Draw the rows and images of examples/make_own_data.py into the folder.

    Args:
        folder: gets rows.jsonl and the images that its rows name.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    plugins.need("PIL", why="drawing the images of example rows")
    script = shipped.folder("examples") / "make_own_data.py"
    runpy.run_path(str(script))["main"](folder, show=False)


def init(args: argparse.Namespace) -> int:
    """Copy the files of a kit to start from: recipe, benchmark, workflow or GPU recipe (`init`).

    Args:
        args: `what` (a key of `KITS`), `out` (a folder), `json`.

    Returns:
        exit code 0; the files and the next commands are on stdout.

    Raises:
        ConfigError: a file exists; nothing is overwritten.
    """
    kit = KITS[args.what]
    sources = {args.out / name: shipped.folder(kind) / file for name, (kind, file) in kit.files.items()}
    for target in sources:
        if target.exists():
            raise ConfigError(f"{target} already exists: choose another folder with --out")
    drawn = args.out / "rows.jsonl"
    if kit.rows:
        if drawn.exists():
            raise ConfigError(f"{drawn} already exists: choose another folder with --out")
        draw(args.out)
    for target, source in sources.items():
        io.make_folder(target.parent)
        data = source.read_bytes()
        if kit.rows:
            data = data.replace(kit.rows.encode(), drawn.as_posix().encode())
            data = data.replace(b"recipes/" + target.name.encode(), target.as_posix().encode())
        io.write(target, partial(_copy, data=data))
    if kit.rows:
        sources[drawn] = drawn
    commands = [command.format(out=args.out.as_posix()) for command in kit.next]
    if args.json:
        print(json.dumps({"files": [str(target) for target in sources], "next": commands}))
    else:
        print("\n".join([*(f"wrote {target}" for target in sources), "next:", *(f"  {c}" for c in commands)]))
    return 0
