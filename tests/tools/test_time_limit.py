"""Calls with a time limit: threads are used again, the late ones end, a fork and parallel calls are safe."""

from __future__ import annotations

import contextvars
import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from medxiaohe.tools.toolbox.time_limit import OutOfTime, within


def ident_after(seconds: float) -> int:
    time.sleep(seconds)
    return threading.get_ident()


def test_a_thread_is_used_again_unless_it_was_late() -> None:
    first = within(30, threading.get_ident)
    assert first == within(30, threading.get_ident) != threading.get_ident()
    with pytest.raises(OutOfTime):
        within(0.05, partial(ident_after, 0.3))
    assert within(30, threading.get_ident) != first
    deadline = time.monotonic() + 20
    while any(thread.ident == first for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert all(thread.ident != first for thread in threading.enumerate()), "the late thread has ended"


def test_calls_that_end_near_their_limit_are_finished_or_late_and_never_mixed_up() -> None:
    def one(number: int) -> tuple[int, int | None]:
        try:
            return number, within(0.002, lambda: (time.sleep(0.001 * (number % 4)), number)[1])
        except OutOfTime:
            return number, None

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(one, range(600)))
    assert all(got in (number, None) for number, got in outcomes)
    assert all(within(30, partial(int, number)) == number for number in range(50))


def test_context_variables_are_those_of_the_caller() -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
    variable.set(7)
    assert within(30, variable.get) == 7
    within(30, partial(variable.set, 8))
    assert variable.get() == 7


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_threads_of_its_own() -> None:
    assert within(30, os.getpid) == os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
        child = os.fork()
    if not child:
        os._exit(0 if within(20, os.getpid) == os.getpid() else 1)
    assert os.waitpid(child, 0)[1] == 0
