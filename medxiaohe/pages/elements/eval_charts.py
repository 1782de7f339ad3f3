"""Charts of an evaluation: means with intervals and baselines, a reliability diagram, risk by coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe.pages.elements import charts
from medxiaohe.pages.elements.html import Html, count, decimal, excerpt, tag

WIDTH = charts.WIDTH
MARKS = {"constant": "\u25c6", "random": "\u25b2", "blind": "\u25cb"}
NAMES = {"constant": "one constant answer", "random": "any answer option", "blind": "without the image"}


def forest(title: str, rows: Sequence[tuple[str, Mapping[str, Any], Mapping[str, float | None]]]) -> Html:
    """Draw a forest plot on an axis from 0 to 1: means with intervals, baselines as marks.

    Args:
        title: for screen readers.
        rows: (name, {n, mean, low, high}, baseline -> score or None); the baselines are keys of `MARKS`.
    """
    # SVG units: 40 for a task, its name above its line
    left, right, step, top = 8, WIDTH - 8, 40, 24
    parts = [
        tag(
            "line",
            x1=_x(m / 4, left, right),
            x2=_x(m / 4, left, right),
            y1=top,
            y2=top + step * len(rows),
            class_="grid",
        )
        for m in range(5)
    ]
    parts += [
        tag("text", f"{m / 4:g}", x=_x(m / 4, left, right), y=14, class_="tick middle") for m in range(1, 4)
    ]
    parts += [
        tag("text", "0", x=left, y=14, class_="tick"),
        tag("text", "1", x=right, y=14, class_="tick end"),
    ]
    for i, (name, row, others) in enumerate(rows):
        y = top + step * i
        parts.append(tag("text", excerpt(name, 30), x=left, y=y + 15, class_="label"))
        if row.get("mean") is None:
            parts.append(tag("text", "nothing judged", x=right, y=y + 15, class_="tick end"))
            continue
        parts.append(
            tag(
                "text",
                f"{decimal(row['mean'])}, n = {count(row['n'])}",
                x=right,
                y=y + 15,
                class_="value end",
            )
        )
        line = y + 28
        parts.append(tag("line", x1=left, x2=right, y1=line, y2=line, class_="grid"))
        if row.get("low") is not None and row.get("high") is not None:
            ends = [_x(row[key], left, right) for key in ("low", "high")]
            parts.append(tag("line", x1=ends[0], x2=ends[1], y1=line, y2=line, class_="whisker s1"))
            parts += [
                tag("line", x1=end, x2=end, y1=line - 4, y2=line + 4, class_="whisker s1") for end in ends
            ]
        for kind, value in others.items():
            if value is not None:
                tooltip = tag("title", f"{NAMES[kind]}: {decimal(value)}")
                parts.append(
                    tag(
                        "text",
                        tooltip,
                        MARKS[kind],
                        x=_x(value, left, right),
                        y=line + 4,
                        class_="mark middle",
                    )
                )
        parts.append(tag("circle", cx=_x(row["mean"], left, right), cy=line, r=5, class_="dot s1"))
    summary = "; ".join(f"{name}: {decimal(row.get('mean'))}" for name, row, _ in rows)
    return charts.svg(top + step * len(rows) + 4, f"{title}. {summary}", parts)


def marks_used(rows: Sequence[tuple[str, Mapping[str, Any], Mapping[str, float | None]]]) -> Html:
    """List the marks of baselines in a forest plot, with their meanings.

    Args:
        rows: as for `forest`; baselines that no row has are left out.
    """
    used = [kind for kind in MARKS if any(others.get(kind) is not None for _, _, others in rows)]
    return tag(
        "span", [tag("span", f"{MARKS[kind]} {NAMES[kind]}", class_="item") for kind in used], class_="legend"
    )


def reliability(title: str, curves: Sequence[tuple[str, Sequence[Mapping[str, float]], int]]) -> Html:
    """Draw a reliability diagram: accuracy by confidence, both from 0 to 1; the diagonal is perfect.

    Args:
        title: for screen readers.
        curves: (label, bins with `confidence`, `accuracy` and `n`, series number).
    """
    size, left, top = 250, 54, 14
    parts: list[Html] = []

    # 0 to 1 in data coordinates -> SVG units; the y axis points down
    def x(v: float) -> float:
        return left + v * (WIDTH - left - 14)

    def y(v: float) -> float:
        return top + (1 - v) * size

    # grid and ticks of both axes
    for m in (0, 0.25, 0.5, 0.75, 1):
        parts.append(tag("line", x1=x(0), x2=x(1), y1=y(m), y2=y(m), class_="grid"))
        parts.append(tag("text", f"{m:g}", x=left - 6, y=y(m) + 4, class_="tick end"))
        parts.append(tag("text", f"{m:g}", x=x(m), y=y(0) + 18, class_="tick middle"))
    # the diagonal: accuracy equals confidence
    parts.append(tag("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="reference"))
    for label, bins, color in curves:
        points = [(x(b["confidence"]), y(b["accuracy"])) for b in bins]
        if len(points) > 1:
            d = "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
            parts.append(tag("path", tag("title", label), d=d, class_=f"line s{color}"))
        for b, (px, py) in zip(bins, points, strict=True):
            tooltip = tag(
                "title",
                f"{label}: confidence {decimal(b['confidence'])}, accuracy {decimal(b['accuracy'])}, n ="
                f" {count(b['n'])}",
            )
            parts.append(tag("circle", tooltip, cx=px, cy=py, r=4, class_=f"dot s{color}"))
    parts.append(tag("text", "accuracy", x=left + 6, y=top + 12, class_="name"))
    parts.append(tag("text", "confidence", x=WIDTH - 14, y=y(0) + 34, class_="name end"))
    summary = "; ".join(f"{label}: {len(bins)} bins" for label, bins, _ in curves)
    return charts.svg(size + top + 42, f"{title}. {summary}", parts)


def _x(value: float, left: float, right: float) -> float:
    return left + max(0.0, min(1.0, value)) * (right - left)
