"""A time limit for one call of a function.

The function runs in a daemon thread, so a call that hangs neither stops the run nor its exit. What is still
running at its limit gets SystemExit at its next step of Python code; a call into C that never returns and
holds the interpreter lock (a regular expression that backtracks for ever) cannot be stopped from inside a
process.
"""

from __future__ import annotations

import contextvars
import ctypes
import threading
from collections.abc import Callable
from typing import Any


class OutOfTime(Exception):
    """The function was still running at its limit."""


def within(seconds: float, function: Callable[[], Any]) -> Any:
    """Return what the function returns, or raise what it raises.

    Args:
        seconds: wall-clock time, at least 0.
        function: runs in another thread, with the context variables of this one.

    Raises:
        OutOfTime: it has not returned after `seconds`.
    """
    outcome: list[tuple[Any, Exception | None]] = []
    done = threading.Event()

    def work() -> None:
        try:
            outcome.append((function(), None))
        except Exception as error:  # raised again in the thread that waits
            outcome.append((None, error))
        except BaseException as error:  # sys.exit() in a function is no reason to leave the program
            outcome.append((None, RuntimeError(f"{type(error).__name__}: {error}")))
        finally:
            done.set()

    thread = threading.Thread(
        target=contextvars.copy_context().run, args=(work,), daemon=True, name="medxiaohe tool"
    )
    thread.start()
    if not done.wait(seconds):
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
        )
        raise OutOfTime
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
