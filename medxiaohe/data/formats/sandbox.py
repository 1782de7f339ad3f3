"""Run decoders in a child process with limits, for files that could crash or bloat them; the child answers in
lines of JSON.

    for row in decode("medxiaohe.data.formats.decode_dicom:frames", file, max_frames=8): ...

The child is kept from file to file (a fresh one costs a tenth of a second, a kept one milliseconds). It may
use `memory_mib` in all, and `seconds` from one row to the next; past either, or when it dies, the caller gets
`Rejected` with the code too_large, time or crash, and the next file gets a new child (docs/reliability.md).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from medxiaohe import threads
from medxiaohe.data.readers import CODES, Rejected
from medxiaohe.errors import MissingExtra

# memory of a child; seconds from row to row, and more for the imports of a fresh child
MEMORY_MIB, SECONDS, START_SECONDS = 300, 5.0, 120.0
MAX_ROW = 64 * 2**20  # bytes of one answer
_children: dict[tuple[int, str, int], _Child] = {}


def decode(
    function: str, path: Path, *, memory_mib: int = MEMORY_MIB, seconds: float = SECONDS, **options: Any
) -> Iterator[dict[str, Any]]:
    """Run a decoder in a child process with limits.

    Args:
        function: "module:name" of a generator of JSON objects; `prepare` of its module is called first.
        path: the file, first argument of the function.
        memory_mib: that the child may use, in MiB.
        seconds: at most, from one row to the next.
        options: further arguments of the function.

    Yields:
        The rows of the function.

    Raises:
        Rejected: too_large, time or crash past the limits, else the code that the function raises; format
            for any other error of it.
        MissingExtra: the decoder needs a package that is not installed.
    """
    child = _child(function, memory_mib)
    done = False
    try:
        child.ask({"path": str(path.absolute()), "options": options})
        while True:
            answer = child.answer(seconds)
            if "row" in answer:
                yield answer["row"]
                continue
            done = True
            if "missing_extra" in answer:
                raise MissingExtra(answer["missing_extra"])
            if "code" in answer:
                raise Rejected(answer["code"], f"{path.name}: {answer['message']}", answer.get("offset"))
            return
    finally:
        if not done:  # killed, or the caller wants no more rows: what is left in the pipe belongs to nobody
            child.stop()


def _child(function: str, memory_mib: int) -> _Child:
    key = (threading.get_ident(), function, memory_mib)
    if key not in _children or not _children[key].alive:
        _children[key] = _Child(function, memory_mib)
    return _children[key]


class _Child:
    def __init__(self, function: str, memory_mib: int):
        env = {
            **os.environ,
            **threads.SINGLE,
            "MALLOC_ARENA_MAX": "2",
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        }
        env.pop("CRASH_AT", None)
        command = [
            sys.executable,
            "-P",
            "-W",
            "ignore",
            "-m",
            "medxiaohe.data.formats.sandbox",
            function,
            str(memory_mib),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        self._buffer, self._owner, self._fresh = b"", os.getpid(), True
        atexit.register(self.stop)

    @property
    def alive(self) -> bool:
        """Tell whether the child runs and belongs to this process.

        Returns:
            False after it ended, and in a forked process.
        """
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request.

        Args:
            request: {"path", "options"}.

        Raises:
            Rejected: crash, if the child has ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise Rejected("crash", f"the decoder died: {error}") from error

    def answer(self, seconds: float) -> dict[str, Any]:
        """Wait for the next line of the child; a fresh child gets START_SECONDS more.

        Args:
            seconds: to wait.

        Returns:
            {"row"}, {"end"}, {"code", "message", "offset"} or {"missing_extra"}.

        Raises:
            Rejected: time, crash or too_large.
        """
        assert self._process.stdout is not None
        deadline = time.monotonic() + seconds + (START_SECONDS if self._fresh else 0)
        while b"\n" not in self._buffer:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._process.stdout], [], [], remaining)[0]:
                self.stop()
                raise Rejected("time", f"decoding took longer than {seconds:g} s and was stopped")
            data = os.read(self._process.stdout.fileno(), 2**20)
            if not data:
                self._process.wait()
                raise Rejected("crash", f"the decoder died ({_how(self._process.returncode)})")
            self._buffer += data
            if len(self._buffer) > MAX_ROW:
                self.stop()
                raise Rejected("too_large", f"one decoded row is larger than {MAX_ROW >> 20} MiB")
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if self._fresh and "ready" in answer:
            self._fresh = False
            return self.answer(seconds)
        return answer

    def stop(self) -> None:
        """Kill the child; a forked process leaves the child of its parent alone."""
        atexit.unregister(self.stop)
        if self._owner != os.getpid():
            return  # a forked process does not end the child of its parent
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


# ---- inside the child ------------------------------------------------------------------------------


def _serve(function: str, memory_mib: int) -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints must not end up among the answers

    def say(value: dict[str, Any]) -> None:
        out.write(json.dumps(value).encode() + b"\n")
        out.flush()

    import logging

    logging.disable(logging.CRITICAL)  # libraries log values of the file, and those may be a patient's
    module, _, name = function.partition(":")
    do = getattr(import_module(module), name)
    prepare = getattr(import_module(module), "prepare", None)
    missing = ""
    try:
        if prepare:
            prepare()
    except MissingExtra as error:
        missing = str(error)
    _limit(memory_mib)
    say({"ready": True})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if missing:
            say({"missing_extra": missing})
            continue
        try:
            for row in do(Path(request["path"]), **request["options"]):
                say({"row": row})
            say({"end": True})
        except Rejected as error:
            say({"code": error.code, "message": str(error), "offset": error.offset})
        except MissingExtra as error:
            say({"missing_extra": str(error)})
        except MemoryError:
            say({"code": "too_large", "message": f"decoding needs more than {memory_mib} MiB"})
        except RecursionError:
            say({"code": "too_deep", "message": "nested deeper than any real file"})
        # a decoder may raise anything at all: AttributeError, struct.error, KeyError
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            say({"code": "format", "message": f"not readable: {' '.join(message.split())[:200]}"})


def _limit(memory_mib: int) -> None:
    """Limit writable memory so that all resident memory stays below the limit; RLIMIT_AS would count mapped
    libraries too.
    """
    import resource

    if not os.path.exists("/proc/self/status"):  # not Linux: only the time is limited
        return
    with open("/proc/self/status", encoding="ascii") as file:
        now = {
            key: int(value.split()[0]) * 1024
            for key, _, value in (line.partition(":") for line in file)
            if key in ("VmData", "VmRSS")
        }
    # RLIMIT_DATA counts reserved memory: what is reserved now, plus what may become resident, 32 MiB at least
    limit = now["VmData"] + max(memory_mib * 2**20 - now["VmRSS"], 32 * 2**20)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


assert {"too_large", "too_deep", "format", "time", "crash"} <= CODES.keys()

if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
