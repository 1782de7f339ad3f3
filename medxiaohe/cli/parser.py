"""The parser of the command line. The verbs are files of `cli/verbs`; a new file adds a verb."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import medxiaohe
from medxiaohe.cli.verbs import page
from medxiaohe.cli.verbs.common import HELP, Parser

ABOUT = """\
medical corpora and an open vision-language model in; a medical model, and the evidence of how good it is, out.

Research software. Not for clinical use."""  # noqa: E501

EXAMPLES = """\
examples:
  medxiaohe run recipes/quickstart.yaml                    every stage, from corpora to a scored model
  medxiaohe run recipes/quickstart.yaml --set seed=1 --out out/seed1
  medxiaohe doctor                                         what is installed, what is missing, how to get it
  medxiaohe list tasks; medxiaohe show tasks chest_xray    what there is, and what it does
  medxiaohe ask --model out/quickstart/rl/1 "Is there an effusion?" --image x.png

`medxiaohe VERB --help` has an example of each verb. Exit codes: 0 done, 1 found problems, 2 wrong use, 3 failed."""  # noqa: E501


def modules() -> list[ModuleType]:
    """Import the files of `cli/verbs`.

    Returns:
        the modules, by their `ORDER`, which is that of the help.
    """
    folder = Path(__file__).parent / "verbs"
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem not in ("__init__", "common"))
    return sorted((importlib.import_module(f"medxiaohe.cli.verbs.{name}") for name in names), key=_order)


def stage_verbs() -> dict[tuple[str, str], tuple[str, str, str]]:
    """The verbs that run a stage.

    Returns:
        (first word, second word or "") -> (stage, one line about it, the inputs of its example)
    """
    result = {("page", ""): page.STAGE}
    for module in modules():
        group = module.__name__.rpartition(".")[2]
        result |= {(group, word): row for word, row in getattr(module, "STAGES", {}).items()}
    return result


def parser() -> Parser:
    """Build the parser of `medxiaohe` with every verb of `cli/verbs`.

    Returns:
        a parser whose namespace has `do`, the module and function that runs the verb.
    """
    top = Parser(
        prog="medxiaohe",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"medxiaohe {medxiaohe.__version__}")
    top.set_defaults(do=HELP, shown=top, json=False, debug=False)
    verbs = top.add_subparsers(title="verbs", metavar="VERB")
    for module in modules():
        module.add(verbs)
    _name_words(verbs)
    return top


def _order(module: Any) -> int:
    return int(module.ORDER)


def _name_words(verbs: argparse._SubParsersAction[Parser]) -> None:
    """List the second words of each verb in the help of the first, and print that help if the second word
    is missing."""
    for action in verbs._choices_actions:
        subparser = verbs.choices[action.dest]
        if words := subparser.choices():
            action.help = f"{action.help} ({', '.join(words)})"
            subparser.set_defaults(do=HELP, shown=subparser, json=False, debug=False)
