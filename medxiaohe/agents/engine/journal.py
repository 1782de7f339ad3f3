"""Journal of results on disk: after a kill, a run continues without repeating its requests.

A result is found by its case, its step and all that the step was given. Results of pure tools are not kept:
the same arguments give the same result.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.types import Step

KINDS = ("ask", "rank", "use")


class Journal:
    """Results of the cases that run now. `begin` and `end` mark a window of them.

    Args:
        path: JSON lines {at, key, step}.
        kinds: of the steps whose results are kept; ("use",) where a model of its own keeps replies.
    """

    def __init__(self, path: Path, kinds: tuple[str, ...] = KINDS) -> None:
        self.path, self.kinds = path, kinds
        self._at = 0
        self._known: dict[str, deque[Step]] = {}
        self._lock = threading.Lock()
        self.begin(0)

    def begin(self, at: int) -> None:
        """Start a window of cases; the journal of another window is deleted.

        Args:
            at: number of its first case.

        Raises:
            DataError: a line is not JSON; a last line that a kill cut off is dropped first.
        """
        self._at, self._known = at, {}
        io.drop_torn_line(self.path)
        for row in io.read_jsonl(self.path) if self.path.exists() else ():
            if row["at"] == at:
                self._known.setdefault(row["key"], deque()).append(io.step_from_json(row["step"]))
        if not self._known:
            self.path.unlink(missing_ok=True)

    def end(self) -> None:
        """Delete the journal of the window, because its traces are stored elsewhere."""
        self._known = {}
        self.path.unlink(missing_ok=True)

    def known(self, case: str, step: Step) -> Step | None:
        """Look up the recorded result of a step; each is returned once.

        Args:
            case: id of the prompt.
            step: without a result.

        Returns:
            the step with its result and token counts; None if it was not recorded.
        """
        if step.kind not in self.kinds or not self._known:
            return None
        waiting = self._known.get(_key(case, step))
        return waiting.popleft() if waiting else None

    def add(self, case: str, step: Step, got: Any, tokens: tuple[int, int]) -> None:
        """Append the result of a step; safe to call from several threads.

        Args:
            case: id of the prompt.
            step: of one of `kinds`; others are ignored.
            got: result.
            tokens: (prompt tokens, reply tokens).
        """
        if step.kind in self.kinds:
            done = Step(step.n, step.kind, step.who, got=got, tokens_in=tokens[0], tokens_out=tokens[1])
            row = {"at": self._at, "key": _key(case, step), "step": done}
            with self._lock:
                io.append_jsonl(self.path, [row], sync=False)


def _key(case: str, step: Step) -> str:
    """Hash a case and a step, 32 hex digits; earlier results are part of it through the numbers of their
    steps."""
    text = json.dumps([case, io.to_json(step)], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
