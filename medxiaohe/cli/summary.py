"""Tables at the end of a run: what each stage did, the scores, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.progress import clock
from medxiaohe.recipe.load import Recipe
from medxiaohe.recipe.run import Done

Seconds = Mapping[tuple[str, str], float]
MAX_FIGURES = 4


def as_json(recipe: Recipe, done: Sequence[Done], seconds: Seconds) -> dict[str, Any]:
    """Summarise a run as a JSON object.

    Args:
        recipe: of the run.
        done: the finished stages, in order.
        seconds: (stage, version) -> wall time in seconds.

    Returns:
        recipe, folder, stages with their summaries and seconds, the last comparison, and paths of page
        and card.
    """
    uses = {stage.name: stage.uses for stage in recipe.stages}
    stages = [
        {
            "name": d.name, "uses": uses[d.name], "folder": str(d.folder), "ran": d.ran,
            "seconds": seconds.get((d.name, d.folder.name)), "summary": d.summary,
        }
        for d in done
    ]  # fmt: skip
    return {
        "recipe": recipe.name,
        "out": str(recipe.out),
        "stages": stages,
        "comparison": _comparison(done) or None,
        **_outputs(done),
    }


def as_text(recipe: Recipe, done: Sequence[Done], seconds: Seconds) -> str:
    """Summarise a run as text: what each stage did, the comparison, and where the page is.

    Args:
        recipe: of the run.
        done: the finished stages, in order.
        seconds: (stage, version) -> wall time in seconds.

    Returns:
        tables and paths, separated by empty lines.
    """
    rows = [("stage", "time", "what it did")]
    for d in done:
        took = seconds.get((d.name, d.folder.name))
        rows.append(
            (
                d.name,
                "-" if took is None else clock(took),
                headline(d.summary) + ("" if d.ran else " (done before)"),
            )
        )
    parts = [table(rows)]
    if comparison := _comparison(done):
        parts.append(scores(comparison))
    parts.append(
        "\n".join([*(f"{name:<6} {path}" for name, path in _outputs(done).items()), f"folder {recipe.out}"])
    )
    return "\n\n".join(parts)


def headline(summary: Mapping[str, Any]) -> str:
    """Select the first figures of a stage's summary: `loss 5.1 -> 3.2, steps 40`; scores by task.

    Args:
        summary: as the stage returned it; KEY_first and KEY_last become one figure and come first.

    Returns:
        at most `MAX_FIGURES` figures; without figures, its texts, cut to 80 characters.
    """
    figures: list[str] = []
    for key, value in summary.items():
        if key.endswith("_first") and f"{key[:-6]}_last" in summary:
            figures.insert(0, f"{key[:-6]} {number(value)} -> {number(summary[key[:-6] + '_last'])}")
        elif isinstance(value, Mapping) and "mean" in value:
            figures.append(f"{key} {number(value['mean'])}")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and not key.endswith("_last"):
            figures.append(f"{key.replace('_', ' ')} {number(value)}")
    return (
        ", ".join(figures[:MAX_FIGURES])
        or ", ".join(f"{k} {v}" for k, v in summary.items() if isinstance(v, str))[:80]
    )


def number(value: Any) -> str:
    """Format a number for a table.

    Returns:
        integers with thousands separators, others with 3 decimals, None as "-".
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def table(rows: Sequence[Sequence[str]], right: Iterable[int] = (1,)) -> str:
    """Align text in columns under a ruled heading.

    Args:
        rows: cells, the heading first; all rows have the same length.
        right: indices of right-aligned columns.

    Returns:
        lines without trailing spaces.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    sides = [str.rjust if i in set(right) else str.ljust for i in range(len(widths))]
    lines = [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(
        line.rstrip() for line in [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]
    )


def _comparison(done: Sequence[Done]) -> dict[str, Any]:
    paths = [d.folder / "comparison.json" for d in done if (d.folder / "comparison.json").is_file()]
    return io.read_json(paths[-1]) if paths else {}


def scores(comparison: Mapping[str, Any]) -> str:
    """Tabulate the scores of each stage on each task, and perplexity.

    Args:
        comparison: comparison.json of evals.compare.

    Returns:
        columns n, mean, 95 % interval, paired difference from the first stage, and its Holm-adjusted p
        value.
    """
    rows: list[tuple[str, ...]] = [("task: stage", "n", "score", "95% interval", "against base", "p (Holm)")]
    for task, stages in comparison.get("tasks", {}).items():
        for i, row in enumerate(stages):
            pair = _against_base(comparison.get("paired", []), task, stages[0]["stage"], row["stage"])
            interval = f"[{number(row.get('low'))}, {number(row.get('high'))}]"
            rows.append(
                (_name(task, row, i), number(row["n"]), number(row.get("mean")), interval, *_paired(pair))
            )
    perplexity = comparison.get("perplexity") or {}
    for i, row in enumerate(stages := perplexity.get("stages", [])):
        pair = _against_base(perplexity.get("paired", []), "bits per token", stages[0]["stage"], row["stage"])
        rows.append(
            (
                _name("bits per token", row, i),
                number(row["documents"]),
                number(row["bits_per_token"]),
                "",
                *_paired(pair),
            )
        )
    return table(rows, right={1, 2, 4, 5})


def costs(comparison: Mapping[str, Any]) -> str:
    """Tabulate the mean cost of an item: requests, tool calls and tokens, and the wall time of the stage.

    Args:
        comparison: comparison.json of evals.compare; its rows may have `seconds`.

    Returns:
        a table, in which `~` marks token counts that were estimated; "" without costs.
    """
    head = ("task: stage", "workflow", "calls", "tools", "tokens in", "tokens out", "seconds of the run")
    rows: list[tuple[str, ...]] = [head]
    for task, stages in comparison.get("costs", {}).items():
        for i, row in enumerate(stages):
            about = "~" if row["estimated"] else ""  # not counted by the backend
            figures = [f"{row['calls']:.1f}", f"{row['tools']:.1f}"]
            figures += [f"{about}{row[key]:,.0f}" for key in ("tokens_in", "tokens_out")]
            seconds = row.get("seconds")
            figures.append("-" if seconds is None else f"{seconds:,.0f}")
            rows.append((_name(task, row, i), row["workflow"] or "answer", *figures))
    return table(rows, right={2, 3, 4, 5, 6}) if len(rows) > 1 else ""


def budgets(comparison: Mapping[str, Any]) -> str:
    """Tabulate workflows compared with `answer`, and with self-consistency at an equal number of requests.

    Args:
        comparison: comparison.json of evals.compare.

    Returns:
        a table with paired differences, also negative ones; "" without such rows.
    """
    head = ("task: workflow", "against", "calls", "difference", "95% interval", "p (Holm)")
    rows: list[tuple[str, ...]] = [head]
    for row in comparison.get("equal_budget", ()):
        interval = f"[{number(row['low'])}, {number(row['high'])}]"
        calls = f"{row['calls']:.1f} : {row['calls_a']:.1f}"
        shown = (f"{row['difference']:+.3f}", interval, p_value(row["p_holm"]))
        rows.append((f"{row['task']}: {row['b']}", row["a"], calls, *shown))
    return table(rows, right={2, 3, 5}) if len(rows) > 1 else ""


def _name(task: str, row: Mapping[str, Any], i: int) -> str:
    return f"{'' if i else task + ': ':<{len(task) + 2}}{row['stage']}"


def _against_base(rows: Iterable[Mapping[str, Any]], task: str, base: str, stage: str) -> dict[str, Any]:
    """Find the paired comparison of a stage with the base."""
    return next((dict(row) for row in rows if (row["task"], row["a"], row["b"]) == (task, base, stage)), {})


def _paired(pair: Mapping[str, Any]) -> tuple[str, str]:
    difference = pair.get("difference")
    return ("" if difference is None else f"{difference:+.3f}"), p_value(pair.get("p_holm", pair.get("p")))


def p_value(p: float | None) -> str:
    """Format a p value.

    Returns:
        3 decimals, `<0.001` below that, "" for None.
    """
    if p is None:
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _outputs(done: Sequence[Done]) -> dict[str, str]:
    """Paths of the page and of the model card."""
    result = {}
    for d in done:
        for key in ("page", "card"):
            if isinstance(name := d.summary.get(key), str):
                result[key] = str(d.folder / Path(name).name)
    return result
