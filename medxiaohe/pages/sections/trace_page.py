"""The page of one trace: each sentence of the answer with its ruling, beside its evidence.

Choosing a sentence marks its spans in the passages and its boxes on the pictures. It works offline, asks for
nothing from anywhere, holds no time, and its policy allows its own style and script alone.
"""

from __future__ import annotations

import base64
import io as memory
import json
from collections.abc import Sequence

from medxiaohe import images
from medxiaohe.errors import DataError
from medxiaohe.pages.elements import frame
from medxiaohe.pages.elements.html import Html, count, details, excerpt, plural, section, table, tag
from medxiaohe.pages.sections import trace_steps
from medxiaohe.pages.sections.trace_view import Picture, Sentence, View, passage, pictures, sentences
from medxiaohe.reports.markdown import SIGNS, WORDS
from medxiaohe.traces.records import Record
from medxiaohe.traces.verdict import LEVELS
from medxiaohe.types import ImageRef

SIDE = 1024  # pixels of the longer side of a picture in the page
AROUND = 320  # letters of a document on each side of a passage
MOST = 4000  # letters of one text
MOST_RECORDS = 2000  # of one trace in the page
SYMBOLS = {**SIGNS, "unjudged": "\u25cb"}  # a symbol of its own for each ruling
NO_CLAIM = ("\u00b7", "no claim")
STATES = {"verified": "\u2713", "partly": "~", "not checked": "\u2013", "failed": "\u2717", "reported": "%"}
CLOSED = "Closed: this copy does not open it."


def trace_page(shown: View) -> str:
    """Build the page of a trace.

    Args:
        shown: the trace with what is open of it.

    Returns:
        the HTML document.
    """
    parts = [
        ("answer", "Answer and evidence", _answer(shown)),
        ("roles", "Roles", trace_steps.roles(shown)),
        ("budget", "Budget", trace_steps.budget(shown)),
        ("verification", "Verification", _verification(shown)),
        ("records", "Records", _records(shown)),
    ]
    workflow = shown.head["origin"].get("workflow", "")
    title = f"Trace {shown.index}" + (f" of the workflow {workflow}" if workflow else "")
    body = [section(id, name, content) for id, name, content in parts]
    contents = [(id, name) for id, name, _ in parts]
    return frame.document(
        title, "medxiaohe trace", contents, body, ("report.css", "workflows.css", "trace.css"), ("trace.js",)
    )


def ruling(label: str) -> Html:
    """Show the label of a ruling as a word and a symbol.

    Args:
        label: of a ruling; "" for a sentence without a claim.
    """
    sign, word = (SYMBOLS[label], WORDS[label]) if label else NO_CLAIM
    return tag("span", tag("span", sign, aria_hidden="true"), f" {word}", class_=f"ruling {label or 'none'}")


# ---- answer and evidence ---------------------------------------------------------------------------


def _answer(shown: View) -> list[Html]:
    rows = sentences(shown)
    numbers = {r["id"]: n for n, r in enumerate(shown.of_kind("evidence"), 1)}
    hint = (
        "Choose a sentence to mark the spans and boxes that its rulings rest on, and again to unmark them."
        if any(row.evidence for row in rows)
        else "No sentence names evidence."
    )
    left = [
        _question(shown),
        tag("h3", "Answer"),
        tag("ol", [_sentence(row, shown, numbers) for row in rows], class_="sentences")
        if rows
        else tag("p", CLOSED if shown.answer["id"] not in shown.values else "The answer is empty."),
        *_removed(shown),
    ]
    right = [
        tag("h3", "Evidence"),
        tag("p", hint, class_="quiet", id="marked", role="status"),
        *(_picture(picture, shown, numbers) for picture in pictures(shown)),
        *(_passage(item, shown, numbers) for item in shown.of_kind("evidence")),
    ]
    evidence = tag("div", right, class_="evidence", tabindex=0, role="region", aria_label="Evidence")
    return [tag("div", tag("div", left), evidence, class_="reading")]


def _question(shown: View) -> Html:
    value = shown.values.get("source/0")
    if value is None:
        return tag("p", f"The question is closed. {CLOSED}", class_="quiet")
    texts = [p for m in value.get("messages", ()) for p in m["parts"] if isinstance(p, str)]
    return details("Question", tag("p", excerpt("\n\n".join(texts), MOST), class_="words given"), open_=True)


def _sentence(row: Sentence, shown: View, numbers: dict[str, int]) -> Html:
    named = [numbers[id] for id in row.evidence if id in numbers]
    button = tag(
        "button",
        tag("span", row.text, class_="said"),
        " ",
        ruling(row.label),
        type="button",
        class_="sentence",
        aria_pressed="false",
        data_evidence=" ".join(row.evidence),
    )
    links = [tag("a", f"evidence {n}", href=f"#evidence-{n}") for n in named]
    spaced = [part for link in links for part in (link, " ")]
    why = [_why(claim, shown) for claim in row.claims]
    return tag("li", button, tag("div", spaced, why, class_="why") if links or why else None)


def _why(claim: str, shown: View) -> Html:
    """Show a claim of a sentence, and every ruling on it with its reason."""
    value = shown.values.get(claim)
    words = str(value["claim"].get("text", "")) if value else CLOSED
    rows = [
        tag("span", ruling(item["label"]), " ", _reason(item, shown), class_="reason")
        for item in shown.rulings_on(claim)
    ]
    return tag("p", tag("q", excerpt(words, 300)), " ", rows or ruling("unjudged"), class_="claim")


def _reason(record: Record, shown: View) -> str:
    value = shown.values.get(record["id"])
    why = str(value.get("why", "")) if value else ""
    return " ".join(filter(None, [f"by {record['by']}." if record["by"] else "", excerpt(why, 300)]))


def _removed(shown: View) -> list[Html]:
    """List the sentences of a draft that its report does not contain."""
    notes = [r for r in shown.of_kind("decision") if r["who"] == "decisions" and r["id"] in shown.values]
    sentences_ = shown.values[notes[-1]["id"]].get("given") if notes else None
    cut = [row for row in sentences_ or () if isinstance(row, dict) and row.get("section") == "cut"]
    if not cut:
        return []
    why = [excerpt(str(row.get("why", "")), 300) for row in cut]
    items = [
        tag("li", tag("s", row["text"]), " ", ruling(row["label"]), " ", reason)
        for row, reason in zip(cut, why, strict=True)
    ]
    return [tag("h3", "Removed from the draft"), tag("ul", items, class_="removed")]


def _passage(record: Record, shown: View, numbers: dict[str, int]) -> Html | None:
    """Show evidence in the context of its document."""
    n = numbers[record["id"]]
    value = shown.values.get(record["id"])
    title = tag("h4", f"Evidence {n}: {record['of']}")
    if value is None:
        return tag("article", title, tag("p", CLOSED, class_="quiet"), class_="piece", id=f"evidence-{n}")
    row = value["evidence"]
    before, text, behind = passage(shown, record)
    at = row.get("at") or {}
    location = f", letters {at['span'][0]} to {at['span'][1]}" if at.get("span") else ""
    if at.get("box"):
        location = f", box {', '.join(map(str, at['box']))} in pixels"
    source = excerpt(str(row.get("source") or row.get("by") or "no source named"), 200)
    about = f"{source}{location}"
    words = tag(
        "p",
        ("\u2026" if len(before) > AROUND else "") + before[-AROUND:],
        tag("mark", excerpt(text, MOST)),
        behind[:AROUND] + ("\u2026" if len(behind) > AROUND else ""),
        class_="words given",
    )
    return tag(
        "article", title, tag("p", about, class_="quiet"), words,
        class_="piece", id=f"evidence-{n}", data_evidence=record["id"],
    )  # fmt: skip


def _picture(picture: Picture, shown: View, numbers: dict[str, int]) -> Html:
    """Show a picture with its boxes, or a sentence if it cannot be shown."""
    path = shown.blobs.path(picture.sha256)
    name = f"Image {picture.sha256[:12]}" + (f", frame {picture.frame}" if picture.frame is not None else "")
    if path is None:
        why = "Its file is not in blobs/."
        return tag("figure", tag("figcaption", f"{name}. {why}"), class_="picture-of")
    try:
        pixels = images.open_image(ImageRef(str(path), frame=picture.frame))
    except (DataError, ImportError):
        return tag("figure", tag("figcaption", f"{name}. It does not decode here."), class_="picture-of")
    width, height = pixels.size
    pixels.thumbnail((SIDE, SIDE))
    data = memory.BytesIO()
    pixels.convert("RGB").save(data, "JPEG", quality=85)
    uri = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    boxes = [
        tag(
            "rect", tag("title", f"Evidence {numbers[id]}: {excerpt(words, 80)}"),
            x=left, y=top, width=right - left, height=bottom - top,
            class_="box", data_evidence=id, vector_effect="non-scaling-stroke",
        )
        for id, (left, top, right, bottom), words in picture.boxes
    ]  # fmt: skip
    label = f"{name}, {width} by {height} pixels, {plural(len(boxes), 'box', 'boxes')}"
    drawn = tag(
        "svg", tag("image", href=uri, width=width, height=height), boxes,
        viewBox=f"0 0 {width} {height}", role="img", aria_label=label,
    )  # fmt: skip
    return tag("figure", drawn, tag("figcaption", label), class_="picture-of")


# ---- verification and records ----------------------------------------------------------------------


def _verification(shown: View) -> list[Html]:
    verdict = shown.verdict
    rows = []
    for name, says in LEVELS.items():
        level, state = verdict.levels[name], verdict.state(name)
        why = [f"{reason} ({n:,})" for reason, n in sorted(level.reasons.items())]
        if state == "reported":
            share, low, high = level.interval()
            agree = f"{level.agrees:,} of {level.checked:,} agree"
            why.insert(0, f"{agree}: {share:.3f} ({low:.3f} to {high:.3f})")
        shown_state = tag("span", tag("span", STATES[state], aria_hidden="true"), f" {state}",
                          class_=f"ruling state {state.replace(' ', '-')}")  # fmt: skip
        rows.append((name, shown_state, count(level.checked), count(level.not_checked), count(level.closed),
                     f"{says}. {'; '.join(why)}"))  # fmt: skip
    head = ("level", "state", "checked", "not checked", "closed", "what it says, and what was not checked")
    bad = [tag("li", str(problem)) for problem in verdict.problems[:50]]
    return [
        table(f"The folder of {plural(verdict.traces, 'trace')}", head, rows, numbers=(2, 3, 4)),
        tag("p", "Bad records:") if bad else tag("p", "No record is bad."),
        tag("ul", bad, class_="bad") if bad else Html(""),
        tag("p", "What nobody can check: whether a model really gave the recorded replies, and whether who"
            " signed told the truth.", class_="quiet"),
    ]  # fmt: skip


def _records(shown: View) -> list[Html]:
    origin = table("Origin", ("what", "value"), sorted(shown.head["origin"].items()))
    rows = [_record(record, shown) for record in shown.records[:MOST_RECORDS]]
    remaining = len(shown.records) - len(rows)
    return [
        tag("p", "SHA-256 of the head, which is the name of the trace: ", tag("code", shown.name)),
        origin,
        details(plural(len(shown.records), "record"), rows),
        tag("p", f"{remaining:,} more records are in the log.", class_="quiet") if remaining else Html(""),
    ]


def _record(record: Record, shown: View) -> Html:
    public = {k: v for k, v in record.items() if k not in ("id", "kind", "leaves")}
    lines: Sequence[str] = [json.dumps(public, ensure_ascii=False, sort_keys=True)]
    if record["id"] in shown.values:
        lines = [*lines, json.dumps(shown.values[record["id"]], ensure_ascii=False, sort_keys=True)]
    elif "sealed" in record:
        lines = [*lines, CLOSED]
    return tag(
        "div", tag("h3", record["id"]), [tag("p", excerpt(line, MOST), class_="words") for line in lines]
    )
