"""The registry of ways to reason: branches of a review (arXiv 2508.00669), each with what runs it here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medxiaohe.io import bounded_yaml

FILE = Path(__file__).parent.parent / "taxonomy.yaml"


@dataclass(frozen=True)
class Leaf:
    """A branch of the review.

    Attributes:
        name: dotted, from its root: "test_time.elicitation.least_to_most".
        kind: of what runs it, as in `medxiaohe list`, or "recipes"; "" where nothing does.
        runs: its name.
        test: the file of tests that runs it.
        missing: what is not there.
    """

    name: str
    kind: str = ""
    runs: str = ""
    test: str = ""
    missing: str = ""


def leaves() -> list[Leaf]:
    """Read all branches of the taxonomy.

    Returns:
        branches in the order of the file.
    """
    results = []
    for name, row in bounded_yaml.read(FILE).items():
        kind, _, runs = row.get("runs", "").partition(" ")
        results.append(Leaf(name, kind, runs, row.get("test", ""), row.get("missing", "")))
    return results
