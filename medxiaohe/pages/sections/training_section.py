"""The training section: facts and curves of every stage, why one stopped early, and first and last answers
of a policy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.pages.elements import charts
from medxiaohe.pages.elements.html import (
    Html,
    count,
    decimal,
    details,
    excerpt,
    plain,
    section,
    share,
    table,
    tag,
)
from medxiaohe.pages.sections.artefacts import Run, StageFolder

COMPLETIONS = 6  # shown of the first quarter of a stage's answers, and of its last
UNITS = {
    "loss": "loss, nats per token",
    "eval_loss": "validation loss, nats per token",
    "reward": "mean reward",
    "entropy": "entropy, nats per token",
    "learning_rate": "learning rate",
    "grad_norm": "gradient norm",
    "kl": "KL divergence, nats",
    "answer_tokens": "tokens in an answer",
    "reward_std": "spread of the reward, standard deviation",
}
MAIN = ("reward", "loss", "eval_loss", "entropy")  # drawn at once, the others on demand


# ---- training --------------------------------------------------------------------------------------


def training_section(run: Run, words: bool = True) -> Html:
    """Show the training stages: facts, learning curves, first and last answers, settings.

    Args:
        run: with its training stages.
        words: False shows no prompts and answers.
    """
    if not run.trained:
        return section("training", "Training", tag("p", "This run trained no model.", class_="quiet"))
    note = (
        "The thin line is what each step logged, the strong line its trailing mean over a twentieth of the"
        " points."
    )
    return section(
        "training",
        "Training",
        tag("p", note, class_="quiet"),
        [_trained(stage, words) for stage in run.trained],
    )


def _trained(stage: StageFolder, words: bool) -> Html:
    curves = curves_of(stage.rows("metrics.jsonl"))
    units = {**UNITS, "loss": "loss of the policy"} if "reward" in curves else UNITS
    main = [curve(stage.label, name, curves[name], units) for name in MAIN if name in curves]
    rest = [curve(stage.label, name, curves[name], units) for name in sorted(curves) if name not in MAIN]
    return tag(
        "div",
        tag("h3", stage.label),
        _stopped(stage),
        tag("div", tag("dl", _facts(stage), class_="facts"), main, class_="charts"),
        details(f"Other measurements of {stage.label}", tag("div", rest, class_="charts")) if rest else None,
        _completions(stage) if words else None,
        details(f"Settings of {stage.label}", settings_table(stage)),
    )


def _stopped(stage: StageFolder) -> Html:
    """Show why training ended before its last step (diagnosed in train/rollouts/watch.py)."""
    why = stage.summary.get("stopped")
    mark = tag("span", "! caution", class_="verdict warning")
    return tag("p", mark, f" {stage.label} stopped before its last step: {why}") if why else Html("")


def _completions(stage: StageFolder) -> Html | None:
    """Show answers of the first and the last quarter of the rollouts, selected by hash."""
    rows = list(stage.rows("rollouts.jsonl"))
    if not rows:
        return None
    quarter = max(1, len(rows) // 4)
    shown = [
        (when, row)
        for when, chunk in (("first quarter", rows[:quarter]), ("last quarter", rows[-quarter:]))
        for row in sorted(
            chunk, key=lambda row: io.unit_interval("shown", str(row.get("sample")), str(row.get("answer")))
        )[:COMPLETIONS]
    ]
    cells = [
        (
            when,
            excerpt(str(row.get("sample", "")), 60),
            excerpt(str(row.get("answer", "")), 240),
            _number(row.get("reward")),
            _why(row),
        )
        for when, row in shown
    ]
    head = ("When", "Prompt", "Answer", "Reward", "Why")
    return details(
        f"Answers of {stage.label}",
        table(f"What {stage.label} answered at first and at last", head, cells, numbers=(3,)),
    )


def _number(value: Any) -> str:
    return decimal(value) if isinstance(value, (int, float)) else "not judged"


def _why(row: Mapping[str, Any]) -> str:
    parts = "; ".join(f"{name} {decimal(value)}" for name, value in (row.get("parts") or {}).items())
    text = ", ".join(filter(None, [str(row.get("status") or ""), str(row.get("why") or "")]))
    return excerpt(f"{text} ({parts})" if parts else text, 240)


def base_name(base: Any) -> str:
    """Name the model that a stage started from.

    Args:
        base: a model's name, or a path.

    Returns:
        of out/sft/1/model the name of that stage, sft; else as `plain` formats it.
    """
    path = Path(str(base or ""))
    return path.parts[-3] if path.name == "model" and len(path.parts) > 3 else plain(base)


def _facts(stage: StageFolder) -> list[Html]:
    facts = stage.summary
    rows = [("Started from", base_name(facts.get("base")))]
    rows += [
        (name.capitalize(), count(facts[name]))
        for name in ("steps", "tokens", "prompts", "rollouts")
        if facts.get(name) is not None
    ]
    if facts.get("total_parameters"):
        percent = share(facts.get("trained_parameters", 0), facts["total_parameters"])
        trained, total = count(facts.get("trained_parameters", 0)), count(facts["total_parameters"])
        rows.append(("Parameters trained", f"{trained} of {total} ({percent})"))
    for name in ("reward", "loss"):
        if facts.get(f"{name}_first") is not None and facts.get(f"{name}_last") is not None:
            rows.append(
                (
                    f"{name.capitalize()}, first and last",
                    f"{decimal(facts[f'{name}_first'])} \u2192 {decimal(facts[f'{name}_last'])}",
                )
            )
    if facts.get("eval_loss_best") is not None:
        lowest = f"{decimal(facts['eval_loss_best'])} at step {count(facts['best_step'])}"
        rows.append(("Validation loss, lowest", lowest))
    return [tag("div", tag("dt", name), tag("dd", value)) for name, value in rows]


def curves_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Collect the curve of every measurement in a training log.

    Args:
        rows: of metrics.jsonl; a row without `step` has its index.

    Returns:
        name -> (step, value) in order; values that are not finite numbers are skipped.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for i, row in enumerate(rows):
        for name, value in row.items():
            if (
                name != "step"
                and isinstance(value, (int, float))
                and not isinstance(value, bool)
                and math.isfinite(value)
            ):
                curves.setdefault(name, []).append((float(row.get("step", i)), float(value)))
    return curves


def curve(
    stage: str, name: str, points: Sequence[tuple[float, float]], units: Mapping[str, str] = UNITS
) -> Html:
    """Draw one measurement of training: as logged, and its trailing mean.

    Args:
        stage: label of the stage.
        name: of the measurement.
        points: (step, value).
        units: name -> label of the y axis; other names are their own label.
    """
    color = 3 if name == "reward" else 1
    logged, mean = charts.thin(points), charts.thin(charts.smooth(points))
    series = [charts.Line("as logged", logged, color, faint=True), charts.Line(name, mean, color)]
    unit = units.get(name, name.replace("_", " "))
    return charts.figure(charts.lines(f"{stage}: {unit} by step", series, "step", unit), None)


def settings_table(stage: StageFolder) -> Html:
    """Tabulate the settings of a stage.

    Args:
        stage: whose stage.json is read.
    """
    rows = [(key.replace("_", " "), plain(value)) for key, value in stage.settings.items()]
    return table(f"Settings of {stage.name}@{stage.version}", ("Setting", "Value"), rows)
