"""What each stage of a finished run changed: Markdown tables for docs/results, from what the run left on
disk.

    python benchmarks/stages.py out/starter_full                 every evals.compare stage below the folder

Scores are means with 95 % intervals; a change is paired on the same items, p after Holm's correction.
"Against the one before" says what a stage did by itself, "against base" what all of them did until then.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io

ALPHA = 0.05


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("run", type=Path)
    run = options.parse_args().run
    files = sorted(run.glob("*/*/comparison.json"))
    if not files:
        sys.exit(f"{run}: no evals.compare stage is finished there")
    print("\n".join(times(run)), end="\n\n")
    for file in files:
        found = io.read_json(file)
        stages = [name.removeprefix("eval_").removeprefix("calls_") for name in found["stages"]]
        print("\n".join(table(found, stages)), end="\n\n")
        print("\n".join(verdicts(found, stages)), end="\n\n")
        print("\n".join(rare(found, stages)), end="\n\n")


def times(run: Path) -> Iterator[str]:
    """Wall time of each stage, of the log, and what its summary says of its training."""
    yield "| stage | time | what it did |"
    yield "|---|---|---|"
    spent: dict[str, float] = {}
    for row in io.read_jsonl(run / "log.jsonl"):
        if row.get("event") == "finished" or "seconds" in row:
            spent[row["stage"]] = spent.get(row["stage"], 0.0) + float(row.get("seconds", 0.0))
    for name, seconds in spent.items():
        record = next(iter(sorted((run / name).glob("*/stage.json"))), None)
        summary = io.read_json(record).get("summary", {}) if record else {}
        facts = [f"{key.replace('_', ' ')} {summary[key]}" for key in SAID if summary.get(key) is not None]
        yield f"| {name} | {int(seconds) // 60}:{int(seconds) % 60:02} | {', '.join(facts)} |"


SAID = (
    "entities", "written", "kept", "contaminated", "documents", "instructions", "prompts", "rows",
    "rows_with_pixels", "steps", "tokens",
    "loss_first", "loss_last", "reward_first", "reward_last", "distilled", "replayed", "shown", "with_calls",
    "accuracy", "stopped",
)  # fmt: skip


def table(found: Mapping[str, Any], stages: Sequence[str]) -> Iterator[str]:
    changes = {(row["task"], row["a"], row["b"]): row for row in found["paired"]}
    names = found["stages"]
    yield (
        "| task | stage | n | score | 95 % interval | unparsed | against the one before, p | against"
        " base, p |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for task, rows in found["tasks"].items():
        for number, row in enumerate(rows):
            before = _change(changes, task, names[number - 1], names[number]) if number > 1 else ""
            base = _change(changes, task, names[0], names[number]) if number else ""
            yield (
                f"| {task} | {stages[number]} | {row['n']} | {row['mean']:.3f} | {row['low']:.3f} to"
                f" {row['high']:.3f} | {row.get('unparsed', 0)} | {before} | {base} |"
            )


def verdicts(found: Mapping[str, Any], stages: Sequence[str]) -> Iterator[str]:
    """Of each stage, on which tasks it was better, worse or neither than the stage before it."""
    changes = {(row["task"], row["a"], row["b"]): row for row in found["paired"]}
    names = found["stages"]
    for number in range(1, len(names)):
        said: dict[str, list[str]] = {"helped": [], "harmed": [], "no measurable change": []}
        for task in found["tasks"]:
            row = changes.get((task, names[number - 1], names[number]))
            if row is not None:
                sure = row["p_holm"] < ALPHA
                said[
                    (
                        "helped"
                        if sure and row["difference"] > 0
                        else "harmed"
                        if sure
                        else "no measurable change"
                    )
                ].append(task)
        yield f"- {stages[number]}: " + "; ".join(
            f"{what}: {', '.join(tasks)}" for what, tasks in said.items() if tasks
        )


def rare(found: Mapping[str, Any], stages: Sequence[str]) -> Iterator[str]:
    """Scores on items about entities that the corpus seldom mentions, or never."""
    for task, by_stage in (found.get("buckets") or {}).items():
        for name, shown in zip(found["stages"], stages, strict=True):
            tail = by_stage.get(name, {}).get("tail")
            if tail and tail.get("mean") is not None:
                yield (
                    f"- {task}, tail entities, {shown}: {tail['mean']:.3f} [{tail['low']:.3f},"
                    f" {tail['high']:.3f}], n {tail['n']}"
                )


def _change(changes: Mapping[tuple[str, str, str], Mapping[str, Any]], task: str, a: str, b: str) -> str:
    row = changes.get((task, a, b))
    if row is None:
        return "not tested"
    p = "< 0.001" if row["p_holm"] < 0.001 else f"{row['p_holm']:.3f}"
    ends = "" if row["low"] is None else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"{row['difference']:+.3f}{ends}, {p}"


if __name__ == "__main__":
    main()
