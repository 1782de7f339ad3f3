"""What is wrong in vocabularies: counted, and written down one by one where a person can look it up."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from medxiaohe.entity.tree.source_positions import places

NUM_SAID = 10
# which of the lines that define the id is meant
LOCATED = {"duplicate id": -1, "cycle": 0, "parent not in the tree": 0}


class Problems(Counter[str]):
    """How often each thing was wrong; `rows` has those that a person can look up, with what was done about
    them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []

    def note(self, what: str, id: str, done: str, source: str = "") -> None:
        self[what] += 1
        self.rows.append({"problem": what, "id": id, "source": source, "done": done})

    def locate(self, source: str, path: Path) -> None:
        """Put file and line to what is wrong with terms of a vocabulary that is one file."""
        rows = [row for row in self.rows if row["source"] == source and row["problem"] in LOCATED]
        found = places(path, {row["id"] for row in rows})
        for row in rows:
            if row["id"] in found:
                row["where"] = f"{path.name}:{found[row['id']][LOCATED[row['problem']]]}"

    def say(self) -> None:
        """The first of those whose place is known, in words, for the person who builds."""
        for row in [row for row in self.rows if "where" in row][:NUM_SAID]:
            print(f"  {row['where']}: {row['problem']}, {row['id']}: {row['done']}", file=sys.stderr)
