"""The sections about models: scores, scores by entity frequency, examples, what made each number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from medxiaohe.entity.tree.frequency import BUCKETS
from medxiaohe.evals.statistics.readings import UNREAD
from medxiaohe.pages.elements import charts
from medxiaohe.pages.elements.html import (
    Html,
    count,
    decimal,
    details,
    excerpt,
    interval,
    p_value,
    section,
    share,
    signed,
    table,
    tag,
)
from medxiaohe.pages.sections.answer_cards import card
from medxiaohe.pages.sections.artefacts import Run, StageFolder, label
from medxiaohe.pages.sections.example_answers import OUTCOMES, RIGHT, find
from medxiaohe.pages.sections.training_section import settings_table
from medxiaohe.pages.sections.verdicts import ALPHA, Verdict, constant_of, no_better_than_constant, shown
from medxiaohe.scoring.parsers import PARSERS

# ---- scores ----------------------------------------------------------------------------------------


def scores_section(run: Run, tests: Sequence[Verdict]) -> Html:
    """Show the scores of each stage: charts, tables, readings of replies, paired tests and perplexity.

    Args:
        run: with a comparison.
        tests: paired comparisons of the models.
    """
    tasks = run.scores.get("tasks") or {}
    words = (
        "Dots are mean scores from 0 to 1, whiskers 95 % intervals, n the items judged. An answer that could"
        " not be read, or a refusal, counts as 0 and stays in the mean. The dashed line, where there is one,"
        " is what a constant answer scores."
    )
    figures = [_task_chart(run, task, rows) for task, rows in tasks.items()]
    table_rows = [_score_row(task, row) for task, rows in tasks.items() for row in rows]
    head = (
        "Task",
        "Stage",
        "n",
        "Mean",
        "95 % interval",
        "Clusters",
        "Unparsed",
        "Refused",
        "Truncated",
        "Unjudged",
    )
    return section(
        "scores",
        "Scores of each stage",
        tag("p", words, class_="quiet"),
        tag("div", figures, class_="charts"),
        table("Scores: every mean with how many items it covers", head, table_rows, numbers=range(2, 9)),
        _readings(run),
        _paired(tests),
        _perplexity(run),
    )


def _readings(run: Run) -> Html | None:
    """How the replies of each stage were read: the shares that were not, and the mean under every reading."""
    readings = run.scores.get("readings") or {}
    rows: list[Sequence[Any]] = []
    for task, row in readings.items():
        for stage, reading in row["stages"].items():
            parsers = reading.get("parsers") or {"strict": reading["wrong"]}
            means = "; ".join(
                f"{name} {decimal(parsers[name]) or 'none'}" for name in PARSERS if name in parsers
            )
            shares = [share(reading[key], 1) or "0" for key in UNREAD]
            rows.append(
                (task, label(stage), count(reading["n"]), *shares, means, decimal(reading["left_out"]))
            )
    for stage, reading in (run.scores.get("by_model") or {}).items():
        shares = [share(reading[key], 1) or "0" for key in UNREAD]
        rows.append(("all tasks", label(stage), count(reading["n"]), *shares, "", ""))
    head = ("Task", "Stage", "n", "Unparsed", "Refused", "Truncated", "Mean by parser", "Unread left out")
    notices = [tag("p", words, class_="notice") for words in run.scores.get("warnings") or ()]
    caption = "How replies were read, by task and by stage: a parser that reads one style better ranks styles"
    return Html(table(caption, head, rows, numbers=range(2, 6)) + "".join(notices)) if rows else None


MARKS = {
    "better": "\u25b2 better",
    "worse": "\u25bc worse",
    "same": "\u25cf no change",
    "warning": "! caution",
}


def _mark(outcome: str) -> Html:
    return tag("span", MARKS[outcome], class_=f"verdict {outcome}")


def changes(run: Run, tests: Sequence[Verdict]) -> Html:
    """Tabulate the change on each task from each stage to the next, and from the first to the last.

    Args:
        run: with a comparison.
        tests: paired comparisons of the models.
    """
    steps = (
        [*pairwise(run.stages), (run.stages[0], run.stages[-1])]
        if len(run.stages) > 2
        else list(pairwise(run.stages))
    )
    cells = {(v.task, v.a, v.b): v for v in tests}
    rows = [
        (task, *(_change(cells.get((task, a, b))) for a, b in steps))
        for task in dict.fromkeys(v.task for v in tests)
    ]
    caption = "What each stage changed: difference of the means and p after Holm's correction"
    head = ("Task", *(f"{shown(b)} against {a}" for a, b in steps))
    return table(caption, head, rows) if rows else tag("p", "No two stages were compared.", class_="quiet")


def _change(verdict: Verdict | None) -> Html:
    if verdict is None:
        return tag("span", "not tested", class_="quiet")
    size = tag(
        "span",
        f"{MARKS[verdict.outcome][0]} {signed(verdict.difference)}",
        class_=f"verdict {verdict.outcome}",
        title=verdict.sentence,
    )
    return tag("span", size, tag("small", f"p {p_value(verdict.holm)}", class_="quiet"), class_="change")


def warnings(run: Run, tests: Sequence[Verdict]) -> Html:
    """List what did not help: no change, a change for the worse, or no better than a constant answer.

    Args:
        run: with a comparison.
        tests: paired comparisons of the models.

    Returns:
        "" if there is nothing to list.
    """
    items = [tag("li", _mark(v.outcome), " ", v.sentence) for v in tests if v.outcome != "better"]
    items += [tag("li", _mark("warning"), " ", words) for words in no_better_than_constant(run)]
    return Html(tag("h3", "What did not help") + tag("ul", items, class_="verdicts")) if items else Html("")


def _color(run: Run, stage: str) -> int:
    return run.stages.index(stage) if stage in run.stages else 0


def _task_chart(run: Run, task: str, rows: Sequence[Mapping[str, Any]]) -> Html:
    dots = [
        charts.Dot(
            label(row["stage"]),
            row.get("mean"),
            row.get("low"),
            row.get("high"),
            int(row.get("n", 0)),
            _color(run, label(row["stage"])),
        )
        for row in rows
    ]
    constant = next((value for value in (constant_of(row) for row in rows) if value is not None), None)
    reference = None if constant is None else (f"a constant answer: {decimal(constant)}", constant)
    answer = next(
        (
            f" \u201c{excerpt(str(row['constant_answer']), 40)}\u201d"
            for row in rows
            if row.get("constant_answer")
        ),
        " the same",
    )
    caption = f"Always answering{answer}: {decimal(constant)} (dashed)" if constant is not None else None
    return charts.figure(charts.dots(task, dots, "mean score", reference=reference), caption, title=task)


def rate(value: float | None, n: int) -> str:
    """Format a number of items with its share of all.

    Args:
        value: a number of items, or as a float their share.
        n: number of all items.

    Returns:
        such as `3 (1.5 %)`, a percentage for a share, "" for None.
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return share(value, 1) or "0"
    return f"{value:,} ({share(value, n)})" if value and n else count(value)


def _score_row(task: str, row: Mapping[str, Any]) -> Sequence[Any]:
    n = int(row.get("n", 0))
    faults = [rate(row.get(key), n) for key in ("unparsed", "refused", "truncated", "unjudged")]
    return (
        task,
        label(row["stage"]),
        count(n),
        decimal(row.get("mean")),
        interval(row.get("low"), row.get("high")),
        count(row.get("clusters")),
        *faults,
    )


def _paired(tests: Sequence[Verdict]) -> Html:
    head = (
        "Task",
        "Stage",
        "Against",
        "Difference",
        "95 % interval",
        "p",
        "p after Holm",
        "n",
        "Detectable",
        "Outcome",
    )
    rows = [
        (
            v.task, v.b, v.a, signed(v.difference), interval(v.low, v.high), _bare(v.p), _bare(v.holm),
            count(v.n),
            decimal(v.detectable), _mark(v.outcome),
        )
        for v in tests
    ]  # fmt: skip
    caption = (
        f"Paired tests on the same items; a change counts when p after Holm's correction is below {ALPHA}. "
        "Detectable: the smallest true difference that a test of so many items finds with a power of 80 %"
    )
    return table(caption, head, rows, numbers=range(3, 9)) if rows else Html("")


def _bare(p: float | None) -> str:
    return p_value(p).removeprefix("= ")


def _perplexity(run: Run) -> Html:
    measured = (run.scores.get("perplexity") or {}).get("stages") or ()
    columns: list[tuple[str, str, Callable[..., str]]] = [
        ("Bits per token", "bits_per_token", decimal),
        ("Bits per byte", "bits_per_byte", decimal),
    ]
    columns += [("Documents", "documents", count), ("Tokens", "tokens", count)]
    columns = [column for column in columns if any(row.get(column[1]) is not None for row in measured)]
    rows = [(label(row["stage"]), *(shown(row.get(key)) for _, key, shown in columns)) for row in measured]
    caption = (
        "Perplexity on held-out documents, lower is better; bits per token do not compare models with"
        " different tokenizers"
    )
    head = ("Stage", *(name for name, _, _ in columns))
    return table(caption, head, rows, numbers=range(1, len(head))) if rows else Html("")


# ---- head, torso, tail -----------------------------------------------------------------------------


def buckets_section(run: Run) -> Html:
    """Show the scores by entity frequency: head, torso and tail.

    Args:
        run: with a comparison.
    """
    tasks = run.scores.get("buckets") or {}
    if not tasks:
        return section(
            "buckets",
            "Scores by entity frequency",
            tag("p", "The comparison has no scores by entity frequency.", class_="quiet"),
        )
    words = (
        "Items are sorted by how often the training corpus mentions their entities: head is frequent, tail is"
        " rare or never seen. A model that only learned the frequent shows a gap between head and tail."
    )
    figures, rows = [], []
    for task, stages in tasks.items():
        dots = []
        for bucket in BUCKETS:
            for stage, scores in stages.items():
                facts = scores.get(bucket) or {}
                n, name = int(facts.get("n", 0)), label(stage)
                dots.append(
                    charts.Dot(
                        name,
                        facts.get("mean"),
                        facts.get("low"),
                        facts.get("high"),
                        n,
                        _color(run, name),
                        group=bucket,
                    )
                )
                rows.append(
                    (
                        task,
                        bucket,
                        name,
                        count(n),
                        decimal(facts.get("mean")),
                        interval(facts.get("low"), facts.get("high")),
                    )
                )
        figures.append(
            charts.figure(charts.dots(f"{task} by entity frequency", dots, "mean score"), None, title=task)
        )
    element = table(
        "Scores by entity frequency",
        ("Task", "Bucket", "Stage", "n", "Mean", "95 % interval"),
        rows,
        numbers=(3, 4, 5),
    )
    element = details("The same as a table", element)
    return section(
        "buckets",
        "Scores by entity frequency",
        tag("p", words, class_="quiet"),
        tag("div", figures, class_="charts"),
        element,
    )


# ---- examples --------------------------------------------------------------------------------------


def examples_section(run: Run, per_outcome: int, *, pictures: bool) -> Html:
    """Show example answers by outcome, selected by hash.

    Args:
        run: with evaluations.
        per_outcome: examples of each outcome of each task; 0 shows counts only.
        pictures: whether thumbnails are embedded.
    """
    examples, counts = find(run, per_outcome)
    if not counts:
        return section(
            "examples",
            "Example answers",
            tag("p", "No evaluation stage was given to this report.", class_="quiet"),
        )
    first, last = run.examined[0].label, run.examined[-1].label
    explanation = (
        f"Items are sorted by what the first stage ({first}) and the last ({last}) made of them; a score of"
        f" {RIGHT} or more is right."
    )
    if examples:
        explanation += (
            f" Nobody chose the examples: of every outcome of every task, the {per_outcome} items with the"
            " smallest hash"
        )
        explanation += " of their id are shown."
    names = [name for name in OUTCOMES if any(name in per_task for per_task in counts.values())]
    rows = [(task, *(count(per_task.get(name, 0)) for name in names)) for task, per_task in counts.items()]
    buttons = [
        tag("button", name, type="button", data_show=name.replace(" ", "-"), aria_pressed="false")
        for name in names
    ]
    return section(
        "examples",
        "Example answers",
        tag("p", explanation, class_="quiet"),
        table(
            "Items by outcome: all of them, not only those shown",
            ("Task", *names),
            rows,
            numbers=range(1, len(names) + 1),
        ),
        tag(
            "div",
            tag("span", "Show ", class_="quiet"),
            tag("button", "all", type="button", data_show="", aria_pressed="true"),
            buttons,
            class_="filter",
            hidden=True,
        ),
        tag("div", [card(example, pictures=pictures) for example in examples], class_="examples"),
    )


# ---- provenance ------------------------------------------------------------------------------------


def provenance_section(run: Run, extra: Sequence[StageFolder] = ()) -> Html:
    """Tabulate the stages of a run with their seeds, code and settings.

    Args:
        run: all stages of the run.
        extra: further stages, which have no role in the run.
    """
    folders = (*run.folders, *extra)
    rows = [(f"{s.name}@{s.version}", s.uses, seed_of(s), code_of(s)) for s in folders]
    every = [details(f"Settings of {s.name}@{s.version}", settings_table(s)) for s in folders if s.settings]
    return section(
        "provenance",
        "What made these numbers",
        tag(
            "p",
            "Each stage is recorded with its settings, the hashes of its inputs and of its code; the same"
            " recipe leaves the same bytes.",
            class_="quiet",
        ),
        table(f"Stages of the run {run.recipe}", ("Stage", "Kind", "Seed", "Code"), rows),
        every,
    )


def seed_of(stage: StageFolder) -> str:
    """Read the seed of a stage.

    Returns:
        the seed, or "none" if the stage has no such setting.
    """
    value = stage.settings.get("seed")
    return "none" if value is None else str(value)


def code_of(stage: StageFolder) -> str:
    """Identify the code of a stage.

    Returns:
        version of medxiaohe and 8 digits of the code's digest, or "not recorded".
    """
    code = stage.record.get("code") or {}
    return f"{code.get('medxiaohe', '')} {str(code.get('file', ''))[:8]}".strip() or "not recorded"
