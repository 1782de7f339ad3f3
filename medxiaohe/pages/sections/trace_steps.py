"""Steps of a trace by role, side by side, and the cost of each role."""

from __future__ import annotations

from collections import Counter

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.pages.elements.html import Html, count, plural, table, tag
from medxiaohe.pages.sections import talks
from medxiaohe.pages.sections.trace_view import View
from medxiaohe.traces.records import Record

STEPS = ("generation", "call", "decision")
MOST_STEPS = 400
STOPS = {
    "answered": "It answered.",
    "budget": "Its budget was spent.",
    "refused": "It refused.",
    "failed": "It failed.",
    "": "Why it stopped is not recorded.",
}


def roles(shown: View) -> list[Html]:
    """Show the steps of a trace in one column for each role, tool and kind of note.

    Args:
        shown: the trace; at most `MOST_STEPS` steps are shown.
    """
    columns: dict[str, list[Html]] = {}
    steps = shown.of_kind(*STEPS)
    for record in steps[:MOST_STEPS]:
        columns.setdefault(_role(record), []).append(_step(record, shown))
    if not columns:
        return [tag("p", "No steps were recorded.")]
    results = [
        tag("div", tag("h3", name), tag("p", plural(len(rows), "step"), class_="quiet"), rows, class_="role")
        for name, rows in columns.items()
    ]
    remaining = len(steps) - MOST_STEPS
    return [
        tag("p", "Steps are numbered in the order in which they were asked.", class_="quiet"),
        tag("div", results, class_="columns", tabindex=0, role="region", aria_label="Steps by role"),
        tag("p", f"{remaining:,} more steps are in the log.") if remaining > 0 else Html(""),
    ]


def budget(shown: View) -> list[Html]:
    """Tabulate requests, tool calls and tokens by role, and state why the workflow stopped.

    Args:
        shown: the trace.
    """
    asks, calls = Counter[str](), Counter[str]()
    tokens_in, tokens_out = Counter[str](), Counter[str]()
    for record in shown.of_kind("generation", "call"):
        name = _role(record)
        (asks if record["kind"] == "generation" else calls)[name] += 1
        tokens_in[name] += record["tokens_in"]
        tokens_out[name] += record["tokens_out"]
    names = list(dict.fromkeys([*asks, *calls]))
    rows = [(name, *(count(item[name]) for item in (asks, calls, tokens_in, tokens_out))) for name in names]
    total = ("all", *(count(sum(item.values())) for item in (asks, calls, tokens_in, tokens_out)))
    head = ("role", "asks", "calls of tools", "tokens in", "tokens out")
    stop = STOPS.get(shown.answer["stop"], shown.answer["stop"])
    error = (shown.values.get(shown.answer["id"]) or {}).get("error", "")
    return [
        table("What it took", head, [*rows, total], numbers=(1, 2, 3, 4)),
        tag("p", " ".join(filter(None, [stop, str(error)]))),
    ]


def _role(record: Record) -> str:
    if record["kind"] == "generation":
        return str(record["who"] or talks.DEFAULT)
    return f"tool {record['who']}" if record["kind"] == "call" else "notes"


def _step(record: Record, shown: View) -> Html:
    number = tag("span", f"{record['step'] + 1}", class_="number")
    value = shown.values.get(record["id"])
    keys = ("who", "model", "after", "tokens_in", "tokens_out")
    public = {key: record[key] for key in keys}
    try:
        if value is not None:
            row = {"n": record["step"], "kind": record["of"], **public, **value}
            return talks.step_details(io.step_from_json(row), True, number)
    except (DataError, KeyError, TypeError):
        pass
    facts = f"{count(record['tokens_in'])} + {count(record['tokens_out'])} tokens, closed"
    return tag("p", number, " ", tag("span", facts, class_="quiet"), class_=f"step {record['of']}")
