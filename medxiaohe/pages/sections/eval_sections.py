"""The sections about an evaluation: scores, perturbations, calibration, tree nodes, what made the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from medxiaohe.evals.reporting.table import READING_HEAD, cautions, reading_rows, several
from medxiaohe.pages.elements import charts, eval_charts
from medxiaohe.pages.elements.html import (
    Html,
    count,
    decimal,
    details,
    interval,
    p_value,
    plain,
    section,
    share,
    signed,
    table,
    tag,
)

DIGITS = 8  # of a digest; results.json has all of them
MAX_NODES = 400  # in the page; the others are in slices.json
Results = Mapping[str, Any]


def sortable(element: Html) -> Html:
    """Make a table sortable by its columns, with the page's script.

    Args:
        element: the table.
    """
    return tag("div", element, class_="sortable")


def quiet(words: str) -> Html:
    """Build a paragraph in the style of a side note.

    Args:
        words: text, escaped.
    """
    return tag("p", words, class_="quiet")


# ---- scores ----------------------------------------------------------------------------------------


def scores(results: Results) -> Html:
    """Show the scores of all tasks with intervals, faults, baselines, other scorers and parsers.

    Args:
        results: results.json of evals.run.
    """
    tasks = results["tasks"]
    drawn = [(name, task["scores"], _baselines(task)) for name, task in tasks.items()]
    words = (
        "Means from 0 to 1 with 95 % intervals; items of one patient, study or article are one cluster. An"
        " answer that could not be read, or a refusal, counts as 0 and stays in the mean. What the judge"
        " could not decide is counted and left out."
    )
    head: tuple[str, ...] = (
        "Task",
        "n",
        "Mean",
        "95 % interval",
        "Clusters",
        "Unparsed",
        "Refused",
        "Truncated",
        "Unjudged",
        "Constant",
        "Random",
        "Blind",
    )
    rows = [_score_row(name, task) for name, task in tasks.items()]
    # baselines that were not asked for
    while rows and not any(row[-1] for row in rows) and head[-1] != "Constant":
        head, rows = head[:-1], [row[:-1] for row in rows]
    extra = [
        (f"{name}: {scorer}", row)
        for name, task in tasks.items()
        for scorer, row in task["other_scores"].items()
    ]
    charted = [
        charts.figure(eval_charts.forest("Scores", chunk), eval_charts.marks_used(chunk))
        for chunk in _parts(drawn, 12)
    ]
    return section(
        "scores",
        "Scores",
        _lead(results),
        quiet(words),
        tag("div", charted, class_="charts"),
        sortable(
            table("Each task, with what a model without skill would score", head, rows, numbers=range(1, 11))
        ),
        [tag("p", words, class_="notice") for words in cautions(tasks)],
        _groups(results),
        _others(extra),
        _draws(tasks),
        _published(tasks),
        _readings(results),
        (
            quiet(
                f"Bits per token on {count(results['perplexity']['documents'])} documents:"
                f" {decimal(results['perplexity']['bits_per_token'])}."
            )
            if results.get("perplexity")
            else None
        ),
    )


def _parts(rows: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _lead(results: Results) -> Html:
    tasks = results["tasks"].values()
    total = sum(task["n"] for task in tasks)
    judged = [task["scores"] for task in tasks if task["scores"]["n"]]
    mean = sum(row["mean"] for row in judged) / len(judged) if judged else None
    faults = {
        key: sum(row.get(key, 0) for row in judged)
        for key in ("unparsed", "refused", "truncated", "unjudged")
    }
    tiles = [
        ("Tasks", count(len(tasks)), f"{count(total)} items"),
        ("Mean of the tasks", decimal(mean) or "none", "each task counts once"),
        (
            "No readable answer",
            count(faults["unparsed"] + faults["refused"] + faults["truncated"]),
            f"{faults['unparsed']} unparsed, {faults['refused']} refused, {faults['truncated']} truncated",
        ),
        ("Unjudged", count(faults["unjudged"]), "left out of every mean"),
    ]
    if errors := sum(task["scores"].get("errors", 0) for task in tasks):
        tiles.append(("No answer", count(errors), "the server failed; left out of every mean"))
    shown = [
        tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", note, class_="quiet")))
        for name, value, note in tiles
    ]
    return tag("dl", shown, class_="tiles")


def _baselines(task: Mapping[str, Any]) -> dict[str, float | None]:
    baselines = task.get("baselines") or {}
    others = {kind: (baselines.get(kind) or {}).get("mean") for kind in ("random", "blind")}
    return {"constant": task["scores"].get("constant"), **others}


def _score_row(name: str, task: Mapping[str, Any]) -> tuple[Any, ...]:
    row, others = task["scores"], _baselines(task)
    total = row["n"] + row["unjudged"]
    faults = [
        f"{row[key]:,} ({share(row[key], total)})" if row.get(key) else "0"
        for key in ("unparsed", "refused", "truncated", "unjudged")
    ]
    means = (decimal(row["mean"]), interval(row["low"], row["high"]), count(row["clusters"]))
    return (
        tag("a", name, href=f"#items?task={quote(name, safe='')}", title="the items of this task"),
        count(row["n"]),
        *means,
        *faults,
        *(decimal(others[kind]) for kind in ("constant", "random", "blind")),
    )


def _others(rows: list[tuple[str, Mapping[str, Any]]]) -> Html | None:
    if not rows:
        return None
    cells = [
        (name, count(row["n"]), decimal(row["mean"]), interval(row["low"], row["high"])) for name, row in rows
    ]
    return sortable(
        table(
            "Other scorers of the same answers",
            ("Task: scorer", "n", "Mean", "95 % interval"),
            cells,
            numbers=(1, 2, 3),
        )
    )


def _groups(results: Results) -> Html | None:
    rows = [
        (group["tag"] or "all", group["access"], count(len(group["tasks"])), count(group["n"]),
        decimal(group["mean"]),
         interval(group["low"], group["high"]), ", ".join(group["tasks"]))
        for group in several(results)
    ]  # fmt: skip
    head = ("Kind", "Access", "Tasks", "n", "Mean", "95 % interval", "Which")
    words = "By kind: the mean of the tasks, each of which counts once; the interval takes the tasks as given"
    return sortable(table(words, head, rows, numbers=(2, 3, 4, 5))) if rows else None


def _draws(tasks: Mapping[str, Any]) -> Html | None:
    rows = []
    for name, task in tasks.items():
        for measure, row in (task.get("samples") or {}).items():
            if isinstance(row, Mapping) and row.get("n"):
                rows.append(
                    (name, measure, count(row["n"]), decimal(row["mean"]), interval(row["low"], row["high"]))
                )
    words = "Several answers drawn for each item: the chance that one of k is right, and the vote of all"
    return (
        sortable(table(words, ("Task", "Measure", "n", "Mean", "95 % interval"), rows, numbers=(2, 3, 4)))
        if rows
        else None
    )


def _readings(results: Results) -> Html | None:
    """Every reading of the replies under its own name: the strict one is the score."""
    head = [words.capitalize() for words in READING_HEAD]
    rows = reading_rows(results)
    return table("The same replies read by other parsers", head, rows, numbers=range(2, 10)) if rows else None


def _published(tasks: Mapping[str, Any]) -> Html | None:
    rows = []
    for name, task in tasks.items():
        for scorer, row in (task.get("compat") or {}).items():
            if not row["n"]:
                continue  # it has no rule for such items
            counts = [
                count(row[key])
                for key in ("differ", "only_published_credits", "no_answer_credited", "only_ours_credits")
            ]
            rows.append(
                (name, scorer, count(row["n"]), decimal(row["ours"]), decimal(row["published"]), *counts)
            )
    head = (
        "Task",
        "Scorer",
        "n",
        "Ours",
        "Published",
        "Differ",
        "Only it credits",
        "Of these no answer",
        "Only we credit",
    )
    words = "What the scorers that published numbers were made with would say of the same answers"
    return sortable(table(words, head, rows, numbers=range(2, 9))) if rows else None


# ---- perturbations ---------------------------------------------------------------------------------


def perturbed(results: Results) -> Html | None:
    """Show accuracy before and after each perturbation, with flips of verdicts and the worst case.

    Args:
        results: results.json of evals.run.

    Returns:
        None if nothing was perturbed.
    """
    title = "Perturbations"
    result = {name: task["perturb"] for name, task in results["tasks"].items() if task.get("perturb")}
    if not result:
        return None
    words = (
        "The same items with one thing changed. A flip is a verdict that changes between right and not right."
        " Where the image is taken away or swapped, right answers cannot come from looking. The worst case"
        " counts an item only when it is right as it was and under every change that a sound model"
        " withstands."
    )
    rows, worst = [], []
    for task, summary in result.items():
        rows += [_changed(task, name, row) for name, row in summary["perturbations"].items() if row["n"]]
        if summary["worst"]["n"]:
            worst.append((task, summary["worst"], {"constant": None}))
    head = (
        "Task",
        "Change",
        "n",
        "Before",
        "After",
        "Difference",
        "95 % interval",
        "p (Holm)",
        "Flips",
        "95 % interval",
        "Broken, fixed",
    )
    unused = [
        f"{task}: {name}"
        for task, summary in result.items()
        for name, row in summary["perturbations"].items()
        if not row["n"]
    ]
    return section(
        "perturbed",
        title,
        quiet(words),
        tag(
            "div",
            [
                charts.figure(eval_charts.forest("Worst case", chunk), None, title="Worst case")
                for chunk in _parts(worst, 12)
            ],
            class_="charts",
        ),
        sortable(
            table("Accuracy before and after, and verdicts that flipped", head, rows, numbers=range(2, 11))
        ),
        details(f"{len(unused)} that apply to no item", quiet(", ".join(unused))) if unused else None,
    )


def _changed(task: str, name: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    flips = row["flips"]
    before = (count(row["n"]), decimal(row["before"]), decimal(row["mean"]), signed(row["difference"]))
    moved = (
        interval(row["difference_low"], row["difference_high"]),
        p_value(row["p_holm"]).removeprefix("= "),
    )
    return (
        task, name.replace("_", " "), *before, *moved,
        decimal(flips["mean"]), interval(flips["low"], flips["high"]),
        f"{count(row['broken'])}, {count(row['fixed'])}",
    )  # fmt: skip


# ---- calibration -----------------------------------------------------------------------------------


def calibration(results: Results) -> Html | None:
    """Show calibration and selective answering: ECE, Brier score, risk by coverage, conformal sets.

    Args:
        results: results.json of evals.run.

    Returns:
        None if no task has confidences.
    """
    result = {name: task["calibration"] for name, task in results["tasks"].items() if task.get("calibration")}
    if not result:
        return None
    words = (
        "Confidence is the probability of the most likely of the answer options. ECE is the mean"
        " distance of accuracy from confidence in at most 15 bins of equal numbers of items; \u201cif"
        " calibrated\u201d is what a perfectly calibrated model would show with so many items. Temperature"
        " and sets are fitted on validation items only."
    )
    figures = [figure for name, measured in result.items() for figure in _calibrated(name, measured)]
    rows = []
    for name, measured in result.items():
        ece, fitted = measured["ece"], measured.get("fitted")
        after = (
            (
                decimal(fitted["ece"]["value"]),
                decimal(fitted["temperature"], 2),
                _conformal(fitted["conformal"]),
            )
            if fitted
            else ("", "", "")
        )
        risks = {f"{r['coverage']:.1f}": r["risk"] for r in measured["selective_risk"]}
        sure = next((decimal(risk) for coverage, risk in risks.items() if float(coverage) >= 0.5), "")
        cells = (
            decimal(measured["accuracy"]["mean"]),
            decimal(measured["confidence"]),
            decimal(ece["value"]),
            interval(ece["low"], ece["high"]),
        )
        rows.append(
            (
                name,
                count(measured["n"]),
                *cells,
                decimal(ece["floor"]),
                decimal(measured["brier"]),
                decimal(measured["aurc"]),
                sure,
                *after,
            )
        )
    head = (
        "Task", "n", "Accuracy, ranked", "Confidence", "ECE", "95 % interval", "If calibrated", "Brier",
        "AURC", "Error at half coverage",
        "ECE, fitted", "Temperature", "90 % sets hold",
    )  # fmt: skip
    element = sortable(table("Calibration and selective answering", head, rows, numbers=range(1, 13)))
    return section("calibration", "Calibration", quiet(words), tag("div", figures, class_="charts"), element)


def _conformal(row: Mapping[str, Any]) -> str:
    return f"{decimal(row['held']['mean'])} ({decimal(row['size'], 1)} answers)"


def _calibrated(name: str, measured: Mapping[str, Any]) -> Iterator[Html]:
    curves = [("as asked", measured["reliability"], 1)]
    if fitted := measured.get("fitted"):
        curves.append(("fitted", fitted["reliability"], 2))
    legend = charts.legend([(label, color) for label, _, color in curves])
    yield charts.figure(
        eval_charts.reliability(f"Reliability of {name}", curves), legend, title=f"{name}: reliability"
    )
    risk = [charts.Line("error among the answered", [tuple(point) for point in measured["curve"]], 3)]
    drawn = charts.lines(
        f"Risk and coverage of {name}", risk, "share answered, surest first", "error among the answered"
    )
    yield charts.figure(drawn, None, title=f"{name}: answering only when sure")


# ---- tree nodes ------------------------------------------------------------------------------------


def by_node(sliced: Mapping[str, Any]) -> Html | None:
    """Show scores by layer, kind, training frequency and node of the entity tree.

    Args:
        sliced: slices.json of evals.run.

    Returns:
        None if the run had no tree.
    """
    title = "By tree node"
    if not sliced:
        return None
    slices = sliced["all"]
    nodes = slices["nodes"]
    words = (
        "Items of all tasks by the entities their question or gold answer mentions, and by everything above"
        f" those in the tree. Nodes with at least {sliced['min_items']} items, the lowest mean first: what to"
        " collect next, where training mentions are few."
    )
    groups = [
        ("Layer", slices["layers"]),
        ("Kind", slices["kinds"]),
        ("Mentions in training", slices["rarity"]),
    ]
    small = [
        (group, name, count(row["n"]), decimal(row["mean"]), interval(row["low"], row["high"]))
        for group, members in groups
        for name, row in members.items()
    ]
    counted = any("training_mentions" in row for row in nodes)
    head = (
        "Node",
        "Id",
        "Kind",
        "Layer",
        "n",
        "Mean",
        "95 % interval",
        "Clusters",
        *(["Training mentions"] if counted else []),
    )
    rows = [
        (
            row["name"], row["node"], row["kind"], str(row["layer"]), count(row["n"]), decimal(row["mean"]),
            interval(row["low"], row["high"]), count(row["clusters"]),
            *([count(row.get("training_mentions"))] if counted else []),
        )
        for row in nodes[:MAX_NODES]
    ]  # fmt: skip
    remaining = (
        f" The {len(nodes) - MAX_NODES:,} with the highest means are in slices.json."
        if len(nodes) > MAX_NODES
        else ""
    )
    return section(
        "slices",
        title,
        quiet(words),
        tag("p", slices["warning"] + remaining, class_="notice"),
        table(
            "By layer, kind and how often training mentions the rarest entity",
            ("By", "", "n", "Mean", "95 % interval"),
            small,
            numbers=(2, 3, 4),
        ),
        tag(
            "div", sortable(table("Nodes of the tree", head, rows, numbers=(3, 4, 5, 6, 7, 8))), class_="tall"
        ),
    )


# ---- provenance ------------------------------------------------------------------------------------


def provenance(results: Results) -> Html:
    """List what the numbers depend on: model, seeds, digests of data, prompts and code, settings, packages.

    Args:
        results: results.json of evals.run.
    """
    model = results["model"]
    facts = [("Model", model["name"]), ("Backend", model["backend"]), ("Weights", model["weights"])]
    facts += [("Options", plain(model["options"])), ("Seeds", plain(results["seeds"]))]
    shown = tag(
        "dl",
        [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts if value],
        class_="facts",
    )
    judged = any(task["judge"] for task in results["tasks"].values())
    head = (
        "Task",
        "Items",
        "Split",
        "Dataset",
        "Prompts",
        "Task file",
        "Scorers",
        *(["Judge"] if judged else []),
        "Licence",
    )
    rows = [
        (
            name, count(task["n"]), task["split"], *(tag("code", task[key][:DIGITS]) for key in ("dataset",
            "prompts", "version")),
            ", ".join(f"{scorer} {code[:DIGITS]}" for scorer, code in task["scorers"].items()),
            *([plain(task["judge"])] if judged else []), task["license"],
        )
        for name, task in results["tasks"].items()
    ]  # fmt: skip
    settings = [
        (key.replace("_", " "), plain(value)) for key, value in results["settings"].items() if key != "tasks"
    ]
    packages = [(name, version) for name, version in results["packages"].items()]
    return section(
        "provenance",
        "What made these numbers",
        tag(
            "p",
            "Everything a number depends on. ",
            tag("code", "medxiaohe eval reproduce results.json"),
            " runs it again and refuses what has changed.",
            class_="quiet",
        ),
        shown,
        table(
            f"Digests, to {DIGITS} digits, of what was asked and of the code that read the answers",
            head,
            rows,
            numbers=(1,),
        ),
        details("Settings", table("Settings of the run", ("Setting", "Value"), settings)),
        details("Packages", table("Versions", ("Package", "Version"), packages)),
    )
