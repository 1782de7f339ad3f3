"""The command line: `medxiaohe VERB`. Exit codes: 0 done, 1 found problems, 2 wrong use, 3 failed.

Results go to stdout, progress and errors to stderr. Each verb's code is imported when the verb is called.
"""

import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from medxiaohe import permission
from medxiaohe.errors import MedError
from medxiaohe.plugins import extra_of

DONE, PROBLEMS, WRONG_USE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    from medxiaohe.cli.parser import parser

    permission.restrict(permission.names_in(sys.argv[1:] if argv is None else argv))
    args = parser().parse_args(argv)
    module, _, function = args.do.rpartition(":")
    try:
        code = getattr(import_module(module), function)(args)
        sys.stdout.flush()
        return int(code or DONE)
    except MedError as error:
        return _fail(str(error), error.exit_code, as_json=args.json, debug=args.debug)
    except KeyboardInterrupt:
        return _fail(
            "interrupted: the same command goes on where it stopped",
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
        what = " ".join(f"{type(error).__name__}: {error}".split())
        sentence = f"failed unexpectedly: {what[:500]} (run again with --debug for the traceback)"
        return _fail(sentence, FAILED, as_json=args.json, debug=args.debug)


def _fail(sentence: str, code: int, *, as_json: bool, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    if as_json:
        print(json.dumps({"error": sentence, "exit_code": code}))
    print(f"medxiaohe: {sentence}", file=sys.stderr)
    return code
