"""Run a command, killed at its n-th durable step for n = 1, 2, ... until it gets through; resume each; one
line of JSON.

    python tests/crash_driver.py FOLDER medxiaohe-arguments... --out @

`@` becomes FOLDER/n. The driver forks, so that Python and the packages are loaded once; PRELOAD names more of
them.
"""

import importlib.util
import json
import os
import shutil
import signal
import sys
from pathlib import Path

MAX_STEPS = 400


def forked(arguments: list[str], crash_at: int) -> int:
    """The wait status of a child that runs the command and is killed just before durable step `crash_at`; 0
    is never."""
    child = os.fork()
    if child == 0:
        os.environ["CRASH_AT"] = str(crash_at)
        code = 3
        try:
            code = main(arguments)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return os.waitpid(child, 0)[1]


def enumerate_kills(folder: Path, arguments: list[str], start: str) -> int:
    """How many kills there were. `start` is a run folder to begin from, or ""."""
    for n in range(1, MAX_STEPS):
        out = folder / str(n)
        if start:
            shutil.copytree(start, out)
        command = [str(out) if word == "@" else word for word in arguments]
        status = forked(command, n)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, (
                f"exit code {os.WEXITSTATUS(status)} without a kill at step {n}"
            )
            return n - 1
        assert os.WTERMSIG(status) == signal.SIGKILL
        if n % 3 == 0:  # killed again while it resumes
            forked(command, n // 3)
        status = forked(command, 0)
        assert status == 0, f"resuming after a kill at step {n} ended with {status}"
    raise AssertionError(f"more than {MAX_STEPS} steps")


if __name__ == "__main__":
    if "transformers" in os.environ.get("PRELOAD", ""):
        from medxiaohe import torchvision_ops

        torchvision_ops.declare()
    more = [name for name in os.environ.get("PRELOAD", "").split(",") if name]
    for module in ("pydantic", "yaml", "numpy", "PIL.Image", *more):  # loaded once, before the forks
        if importlib.util.find_spec(module.partition(".")[0]):
            importlib.import_module(module)
    from medxiaohe.cli import main

    folder, start, *arguments = sys.argv[1:]
    print("\n" + json.dumps({"kills": enumerate_kills(Path(folder), arguments, start)}))
