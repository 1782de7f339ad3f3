"""Sections of the corpus page: row accounts of every stage, coverage, synthetic rows, de-identification,
the mixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from medxiaohe import io
from medxiaohe.entity.tree.frequency import BUCKETS, buckets
from medxiaohe.pages.elements import charts
from medxiaohe.pages.elements.html import Html, count, details, excerpt, plural, section, share, table, tag
from medxiaohe.pages.sections.artefacts import Run, StageFolder

EXAMPLES = 2  # rows shown of each kind that was written
LEVELS = ((1, 2, "1 or 2"), (3, 9, "3 to 9"), (10, 10**12, "10 or more"))  # samples that mention an entity
NOTHING = Html("")


def summary(run: Run, extra: Sequence[StageFolder]) -> Html:
    """Show the main counts of a corpus: records, rows of the mixture, entities, contaminated rows.

    Args:
        run: the stages from tree to mixture.
        extra: further stages; not used here.
    """
    read, selected = run.corpus.summary.get("read", 0), run.curated.summary.get("kept", 0)
    drawn = {name: run.mixture.summary.get(name, 0) for name in ("documents", "instructions", "prompts")}
    before, after = run.corpus.json("coverage.json"), run.mixture.json("coverage.json")
    leaks = run.curated.json("contamination.json")
    items = plural(sum(leaks.get("checked", {}).values()), "item")
    tiles = [
        (
            "Records found",
            count(read),
            f"{count(selected)} kept after cleaning ({share(selected, read) or '0 %'})",
        ),
        (
            "Rows in the mixture",
            count(sum(drawn.values())),
            ", ".join(f"{count(n)} {name}" for name, n in drawn.items()),
        ),
        ("Entities mentioned", count(len(before)), f"as read; {count(len(after))} in the mixture"),
        ("Rows that gave away test items", count(len(leaks.get("matches", ()))), f"{items} were checked"),
    ]
    shown = [
        tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", note, class_="quiet")))
        for name, value, note in tiles
    ]
    return section("summary", "Summary", tag("dl", shown, class_="tiles"))


# ---- accounts ----------------------------------------------------------------------------------------------
# ----------------


def accounts(run: Run, extra: Sequence[StageFolder]) -> Html:
    """Tabulate rows that each stage read, wrote, dropped and could not read, with reasons.

    Args:
        run: the stages from tree to mixture.
        extra: further stages, in order.
    """
    rows, why = [], list[Html]()
    for stage in _in_order(run, extra):
        if account := stage.summary.get("account"):
            dropped, dead = account.get("dropped") or {}, account.get("dead") or {}
            lost = count(sum(dropped.values())), count(sum(dead.values()))
            rows.append((stage.name, count(account["read"]), count(account["written"]), *lost))
            if reasons := _reasons({**dropped, **dead}):
                why.append(tag("li", tag("b", f"{stage.name}: "), reasons))
    lead = (
        "Every stage accounts for each row it was given: read = written + dropped + unreadable. A stage that"
        " cannot stops the run."
    )
    head = ("Stage", "Read", "Written", "Dropped", "Unreadable")
    return section(
        "accounts",
        "Accounts",
        tag("p", lead, " Rows that a stage makes anew count as read."),
        table("Rows of each stage: read, written, dropped", head, rows, numbers=(1, 2, 3, 4)),
        [tag("p", "Why, the most frequent reason first:", class_="quiet"), tag("ul", why)] if why else None,
    )


def _reasons(counts: Mapping[str, int]) -> str:
    ranked = sorted(
        ((number, reason) for reason, number in counts.items() if number),
        key=lambda pair: (-pair[0], pair[1]),
    )
    return ", ".join(f"{reason.replace('_', ' ')} {number:,}" for number, reason in ranked)


# ---- coverage ----------------------------------------------------------------------------------------------
# ------------------


def covered(run: Run, extra: Sequence[StageFolder]) -> Html:
    """Show how many entities are mentioned, and how often, after each stage that changes it.

    Args:
        run: the stages from tree to mixture.
        extra: further stages, in order; those without coverage.json are left out.
    """
    entities = int(run.tree.summary.get("entities", 0))
    aside = ("data.gather", "data.align")  # items beside the corpus
    steps = [
        (_title(stage), stage.json("coverage.json"))
        for stage in _in_order(run, extra)
        if stage.uses not in aside
    ]
    steps = [(name, counts) for name, counts in steps if counts]
    if not steps:
        return NOTHING
    # head, torso and tail are those of the first step; an entity that it lacks is "new"
    bucket, rows, lines = buckets(steps[0][1]), [], []
    for color, (name, counts) in enumerate(steps):
        seen = Counter(bucket.get(id, "new") for id, number in counts.items() if number)
        # entities by the number of rows that mention them
        levels = [sum(low <= number <= high for number in counts.values()) for low, high, _ in LEVELS]
        number = sum(seen.values())
        by_bucket = [count(seen[name]) for name in (*BUCKETS, "new")]
        rows.append((name, count(number), share(number, entities) or "0 %", *map(count, levels), *by_bucket))
        lines.append(
            charts.Bar(name, number, f"{count(number)} of {count(entities)}", f"bar s{color % 5 + 1}")
        )
    head = (
        "After",
        "Entities",
        "Of the tree",
        *(words for _, _, words in LEVELS),
        "Head",
        "Torso",
        "Tail",
        "Never before",
    )
    caption = (
        "Entities that are mentioned: how many, in how many rows each, and by the bucket they had in the"
        " corpus as first read (head: the fewest entities with half of all mentions; torso: the next 30 %;"
        " tail: the rest)"
    )
    return section(
        "covered",
        "Coverage before and after",
        charts.figure(
            charts.bars("Entities mentioned at all", lines, most=entities),
            "Entities with at least one row, after each stage; a full bar is every entity of the tree.",
        ),
        table(caption, head, rows, numbers=tuple(range(1, len(head)))),
    )


# ---- what was written
# ----------------------------------------------------------------------------------------------------------


def written(extra: Sequence[StageFolder], *, words: bool) -> Html:
    """Show the synthetic rows of each stage: counts by kind, refusals with reasons, examples.

    Args:
        extra: further stages; only data.synthesise and data.teach write such rows.
        words: False shows no text of rows.

    Returns:
        "" if no stage wrote rows.
    """
    parts = list[Html]()
    for stage in extra:
        if not _is_synthetic(stage):
            continue
        new, kinds = list[dict[str, Any]](), Counter[str]()
        for row in _synthetic(stage):
            kinds[str(row.get("source"))] += 1
            if words and sum(item["source"] == row["source"] for item in new) < EXAMPLES:
                new.append(row)
        refused = Counter(
            (str(row.get("kind", "")), str(row.get("reason", ""))) for row in stage.rows("refused.jsonl")
        )
        numbers = [(kind, count(number)) for kind, number in kinds.most_common()]
        parts.append(table(f"Rows that {stage.name} wrote", ("Kind", "Rows"), numbers, numbers=(1,)))
        if refused:
            rows = [
                (kind, reason.replace("_", " "), count(number))
                for (kind, reason), number in refused.most_common(20)
            ]
            parts.append(
                table("Not written, or written and not kept", ("Kind", "Why", "Times"), rows, numbers=(2,))
            )
        parts += [_example(row) for row in sorted(new, key=lambda row: str(row["source"]))]
    lead = (
        "Written from the tree for entities that few rows mention, and compared with the same test items as"
        " the corpus."
    )
    return section("written", "Written for the tail", tag("p", lead), parts) if parts else NOTHING


def _is_synthetic(stage: StageFolder) -> bool:
    return stage.uses in ("data.synthesise", "data.teach")


def _synthetic(stage: StageFolder) -> Iterator[dict[str, Any]]:
    rows = io.read_jsonl(stage.folder / "samples.jsonl")
    return (row for row in rows if str(row.get("source", "")).startswith("synth_"))


def _example(row: Mapping[str, Any]) -> Html:
    sample = io.sample_from_json(row)
    messages = [
        tag("p", tag("b", f"{m.role} "), excerpt(m.text, 900), dir="auto") for m in sample.messages if m.text
    ]
    return details(f"{sample.source}: {excerpt(sample.text, 90)}", tag("code", sample.id), messages)


# ---- people ------------------------------------------------------------------------------------------------
# ----------------------


def people(extra: Sequence[StageFolder]) -> Html:
    """Tabulate what de-identification replaced, by source.

    Args:
        extra: further stages; only data.deidentify counts.

    Returns:
        "" if there is no such stage.
    """
    rows = []
    for stage in extra:
        for source, counts in (
            (stage.summary.get("by_source") or {}).items() if stage.uses == "data.deidentify" else ()
        ):
            kinds = ", ".join(f"{kind.lower()} {number:,}" for kind, number in counts["spans"].items())
            rows.append(
                (
                    source,
                    count(counts["rows"]),
                    count(counts["changed"]),
                    count(sum(counts["spans"].values())),
                    kinds,
                )
            )
    if not rows:
        return NOTHING
    lead = (
        "Names, dates, numbers and places in the texts of these sources were replaced, and ids of patients"
        " and studies removed."
    )
    head = ("Source", "Rows looked at", "Changed", "Spans replaced", "Of which kind")
    caption = (
        "What was replaced; a word that is in no list of words is taken for a name, so some of these were"
        " not names"
    )
    return section("people", "De-identified", tag("p", lead), table(caption, head, rows, numbers=(1, 2, 3)))


# ---- mixture -----------------------------------------------------------------------------------------------
# ----------------------


def mixture(run: Run, extra: Sequence[StageFolder]) -> Html:
    """Compare the mixture as intended with the one drawn: by source, modality and entity frequency.

    Args:
        run: the stages from tree to mixture.
        extra: further stages; packing plans of train.pack are appended.
    """
    report = run.mixture.json("mixture.json")
    rows = []
    for kind, sides in (report.get("by_kind") or {}).items():
        for source, plan in sides["by_source"].items():
            strip = charts.strip(
                f"{plan['realised']:,} of {plan['intended']:,}", _strip(plan["intended"], plan["realised"])
            )
            rows.append((kind, source, count(plan["intended"]), count(plan["realised"]), strip))
    parts = [
        table(
            "Rows of each kind by source: intended and drawn",
            ("Kind", "Source", "Intended", "Drawn", ""),
            rows,
            numbers=(2, 3),
        )
    ]
    if sides := run.mixture.summary.get("by_modality"):
        results = [
            (name, count(plan.get("intended")), count(plan["realised"])) for name, plan in sides.items()
        ]
        parts.append(
            table("The same by modality", ("Modality", "Intended", "Drawn"), results, numbers=(1, 2))
        )
    if buckets := run.mixture.summary.get("by_bucket"):
        share_of = [(name, f"{plan['before']:.1%}", f"{plan['after']:.1%}") for name, plan in buckets.items()]
        caption = (
            "Share of the mentions by bucket, with uniform sampling within each source, and in this mixture"
        )
        parts.append(table(caption, ("Bucket", "Uniform sampling", "This mixture"), share_of, numbers=(1, 2)))
    parts += [_packed(stage) for stage in extra if stage.uses == "train.pack"]
    return section("mixture", "The mixture, intended and drawn", parts)


def _strip(intended: int, realised: int) -> list[tuple[str, float]]:
    return [("bar last", min(realised, intended) or realised), ("rail", max(0, intended - realised))]


def _packed(stage: StageFolder) -> Html:
    rows = [
        (
            name,
            count(plan["rows"]),
            count(plan["tokens"]),
            count(plan["sequences"]),
            f"{plan['fill']:.2%}",
            f"{plan['fill_unpacked']:.2%}",
        )
        for name, plan in stage.summary.items()
        if isinstance(plan, dict)
    ]
    length = stage.settings.get("max_length")
    head = ("Kind", "Rows", "Tokens", "Sequences", "Filled", "Filled without packing")
    return table(f"Packing plan for sequences of {length} tokens", head, rows, numbers=(1, 2, 3, 4, 5))


def _in_order(run: Run, extra: Sequence[StageFolder]) -> list[StageFolder]:
    """Order the stages from reading to mixing: those of `extra` in the recipe's order, among the others."""
    first = [stage for stage in extra if stage.uses in ("data.link", "data.classify")]
    last = [stage for stage in extra if stage not in first]
    return [run.corpus, *first, run.curated, *last, run.mixture]


def _title(stage: StageFolder) -> str:
    return {"corpus": "reading", "curated": "curation", "mixture": "mixing"}.get(stage.role, stage.role)
