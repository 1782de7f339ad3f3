"""SVG charts, coloured by the page's style sheet: lines, dots with whiskers, bars.

Every chart is about as wide as a telephone, so that its letters stay readable there; a wide screen
shows several side by side.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from medxiaohe.pages.elements.html import Html, count, decimal, excerpt, significant, tag

WIDTH = 400
SERIES = 6  # how many series colours the style sheet has


@dataclass(frozen=True)
class Line:
    """A series of (x, y) points in ascending x; `color` is a series number, from 0."""

    label: str
    points: Sequence[tuple[float, float]]
    color: int = 0
    faint: bool = False


@dataclass(frozen=True)
class Dot:
    """A mean with its interval, from 0 to 1, and the number of items; None if there is no mean."""

    label: str
    mean: float | None
    low: float | None
    high: float | None
    n: int
    color: int = 0
    group: str = ""  # a heading is drawn where it changes


@dataclass(frozen=True)
class Bar:
    """A bar with a note, such as its value in words; `color` is a CSS class."""

    label: str
    value: float
    note: str
    color: str = "bar"


def figure(svg: Html, caption: object, title: str = "") -> Html:
    """Frame a chart as an HTML figure.

    Args:
        svg: the chart.
        caption: text or markup below it; None for no caption.
        title: a line above it; "" for none.
    """
    return tag(
        "figure",
        tag("p", title, class_="title") if title else None,
        svg,
        tag("figcaption", caption) if caption else None,
    )


def svg(height: float, title: str, *children: object) -> Html:
    """Wrap the elements of a chart in an accessible SVG, `WIDTH` units wide.

    Args:
        height: in the same units.
        title: read by screen readers, so it also has the numbers in words.
        children: elements of the chart.
    """
    return tag(
        "svg", children, viewBox=f"0 0 {WIDTH} {height:.0f}", role="img", aria_label=title, class_="chart"
    )


# ---- scales --------------------------------------------------------------------------------------


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Choose round tick values (steps of 1, 2, 2.5 or 5 times a power of ten) that cover a range.

    Args:
        low: smallest value; an empty range is widened to about its own size.
        high: largest value.
        about: number of steps to aim at.

    Returns:
        ascending values, the first at most `low`, the last at least `high`.
    """
    # an empty range has no scale: widen it by half its magnitude on each side
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1)
    # the smallest round step m * 10^k that is at least the raw step; 0.999 and 1e-9 absorb rounding errors
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    # multiples of the step that enclose the range
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def decades(high: float) -> list[float]:
    """Choose the tick values of a logarithmic axis from 1.

    Args:
        high: largest value.

    Returns:
        powers of ten: 1, 10, ... up to the first that is not below `high`; at least two of them.
    """
    return [10.0**i for i in range(max(1, math.ceil(math.log10(max(high, 1)) - 1e-9)) + 1)]


def _scale(marks: Sequence[float], start: float, end: float, log: bool) -> Callable[[float], float]:
    # linear interpolation of f(value) between the outer marks: f is the identity or log10
    f: Callable[[float], float] = math.log10 if log else lambda value: value
    low, high = f(marks[0]), f(marks[-1])
    return lambda value: start + (f(value) - low) / (high - low) * (end - start)


# ---- lines ---------------------------------------------------------------------------------------


def lines(
    title: str,
    series: Sequence[Line],
    x_label: str,
    y_label: str,
    *,
    log: bool = False,
    bands: Sequence[tuple[str, float]] = (),
) -> Html:
    """Draw line charts over a common x axis.

    Args:
        title: for screen readers.
        series: lines of (x, y) points in ascending x; those that are `faint` are not described.
        x_label: name of the x axis.
        y_label: name of the y axis.
        log: both axes are logarithmic; values are then at least 1.
        bands: (name, first x) of shaded ranges, which end where the next one begins.

    Returns:
        an SVG, or a paragraph if there is no point.
    """
    points = [p for line in series for p in line.points]
    if not points:
        return tag("p", f"{title}: nothing was recorded.", class_="quiet")
    # the plotting area in SVG units: room for tick labels at the left and below
    left, right, top, bottom, height = 54, WIDTH - 14, 26, 216, 262
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    x_ticks = decades(max(xs)) if log else [t for t in ticks(min(xs), max(xs)) if t <= max(xs)]
    x_marks = x_ticks if log else [min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1]
    y_marks = decades(max(ys)) if log else ticks(min(ys), max(ys))
    x, y = _scale(x_marks, left, right, log), _scale(y_marks, bottom, top, log)
    parts: list[Html] = []
    # shaded bands, clipped to the axis; a name is drawn where at least 30 units are free
    edges = [*(start for _, start in bands), x_marks[-1]]
    for i, (name, start) in enumerate(bands):
        begin, end = (x(min(max(value, x_marks[0]), x_marks[-1])) for value in (start, edges[i + 1]))
        parts.append(
            tag(
                "rect",
                x=begin,
                y=top,
                width=max(end - begin, 0.0),
                height=bottom - top,
                class_=f"band{i % 2}",
            )
        )
        if end - begin > 30:
            parts.append(tag("text", name, x=(begin + end) / 2, y=top + 13, class_="tick middle"))
    # grid lines and tick labels
    for value in y_marks:
        parts.append(tag("line", x1=left, x2=right, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", _tick(value), x=left - 6, y=y(value) + 4, class_="tick end"))
    for value in x_ticks:
        if x_marks[0] <= value <= x_marks[-1]:
            parts.append(tag("line", x1=x(value), x2=x(value), y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(tag("text", _tick(value), x=x(value), y=bottom + 18, class_="tick middle"))
    parts.append(tag("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
    for line in series:
        if line.points:
            parts.append(_path(line, x, y))
    parts.append(tag("text", y_label, x=4, y=14, class_="name"))
    parts.append(tag("text", x_label, x=right, y=height - 6, class_="name end"))
    # numbers in words, for screen readers
    description = "; ".join(
        f"{line.label}: from {significant(line.points[0][1])} to {significant(line.points[-1][1])}"
        for line in series
        if line.points and not line.faint
    )
    return svg(height, f"{title}. {description}", parts)


def _path(line: Line, x: Callable[[float], float], y: Callable[[float], float]) -> Html:
    style = f"line{' faint' if line.faint else ''} s{line.color % SERIES}"
    if len(line.points) == 1:
        return tag(
            "circle",
            cx=x(line.points[0][0]),
            cy=y(line.points[0][1]),
            r=4,
            class_=f"dot s{line.color % SERIES}",
        )
    d = "M" + "L".join(f"{x(px):.1f} {y(py):.1f}" for px, py in line.points)
    return tag("path", tag("title", line.label), d=d, class_=style)


def _tick(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value / 1e6:g} M" if abs(value) >= 1e6 else f"{value / 1e3:g} k"
    return f"{value:,.10g}".replace("-", "\u2212")


def smooth(points: Sequence[tuple[float, float]], windows: int = 20) -> list[tuple[float, float]]:
    """Compute the trailing mean of a curve.

    Args:
        points: (x, y) in order.
        windows: the window has len(points) // windows points, at least 1; it is shorter at the beginning.

    Returns:
        as many points, with the same x.
    """
    # window in points: a twentieth of the curve by default
    width = max(1, len(points) // windows)
    result = []
    for i in range(len(points)):
        window = [value for _, value in points[max(0, i - width + 1) : i + 1]]
        result.append((points[i][0], sum(window) / len(window)))
    return result


def thin(points: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """Subsample a curve evenly by index.

    Args:
        points: in order.
        most: maximum number of points, at least 2.

    Returns:
        at most `most` points, with the first and the last.
    """
    if len(points) <= most:
        return list(points)
    # indices at equal distances, rounded to the nearest point
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


# ---- dots and bars ---------------------------------------------------------------------------------


def dots(
    title: str, rows: Sequence[Dot], x_label: str, *, reference: tuple[str, float] | None = None
) -> Html:
    """Draw one row for each mean: a dot, its interval as whiskers, and n at the right.

    Args:
        title: for screen readers.
        rows: means in order; a heading is drawn where `group` changes.
        x_label: name of the axis, which covers at least 0 to 1.
        reference: (name, value) of a vertical line, such as a baseline; None for none.
    """
    values = [v for row in rows for v in (row.mean, row.low, row.high) if v is not None]
    # scores are from 0 to 1; the axis is longer only for values outside
    marks = ticks(min([0.0, *values]), max([1.0, *values]))
    left, right, y = 84, WIDTH - 98, 30.0
    x = _scale(marks, left, right, False)
    body, group = list[Html](), ""
    for row in rows:
        if row.group != group:
            group = row.group
            body.append(tag("text", group, x=4, y=y + 4, class_="group"))
            y += 22
        body += _dot(row, x, y, left)
        y += 24
    bottom = y - 6
    parts = [tag("line", x1=x(m), x2=x(m), y1=18, y2=bottom, class_="grid") for m in marks]
    parts += [tag("text", _tick(m), x=x(m), y=bottom + 16, class_="tick middle") for m in marks]
    if reference is not None:
        parts.append(
            tag(
                "line",
                tag("title", reference[0]),
                x1=x(reference[1]),
                x2=x(reference[1]),
                y1=18,
                y2=bottom,
                class_="reference",
            )
        )
    parts.append(tag("text", x_label, x=left, y=12, class_="name"))
    parts.append(tag("text", "n", x=WIDTH - 6, y=12, class_="name end"))
    description = "; ".join(
        f"{row.group + ' ' if row.group else ''}{row.label}: {decimal(row.mean)}, n = {row.n:,}"
        for row in rows
    )
    return svg(bottom + 24, f"{title}. {description}", parts, body)


def _dot(row: Dot, x: Callable[[float], float], y: float, left: float) -> list[Html]:
    parts = [tag("text", excerpt(row.label, 12), x=left - 10, y=y + 4, class_="label end")]
    color = f"s{row.color % SERIES}"
    if row.mean is None:
        return [*parts, tag("text", "no answers", x=left + 4, y=y + 4, class_="tick")]
    if row.low is not None and row.high is not None:
        parts.append(tag("line", x1=x(row.low), x2=x(row.high), y1=y, y2=y, class_=f"whisker {color}"))
        parts += [
            tag("line", x1=x(end), x2=x(end), y1=y - 4, y2=y + 4, class_=f"whisker {color}")
            for end in (row.low, row.high)
        ]
    parts.append(tag("circle", cx=x(row.mean), cy=y, r=5, class_=f"dot {color}"))
    parts.append(tag("text", decimal(row.mean), x=WIDTH - 52, y=y + 4, class_="value end"))
    parts.append(tag("text", count(row.n), x=WIDTH - 6, y=y + 4, class_="tick end"))
    return parts


def bars(title: str, rows: Sequence[Bar], *, most: float | None = None) -> Html:
    """Draw horizontal bars, each with its name and its note above it.

    Args:
        title: for screen readers.
        rows: bars in order, with values of at least 0.
        most: value of a full bar; None for the largest of `rows`.
    """
    # value of a full bar; 1 if all are 0, against a division by zero
    top = most or max((row.value for row in rows), default=0) or 1
    parts = list[Html]()
    for i, row in enumerate(rows):
        y = 40 * i
        parts.append(tag("text", excerpt(row.label, 34), x=0, y=y + 14, class_="label"))
        parts.append(tag("text", row.note, x=WIDTH, y=y + 14, class_="value end"))
        parts.append(tag("rect", x=0, y=y + 20, width=WIDTH, height=10, rx=2, class_="rail"))
        parts.append(
            tag(
                "rect",
                x=0,
                y=y + 20,
                width=max(WIDTH * row.value / top, 1.5 if row.value else 0.0),
                height=10,
                rx=2,
                class_=row.color,
            )
        )
    description = "; ".join(f"{row.label}: {row.note}" for row in rows)
    return svg(40 * len(rows) or 10, f"{title}. {description}", parts)


def strip(title: str, shares: Sequence[tuple[str, float]]) -> Html:
    """Draw one stacked bar of shares.

    Args:
        title: for screen readers.
        shares: (CSS class, value) in order; the values are scaled to the whole width.
    """
    total, x, parts = sum(value for _, value in shares) or 1, 0.0, list[Html]()
    for color, value in shares:
        # share of the 160 units of the strip
        width = 160 * value / total
        parts.append(tag("rect", x=x, y=0, width=width, height=12, class_=color))
        x += width
    return tag(
        "svg",
        parts,
        viewBox="0 0 160 12",
        width=160,
        height=12,
        preserveAspectRatio="none",
        role="img",
        aria_label=title,
        class_="strip",
    )


def legend(items: Sequence[tuple[str, int]]) -> Html:
    """List names beside the colours of their series.

    Args:
        items: (name, series number); numbers repeat after `SERIES`.
    """
    keys = [
        tag("span", tag("span", class_=f"key s{color % SERIES}"), name, class_="item")
        for name, color in items
    ]
    return tag("span", keys, class_="legend")
