"""The table of docs/tasks.md, from the task objects and, where MEDXIAOHE_DATA is set, from the data.

MEDXIAOHE_DATA=/path/to/data python docs/tasks.py > table.md     the table alone
MEDXIAOHE_DATA=/path/to/data python docs/tasks.py --write        puts it into docs/tasks.md
"""

import re
import sys
from collections import Counter
from pathlib import Path

from medxiaohe import plugins, tasks
from medxiaohe.errors import MedError
from medxiaohe.evals.running import fingerprints
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.types import Message, Sample, Task, Trace

PAGE = Path(__file__).with_suffix(".md")
START, END = "<!-- table: python docs/tasks.py --write -->", "<!-- end of table -->"
HEAD = (
    "task",
    "items: train, validation, test",
    "unit",
    "scorers (first: reward)",
    "constant",
    "prompt",
    "tier",
    "licence",
    "tags",
    "fingerprint of test",
)
LONG = ("rouge_l", "key_points")  # scorers that compare long texts: no constant is worth its time
MOST = 2000  # golds of train that are counted


def row(name: str) -> tuple[str, ...]:
    task = plugins.load("tasks", name)()
    try:
        found = {split: list(task.samples(split)) for split in task.splits}
    except MedError:
        found = {}
    counts = (
        ", ".join(
            f"{len(found[split]):,}" if split in found else "–" for split in ("train", "validation", "test")
        )
        if found
        else "not here"
    )
    scorers = ", ".join(
        _name(scorer) + (" (judge)" if isinstance(scorer, JudgedScorer) else "") for scorer in task.scorers
    )
    how = "" if task.workflow == "answer" else f"; workflow {task.workflow}"
    how += "; tools " + ", ".join(one.rpartition(":")[2] for one in task.tools) if task.tools else ""
    return (
        f"`{name}`", counts, task.cluster or "item", scorers + how, constant(task, found),
        tasks.prompt_id(task), task.access, task.license,
        ", ".join(task.tags), task.fingerprints.get("test", "not measured"),
    )  # fmt: skip


def constant(task: Task, found: dict[str, list[Sample]]) -> str:
    """What the most frequent gold of train, or else of test, scores on all of test."""
    if not found or isinstance(task.scorers[0], JudgedScorer) or _name(task.scorers[0]) in LONG:
        return "–"
    golds = Counter(task.gold(sample) for sample in (found.get("train") or found["test"])[:MOST])
    said = min(golds, key=lambda gold: (-golds[gold], gold))
    values = [
        task.scorers[0](s, Trace(s.prompt, (*s.prompt.messages, Message("assistant", (said,))))).value
        for s in found["test"]
    ]
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}"


def _name(scorer: object) -> str:
    return fingerprints.name_of(scorer)


def table() -> str:
    lines = [HEAD, tuple("---" for _ in HEAD), *map(row, plugins.available("tasks"))]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def main() -> None:
    made = table()
    if "--write" not in sys.argv:
        print(made)
        return
    text = PAGE.read_text(encoding="utf-8")
    new = re.sub(
        re.escape(START) + r".*?" + re.escape(END), lambda _: f"{START}\n{made}\n{END}", text, flags=re.DOTALL
    )
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
