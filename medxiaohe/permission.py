"""Decide which Python code may be imported by its name.

A name such as "mine/eye.py:eye" or "my_pkg.eye:eye" imports and calls code. A person may name code: on the
command line, in a Python program, or in a recipe that is run with --allow-code. Data may not: rows,
results.json, checkpoints and task files of a downloaded folder only get what a person has named as well.

The policy travels in the environment, so that worker processes and torchrun children have it too:

    MEDXIAOHE_CODE not set     a Python program runs: what it names is allowed, what data names is not
    MEDXIAOHE_CODE=any         everything is allowed but modules of the standard library
    MEDXIAOHE_CODE=["a:b"]     these names are allowed; the command line sets it
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from medxiaohe.errors import CodeRefused

VARIABLE = "MEDXIAOHE_CODE"
READABLE = "MEDXIAOHE_ENV"  # names of variables that a recipe may read besides its own, A,B
OWN_VARIABLE = re.compile(r"MEDXIAOHE_(?!.*(?:KEY|TOKEN|SECRET|PASS))\w+")
KEY_VARIABLE = re.compile(r"\w+_API_KEY")  # of a model server, which the guard has let in
# "mine/eye.py:eye" or "my_pkg.eye:eye"; not asset:mondo or MONDO:0005015
NAME = re.compile(r"(?:[^\s:,]+\.py|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):[A-Za-z_][\w.]*")
# a server of tools that is a command, "mcp:python mine/server.py", and not an address
COMMAND = re.compile(r"mcp:(?!\s*https?://).*\S.*", re.DOTALL)
NOT_CODE = ("asset", "hub", "http", "https", "file", "data", "mcp")
# packages of medxiaohe whose functions may be named: plug-ins and their experts
OWN = re.compile(
    r"medxiaohe\.(?:tasks|scoring|tools|agents|rewards|models\.backends|data\.readers|data\.filters"
    r"|entity\.readers|evals\.perturb)[.:]"
)


def restrict(names: Iterable[str]) -> None:
    """Allow these names of code and no others, in this process and those it starts.

    Args:
        names: "file.py:attribute" or "package.module:attribute". Ignored where
            MEDXIAOHE_CODE is "any".
    """
    if os.environ.get(VARIABLE) != "any":
        os.environ[VARIABLE] = json.dumps(sorted(set(names)))


def allow(names: Iterable[str]) -> None:
    """Allow these names of code in addition to those already allowed, in this process and those it starts.

    Args:
        names: "file.py:attribute" or "package.module:attribute". Ignored where
            MEDXIAOHE_CODE is "any".
    """
    if os.environ.get(VARIABLE) != "any":
        os.environ[VARIABLE] = json.dumps(sorted({*names, *_allowed()}))


def allowed(name: str, *, from_data: bool = False) -> bool:
    """Say whether the code of a name may be imported under the policy of the environment.

    Args:
        name: "file.py:attribute" or "package.module:attribute".
        from_data: a row or a file of data names it, not a person: then only listed names are allowed.

    Returns:
        True where the policy is "any", the name is listed, or no policy is set and a person names it.
    """
    policy = os.environ.get(VARIABLE)
    return policy == "any" or name in _allowed() or (policy is None and not from_data)


def check(name: str, *, from_data: bool = False) -> None:
    """Raise CodeRefused unless the code of `name` may be imported.

    Args:
        name: "file.py:attribute" or "package.module:attribute".
        from_data: a row or a file of data names it, not a person.

    Raises:
        CodeRefused: nobody allowed it, or it is a module of the standard library, which is never a plug-in.
    """
    module = name.rpartition(":")[0]
    if not module.endswith(".py") and module.partition(".")[0] in sys.stdlib_module_names:
        raise CodeRefused(f"{name!r} is refused: {module} is a module of Python itself, no plug-in")
    if allowed(name, from_data=from_data) or OWN.match(name):
        return
    who = "data names code" if from_data else "this names code"
    raise CodeRefused(f"{who}, {name!r}, that nobody has allowed: read it, then add --code {name}")


def names_in(words: Iterable[str]) -> set[str]:
    """Extract the names of code and the commands of tool servers from texts.

    Args:
        words: texts, such as the arguments of a command line.

    Returns:
        names "module:attribute" without those of NOT_CODE, and commands "mcp:..." that stand between
        commas.
    """
    every = list(words)
    results = {match for text in every for match in NAME.findall(text)}
    commands = {part.strip() for text in every for part in text.split(",") if COMMAND.fullmatch(part.strip())}
    return {name for name in results if name.partition(":")[0] not in NOT_CODE} | commands


def check_file(raw: Any, label: str, *, allow_code: bool) -> None:
    """Allow all code that a recipe or settings file names, or refuse it.

    Args:
        raw: the YAML as mappings, lists and texts; only whole texts count as names here.
        label: name of the file, for the message.
        allow_code: the user allows the code of this file (--allow-code).
    """
    names = sorted({text for text in texts(raw) if is_code(text)})
    if allow_code:
        allow(names)
    elif refused := [name for name in names if not allowed(name) and not OWN.match(name)]:
        raise CodeRefused(
            f"{label} brings code ({', '.join(refused[:3])}{', ...' if len(refused) > 3 else ''}):"
            " it is a program, so read it, then run it with --allow-code"
        )


def is_code(text: str) -> bool:
    """Say whether a text is the name of code that could be imported here.

    Returns:
        True for an "mcp:" command, for "file.py:attribute" (the file need not exist), and for
        "module:attribute" where the top-level package of the module is installed.
    """
    if COMMAND.fullmatch(text):
        return True
    module = text.rpartition(":")[0]
    if not NAME.fullmatch(text) or module in NOT_CODE:
        return False
    return module.endswith(".py") or importlib.util.find_spec(module.partition(".")[0]) is not None


def allow_variables(names: Iterable[str]) -> None:
    """Allow recipes to read these environment variables, in this process and those it starts.

    Args:
        names: names of variables, added to those already allowed.
    """
    readable = [*os.environ.get(READABLE, "").split(","), *names]
    os.environ[READABLE] = ",".join(dict.fromkeys(name for name in readable if name))


def check_variable(name: str, label: str, *, as_key: bool = False) -> None:
    """Raise CodeRefused unless a recipe may read a variable of the environment.

    Args:
        name: of the variable.
        label: what asks for it, for the message.
        as_key: it goes to a model server as its key, and nowhere else.
    """
    mine = OWN_VARIABLE.fullmatch(name) or (as_key and KEY_VARIABLE.fullmatch(name))
    if not mine and name not in os.environ.get(READABLE, "").split(","):
        raise CodeRefused(
            f"{label} reads the environment variable {name}, which may be a secret: add --allow-env {name} if"
            " it may"
        )


def texts(value: Any) -> Iterator[str]:
    """Iterate over every string inside nested mappings, lists and tuples, keys included.

    Args:
        value: JSON-like data; numbers, booleans and None are passed over.

    Yields:
        strings, depth first; the key of a mapping before its value.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


def _allowed() -> set[str]:
    policy = os.environ.get(VARIABLE)
    if not policy or policy == "any":
        return set()
    try:
        return set(map(str, json.loads(policy)))
    except ValueError:
        return set()
