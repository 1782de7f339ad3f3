"""Policies of revision on the same drafts: their measures, their tests, and each draft beside what became of
it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from medxiaohe.evals.revision import BASE, FLOOR
from medxiaohe.evals.statistics.report_errors import MEASURES, SENTENCES
from medxiaohe.pages.elements.html import (
    Html,
    count,
    decimal,
    details,
    interval,
    p_value,
    plural,
    section,
    signed,
    table,
    tag,
)

Results = Mapping[str, Any]
NOTHING = "(nothing is left)"


def arms_section(results: Results) -> Html:
    """Tabulate each revision policy by each error measure, human impressions first, and its tests against the
    drafts.

    Args:
        results: revision.json of evals.revision.
    """
    words = (
        f"{plural(results['reports'], 'report')}, {results['labelled']:,} of them with labels. H is what an"
        " impression says and its report does not have, O what it leaves out: lower is better. What people"
        " wrote is measured the same way: no policy can be asked for less than that."
    )
    rows = [(FLOOR, *_measures(results["floor"]))]
    rows += [(arm, *_measures(each)) for arm, each in results["arms"].items()]
    caption = "Means of a report with 95 % intervals"
    element = table(caption, ("Policy", *MEASURES, SENTENCES), rows, numbers=range(1, len(MEASURES) + 2))
    return section("arms", "What policies change", tag("p", words), element, _tests(results["changes"]))


def _measures(results: Results) -> list[str]:
    cells = []
    for measure in MEASURES:
        row = results.get(measure)
        cells.append(f"{decimal(row['mean'])} {interval(row['low'], row['high'])}" if row else "")
    return [*cells, decimal(results[SENTENCES]["mean"], 2)]


def _tests(changes: Iterable[Results]) -> Html:
    rows = []
    for change in changes:
        by, relative = change["difference"], change["share"]
        rows.append(
            (change["arm"], change["measure"], count(by["n"]), signed(by["difference"]),
             interval(by["low"], by["high"]), f"{relative[0]:+.0%}" if relative else "",
             p_value(change["p_holm"]).removeprefix("= "))
        )  # fmt: skip
    head = ("Policy", "Measure", "n", "Change", "95 % interval", "Of the draft's", "p (Holm)")
    caption = (
        "Against the drafts on the same reports; p by signs of reports, corrected for all of these tests"
    )
    return table(caption, head, rows, numbers=range(2, 7))


def revised_section(rows: Iterable[Results], most: int) -> Html:
    """Show drafts beside their revisions, with the reason of each removed sentence.

    Args:
        rows: of revised.jsonl, one for each study and policy.
        most: maximum number of studies.
    """
    by_study: dict[str, dict[str, Results]] = {}
    for row in rows:
        by_study.setdefault(row["study"], {})[row["arm"]] = row
    shown = [_study(study, arms) for study, arms in list(by_study.items())[:most]]
    words = f"{len(shown):,} of {plural(len(by_study), 'report')}. A sentence that was cut has its reason."
    return section("revised", "Drafts and revisions", tag("p", words, class_="quiet"), shown)


def _study(study: str, arms: Mapping[str, Results]) -> Html:
    rows = []
    for arm, row in arms.items():
        cut = [tag("li", f"{sentence['text']} ({sentence['why']})") for sentence in row["cut"]]
        rows.append((arm, row["text"] or NOTHING, tag("ul", cut) if cut else ""))
    draft = arms[BASE]["text"] or NOTHING
    element = table(f"Report {study}", ("Policy", "Text", "Cut"), rows)
    return details(f"{study}: {draft[:90]}", element)


def scores_section(runs: Mapping[str, Results]) -> Html:
    """Tabulate the scores of evaluations, one row for each task and scorer.

    Args:
        runs: name of the evaluation -> results.json.
    """
    rows = []
    for name, results in runs.items():
        for task, scores in results["tasks"].items():
            first = next(iter(scores["scorers"]))
            rows += [
                (f"{name}: {task}", key, count(estimate["n"]), decimal(estimate["mean"]),
                 interval(estimate["low"], estimate["high"]), count(estimate.get("unjudged")))
                for key, estimate in {first: scores["scores"], **scores["other_scores"]}.items()
            ]  # fmt: skip
    head = ("Evaluation", "Measure", "n", "Mean", "95 % interval", "Unjudged")
    element = table("Means of an item", head, rows, numbers=range(2, 6)) if rows else None
    words = "What cannot be read counts as 0; what was not judged is counted and left out."
    return section("scores", "Evaluations", tag("p", words, class_="quiet"), element)
