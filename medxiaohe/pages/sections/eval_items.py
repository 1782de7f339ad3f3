"""Items of an evaluation as data inside the page, which its script shows a few at a time."""

from __future__ import annotations

import base64
import io as memory
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from medxiaohe import images, io
from medxiaohe.errors import DataError
from medxiaohe.pages.elements.html import Html, clean, count, excerpt, section, tag
from medxiaohe.pages.sections.example_answers import judgement
from medxiaohe.types import ImageRef, Message, Trace

PROMPT, ANSWER, WHY, VARIANT = 6000, 3000, 400, 300  # letters that are kept
IMAGES = 3  # of one item


@dataclass
class Shown:
    """What the page holds: the items, their thumbnails, and how many there are in all."""

    items: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    total: int = 0
    tasks: list[str] = field(default_factory=list)


def collect(run: Path, most: int, thumbnails: int, side: int) -> Shown:
    """Select the items of an evaluation that its page holds, by the hash of their ids.

    Args:
        run: folder of an evals.run stage.
        most: maximum number of items, shared evenly between tasks.
        thumbnails: maximum number of embedded images, shared in the same way.
        side: longer side of a thumbnail in pixels.

    Returns:
        items in the order of traces.jsonl, with the total number of items and all tasks.
    """
    shown = Shown()
    counts: dict[str, int] = {}
    for row in io.read_jsonl(run / "traces.jsonl"):
        counts[row["task"]] = counts.get(row["task"], 0) + 1
    # quotas of items and of thumbnails by task
    shown.total, shown.tasks = sum(counts.values()), list(counts)
    quota = _shares(counts, most)
    pictured = _shares(quota, thumbnails)
    # thresholds on the hash of an id; 2 is above every hash, which is in [0, 1)
    limits = {task: _limit(run, task, quota[task]) if quota[task] < counts[task] else 2.0 for task in counts}
    places: dict[str, int] = {}
    by_id: dict[tuple[str, str], dict[str, Any]] = {}
    for row in io.read_jsonl(run / "traces.jsonl") if most else ():
        task, id = row["task"], row["sample"]["id"]
        if (
            io.unit_interval(task, id) < limits[task]
            and sum(1 for item in shown.items if item["t"] == task) < quota[task]
        ):
            item = _item(row)
            pictured[task] -= _picture(row, item, shown, places, pictured[task], side)
            by_id[task, id] = item
            shown.items.append(item)
    _add_variants(run, by_id)
    return shown


def _shares(counts: Mapping[str, int], most: int) -> dict[str, int]:
    """Share a total between tasks as evenly as their sizes allow."""
    # water-filling: from the smallest task on, each takes an equal share of the rest, at most all its items
    quota, remaining = dict.fromkeys(counts, 0), most
    for i, task in enumerate(sorted(counts, key=lambda task: counts[task])):
        quota[task] = min(counts[task], remaining // (len(counts) - i))
        remaining -= quota[task]
    return quota


def _limit(run: Path, task: str, number: int) -> float:
    """Threshold below which the hashes of `number` items of a task lie."""
    # the hash of rank `number`: exactly so many hashes are below it, unless hashes are equal
    hashes = sorted(
        io.unit_interval(task, row["sample"]["id"])
        for row in io.read_jsonl(run / "traces.jsonl")
        if row["task"] == task
    )
    return hashes[number] if number < len(hashes) else 2.0


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    sample, trace, judged = (
        io.sample_from_json(row["sample"]),
        io.trace_from_json(row["trace"]),
        judgement(row["scores"]),
    )
    gold = sample.messages[-1].text if sample.messages[-1].role == "assistant" else sample.target
    item = {
        "t": row["task"],
        "i": sample.id,
        "p": excerpt(clean(_prompt_text(sample.prompt.messages)), PROMPT),
        "g": excerpt(clean(gold or sample.target), WHY),
        "a": excerpt(clean(_reply_text(trace)), ANSWER),
        "r": excerpt(clean(judged.parsed), WHY),
        "s": judged.verdict,
        "w": excerpt(clean(judged.why), WHY),
    }
    others = [
        [str(s["name"]), "none" if s["value"] is None else f"{s['value']:.3f}"] for s in row["scores"][1:]
    ]
    return item | ({"o": others} if others else {}) | ({"k": row["values"]} if row.get("values") else {})


def _prompt_text(messages: tuple[Message, ...]) -> str:
    """Format the prompt; messages have their role unless there is only one of the user."""
    if len(messages) == 1 and messages[0].role == "user":
        return messages[0].text
    return "\n\n".join(f"[{message.role}]\n{message.text}" for message in messages)


def _reply_text(trace: Trace) -> str:
    """Format the reply; of a conversation, all messages after the prompt."""
    new = trace.messages[len(trace.prompt.messages) :]
    if trace.error:
        return f"(the model failed: {trace.error})"
    if len(new) <= 1:
        return trace.answer
    parts = [f"[{m.role}]\n{m.text or json.dumps(io.to_json(m.parts), ensure_ascii=False)}" for m in new]
    return "\n\n".join(parts)


def _picture(
    row: Mapping[str, Any],
    item: dict[str, Any],
    shown: Shown,
    places: dict[str, int],
    remaining: int,
    side: int,
) -> int:
    """Add thumbnails to an item while the quota of its task lasts; return the number of new ones."""
    refs = io.sample_from_json(row["sample"]).images
    took = 0
    for ref in refs[:IMAGES]:
        key = f"{ref.sha256 or ref.uri} {ref.frame} {ref.box}"
        if key not in places:
            if took >= remaining:
                item["n"] = len(refs)
                continue
            places[key] = len(shown.pictures)
            shown.pictures.append(_thumbnail(ref, side))
            took += 1
        item.setdefault("m", []).append(places[key])
    return took


def _thumbnail(ref: ImageRef, side: int) -> str:
    """A JPEG as base64, or "" for a file that cannot be opened."""
    try:
        pixels = images.open_image(ref)
    except (DataError, ImportError):
        return ""
    pixels.thumbnail((side, side))
    data = memory.BytesIO()
    pixels.save(data, "JPEG", quality=62, optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def _add_variants(run: Path, by_id: Mapping[tuple[str, str], dict[str, Any]]) -> None:
    path = run / "variants.jsonl"
    for row in io.read_jsonl(path) if path.is_file() and by_id else ():
        if (item := by_id.get((row["task"], row["sample"]["id"]))) is not None:
            answer = io.trace_from_json(row["trace"]).answer
            item.setdefault("v", []).append(
                [row["variant"], judgement(row["scores"]).verdict, excerpt(clean(answer), VARIANT)]
            )


def add_other(shown: Shown, base: Path, other: Path) -> dict[str, Counter[str]]:
    """Give each item of `base` the answer of another evaluation, and what changed.

    Returns:
        task -> how many of all items in common are fixed, broke, both right, both wrong.
    """
    # whether the base answered each item right
    first: dict[tuple[str, str], bool] = {}
    for row in io.read_jsonl(base / "traces.jsonl"):
        first[row["task"], row["sample"]["id"]] = judgement(row["scores"]).verdict == "right"
    by_id = {(item["t"], item["i"]): item for item in shown.items}
    counts: dict[str, Counter[str]] = {}
    for row in io.read_jsonl(other / "traces.jsonl"):
        key = row["task"], row["sample"]["id"]
        if key not in first:
            continue
        answered = _item(row)
        change = _change(first[key], answered["s"] == "right")
        counts.setdefault(row["task"], Counter())[change] += 1
        if (item := by_id.get(key)) is not None:
            item["c"] = change
            item["b"] = {name: answered[name] for name in ("a", "r", "s")}
    shown.items = [item for item in shown.items if "c" in item]
    return counts


def _change(base: bool, other: bool) -> str:
    """What became of an item."""
    if base == other:
        return "both right" if base else "both wrong"
    return "broke" if base else "fixed"


def query(**filters: str) -> str:
    """Encode filters of the item list as the page's address holds them.

    Args:
        filters: task or verdict -> value.
    """
    return urlencode(filters, quote_via=quote)


def section_of(shown: Shown) -> Html:
    """Show the item list: filters, an empty list, and the JSON data from which the page's script fills it.

    Args:
        shown: the selected items.
    """
    if not shown.items:
        return section(
            "items",
            "Items",
            tag("p", "Items are not shown on this page; they are in traces.jsonl.", class_="quiet"),
        )
    remaining = (
        f" {count(shown.total - len(shown.items))} more are in traces.jsonl; which are shown depends on the"
        " hash of their id alone."
    )
    words = (
        f"{count(len(shown.items))} of {count(shown.total)}"
        f" items.{remaining if shown.total > len(shown.items) else ''}"
    )
    data = Html("".join(_blocks(shown)))
    return section(
        "items",
        "Items",
        tag("p", words, class_="quiet"),
        tag("noscript", tag("p", "The items are shown by the page's script, which is off.", class_="notice")),
        tag("div", _filters(shown), class_="filters", hidden=True),
        tag("p", "", class_="quiet found", role="status"),
        tag("div", "", class_="items"),
        tag("div", "", class_="pager"),
        data,
    )


def _filters(shown: Shown) -> list[Html]:
    labels = [item.get("c", item["s"]) for item in shown.items]
    verdicts = sorted({item if "of 1" not in item else "partly" for item in labels})
    task = [tag("option", "all tasks", value=""), *(tag("option", name, value=name) for name in shown.tasks)]
    verdict = [
        tag("option", "every verdict", value=""),
        *(tag("option", name, value=name) for name in verdicts),
    ]
    flips = [tag("option", "perturbed or not", value=""), tag("option", "a verdict flipped", value="flipped")]
    results = [
        tag("label", "Task ", tag("select", task, name="task")),
        tag("label", "Verdict ", tag("select", verdict, name="verdict")),
    ]
    if any("v" in item for item in shown.items):
        results.append(tag("label", "Robust ", tag("select", flips, name="flipped")))
    search = tag("input", type="search", name="words", placeholder="words of prompt, answer or id")
    return [*results, tag("label", "Search ", search)]


def _blocks(shown: Shown) -> Iterator[str]:
    for name, value in (("item-data", shown.items), ("picture-data", shown.pictures)):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for letter in "<>&\u2028\u2029":
            text = text.replace(letter, f"\\u{ord(letter):04x}")
        yield f'<script type="application/json" id="{name}">{text}</script>'
