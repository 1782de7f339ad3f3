"""Gains and costs of workflows: scores beside requests and tokens, tests at equal budget, the Pareto
frontier, and the oracle ladder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe.evals.statistics.costs import pareto
from medxiaohe.pages.elements import charts
from medxiaohe.pages.elements.html import (
    Html,
    count,
    decimal,
    interval,
    p_value,
    section,
    share,
    signed,
    table,
    tag,
)
from medxiaohe.pages.sections.verdicts import ALPHA

WIDTH, LEFT, RIGHT, TOP, BOTTOM = charts.WIDTH, 44, charts.WIDTH - 14, 22, 250
NEAR = 12  # pixels between two labels
Rows = Sequence[Mapping[str, Any]]


def scores_section(comparison: Mapping[str, Any]) -> Html:
    """Show scores with their costs: a table and a plot for each task.

    Args:
        comparison: comparison.json of evals.compare.
    """
    parts: list[Html] = []
    for task, stages in comparison["tasks"].items():
        spent = {row["stage"]: row for row in comparison["costs"].get(task, ())}
        rows = [(_cells(row, spent.get(row["stage"], {}))) for row in stages]
        head = ("Run", "Workflow", "n", "Score", "95 % interval", "Unread", "Calls", "Tools", "Tokens in",
                "Tokens out")  # fmt: skip
        caption = (
            f"{task}: means of an item. A reply that cannot be read counts as 0. ~ marks tokens estimated as"
            " one for every four bytes"
        )
        parts += [table(caption, head, rows, numbers=range(2, 10)), _plot(task, stages, spent)]
    words = "Cost and score of each workflow: one that makes more requests must score more to be worth it."
    return section("scores", "Scores and costs", tag("p", words, class_="quiet"), parts)


def _cells(row: Mapping[str, Any], spent: Mapping[str, Any]) -> Sequence[Any]:
    unread = sum(int(row.get(key) or 0) for key in ("unparsed", "refused", "truncated"))
    about = "~" if spent.get("estimated") else ""
    tokens = [about + count(spent.get(key)) for key in ("tokens_in", "tokens_out")]
    figures = [decimal(spent.get(key), 1) for key in ("calls", "tools")]
    n = int(row.get("n", 0))
    return (
        row["stage"], spent.get("workflow") or "answer", count(n), decimal(row.get("mean")),
        interval(row.get("low"), row.get("high")), share(unread, n) or "0", *figures, *tokens,
    )  # fmt: skip


def _plot(task: str, stages: Rows, spent: Mapping[str, Mapping[str, Any]]) -> Html:
    """Plot score by calls, on a logarithmic axis, with the Pareto frontier."""
    shown = [r for r in stages if r.get("mean") is not None and spent.get(r["stage"], {}).get("calls")]
    if not shown:
        return tag("p", f"{task}: nothing was judged.", class_="quiet")
    points = [(float(spent[row["stage"]]["calls"]), float(row["mean"])) for row in shown]
    # Pareto frontier: no run scores more for at most as many calls, or as much for fewer
    best = pareto(points)
    ends = charts.decades(max(calls for calls, _ in points))
    high = charts.ticks(0, max(0.1, max(score for _, score in points)))

    # log10 of the calls on x, score from 0 on y, in SVG units
    def x(calls: float) -> float:
        return LEFT + math.log10(max(calls, 1)) / math.log10(ends[-1]) * (RIGHT - LEFT)

    def y(score: float) -> float:
        return BOTTOM - score / high[-1] * (BOTTOM - TOP)

    parts = [tag("line", x1=LEFT, x2=RIGHT, y1=y(mark), y2=y(mark), class_="grid") for mark in high]
    parts += [tag("text", f"{mark:g}", x=LEFT - 6, y=y(mark) + 4, class_="tick end") for mark in high]
    parts += [tag("text", f"{mark:g}", x=x(mark), y=BOTTOM + 18, class_="tick middle") for mark in ends]
    parts.append(tag("line", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM, class_="axis"))
    line = sorted(point for point, on in zip(points, best, strict=True) if on)
    if len(line) > 1:
        d = "M" + "L".join(f"{x(calls):.1f} {y(score):.1f}" for calls, score in line)
        parts.append(tag("path", d=d, class_="frontier"))
    # labels of points in one cell of NEAR by NEAR pixels are joined, so that they do not overlap
    labels: dict[tuple[int, int], list[str]] = {}  # numbers of the runs that lie on one spot
    for number, ((calls, score), row, on) in enumerate(zip(points, shown, best, strict=True), 1):
        about = f"{number}. {row['stage']}: {decimal(score)} for {decimal(calls, 1)} calls"
        dot = tag("circle", tag("title", about), cx=x(calls), cy=y(score), r=4,
                  class_=f"dot s{2 if on else 0}")  # fmt: skip
        parts.append(dot)
        spot = (round(x(calls) / NEAR), round(y(score) / NEAR))
        labels.setdefault(spot, []).append(str(number))
    for (across, down), numbers in labels.items():
        suffix = f" +{len(numbers) - 2}" if len(numbers) > 2 else ""
        label = ", ".join(numbers[:2]) + suffix
        parts.append(tag("text", label, x=across * NEAR + 6.0, y=down * NEAR - 5.0, class_="tick"))
    parts += [tag("text", "score", x=4, y=14, class_="name")]
    parts.append(tag("text", "calls of an item", x=RIGHT, y=BOTTOM + 34, class_="name end"))
    drawn = charts.svg(
        BOTTOM + 40, f"{task}: score by calls; {sum(best)} of {len(best)} on the frontier", parts
    )
    key = tag("ol", [tag("li", row["stage"]) for row in shown], class_="key-list")
    caption = "Green: nothing that takes as many calls or fewer scores more. Intervals are in the table."
    return tag(
        "figure", tag("p", f"{task}: score by calls", class_="title"), drawn, tag("figcaption", caption, key)
    )


def budget_section(comparison: Mapping[str, Any]) -> Html:
    """Show each workflow compared with `answer`, and with self-consistency at an equal number of requests.

    Args:
        comparison: comparison.json of evals.compare; a row counts as better or worse if Holm's p is below
            `ALPHA`.
    """
    rows = comparison.get("equal_budget", ())
    outcomes = [_outcome(row) for row in rows]
    counted = {name: outcomes.count(name) for name in ("better", "worse", "no change")}
    words = (
        f"{len(rows)} paired tests on the same items: {counted['better']} better, {counted['worse']} worse,"
        f" {counted['no change']} without a change that counts. A difference counts when p, after Holm's"
        f" correction for the number of these tests, is below {ALPHA}."
    )
    cells = [
        (
            f"{row['task']}: {row['b']}", row["a"],
            f"{decimal(row['calls'], 1)} : {decimal(row['calls_a'], 1)}", signed(row["difference"]),
            interval(row["low"], row["high"]), p_value(row["p_holm"]).removeprefix("= "), count(row["n"]),
            decimal(row["minimum_detectable"]),
            tag("span", outcome, class_=f"verdict {outcome if outcome != 'no change' else 'same'}"),
        )
        for row, outcome in zip(rows, outcomes, strict=True)
    ]  # fmt: skip
    head = ("Workflow", "Against", "Calls", "Difference", "95 % interval", "p (Holm)", "n", "Detectable", "")
    caption = (
        "Against self-consistency it is the run with the fewest calls that are not below its own, or the most"
        " there is"
    )
    element = table(caption, head, cells, numbers=range(2, 8)) if cells else None
    return section("budget", "At equal budget", tag("p", words), element)


def _outcome(row: Mapping[str, Any]) -> str:
    if row["p_holm"] >= ALPHA or not row["difference"]:
        return "no change"
    return "better" if row["difference"] > 0 else "worse"


def ladder_section(rows: Rows) -> Html:
    """Show the oracle ladder: outcomes with scripted roles beside their computed probabilities.

    Args:
        rows: of ladder.json of evals.ladder.
    """
    words = (
        "Roles that are right with a known probability, independent or all alike, in the place of models: the"
        " share of right outcomes must lie within four standard errors of the computed value. This shows that"
        " the code does what its description says, whatever a model can do."
    )
    cells = [
        (
            row["workflow"], f"{row['p']:g}", "alike" if row["correlated"] else "independent",
            count(row["n"]), decimal(row["share"]), decimal(row["computed"]), decimal(row["error"]),
            decimal(row["calls"], 1),
            tag("span", "as computed" if row["within"] else "off",
                class_=f"verdict {'right' if row['within'] else 'wrong'}"),
        )
        for row in rows
    ]  # fmt: skip
    head = (
        "Workflow",
        "Role right",
        "Roles",
        "Cases",
        "Share right",
        "Computed",
        "Standard error",
        "Calls",
        "",
    )
    element = table("The oracle ladder", head, cells, numbers=range(3, 8))
    return section("ladder", "Oracle ladder", tag("p", words, class_="quiet"), element)
