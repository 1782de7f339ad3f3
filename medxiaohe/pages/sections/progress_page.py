"""The progress page of a run: stages done, time that remains, curves of the stage that trains now.

It is written again while the run goes on, and a browser loads it again; once the run has ended it stays as
it is. It holds times, so it is no result: the report of a run (the stage `pages.run`) is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medxiaohe import io, progress
from medxiaohe.pages.elements import frame
from medxiaohe.pages.elements.html import Html, count, plural, section, table, tag
from medxiaohe.pages.sections.training_section import MAIN, curve, curves_of
from medxiaohe.progress import clock
from medxiaohe.recipe import run, status

NAME = "progress.html"  # in the run folder
REFRESH = 5  # seconds
METRICS = "metrics.jsonl"


def write(out: Path, *, failed: str = "") -> None:
    """Write the page of a run folder into it.

    Args:
        failed: why the run ended before its last stage; "" where it has not.
    """
    io.write_text(out / NAME, page(out, failed=failed))


def page(out: Path, *, failed: str = "", now: float | None = None) -> str:
    """The page as HTML.

    Args:
        now: seconds since 1970; the clock of this machine where left out.
    """
    state, moment = status.state(out), time.time() if now is None else now
    goes_on = bool(state.process) and not failed and len(state.done) < len(state.stages)
    title = f"{out.resolve().name}: {_title(state, goes_on, failed)}"
    sections = [_overall(state, moment, goes_on, failed, out), _stages(state, moment, out)]
    contents = [("overall", "Overall"), ("stages", "Stages")]
    if charts_of := _curves(state, out):
        sections.append(section("curves", "Curves", charts_of))
        contents.append(("curves", "Curves"))
    return frame.document(
        title, "Run", contents, sections, ["report.css"], ["report.js"], refresh=REFRESH if goes_on else 0
    )


def _title(state: status.State, goes_on: bool, failed: str) -> str:
    if failed:
        return "stopped"
    return f"{state.running or 'between stages'}" if goes_on else "finished"


def _overall(state: status.State, now: float, goes_on: bool, failed: str, out: Path) -> Html:
    num_done = sum(name in state.done for name in state.stages)
    parts: list[Any] = [tag("p", f"{num_done} of {plural(len(state.stages), 'stage')} done.")]
    total = sum(state.minutes.get(name, 0.0) for name in state.stages)
    if total and state.stages:
        ended = sum(state.minutes.get(name, 0.0) for name in state.stages if name in state.done)
        fraction, seconds = ended / total, 60 * _minutes_left(state, now, out)
        parts.append(
            tag(
                "progress",
                value=round(fraction, 3),
                max=1,
                class_="whole",
                aria_label="part of the run that is done",
            )
        )
        if goes_on:
            parts.append(tag("p", f"About {clock(seconds)} left."))
    if failed:
        parts.append(tag("p", tag("span", "! stopped", class_="verdict warning"), f" {failed}"))
    if goes_on:
        written = time.strftime("%H:%M:%S", time.localtime(now))
        parts.append(
            tag(
                "p",
                f"As of {written}; loads again every {REFRESH} seconds. If it stands still for minutes, ",
                tag("code", "medxiaohe status"),
                " with this folder says whether the run is still active.",
                class_="quiet",
            )
        )
    for name in state.stages:
        for file in ("index.html", "MODEL_CARD.md"):
            if name in state.done and (state.done[name] / file).is_file():
                link = (state.done[name] / file).relative_to(out).as_posix()
                parts.append(tag("p", tag("a", f"{name}: {file}", href=link)))
    return section("overall", "Overall", parts)


def _minutes_left(state: status.State, now: float, out: Path) -> float:
    """Minutes left: the recipe's own for stages to come, scaled by how long finished ones took."""
    took = {name: seconds / 60 for (name, _), seconds in run.seconds(out).items()}
    # pace: measured minutes over the recipe's minutes, of finished stages; 1 if none can be compared
    timed = [name for name in state.done if name in took and state.minutes.get(name)]
    expected = sum(state.minutes[name] for name in timed)
    pace = sum(took[name] for name in timed) / expected if expected else 1.0
    # expected minutes of all unfinished stages, less those the running one has used (at most its own)
    remaining = pace * sum(state.minutes.get(name, 0.0) for name in state.stages if name not in state.done)
    elapsed = (now - state.started) / 60 if state.running else 0.0
    return max(0.0, remaining - min(elapsed, pace * state.minutes.get(state.running, 0.0)))


def _stages(state: status.State, now: float, out: Path) -> Html:
    took, meter = run.seconds(out), _notes(out, progress.METER)
    rows = []
    for name in state.stages:
        if name == state.running:
            rows.append((name, clock(now - state.started), f"running{_advance(meter)}"))
        elif name in state.done:
            seconds = took.get((name, state.done[name].name))
            rows.append((name, "" if seconds is None else clock(seconds), "done"))
        else:
            rows.append((name, "", "to run"))
    return section(
        "stages", "Stages", table("Stages of the recipe", ("Stage", "Time", "State"), rows, numbers=(1,))
    )


def _advance(meter: Mapping[str, Any]) -> str:
    """`: vision 120 of 900, 1:20 left`; "" where the stage has not advanced a meter."""
    done, total, seconds = meter.get("done"), meter.get("total"), meter.get("seconds", 0.0)
    if not done:
        return ""
    text = f": {meter.get('label', '')} {count(done)}"
    return f"{text} of {count(total)}, {clock(seconds * (total - done) / done)} left" if total else text


def _curves(state: status.State, out: Path) -> list[Html]:
    """Charts of the stage that trains now, then of those that have trained, the newest first."""
    results: list[Html] = []
    if state.running and (rows := _rows(out / run.NOTES / progress.MEASURED)):
        results.append(_charts(f"{state.running}, so far", rows))
    for name in reversed(state.stages):
        if name in state.done and (rows := _rows(state.done[name] / METRICS)):
            results.append(_charts(name, rows))
    return results


def _charts(name: str, rows: list[dict[str, Any]]) -> Html:
    curves = curves_of(rows)
    drawn = [curve(name, key, curves[key]) for key in MAIN if key in curves]
    return tag("div", tag("h3", name), tag("div", drawn, class_="charts"))


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:  # the last line, half written
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _notes(out: Path, name: str) -> dict[str, Any]:
    rows = _rows(out / run.NOTES / name)
    return rows[0] if rows else {}
