"""Count the rows of case files that are right: python benchmarks/cases.py FOLDER [--tree TREE]

FOLDER has open_scorers.jsonl (kind, scorer, settings, target, choices, reply, right), open_context.jsonl
(kind, text, spans, right), open_link.jsonl (kind, text, right) and open_deid.txt (a sentence a line from
which nothing may be taken out); each that is there is read. Rows of a scorer whose `right` is no answer,
or another value than the target, are right where they earn nothing. Links are printed beside what is
right, for a person to judge; TREE is the folder of a built tree.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from medxiaohe import plugins
from medxiaohe.entity.linking.context import contexts
from medxiaohe.privacy.text import redact
from medxiaohe.types import Message, Sample, Trace

NOTHING = ("no answer", "wrong here", "two counts", "a range")


def rows_of(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def scorer_row(row: dict[str, Any]) -> tuple[bool, str]:
    """Whether a reply is scored as it should be, and what the scorer says."""
    target = row["target"] if isinstance(row["target"], str) else json.dumps(row["target"])
    prompt = (Message("user", ("?",)),)
    sample = Sample("case", prompt, target=target, choices=tuple(row.get("choices") or ()))
    trace = Trace(sample.prompt, (*prompt, Message("assistant", (row["reply"],))))
    score = partial(plugins.load("scoring", row["scorer"]), **row["settings"])(sample, trace)
    nothing = any(words in row["right"] for words in NOTHING)
    return score.value == (0.0 if nothing else 1.0), f"{score.value} {score.status} {score.parsed!r}"


def context_row(row: dict[str, Any]) -> tuple[bool, str]:
    found = contexts(row["text"], [tuple(span) for span in row["spans"]])
    said = []
    for one in found:
        words = ["negated"] * one.negated + ["uncertain"] * one.uncertain
        words += [one.experiencer] * (one.experiencer != "patient")
        words += [one.temporality] * (one.temporality != "current")
        said.append(", ".join(words) or "affirmed")
    # what stands behind a value is a comment: "affirmed (or historical)", "affirmed, the patient's"
    right = re.sub(r" \([^()]*\)|, the patient's", "", row["right"])
    return "; ".join(said) == right, "; ".join(said)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tree", type=Path)
    args = parser.parse_args()
    for name, check in (("open_scorers.jsonl", scorer_row), ("open_context.jsonl", context_row)):
        if (path := args.folder / name).is_file():
            counts: Counter[bool] = Counter()
            for row in rows_of(path):
                right, said = check(row)
                counts[right] += 1
                if not right:
                    print(f"{name}: {row.get('reply', row.get('text'))!r}: right {row['right']}, got {said}")
            print(f"{name}: {counts[True]} of {counts.total()} right")
    if (path := args.folder / "open_deid.txt").is_file():
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        lost = [(line, text) for line in lines if (text := redact(line).text) != line]
        for line, text in lost:
            print(f"open_deid.txt: {line!r} became {text!r}")
        print(f"open_deid.txt: {len(lines) - len(lost)} of {len(lines)} left as they are")
    if args.tree is not None and (path := args.folder / "open_link.jsonl").is_file():
        from medxiaohe.entity.linking.annotate import Annotator

        linker = Annotator.of(args.tree)
        for row in rows_of(path):
            found = [
                (m.surface, linker.tree.entities[m.entity].name, m.score)
                for m in linker.annotate(row["text"])
                if m.entity
            ]
            print(f"open_link.jsonl: {row['text']!r}: right {row['right']}: {found}")


if __name__ == "__main__":
    main()
