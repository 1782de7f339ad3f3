"""The command line: `medxiaohe VERB`. Exit codes: 0 done, 1 found problems, 2 wrong use, 3 failed.

Results go to stdout, progress and errors to stderr. Each verb's code is imported when the verb is called.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from medxiaohe import library_bars, permission, threads
from medxiaohe.cli import colour
from medxiaohe.cli.printable import printable
from medxiaohe.errors import MedError
from medxiaohe.plugins import extra_of

DONE, PROBLEMS, WRONG_USE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of `medxiaohe`.

    Args:
        argv: the words after `medxiaohe`; None takes those of this process.

    Returns:
        the exit code: 0 done, 1 found problems, 2 wrong use, 3 failed, 130 interrupted. An error of a
        verb is printed to stderr as one sentence (with `--json` also to stdout) and returned as its exit
        code, never raised.

    Raises:
        SystemExit: by argparse, after `--help` or `--version` (0) and for words that it cannot parse (2).
    """
    from medxiaohe.cli.parser import parser

    permission.restrict(permission.names_in(sys.argv[1:] if argv is None else argv))
    command = parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may follow; nothing is run
        import argcomplete

        argcomplete.autocomplete(command)
    args = command.parse_args(argv)
    threads.fit()  # before a numeric library is loaded
    library_bars.silence(every_library=True)
    module, _, function = args.do.rpartition(":")
    try:
        with (
            _allowed(getattr(args, "allow_host", ()), getattr(args, "allow_env", ())),
            _terminated_as_interrupted(),
        ):
            code = getattr(import_module(module), function)(args)
        sys.stdout.flush()
        return int(code or DONE)
    except MedError as error:
        return _fail(str(error), error.exit_code, as_json=args.json, debug=args.debug)
    except KeyboardInterrupt:
        return _fail(
            "interrupted: the same command continues where it stopped",
            INTERRUPTED,
            as_json=args.json,
            debug=False,
        )
    except BrokenPipeError:  # the reader of our output closed it: `medxiaohe list tasks | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if isinstance(error, ImportError) and (extra := extra_of(error)):
            sentence = f"{error.name} is not installed: pip install 'medxiaohe[{extra}]'"
            return _fail(sentence, WRONG_USE, as_json=args.json, debug=args.debug)
        description = " ".join(f"{type(error).__name__}: {error}".split())
        sentence = f"failed unexpectedly: {description[:500]} (run again with --debug for the traceback)"
        return _fail(sentence, FAILED, as_json=args.json, debug=args.debug)


@contextmanager
def _allowed(hosts: Sequence[str], variables: Sequence[str]) -> Iterator[None]:
    """Allow hosts and environment variables while the verb runs: the user can allow them, a recipe cannot."""
    from medxiaohe.privacy import guard

    names = (guard.HOSTS, permission.READABLE, "PYTHONSAFEPATH")
    before = {name: os.environ.get(name) for name in names}
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # a folder of data holds no modules for our child processes
    try:
        guard.restrict(hosts)
        permission.allow_variables(variables)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Convert SIGTERM, which schedulers send, to KeyboardInterrupt, unless a handler is installed."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(sentence: str, code: int, *, as_json: bool, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    if as_json:
        print(json.dumps({"error": sentence, "exit_code": code}))
    print(f"{colour.red('medxiaohe:', sys.stderr)} {printable(sentence)}", file=sys.stderr)
    return code
