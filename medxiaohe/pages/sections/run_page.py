"""The page of a run: head, contents, sections."""

from __future__ import annotations

from collections.abc import Sequence

from medxiaohe import STATEMENT  # noqa: F401  other pages take them from here
from medxiaohe.pages.elements import frame
from medxiaohe.pages.elements.frame import asset, policy  # noqa: F401  other pages take them from here
from medxiaohe.pages.elements.html import Html, count, plural, section, share, tag
from medxiaohe.pages.sections import data_sections, model_sections
from medxiaohe.pages.sections.artefacts import Run
from medxiaohe.pages.sections.training_section import training_section
from medxiaohe.pages.sections.verdicts import ALPHA, Verdict

DECIDED = (
    "Paired tests on the same items. A difference counts when p, after Holm's correction for the number of"
    f" tests, is below {ALPHA}."
)
CONTENTS = (
    ("summary", "Summary"),
    ("scores", "Scores"),
    ("examples", "Examples"),
    ("buckets", "By frequency"),
    ("training", "Training"),
    ("funnel", "Records"),
    ("contamination", "Contamination"),
    ("tree", "Entity tree"),
    ("provenance", "Provenance"),
)


def page(
    run: Run, title: str, tests: Sequence[Verdict], *, examples: int, pictures: bool, words: bool
) -> str:
    """Build the page of a run.

    Args:
        run: all stages of the run.
        title: of the page.
        tests: paired comparisons of the models.
        examples: example answers of each outcome of each task.
        pictures: whether images of examples are embedded.
        words: False shows counts and reasons, and no text of records or answers.

    Returns:
        the HTML document.
    """
    sections = [
        _summary(run, tests),
        model_sections.scores_section(run, tests),
        model_sections.examples_section(run, examples if words else 0, pictures=pictures),
        model_sections.buckets_section(run),
        training_section(run, words),
        data_sections.funnel_section(run, words=words),
        data_sections.contamination_section(run, words=words),
        data_sections.tree_section(run),
        model_sections.provenance_section(run),
    ]
    return frame.document(title, "medxiaohe run report", CONTENTS, sections, ("report.css",), ("report.js",))


def _summary(run: Run, tests: Sequence[Verdict]) -> Html:
    read, remaining = run.corpus.summary.get("read", 0), run.curated.summary.get("kept", 0)
    entities, covered = run.tree.summary.get("entities", 0), run.corpus.summary.get("entities_covered", 0)
    tasks = run.scores.get("tasks") or {}
    items = sum(max((int(row.get("n", 0)) for row in rows), default=0) for rows in tasks.values())
    tokens = sum(stage.summary.get("tokens") or 0 for stage in run.trained)
    counted = [stage.label for stage in run.trained if stage.summary.get("tokens")]
    tiles = [
        (
            "Entities in the tree",
            count(entities),
            f"{count(covered)} mentioned by the corpus ({share(covered, entities) or '0 %'})",
        ),
        ("Records kept", count(remaining), f"of {count(read)} found ({share(remaining, read) or '0 %'})"),
        (
            "Tokens trained on",
            count(tokens),
            f"in {', '.join(counted)}" if counted else "no model was trained on text",
        ),
        (
            "Questions asked",
            count(items),
            f"to each of {plural(len(run.stages), 'model')}, in {plural(len(tasks), 'task')}",
        ),
    ]
    shown = [
        tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", note, class_="quiet")))
        for name, value, note in tiles
    ]
    key = "\u25b2 better, \u25bc worse, \u25cf no measurable change."
    return section(
        "summary",
        "Summary",
        tag("dl", shown, class_="tiles"),
        tag("h3", "Did training help?"),
        tag("p", f"{DECIDED} {key}", class_="quiet"),
        model_sections.changes(run, tests),
        model_sections.warnings(run, tests),
    )
