"""Render results as Markdown: one row for each task, then sections for further measures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEAD = (
    "task",
    "n",
    "score",
    "95 % interval",
    "clusters",
    "unparsed",
    "refused",
    "truncated",
    "unjudged",
    "constant",
)


SWEEP = ("threshold", "fired", "before", "after", "all")


def markdown(results: Mapping[str, Any]) -> str:
    """Render results as a page of Markdown.

    Args:
        results: content of results.json.

    Returns:
        the text of results.md
    """
    model = results["model"]
    sections = [
        f"# {model['name']}",
        f"> {results['statement']}",
        (
            f"Backend {model['backend']}, weights {model['weights']}, seeds"
            f" {', '.join(map(str, results['seeds']))}. An answer that could not be read, or a refusal,"
            " counts as 0 and stays in the mean."
        ),
        _table(HEAD, [_row(name, task) for name, task in results["tasks"].items()]),
    ]
    sections += [
        *cautions(results["tasks"]),
        _readings(results),
        _groups(results),
        _samples(results),
        _baselines(results),
        _perturbed(results),
        _calibrated(results),
        _published(results),
        _second_answers(results),
        _failures(results),
        _perplexity(results),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def cautions(tasks: Mapping[str, Any]) -> list[str]:
    """Cautions about tasks: changed data, items without an answer, a doubted judge or a spent budget.

    Args:
        tasks: name -> its results.

    Returns:
        one sentence for each
    """
    sentences = []
    for name, task in tasks.items():
        if changed := task.get("data_changed"):
            sentences.append(f"{name}: {changed}, so its numbers compare with no other ones.")
        if errors := task["scores"].get("errors"):
            first = task["errors"][0]
            sentences.append(
                f"{name}: {errors:,} of {task['n']:,} items have no answer and are left out of every mean,"
                f" such as {first['id']} ({first['error']}); their rows in traces.jsonl say error."
            )
        if why := task.get("judge_doubted"):
            sentences.append(f"{name}: not to be published: {why}.")
        budget = task.get("judge_budget") or {}
        if unasked := budget.get("unasked"):
            limits = [
                f"{budget[key]:g}{unit}"
                for key, unit in (("max_calls", " calls"), ("max_tokens", " tokens"), ("max_cost", ""))
                if budget.get(key) is not None
            ]
            spent = f"the judge's budget of {' and '.join(limits)} was spent"
            sentences.append(f"{name}: {unasked:,} of {task['n']:,} items are unjudged because {spent}.")
    return sentences


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _row(name: str, task: Mapping[str, Any]) -> list[str]:
    row = task["scores"]
    return [
        name,
        *estimate(row),
        str(row["clusters"]),
        *(str(row.get(key, 0)) for key in ("unparsed", "refused", "truncated", "unjudged")),
        number(row["constant"]),
    ]


def estimate(row: Mapping[str, Any] | None) -> list[str]:
    """Format n, mean and interval.

    Args:
        row: {n, mean, low, high}, or None.

    Returns:
        three cells; "0" and empty cells without items
    """
    if not row or not row.get("n"):
        return ["0", "", ""]
    return [f"{row['n']:,}", number(row["mean"]), f"[{number(row.get('low'))}, {number(row.get('high'))}]"]


def number(value: float | None) -> str:
    """Format a number to three places.

    Args:
        value: or None.

    Returns:
        "" for None
    """
    return "" if value is None else f"{value:.3f}"


READING_HEAD = (
    "task", "parser", "n", "score", "95 % interval", "unparsed", "refused", "truncated", "read more",
    "of these right",
)  # fmt: skip


def reading_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Table rows of the parsers of each task, the strict one first.

    Args:
        results: content of results.json.

    Returns:
        cells of READING_HEAD; the counts of the judge's requests are behind its name
    """
    rows = []
    for name, task in results["tasks"].items():
        for parser, row in (task.get("readings") or {}).items():
            requests = f" (asked {row['asked']}, failed {row['failed']})" if "asked" in row else ""
            counts = (str(row.get(key, 0)) for key in ("unparsed", "refused", "truncated", "more", "right"))
            rows.append([name, parser + requests, *estimate(row), *counts])
    return rows


def _readings(results: Mapping[str, Any]) -> str:
    rows = reading_rows(results)
    words = "The score of a task is that of the strict parser; the others read the same replies."
    return f"## Read by other parsers\n\n{words}\n\n{_table(READING_HEAD, rows)}" if rows else ""


def _groups(results: Mapping[str, Any]) -> str:
    rows = [[g["access"], g["tag"] or "all", str(len(g["tasks"])), *estimate(g)] for g in several(results)]
    words = "The mean of the tasks, each of which counts once; the interval takes the tasks as given.\n\n"
    return (
        "## By kind\n\n" + words + _table(("access", "tag", "tasks", "n", "score", "95 % interval"), rows)
        if rows
        else ""
    )


def several(results: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Groups of more than one task; the others are in the table of tasks.

    Args:
        results: content of results.json.

    Returns:
        rows of `groups`
    """
    return [group for group in results.get("groups", ()) if len(group["tasks"]) > 1]


def _samples(results: Mapping[str, Any]) -> str:
    rows = []
    for name, task in results["tasks"].items():
        measures = task.get("samples") or {}
        rows += [
            [name, key, *estimate(row)]
            for key, row in measures.items()
            if isinstance(row, Mapping) and key != "undecided"
        ]
    return (
        "## Several draws\n\n" + _table(("task", "measure", "n", "score", "95 % interval"), rows)
        if rows
        else ""
    )


def _baselines(results: Mapping[str, Any]) -> str:
    rows = []
    for name, task in results["tasks"].items():
        for key, row in (task.get("baselines") or {}).items():
            if not row or not row["n"]:
                continue  # no answer options, or no image
            rows.append(
                [name, {"random": "a random option", "blind": "without the image"}[key], *estimate(row)]
            )
    return (
        "## Without skill\n\n" + _table(("task", "baseline", "n", "score", "95 % interval"), rows)
        if rows
        else ""
    )


def _perturbed(results: Mapping[str, Any]) -> str:
    rows, unused = [], []
    for name, task in results["tasks"].items():
        perturbed = task.get("perturb")
        for key, row in (perturbed or {}).get("perturbations", {}).items():
            if not row["n"]:
                unused.append(f"{name} {key}")
                continue
            flips, between = row["flips"], row["difference_low"] is not None
            change = f"{row['difference']:+.3f}" + (
                f" [{number(row['difference_low'])}, {number(row['difference_high'])}]" if between else ""
            )
            rows.append(
                [
                    name,
                    key,
                    str(row["n"]),
                    number(row["before"]),
                    number(row["mean"]),
                    change,
                    *estimate(flips)[1:],
                ]
            )
        if perturbed and perturbed["worst"]["n"]:
            worst = perturbed["worst"]
            rows.append(
                [
                    name,
                    "worst case",
                    str(worst["n"]),
                    number(worst["unperturbed"]),
                    number(worst["mean"]),
                    estimate(worst)[2],
                    "",
                    "",
                ]
            )
    head = ("task", "perturbation", "n", "before", "after", "difference", "flip rate", "95 % interval")
    note = f"\n\nThese apply to no item: {', '.join(unused)}." if unused else ""
    return "## Perturbations\n\n" + _table(head, rows) + note if rows else ""


def _calibrated(results: Mapping[str, Any]) -> str:
    rows = []
    for name, task in results["tasks"].items():
        if calibration := task.get("calibration"):
            ece, fitted = calibration["ece"], calibration.get("fitted")
            after = (
                f"{number(fitted['ece']['value'])} (T = {fitted['temperature']:.2f}, n = {fitted['n']})"
                if fitted
                else ""
            )
            held = fitted["conformal"]["held"]["mean"] if fitted else None
            interval = f"[{number(ece['low'])}, {number(ece['high'])}]"
            cells = [
                number(calibration["accuracy"]["mean"]),
                number(ece["value"]),
                interval,
                number(ece["floor"]),
                number(calibration["brier"]),
            ]
            rows.append(
                [name, str(calibration["n"]), *cells, number(calibration["aurc"]), after, number(held)]
            )
    head = (
        "task",
        "n",
        "ranked accuracy",
        "ECE",
        "95 % interval",
        "ECE if calibrated",
        "Brier",
        "AURC",
        "ECE after fitting",
        "90 % sets hold",
    )
    return "## Calibration\n\n" + _table(head, rows) if rows else ""


def _second_answers(results: Mapping[str, Any]) -> str:
    """Answers that were given again below a confidence, and the outcome of lower thresholds."""
    parts = []
    for name, task in results["tasks"].items():
        if not (answers := task.get("second_answers")) or not answers["fired"]:
            continue
        change = f"{number(answers['before'])} before, {number(answers['after'])} after"
        interval = f"[{number(answers['low'])}, {number(answers['high'])}]"
        rise = "" if answers["rise"] is None else f"; their confidence rose by {number(answers['rise'])}"
        sentence = (
            f"{name}: {answers['fired']} of {answers['n']} answers were given again; of these {change}"
            f" ({answers['difference']:+.3f} {interval}){rise}."
        )
        rows = [
            [number(row[key]) if key != "fired" else str(row[key]) for key in SWEEP]
            for row in answers["sweep"]
        ]
        parts.append(f"{sentence}\n\n{_table(SWEEP, rows)}")
    return "## Answers given again\n\n" + "\n\n".join(parts) if parts else ""


def _failures(results: Mapping[str, Any]) -> str:
    """Error analysis of wrong answers behind a search."""
    counts_of = {name: task["failures"] for name, task in results["tasks"].items() if task.get("failures")}
    head = ("task", *next(iter(counts_of.values()), ()))
    rows = [[name, *map(str, counts.values())] for name, counts in counts_of.items()]
    return "## Wrong answers behind a search\n\n" + _table(head, rows) if rows else ""


def _published(results: Mapping[str, Any]) -> str:
    rows = []
    for name, task in results["tasks"].items():
        for scorer, row in (task.get("compat") or {}).items():
            if not row["n"]:
                continue  # it has no rule for such items
            counts = [
                str(row[key])
                for key in ("differ", "only_published_credits", "no_answer_credited", "only_ours_credits")
            ]
            rows.append([name, scorer, str(row["n"]), number(row["ours"]), number(row["published"]), *counts])
    head = (
        "task",
        "scorer",
        "n",
        "ours",
        "published",
        "differ",
        "only it credits",
        "of these no answer",
        "only we credit",
    )
    return "## Published scorers of the same answers\n\n" + _table(head, rows) if rows else ""


def _perplexity(results: Mapping[str, Any]) -> str:
    perplexity = results.get("perplexity")
    return (
        f"Bits per token: {perplexity['bits_per_token']:.3f} on {perplexity['documents']} documents."
        if perplexity
        else ""
    )
