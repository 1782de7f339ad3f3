"""Sections about data: the tree and its coverage, the funnel with reasons, sources, contamination."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from medxiaohe import io
from medxiaohe.entity.tree.frequency import BUCKETS, buckets
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.pages.elements import charts, treemap
from medxiaohe.pages.elements.html import Html, count, details, excerpt, plural, section, share, table, tag
from medxiaohe.pages.sections.artefacts import Run, StageFolder, count_by
from medxiaohe.pages.sections.reach import ROOT, Reach, mentions, reach

EXAMPLES = 3  # rows shown for each reason
REASONS = 20
MATCHES = 12  # contamination pairs shown
COMMON = 4  # words in a row that are marked in a pair


# ---- tree ------------------------------------------------------------------------------------------


def tree_section(run: Run) -> Html:
    """Show the entity tree and the part of it that the corpus covers: treemap, long tail, layers.

    Args:
        run: the stages from tree to mixture; samples are those after curation.
    """
    before, after = run.corpus.json("coverage.json"), run.curated.json("coverage.json")
    reached = reach(
        Tree.load(run.tree.folder), after or before, mentions(run.curated.folder / "samples.jsonl")
    )
    entities, covered = reached.below.get(ROOT, 0), reached.covered.get(ROOT, 0)
    lead = (
        f"The tree has {plural(entities, 'entity', 'entities')}. After curation,"
        f" {plural(reached.samples.get(ROOT, 0), 'sample')} mention at least one of them, and {covered:,}"
        f" entities ({share(covered, entities) or '0 %'}) are mentioned at all."
    )
    explanation = (
        "Each rectangle is an entity with everything below it. Its area is how many entities that is; its"
        " colour is how many samples mention any of them. An entity with several parents is drawn below each."
        " Choose a rectangle to go down, the path to go up."
    )
    layers = [
        (layer, count(number), count(seen), share(seen, number) or "0 %")
        for layer, (number, seen) in reached.layers.items()
    ]
    return section(
        "tree",
        "Entity tree and what the corpus covers of it",
        tag("p", lead),
        tag("p", explanation, class_="quiet"),
        treemap.maps(reached),
        details("The same as a list", treemap.outline(reached)),
        tag("div", _long_tail(before, after), _bucket_sizes(before, reached), class_="charts"),
        table(
            "Coverage by layer: 1 domain, 2 chapter, 3 group, 4 entity, 5 variant",
            ("Layer", "Entities", "Mentioned themselves or below", "Share"),
            layers,
            numbers=(1, 2, 3),
        ),
        _vocabularies(run),
    )


def _long_tail(before: Mapping[str, int], after: Mapping[str, int]) -> Html:
    series = []
    for color, (name, counts) in enumerate((("as read", before), ("after curation", after))):
        ranked = sorted((value for value in counts.values() if value > 0), reverse=True)
        if ranked:
            series.append(charts.Line(name, log_thin(ranked), color))
    sizes = Counter(buckets(before).values())
    starts = [("head", 1), ("torso", 1 + sizes["head"]), ("tail", 1 + sizes["head"] + sizes["torso"])]
    chart = charts.lines(
        "Samples that mention an entity, by its rank",
        series,
        "rank of the entity",
        "samples",
        log=True,
        bands=starts,
    )
    words = "How often entities are mentioned, the most frequent first. Both axes are logarithmic. "
    return charts.figure(chart, [words, charts.legend([(line.label, line.color) for line in series])])


def log_thin(ranked: Sequence[int]) -> list[tuple[float, float]]:
    """Subsample a ranking at ranks that are evenly spaced on a logarithmic axis.

    Args:
        ranked: counts, the largest first.

    Returns:
        (rank, count) with ranks from 1 in steps of a factor 1.12, the last rank always among them.
    """
    # ranks 1.12^i: about 20 a decade; 160 steps reach rank 6.7e7
    ranks = sorted({min(len(ranked), round(1.12**i)) for i in range(160)} | {len(ranked)})
    return [(float(rank), float(ranked[rank - 1])) for rank in ranks if rank <= len(ranked)]


def _bucket_sizes(before: Mapping[str, int], reached: Reach) -> Html:
    named, number, seen = buckets(before), Counter[str](), Counter[str]()
    for id, bucket in named.items():
        number[bucket] += 1
        seen[bucket] += before[id]
    total = sum(seen.values())
    rows = [
        (bucket, count(number[bucket]), count(seen[bucket]), share(seen[bucket], total) or "0 %")
        for bucket in BUCKETS
    ]
    never = reached.below.get(ROOT, 0) - sum(number[bucket] for bucket in BUCKETS)
    rows.append(("never mentioned", count(max(never, 0)), "0", "0 %"))
    caption = (
        "Head, torso and tail of the corpus as read: the head is the fewest entities with half of all"
        " mentions, the torso the next 30 %"
    )
    return tag("div", table(caption, ("Bucket", "Entities", "Mentions", "Share"), rows, numbers=(1, 2, 3)))


def _vocabularies(run: Run) -> Html:
    rows = [
        (row.get("name"), row.get("license"), count(row.get("entities")))
        for row in run.tree.summary.get("sources", ())
    ]
    return (
        table("Vocabularies of the tree", ("Vocabulary", "Licence", "Entities"), rows, numbers=(2,))
        if rows
        else Html("")
    )


# ---- funnel ----------------------------------------------------------------------------------------


def funnel_section(run: Run, *, words: bool, more: Sequence[StageFolder] = ()) -> Html:
    """Show the funnel from records to training data: losses with reasons, by source and entity frequency.

    Args:
        run: the stages from tree to mixture.
        words: False shows counts and reasons, and no text of records.
        more: further stages that drop rows.
    """
    total, written, remaining = (
        run.corpus.summary.get("read", 0),
        run.corpus.summary.get("written", 0),
        run.curated.summary.get("kept", 0),
    )
    steps = [
        ("Rows found in the sources", total, "bar"),
        ("Read as samples", written, "bar"),
        ("Kept by curation", remaining, "bar last"),
    ]
    rows = [
        charts.Bar(name, value, f"{count(value)} \u00b7 {share(value, total) or '0 %'}", color)
        for name, value, color in steps
    ]
    lost = f"{count(total - written)} could not be read and {count(written - remaining)} were dropped"
    lead = f"Of {count(total)} rows, {lost}; {count(remaining)} remain."
    mixed = [(name, run.mixture.summary.get(key, 0)) for key, name in MIXED]
    mixture = [charts.Bar(name, value, count(value), "bar s1") for name, value in mixed]
    return section(
        "funnel",
        "From records to training data",
        tag("p", lead),
        tag(
            "div",
            charts.figure(
                charts.bars("Funnel of records", rows, most=total),
                "Records that reach each step, as counts and as a share of the rows found.",
            ),
            charts.figure(
                charts.bars("Training mixture", mixture),
                "Rows drawn for each kind of training, without replacement.",
            ),
            class_="charts",
        ),
        tag("h3", "Why records were lost"),
        _reasons(run, total, words, more),
        _by_source(run),
        _by_bucket(run),
    )


MIXED = (
    ("documents", "Documents for pretraining"),
    ("instructions", "Instructions for fine-tuning"),
    ("prompts", "Prompts for reinforcement"),
)


def _reasons(run: Run, total: int, words: bool, extra: Sequence[StageFolder] = ()) -> Html:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    number = Counter[tuple[str, str]]()
    places = [("reading", run.corpus, "dead.jsonl"), ("curation", run.curated, "dropped.jsonl")]
    for step, stage, name in (*places, *((stage.role, stage, "dropped.jsonl") for stage in extra)):
        path = stage.folder / name
        for row in io.read_jsonl(path) if path.exists() else ():
            key = (
                (step, re.sub(r"\d+", "N", str(row.get("reason", ""))))
                if step == "reading"
                else (step, str(row.get("reason", "")))
            )
            number[key] += 1
            if len(groups.setdefault(key, [])) < EXAMPLES:
                groups[key].append(row)
    if not number:
        return tag("p", "No record was lost.", class_="quiet")
    ranked = sorted(number, key=lambda key: (-number[key], key))
    if not words:
        groups = {key: [] for key in groups}
    texts = _texts(
        run, {str(row.get("id")) for key in ranked[:REASONS] for row in groups[key] if "id" in row}
    )
    most = number[ranked[0]]
    items = [_reason(key, number[key], most, total, groups[key], texts) for key in ranked[:REASONS]]
    remaining = sum(number[key] for key in ranked[REASONS:])
    rarer = (
        tag("p", f"and {remaining:,} records for {len(ranked) - REASONS:,} rarer reasons", class_="quiet")
        if remaining
        else None
    )
    return tag(
        "div",
        tag("p", f"Choose a reason to see the first {EXAMPLES} records it met.", class_="quiet"),
        items,
        rarer,
        class_="reasons",
    )


def _reason(
    key: tuple[str, str],
    number: int,
    most: int,
    total: int,
    rows: Sequence[Mapping[str, Any]],
    texts: Mapping[str, str],
) -> Html:
    step, reason = key
    color = "bar s5" if step == "reading" else "bar s3"
    line = [
        tag("span", reason or "no reason given", class_="entity"),
        tag("span", step, class_="quiet"),
        charts.strip(f"{number:,} records", [(color, number), ("rail", most - number)]),
        tag("span", f"{number:,} \u00b7 {share(number, total)}", class_="number"),
    ]
    examples = [_lost(row, texts) for row in rows] or [
        tag("li", "Examples are left out of this page.", class_="quiet")
    ]
    return details(line, tag("ul", examples, class_="lost"))


def _lost(row: Mapping[str, Any], texts: Mapping[str, str]) -> Html:
    name = str(row.get("id") or row.get("where") or "")
    words = texts.get(name, "")
    shown = tag("p", excerpt(" ".join(words.split()), 280), dir="auto") if words else None
    why = str(row.get("detail") or (row.get("reason") if "where" in row else "") or "")
    return tag(
        "li",
        tag("code", name),
        tag("span", f" {row.get('source', '')}", class_="quiet"),
        tag("p", why) if why else None,
        shown,
    )


def _texts(run: Run, ids: set[str]) -> dict[str, str]:
    """Read the text of some samples of the corpus, by id."""
    path = run.corpus.folder / "samples.jsonl"
    if not ids or not path.exists():
        return {}
    return {row["id"]: io.sample_from_json(row).text for row in io.read_jsonl(path) if row.get("id") in ids}


def _by_source(run: Run) -> Html:
    dead, dropped = (
        count_by(run.corpus, "dead.jsonl", "source"),
        count_by(run.curated, "dropped.jsonl", "source"),
    )
    mixed = run.mixture.summary.get("by_source") or {}
    rows = []
    for source, facts in run.corpus.summary.get("sources", {}).items():
        written, bad, lost = _written(facts), dead[source,], dropped[source,]
        remaining = written - lost
        parts = [("bar last", remaining), ("bar s3", lost), ("bar s5", bad)]
        strip = charts.strip(f"{remaining:,} kept, {lost:,} dropped, {bad:,} unreadable", parts)
        plan = mixed.get(source, {})
        rows.append((
            source, facts.get("license"), count(written + bad), count(bad), count(lost),
            count(remaining), strip, count(facts.get("images")),
            f"{amount(plan.get('realised'))} of {amount(plan.get('intended'))}" if plan else "",
        ))  # fmt: skip
    head = (
        "Source",
        "Licence",
        "Found",
        "Unreadable",
        "Dropped",
        "Kept",
        "",
        "Images",
        "In the mixture, of intended",
    )
    return table(
        "Sources: licence, funnel (bar: kept, dropped, unreadable) and place in the mixture of each",
        head,
        rows,
        numbers=(2, 3, 4, 5, 7, 8),
    )


def _written(facts: Mapping[str, Any]) -> int:
    return int(facts.get("documents", 0)) + int(facts.get("instructions", 0))


def amount(value: float | None) -> str:
    """Format an amount of a mixture.

    Args:
        value: a float from 0 to 1 is a share, all else a number of samples.

    Returns:
        a percentage or a count; "" for None.
    """
    if value is None:
        return ""
    return share(value, 1) or "0 %" if isinstance(value, float) and 0 <= value <= 1 else count(value)


def _by_bucket(run: Run) -> Html:
    by_bucket = run.mixture.summary.get("by_bucket") or {}
    rows = [
        (name, amount(facts.get("before")), amount(facts.get("after"))) for name, facts in by_bucket.items()
    ]
    caption = (
        "Entity balance: share of mentions by bucket, with uniform sampling within each source,"
        " and in this mixture"
    )
    return (
        table(caption, ("Bucket", "Uniform sampling", "This mixture"), rows, numbers=(1, 2))
        if rows
        else Html("")
    )


# ---- contamination ---------------------------------------------------------------------------------


def contamination_section(run: Run, *, words: bool) -> Html:
    """Show how many evaluation items were checked, and the training rows that matched them.

    Args:
        run: of which the curated corpus has contamination.json.
        words: whether the first `MATCHES` pairs are shown with their text.
    """
    report = run.curated.json("contamination.json")
    checked, matches = report.get("checked") or {}, report.get("matches") or []
    if not checked:
        return section(
            "contamination",
            "Contamination",
            tag("p", "No evaluation task was checked against the corpus.", class_="notice"),
        )
    hit = Counter(str(row.get("task")) for row in matches)
    rows = [(task, count(number), count(hit[task])) for task, number in checked.items()]
    lead = (
        f"Every sample was compared with {plural(sum(checked.values()), 'evaluation item')}. "
        f"{plural(len(matches), 'match', 'matches')} found"
        + (
            "; the training samples in them were removed before training."
            if matches
            else ": no training sample repeats an item."
        )
    )
    pairs = [pair(row) for row in matches[:MATCHES]] if words else []
    note = (
        f"The first {len(pairs)} of {plural(len(matches), 'match', 'matches')}, training sample and"
        " evaluation item side by side."
    )
    return section(
        "contamination",
        "Contamination",
        tag("p", lead),
        table(
            "Items checked and matches found, by task",
            ("Task", "Items checked", "Matches"),
            rows,
            numbers=(1, 2),
        ),
        [tag("p", note, class_="quiet"), pairs] if pairs else None,
    )


def pair(row: Mapping[str, Any]) -> Html:
    """Show a training row beside the test item it matches, with shared words marked.

    Args:
        row: of `matches` in contamination.json.
    """

    def side(name: str, id: Any, words: Any) -> Html:
        return tag(
            "div", tag("h4", name), tag("code", excerpt(str(id or ""), 60)), tag("p", words, dir="auto")
        )

    head = tag("p", f"{row.get('task', '')}: matched by {row.get('how', '')}", class_="quiet")
    theirs, ours = _marked(
        excerpt(str(row.get("text") or ""), 600), excerpt(str(row.get("item_text") or ""), 600)
    )
    left, right = (
        side("Training sample", row.get("id"), theirs),
        side("Evaluation item", row.get("item"), ours),
    )
    return tag("article", head, tag("div", left, right, class_="sides"), class_="pair")


def _marked(left: str, right: str) -> tuple[list[object], list[object]]:
    """Mark the runs of at least COMMON words that two texts share."""
    # compare words without case and punctuation; matching blocks by Ratcliff and Obershelp (difflib)
    words = left.split(), right.split()
    plain = [[word.strip(".,;:?!()").lower() for word in side] for side in words]
    blocks = [
        b
        for b in difflib.SequenceMatcher(None, plain[0], plain[1], autojunk=False).get_matching_blocks()
        if b.size >= COMMON
    ]
    return _mark(words[0], [(b.a, b.size) for b in blocks]), _mark(words[1], [(b.b, b.size) for b in blocks])


def _mark(words: Sequence[str], runs: Sequence[tuple[int, int]]) -> list[object]:
    parts, at = list[object](), 0
    for start, size in runs:
        parts += [" ".join(words[at:start]), " ", tag("mark", " ".join(words[start : start + size])), " "]
        at = start + size
    return [*parts, " ".join(words[at:])]
