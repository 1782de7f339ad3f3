"""MODEL_CARD.md in the form the Hugging Face hub reads, filled from what the run left on disk.

A card with a hole in it is not written: DataError names the field that is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe import assets
from medxiaohe.errors import DataError
from medxiaohe.models import starter
from medxiaohe.pages.elements.html import clean, count, decimal, interval, plain, share
from medxiaohe.pages.sections.artefacts import Run, StageFolder, label
from medxiaohe.pages.sections.model_sections import code_of, rate, seed_of
from medxiaohe.pages.sections.training_section import base_name
from medxiaohe.pages.sections.verdicts import Verdict, constant_of, no_better_than_constant

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
INTENDED = (
    "Research on medical multimodal language models: on data curation, training and evaluation. The numbers"
    " below describe the tasks they were measured on and no others."
)
CLINICAL = (
    "**Not for clinical use.** This model is not a medical device. Its answers may be wrong in ways that read"
    " well. They must not inform diagnosis, treatment, triage or any other decision about a person."
)


@dataclass(frozen=True)
class CardFacts:
    """What the settings of the stage say about the model, which no artefact can know."""

    name: str
    license: str
    languages: Sequence[str]
    licenses: Mapping[str, str]  # of sources and vocabularies whose reader could not tell


def card(run: Run, facts: CardFacts, tests: Sequence[Verdict]) -> str:
    """Write a model card in the format of the Hugging Face hub.

    Args:
        run: all stages of the run.
        facts: what only the settings know: name, licence, languages.
        tests: paired comparisons of the models.

    Returns:
        Markdown with YAML front matter.

    Raises:
        DataError: a required field would be empty; the message names it.
    """
    base = base_model(run)
    parts = [
        _front_matter(run, facts, base),
        f"# {_required('name', _inline(facts.name))}",
        CLINICAL,
        _heading(
            "Base model", f"`{_required('base model', _inline(base))}`" + _trained_by(run) + _weights(base)
        ),
        _heading("Intended use", INTENDED),
        _heading(
            "Out of scope",
            "Clinical use of any kind, advice to patients, and any use on data whose licence forbids it.",
        ),
        _heading("Training data", _data(run, facts)),
        _heading("Training", _training(run)),
        _heading("Evaluation", _evaluation(run, tests)),
        _heading("Contamination", _contamination(run)),
        _heading("Limits", _limits(run, tests)),
        _heading("What made these numbers", _provenance(run)),
    ]
    return "\n\n".join(parts) + "\n"


def _weights(base: str) -> str:
    """List the weights that the starter consists of; another checkpoint's own card lists its weights."""
    if base != "starter":
        return ""
    specs = [assets.spec(name) for name in starter.PARTS]
    rows = [f"| {_inline(spec.name)} | {_inline(spec.source)} | {_inline(spec.license)} |" for spec in specs]
    return "\n\n" + "\n".join(
        [
            "| Weights | From | Licence |",
            "| --- | --- | --- |",
            *rows,
            "| projector | fresh, seed 0 | Apache-2.0 |",
        ]
    )


def base_model(run: Run) -> str:
    """Name the base model of a run.

    Args:
        run: its first training stage started from this model; without training, its first evaluation
            asked it.

    Returns:
        the name, or "none" if there is neither.
    """
    if run.trained:
        return base_name(run.trained[0].summary.get("base") or run.trained[0].settings.get("model") or "")
    return plain(run.examined[0].settings.get("model") or "") if run.examined else "none"


def _required(field: str, value: str) -> str:
    if not value.strip() or value == "none":
        raise DataError(
            f"MODEL_CARD.md: the field {field!r} is empty: the artefacts of the run do not say it, so a"
            " setting or a reader must"
        )
    return value


def _heading(title: str, body: str) -> str:
    return f"## {title}\n\n{_required(title, body)}"


def _inline(value: Any) -> str:
    """Text that stays text in a line or a table cell of Markdown."""
    words = " ".join(clean(value).split())
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", words) if not HUB_ID.fullmatch(words) else words


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


# ---- front matter ----------------------------------------------------------------------------------


def _front_matter(run: Run, facts: CardFacts, base: str) -> str:
    import yaml

    license = _required("license", facts.license)
    matter: dict[str, Any] = {"license": license}
    if license == "other":
        matter |= {"license_name": "see-training-data", "license_link": "#training-data"}
    matter |= {
        "language": (
            [_required("language", language) for language in facts.languages] or _required("language", "")
        ),
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["medical", "vision-language", "medxiaohe", "not-for-clinical-use"],
    }
    if HUB_ID.fullmatch(base):
        matter["base_model"] = base
    if results := _results(run):
        matter["model-index"] = [{"name": clean(facts.name), "results": results}]
    return f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True, width=1000)}---"


def _results(run: Run) -> list[dict[str, Any]]:
    """The last stage's scores, as the hub lists them; none of a judge that is not believed."""
    results = []
    for task, rows in (run.scores.get("tasks") or {}).items():
        row = next((row for row in rows if label(row["stage"]) == run.stages[-1]), None)
        if row and row.get("mean") is not None and not row.get("judge_doubted"):
            value = {
                "type": "mean_score",
                "value": round(row["mean"], 4),
                "name": f"mean score, n = {row.get('n', 0)}",
            }
            results.append(
                {
                    "task": {"type": "image-text-to-text"},
                    "dataset": {"name": clean(task), "type": clean(task)},
                    "metrics": [value],
                }
            )
    return results


# ---- body --------------------------------------------------------------------------------------------


def _trained_by(run: Run) -> str:
    if not run.trained:
        return ", not trained further in this run."
    return (
        f", trained further by medxiaohe in {len(run.trained)} stages:"
        f" {', '.join(stage.label for stage in run.trained)}."
    )


def _licence(kind: str, name: str, stated: Any, facts: CardFacts) -> str:
    value = facts.licenses.get(name) or str(stated or "")
    if not value.strip():
        raise DataError(
            f"MODEL_CARD.md: the licence of the {kind} {name!r} is empty: give it under `licenses:` of the"
            f" report, as {{{name}: ...}}"
        )
    return _inline(value)


def _data(run: Run, facts: CardFacts) -> str:
    kinds = ("documents", "instructions", "images")
    rows = [
        [
            _inline(name),
            _licence("source", name, source.get("license"), facts),
            *(count(source.get(kind, 0)) for kind in kinds),
        ]
        for name, source in (run.corpus.summary.get("sources") or {}).items()
    ]
    vocabularies = [
        [
            _inline(row.get("name")),
            _licence("vocabulary", str(row.get("name")), row.get("license"), facts),
            count(row.get("entities", 0)),
        ]
        for row in run.tree.summary.get("sources", ())
    ]
    parts = [
        _table(("Source", "Licence", "Documents", "Instructions", "Images"), rows) if rows else "",
        _kept(run),
    ]
    if vocabularies:
        parts += [
            "Entities are linked to a tree built from:",
            _table(("Vocabulary", "Licence", "Entities"), vocabularies),
        ]
    return "\n\n".join(filter(None, parts))


def _kept(run: Run) -> str:
    summary, mixture = run.curated.summary, run.mixture.summary
    mixed = (
        f"{count(mixture.get('documents', 0))} documents, {count(mixture.get('instructions', 0))}"
        " instructions"
    )
    words = (
        f"Of {count(run.corpus.summary.get('read', 0))} records found, {count(summary.get('kept', 0))} were"
        " kept. "
    )
    words += f"The training mixture has {mixed} and {count(mixture.get('prompts', 0))} prompts."
    reasons = sorted((summary.get("dropped") or {}).items(), key=lambda item: (-item[1], item[0]))
    return words + (
        " Dropped: " + "; ".join(f"{_inline(reason)} {count(number)}" for reason, number in reasons) + "."
        if reasons
        else ""
    )


def _training(run: Run) -> str:
    parts = []
    for stage in run.trained:
        summary = {**stage.summary, "base": base_name(stage.summary.get("base"))}
        facts = [
            f"{_words(key)} {_inline(plain(value))}"
            for key, value in summary.items()
            if value not in (None, "")
        ]
        settings = [[_words(key), _inline(plain(value))] for key, value in stage.settings.items()]
        parts.append(f"### {_inline(stage.label)}")
        parts.append(_required(f"training summary of {stage.name}", "; ".join(facts)) + ".")
        parts.append(_table(("Setting", "Value"), settings))
    return "\n\n".join(parts) or "This run trained no model."


def _words(key: str) -> str:
    return key.replace("_", " ")


def _evaluation(run: Run, tests: Sequence[Verdict]) -> str:
    rows = [
        _score(run, task, row) for task, stages in (run.scores.get("tasks") or {}).items() for row in stages
    ]
    if not rows:
        raise DataError(
            "MODEL_CARD.md: the field 'evaluation' is empty: comparison.json has no task; examine at least"
            " one model"
        )
    head = (
        "Task",
        "Model",
        "n",
        "Mean score",
        "95 % interval",
        "Unparsed",
        "Refused",
        "Truncated",
        "A constant answer",
        "Made by",
    )
    sentences = "\n".join(f"- {_inline(verdict.sentence)}" for verdict in tests)
    note = (
        f"Recipe `{run.recipe}`. Unparsed answers and refusals count as 0. Changes are paired tests on the"
        " same items:"
    )
    return f"{_table(head, rows)}\n\n{note}\n\n{sentences or '- No two models were compared.'}"


def _score(run: Run, task: str, row: Mapping[str, Any]) -> list[str]:
    n, who = int(row.get("n", 0)), label(row["stage"])
    compared = run.comparison.name if run.comparison else ""
    producer = next(
        (f"{s.name}@{s.version}, seed {seed_of(s)}" for s in run.examined if s.label == who), compared
    )
    numbers = [
        count(n),
        "not published: the judge is not believed"
        if row.get("judge_doubted")
        else decimal(row.get("mean")) or "not judged",
        "" if row.get("judge_doubted") else interval(row.get("low"), row.get("high")) or "not computed",
    ]
    faults = [rate(row.get(key), n) or "0" for key in ("unparsed", "refused", "truncated")]
    return [
        _inline(task),
        _inline(who),
        *numbers,
        *faults,
        decimal(constant_of(row)) or "unknown",
        _inline(producer),
    ]


def _contamination(run: Run) -> str:
    report = run.curated.json("contamination.json")
    checked, matches = report.get("checked") or {}, report.get("matches") or []
    if not checked:
        return "The corpus was not checked against the evaluation items. The scores may be too high."
    tasks = ", ".join(f"{_inline(task)} ({count(number)} items)" for task, number in checked.items())
    return f"The corpus was checked against {tasks}. {len(matches):,} matches were found" + (
        " and removed before training." if matches else "."
    )


def _limits(run: Run, tests: Sequence[Verdict]) -> str:
    entities, covered = run.tree.summary.get("entities", 0), run.corpus.summary.get("entities_covered", 0)
    coverage = (
        f"{count(covered)} of the {count(entities)} entities of the tree"
        f" ({share(covered, entities) or '0 %'})"
    )
    items = [f"The corpus mentions {coverage}; the others do not occur in it."]
    for task, rows in (run.scores.get("tasks") or {}).items():
        last = next((row for row in rows if label(row["stage"]) == run.stages[-1]), None)
        if last and int(last.get("n", 0)) < 200:
            items.append(f"{_inline(task)} has only {count(last.get('n', 0))} items; its interval is wide.")
    items += map(_inline, no_better_than_constant(run))
    items += [_inline(v.sentence) for v in tests if v.outcome != "better"]
    items.append(
        "Benchmarks are not patients: acquisition, prevalence and language differ between hospitals, and none"
        " of that was measured."
    )
    return "\n".join(f"- {item}" for item in items)


def _provenance(run: Run) -> str:
    def row(stage: StageFolder) -> list[str]:
        return [
            _inline(f"{stage.name}@{stage.version}"),
            _inline(stage.uses or "unknown"),
            _inline(seed_of(stage)),
            _inline(code_of(stage)),
        ]

    head = ("Stage", "Kind", "Seed", "Code")
    return f"Recipe `{run.recipe}`.\n\n{_table(head, [row(stage) for stage in run.folders])}"
