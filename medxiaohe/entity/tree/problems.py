"""Problems of vocabularies: counted, and listed one by one where a person can check them."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from medxiaohe.entity.tree.source_positions import places

NUM_SAID = 10  # problems printed to stderr
# problem -> index of the line meant among those that define the id; only these are located
LOCATED = {"duplicate id": -1, "cycle": 0, "parent not in the tree": 0}


class Problems(Counter[str]):
    """Counts of problems by name; `rows` has those that a person can check, with what was done about them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, str]] = []

    def note(self, problem: str, id: str, done: str, source: str = "") -> None:
        """Count a problem and write a row about it.

        Args:
            problem: its name, for example "duplicate id".
            id: of the term.
            done: what was done about it, in words.
            source: vocabulary of the term; `locate` finds rows by it.
        """
        self[problem] += 1
        self.rows.append({"problem": problem, "id": id, "source": source, "done": done})

    def locate(self, source: str, path: Path) -> None:
        """Add `where` (file:line) to the rows about terms of one vocabulary.

        Args:
            source: of the rows, as given to `note`.
            path: file of that vocabulary. A folder, or a file that cannot be searched, adds nothing.
        """
        rows = [row for row in self.rows if row["source"] == source and row["problem"] in LOCATED]
        lines = places(path, {row["id"] for row in rows})
        for row in rows:
            if row["id"] in lines:
                row["where"] = f"{path.name}:{lines[row['id']][LOCATED[row['problem']]]}"

    def say(self) -> None:
        """Print the first NUM_SAID problems with a known line to stderr.

        Returns:
            nothing
        """
        for row in [row for row in self.rows if "where" in row][:NUM_SAID]:
            print(f"  {row['where']}: {row['problem']}, {row['id']}: {row['done']}", file=sys.stderr)
