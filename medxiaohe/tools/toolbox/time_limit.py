"""Limit the time of one function call.

The function runs in a daemon thread, so a call that hangs neither stops the run nor its exit. Threads are
used again: starting one costs more than most tools. What is still running at its limit gets SystemExit at its
next step of Python code, and its thread ends; a call into C that never returns and holds the interpreter lock
(a regular expression that backtracks for ever) cannot be stopped from inside a process.
"""

from __future__ import annotations

import contextvars
import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any


class OutOfTime(Exception):
    """The function was still running at its limit."""


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Call a function with a time limit.

    Args:
        seconds: wall-clock time, at least 0.
        function: runs in another thread, with the context variables of this one.

    Returns:
        what the function returns.

    Raises:
        OutOfTime: it has not returned after `seconds`.
        Exception: what the function raises.
    """
    call = _Call(function)
    try:
        worker = _idle.pop()
    except IndexError:
        worker = _Worker()
    worker.calls.put(call)
    try:
        value, error = call.outcome.get(timeout=seconds)
    except Empty:
        with call.lock:
            if not call.finished:
                call.abandoned = True
                ident = ctypes.c_ulong(worker.thread.ident or 0)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
        if call.abandoned:
            raise OutOfTime from None
        value, error = call.outcome.get()
    if error is not None:
        raise error
    return value


class _Call:
    __slots__ = ("abandoned", "context", "finished", "function", "lock", "outcome")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.context = contextvars.copy_context()
        self.outcome: SimpleQueue[tuple[Any, Exception | None]] = SimpleQueue()
        self.lock = threading.Lock()  # of the two below: either the call is finished, or it is abandoned
        self.finished = False
        self.abandoned = False

    def run(self) -> tuple[Any, Exception | None]:
        """Call the function in the context of its caller.

        Returns:
            (value, None), or (None, error); SystemExit and other base exceptions become a RuntimeError.
        """
        try:
            return self.context.run(self.function), None
        except Exception as error:  # raised again in the thread that waits
            return None, error
        except BaseException as error:  # sys.exit() in a function is no reason to leave the program
            return None, RuntimeError(f"{type(error).__name__}: {error}")


class _Worker:
    """A thread that runs one call after another, until one is abandoned."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call] = SimpleQueue()
        self.thread = threading.Thread(target=self._work, daemon=True, name="medxiaohe tool")
        self.thread.start()

    def _work(self) -> None:
        with suppress(SystemExit):  # of a call that ran out of time; it may arrive anywhere in here
            self._run_calls()

    def _run_calls(self) -> None:
        while True:
            call = self.calls.get()
            outcome = call.run()
            with call.lock:
                if call.abandoned:
                    return
                call.finished = True
            _idle.append(self)
            call.outcome.put(outcome)
            del call, outcome  # an idle thread holds no result


_idle: list[_Worker] = []
os.register_at_fork(after_in_child=_idle.clear)  # a forked process has none of the threads
