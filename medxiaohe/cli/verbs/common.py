"""Building blocks of verbs: a verb, a group of verbs, options of stages and of code."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NoReturn

from medxiaohe.plugins import nearest

HELP = "medxiaohe.cli.look:print_help"
RENAMED_VERBS = {"report": "page"}  # verbs of earlier versions -> their names of today
# second word -> (the stage it runs, one line about it, the inputs of the example)
Stages = dict[str, tuple[str, str, str]]


class Parser(argparse.ArgumentParser):
    """argparse with errors of one sentence: the nearest valid word, and the command that prints the help."""

    def error(self, message: str) -> NoReturn:
        """Print one sentence about wrong use, and exit.

        Args:
            message: of argparse; for an unknown verb it is replaced by the nearest valid one or its new
                name.

        Raises:
            SystemExit: always, with exit code 2.
        """
        if "invalid choice" in message:
            typed = message.partition("invalid choice: '")[2].partition("'")[0]
            renamed = RENAMED_VERBS.get(typed, "")
            hint = f"; it is now called {renamed!r}" if renamed else nearest(typed, self.choices())
            message = f"no verb {typed!r}{hint}"
        print(f"medxiaohe: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(2)

    def choices(self) -> list[str]:
        """List the second words of this parser.

        Returns:
            names in the order of the help; empty for a verb without second words.
        """
        return [
            name
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for name in action.choices
        ]


def verb(verbs: Any, name: str, about: str, example: str, do: str) -> Parser:
    """Add one verb with the options that every verb has.

    Args:
        verbs: where it is added: the verbs of `medxiaohe`, or the second words of a group.
        name: the word that is typed.
        about: one line, for the list of verbs and the help of this one.
        example: a command line, shown in the help.
        do: `file:function` of `medxiaohe/cli` that runs it, such as `runs:run`.

    Returns:
        the parser of the verb, to add its own options to.
    """
    about = about.replace("%", "%%")  # argparse formats help texts
    command: Parser = verbs.add_parser(
        name,
        help=about,
        description=about,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("--json", action="store_true", help="machine-readable result on stdout")
    command.add_argument("--debug", action="store_true", help="a traceback when something fails")
    command.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="HOST",
        help="allow requests to this machine, such as 10.0.0.7:8000; repeatable",
    )
    command.add_argument(
        "--allow-env",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable of the environment that a recipe may read; repeatable",
    )
    command.set_defaults(do=f"medxiaohe.cli.{do}")
    return command


def group(verbs: Any, name: str, about: str, stages: Stages | None = None) -> Any:
    """Add a verb with second words, such as `tree build`.

    Args:
        verbs: the verbs of `medxiaohe`.
        name: the first word.
        about: one line for the list of verbs.
        stages: second words that run a stage each; their options are those of `stage_options`.

    Returns:
        the second words, to add more to with `verb`. The first word alone prints its help.
    """
    words = verbs.add_parser(name, help=about, description=about).add_subparsers(
        title="verbs", metavar="VERB"
    )
    for word, (uses, line, inputs) in (stages or {}).items():
        stage_verb(words, word, f"medxiaohe {name} {word}", uses, line, inputs)
    return words


def stage_verb(verbs: Any, name: str, typed: str, uses: str, about: str, inputs: str) -> None:
    """Add a verb that runs one stage.

    Args:
        verbs: where it is added.
        name: the word that is typed last.
        typed: the whole command without options, for the example.
        uses: the name of the stage, as recipes write it.
        about: one line for the help.
        inputs: options of the example that name its inputs.
    """
    example = " ".join(filter(None, [typed, "--out work --with settings.yaml", inputs]))
    command = verb(verbs, name, about, example, "runs:stage")
    command.set_defaults(uses=uses)
    stage_options(command)


def stage_options(command: Parser, rows: bool = True) -> None:
    """Add the options of a stage to a verb.

    Args:
        command: the parser of the verb.
        rows: also add --data, plain rows, and --model, what to start from.
    """
    command.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="finished as DIR/<stage>/1; a second call resumes" + (" (default: out/STAGE)" if rows else ""),
    )
    if rows:
        command.add_argument(
            "--data", metavar="PATH", help="rows to work on: a file or folder of any known format"
        )
        command.add_argument("--model", default="", help="what to start from: starter, a folder or a hub id")
    command.add_argument("--with", type=Path, dest="settings", metavar="FILE",
                      help="a YAML mapping of the stage's settings, or a recipe with such a stage")  # fmt: skip  # noqa: E501
    command.add_argument("--set", action="append", default=[], metavar="K=V", help="one setting; repeatable")
    command.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="ROLE=DIR",
        help="the folder of a finished stage; repeatable",
    )
    command.add_argument(
        "--accept-change", action="store_true", help="run again although settings, inputs or code changed"
    )
    code_options(command)


def code_options(command: Parser) -> None:
    """Add the options that allow Python code of the user: --allow-code and --code.

    Args:
        command: the parser of the verb.
    """
    command.add_argument(
        "--allow-code",
        action="store_true",
        help="the recipe or settings file may name Python code: such a file is a program, so read it first",
    )
    command.add_argument(
        "--code",
        action="append",
        default=[],
        metavar="FILE.py:NAME",
        help="code that rows or files of data may name; repeatable",
    )
