"""A thread pool for requests, and one queue of their results."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Any


class Threads:
    """Threads are started as they are needed, up to `width`, and end with the block.

    After an error the block waits for the requests in flight, whose answers are then remembered; after
    Ctrl-C it does not.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._todo: SimpleQueue[Any] = SimpleQueue()
        self._results: SimpleQueue[Any] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._stopped = False

    def __enter__(self) -> Threads:
        return self

    def start(self, item: Any, task: Callable[[], Any]) -> None:
        """Run a task in a thread.

        Args:
            item: returned with the result, to tell tasks apart.
            task: what to run.
        """
        self._running += 1
        if self._running > len(self._threads) < self._width:
            thread = threading.Thread(target=self._work, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._todo.put((item, task))

    def result(self) -> tuple[Any, Any]:
        """Wait for the next result, in the order in which tasks end.

        Returns:
            (item, result of the task)

        Raises:
            Exception: what the task raised.
        """
        item, value, error = self._results.get()
        self._running -= 1
        if error is not None:
            raise error
        return item, value

    def _work(self) -> None:
        while (job := self._todo.get()) is not None:
            item, task = job
            if self._stopped:
                continue
            try:
                self._results.put((item, task(), None))
            except BaseException as error:
                self._results.put((item, None, error))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped = True
        for _ in self._threads:
            self._todo.put(None)
        if kind is None or issubclass(kind, Exception):
            for thread in self._threads:
                thread.join()
