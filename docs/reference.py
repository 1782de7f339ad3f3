"""The pages of docs/reference, from the code: verbs and flags, stages and settings, the Python API, plug-ins.

python docs/reference.py            writes docs/reference/cli.md, recipes.md and api.md
python docs/reference.py --check    exit code 1 when a page is not what the code says
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medxiaohe
from medxiaohe import plugins, rewards
from medxiaohe.cli.parser import parser
from medxiaohe.recipe import load
from medxiaohe.recipe.sentences import sentences
from medxiaohe.recipe.settings import words

FOLDER = Path(__file__).with_suffix("")
NOTE = "<!-- written by `python docs/reference.py`: edit the code, not this page -->"
COMMON = (
    "-h",
    "--json",
    "--debug",
    "--allow-host",
    "--allow-env",
    "--allow-code",
    "--code",
)  # of nearly all verbs
# kinds of plug-ins with a table each; `rewards` has a page of its own, docs/rewards.md
KINDS = (
    "readers",
    "vocabularies",
    "filters",
    "scoring",
    "tools",
    "workflows",
    "models",
    "perturbations",
    "verifiers",
)


def main() -> int:
    """Write the pages, or compare them with --check."""
    made = {"cli.md": cli(), "recipes.md": recipes(), "api.md": api()}
    stale = [name for name, text in made.items() if _read(FOLDER / name) != text]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/reference/{name} is not what the code says: run `python docs/reference.py`")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(made[name], encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


def cli() -> str:
    """Every verb with its options and an example."""
    rows = list(_verbs(parser(), ""))
    common = next(made for name, made in rows if name == "run")
    lines = [
        NOTE, "# Command line", "",
        "`medxiaohe VERB --help` prints the same. Exit codes: 0 done, 1 found problems, 2 wrong use,"
        " 3 failed.",
        "",
        "## Options of every verb", "", "| option | meaning |", "|---|---|",
        *(_option(action) for action in _options(common) if set(action.option_strings) & set(COMMON)), "",
    ]  # fmt: skip
    for name, made in rows:
        lines += [f"## medxiaohe {name}", "", _sentence(made.description or ""), ""]
        own = [a for a in _options(made) if not set(a.option_strings) & set(COMMON)]
        if own:
            lines += ["| argument | meaning |", "|---|---|", *map(_option, own), ""]
        if example := (made.epilog or "").partition("example:\n")[2]:
            lines += ["```text", inspect.cleandoc(example), "```", ""]
    return "\n".join(lines)


def _verbs(made: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                full = f"{name} {word}".strip()
                inner = [a for a in below._actions if isinstance(a, argparse._SubParsersAction)]
                if not inner:
                    yield full, below
                yield from _verbs(below, full)


def _options(made: argparse.ArgumentParser) -> list[argparse.Action]:
    return [a for a in made._actions if a.help != argparse.SUPPRESS]


def _option(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not value and action.nargs != 0:
        value = "|".join(map(str, action.choices)) if action.choices else action.dest.upper()
    name = ", ".join(action.option_strings) or value
    if action.option_strings and action.nargs != 0:
        name += f" {value}"
    help_ = (action.help or "").replace("%%", "%")
    needed = " (required)" if action.option_strings and action.required else ""
    again = "; repeatable" if isinstance(action, argparse._AppendAction) and "repeatable" not in help_ else ""
    return f"| `{_cell(name)}` | {_cell(help_)}{again}{needed} |"


def recipes() -> str:
    """Every stage with its inputs and settings."""
    lines = [
        NOTE, "# Recipes: stages and their settings", "",
        "A recipe is a YAML file: `name`, `out`, `params`, `stages`. A stage has `uses` (a name below),"
        " `needs` (role: earlier stage) and `with` (settings).",
        "`medxiaohe run RECIPE --dry-run` checks all of it; `medxiaohe show stages NAME` prints"
        " one of these.",
        "",
    ]  # fmt: skip
    for name in plugins.stages():
        run = plugins.load_stage(name)
        kind = load.settings_type(run)
        named, required, any_role = load.roles(run)
        roles = [
            *(n if n in required else f"{n} (optional)" for n in named),
            *(["any name"] if any_role else []),
        ]
        lines += [f"## {name}", "", _about(run), "", f"Inputs: {', '.join(roles) or 'none'}.", ""]
        lines += ["| setting | type | default | meaning |", "|---|---|---|---|", *_settings(kind), ""]
    return "\n".join(lines)


def _settings(kind: type) -> Iterator[str]:
    hints = typing.get_type_hints(kind, include_extras=True)
    said = sentences(kind)
    for field in dataclasses.fields(kind):
        default = "required"
        if field.default is not dataclasses.MISSING:
            default = f"`{_plain(field.default)}`"
        elif field.default_factory is not dataclasses.MISSING:
            default = f"`{_plain(field.default_factory())}`"
        hint = words(hints[field.name])
        yield f"| `{field.name}` | {_cell(hint)} | {_cell(default)} | {_cell(said.get(field.name, ''))} |"


def _plain(value: Any) -> str:
    """A default as YAML would have it, short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if dataclasses.is_dataclass(value):
        inner = [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
        return (
            "{" + ", ".join(f"{k}: {_plain(v)}" for k, v in inner[:6]) + (", ..." if inner[6:] else "") + "}"
        )
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_plain, value)) + "]"
    return '""' if value == "" else str(value)


def api() -> str:
    """The public names, from their docstrings, and tables of what is found by name."""
    lines = [NOTE, "# Python API", "", f"`import medxiaohe as mx`: {len(medxiaohe.EXPORTS)} names."
             " [Examples](../api.md).", "", "## Functions", ""]  # fmt: skip
    for name in medxiaohe.EXPORTS:
        thing = getattr(medxiaohe, name)
        if inspect.isroutine(thing):
            lines += _function(name, thing)
    lines += ["## Classes", ""]
    for name in medxiaohe.EXPORTS:
        thing = getattr(medxiaohe, name)
        if inspect.isclass(thing):
            lines += _class(name, thing)
    for kind in KINDS:
        lines += [f"## {kind.capitalize()}", "", "| name | what it does |", "|---|---|"]
        for name in plugins.shipped(kind):
            lines.append(f"| `{name}` | {_cell(_first(name, plugins.KINDS[kind]))} |")
        lines.append("")
    lines += ["## Rewards", "", "[rewards.md](../rewards.md) has what each measures.", ""]
    lines += ["| name | what it does |", "|---|---|"]
    for module in pkgutil.iter_modules(rewards.__path__):
        if not module.ispkg and module.name[0] != "_":
            lines.append(f"| `{module.name}` | {_cell(_first(module.name, 'rewards'))} |")
    lines.append("")
    lines += ["## Tasks", "", "[tasks.md](../tasks.md) has items, scorers and fingerprints.", "",
              "| name | licence | access | tags |", "|---|---|---|---|"]  # fmt: skip
    for name in plugins.shipped("tasks"):
        task = plugins.load("tasks", name)()
        lines.append(f"| `{name}` | {_cell(task.license)} | {task.access} | {', '.join(task.tags)} |")
    return "\n".join([*lines, ""])


def _function(name: str, thing: Any, level: str = "###") -> list[str]:
    return [
        f"{level} {name}",
        "",
        "```text",
        f"{name}{_signature(thing)}",
        "```",
        "",
        *_docstring(thing),
        "",
    ]


def _class(name: str, thing: type) -> list[str]:
    lines = [f"### {name}", "", *_docstring(thing), ""]
    if dataclasses.is_dataclass(thing):
        said = sentences(thing)
        cells = [(f.name, _type(f.type), said.get(f.name, "")) for f in dataclasses.fields(thing)]
        rows = [f"| `{name}` | `{_cell(kind)}` | {_cell(text)} |" for name, kind, text in cells]
        lines += ["| field | type | meaning |", "|---|---|---|", *rows, ""]
    for method, function in vars(thing).items():
        if method[0] != "_" and inspect.isfunction(function) and inspect.getdoc(function):
            lines += _function(method, function, "####")
    return lines


def _type(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", str(value))


def _docstring(thing: Any) -> list[str]:
    """A docstring in Google style as Markdown: sections become lists."""
    found: list[str] = []
    for line in (inspect.getdoc(thing) or "").split("\n"):
        if re.fullmatch(r"(Args|Returns|Raises|Attributes|Yields):", line):
            found += [f"**{line[:-1]}**", ""]
        elif starts := re.match(r"    (\*{0,2}\w+): (.*)", line):
            found.append(f"- `{starts[1]}`: {starts[2]}")
        elif line.startswith("    "):
            found.append(("  " if found and found[-1].startswith(("- ", "  ")) else "") + line.strip())
        else:
            found.append(line)
    return found


def _about(thing: Any) -> str:
    """The first paragraph of a module's docstring, or else of the function's, as sentences."""
    module = inspect.getmodule(thing)
    texts = [inspect.getdoc(module) or "" if module else "", inspect.getdoc(thing) or ""]
    first = next((text for text in texts if text), "")
    words_ = " ".join(first.partition("\n\n")[0].split())
    return _sentence(re.sub(r"^Stage(?: `?[a-z]+\.\w+`?)?: ", "", words_))


def _first(name: str, package: str) -> str:
    """The first paragraph of the docstring of a plug-in's file."""
    module = importlib.import_module(f"medxiaohe.{package}.{name}")
    return " ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split())


class Bare(str):
    """A text that stands in a signature without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _signature(thing: Any) -> str:
    made = inspect.signature(thing)
    bare = [
        one.replace(
            annotation=Bare(one.annotation) if isinstance(one.annotation, str) else one.annotation,
            default=Bare(one.default.__name__) if inspect.isroutine(one.default) else one.default,
        )
        for one in made.parameters.values()
    ]
    returns = made.return_annotation
    returns = Bare(returns) if isinstance(returns, str) else returns
    return str(made.replace(parameters=bare, return_annotation=returns))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", ":")) or not text else ".")


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    os.environ.pop("MEDXIAOHE_DATA", None)  # a page may not depend on the data of one machine
    sys.exit(main())
