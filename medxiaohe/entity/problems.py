"""What is wrong in vocabularies: counted, and written down one by one where a person can look it up."""

from __future__ import annotations

from collections import Counter


class Problems(Counter[str]):
    """How often each thing was wrong; `rows` has those that a person can look up, with what was done about them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []

    def note(self, what: str, id: str, done: str, source: str = "") -> None:
        self[what] += 1
        self.rows.append({"problem": what, "id": id, "source": source, "done": done})
