"""All numbers of one task: run the passes it needs and measure each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.errors import ConfigError
from medxiaohe.evals.reporting import peer_scorers
from medxiaohe.evals.running import answer_options, fingerprints, other_readings
from medxiaohe.evals.running.examine import (
    BLIND,
    Examination,
    answer,
    likelihoods,
    perturbed,
    validation_items,
)
from medxiaohe.evals.statistics import baselines, confidence, failures, measures, robustness, second_answers
from medxiaohe.scoring.judges import use
from medxiaohe.scoring.judges.scorer import JudgedScorer
from medxiaohe.tasks import differs
from medxiaohe.types import Sample, Score, Trace

VARIANT = ("sample", "trace", "scores", "verdicts", "judge_replies")


@dataclass(frozen=True)
class Examined:
    """A finished task: its numbers, and the files of rows they were made from."""

    name: str
    facts: Mapping[str, Any]  # version, prompts, data and scorers of the task
    scores: Mapping[str, Mapping[str, Any]]
    constant: Mapping[str, Any]
    more: Mapping[str, Any]  # baselines, samples, perturb, calibration, if set
    rows: Path
    others: tuple[Path, ...] = ()
    changed: Mapping[str, Path] = field(default_factory=dict)
    nats: Path | None = None
    read: Path | None = None  # rows of readings, by parser
    # description and cost of the judge (scoring/judges/use.py)
    judge: Mapping[str, Any] = field(default_factory=dict)

    def traces(self) -> Iterator[dict[str, Any]]:
        """Rows of traces.jsonl.

        Yields:
            rows of the first draw; with several draws `values` has those of all
        """
        others = [io.read_jsonl(path) for path in self.others]
        for row in io.read_jsonl(self.rows):
            if others:
                row["values"] = [r["scores"][0]["value"] for r in (row, *(next(o) for o in others))]
            yield row

    def draws(self) -> Iterator[dict[str, Any]]:
        """Rows of draws.jsonl.

        Yields:
            {task, id, draw, answer, scores} of each draw after the first
        """
        for i, path in enumerate(self.others, 1):
            for row in io.read_jsonl(path):
                reply = io.trace_from_json(row["trace"]).answer
                yield {
                    "task": self.name,
                    "id": row["sample"]["id"],
                    "draw": i,
                    "answer": reply,
                    "scores": row["scores"],
                }

    def variants(self) -> Iterator[dict[str, Any]]:
        """Rows of variants.jsonl.

        Yields:
            {task, variant, sample, trace, scores} of perturbed and blind items
        """
        for name, path in self.changed.items():
            for row in io.read_jsonl(path):
                yield {"task": self.name, "variant": name, **{k: row[k] for k in VARIANT if k in row}}

    def readings(self) -> Iterator[dict[str, Any]]:
        """Rows of readings.jsonl.

        Yields:
            items that parsers read differently
        """
        if self.read is not None:
            yield from other_readings.differing(io.read_jsonl(self.read))

    def likely(self) -> Iterator[dict[str, Any]]:
        """Rows of likelihoods.jsonl.

        Yields:
            {task, id, cluster, answers, nats, values}
        """
        for row in io.read_jsonl(self.nats) if self.nats is not None else ():
            yield {"task": self.name, **row}


def examined(
    exam: Examination, item_facts: Mapping[str, Any], judge: Mapping[str, Any] | None = None
) -> Examined:
    """Run all passes of a task that are not finished, and compute its numbers.

    Args:
        exam: the task.
        item_facts: number and digests of its items, as `write_items` returned them.
        judge: record of the judge (scoring/judges/use.py).

    Returns:
        the numbers, and the files of rows

    Raises:
        ConfigError: calibration with a backend that gives no likelihoods.
    """
    settings, task_run, task = exam.settings, exam.wanted, exam.task
    draws = [
        answer(exam, "main" if i == 0 else f"draw{i}", exam.items, settings.seed + i)
        for i in range(settings.samples)
    ]
    offered = answer_options.candidates(task)
    extra: dict[str, Any] = {}
    changed: dict[str, Path] = {}
    if settings.samples > 1:
        extra["samples"] = measures.samples(draws)
    if settings.baselines:
        extra["baselines"] = _baselines(exam, offered, changed)
    if settings.perturbations:
        rows = {name: _variant(exam, name, changed) for name in settings.perturbations}
        extra["perturb"] = robustness.robustness(robustness.verdicts(draws[0]), rows, settings.seed)
    if settings.compat:
        extra["compat"] = {name: peer_scorers.difference(name, _judged(draws[0])) for name in settings.compat}
    if not use.kinds(task.scorers[:1]):
        pairs = ((sample, trace) for sample, trace, _ in _judged(draws[0]))
        if again := second_answers.reread(pairs, task.scorers[0]):
            extra["second_answers"] = again
    if wrong := failures.labels(_judged(draws[0])):
        extra["failures"] = wrong
    read = _readings(exam, draws, extra) if settings.parsers else None
    nats = _likelihoods(exam, offered, extra)
    facts = {
        "task": task_run.name,
        "version": fingerprints.task_code(task_run.name),
        "split": task_run.split,
        "limit": task_run.limit,
        "args": task_run.args,
        "license": task.license,
        "access": task.access,
        "tags": list(task.tags),
        "n": item_facts["n"],
        "dataset": item_facts["items"],
        "fingerprint": item_facts["fingerprint"],
        "data_changed": differs(task, task_run.split, item_facts["fingerprint"])
        if item_facts["fingerprint"]
        else "",
        "prompts": item_facts["prompts"],
        "prompt": task.prompt,
        "prompt_template": fingerprints.template(task),
        "scorers": fingerprints.scorers(task),
        "judge": fingerprints.judge(settings.judge, task, exam.tree),
        "workflow": task.workflow,
        "tools": list(task.tools),
    }
    if settings.knowledge != "right":
        facts["knowledge"] = settings.knowledge
    if asked_with := {key: value for key, value in settings.workflow.items() if key != "name"}:
        facts["workflow_settings"] = asked_with
    if errors := measures.errors(draws):
        facts["errors"] = errors
    if judge:
        if judge.get("self_test") is not None:
            facts["judge_self_test"] = judge["self_test"]
        if why := judge["agreement"]["why"]:
            facts["judge_doubted"] = why
    if settings.judge.budget.limited and use.kinds(task.scorers):
        facts["judge_budget"] = {
            "max_calls": settings.judge.max_calls,
            "max_cost": settings.judge.max_cost,
            **({"max_tokens": settings.judge.max_tokens} if settings.judge.max_tokens is not None else {}),
            "unasked": measures.unasked(draws[0]),
        }
    within = {s.name: s.mean_within for s in task.scorers if isinstance(s, JudgedScorer) and s.mean_within}
    scores = measures.scores(draws, task_run.shown, within)
    constant = (
        baselines.constant(task, exam.items, task_run.split)
        if not use.kinds(task.scorers[:1])
        else baselines.NONE
    )
    others = tuple(draws[1:])
    return Examined(task_run.shown, facts, scores, constant, extra, draws[0], others, changed, nats, read)


def _readings(exam: Examination, draws: list[Path], extra: dict[str, Any]) -> Path | None:
    """Results of other parsers, as `readings` of the results; None there for a scorer with one reading."""
    settings, path = exam.settings, exam.rows("readings")
    who = other_readings.client(settings.parsers, settings.judge)
    scorer, name = exam.task.scorers[0], exam.wanted.shown
    file = other_readings.written(path, draws, scorer, settings.parsers, who, name)
    extra["readings"] = file and other_readings.summary(io.read_jsonl(path), who.name if who else "")
    return file


def _judged(rows: Path) -> Iterator[tuple[Sample, Trace, Score]]:
    for row in io.read_jsonl(rows):
        yield io.sample_from_json(row["sample"]), io.trace_from_json(row["trace"]), Score(**row["scores"][0])


def _variant(exam: Examination, name: str, changed: dict[str, Path]) -> Path | None:
    """Answers to the items as the perturbation `name` changes them; each is run once."""
    if name not in changed and (items := perturbed(exam, name)) is not None:
        changed[name] = answer(exam, name, items, exam.settings.seed)
    return changed.get(name)


def _baselines(exam: Examination, offered: Any, changed: dict[str, Path]) -> dict[str, Any]:
    rows_of: dict[str, Any] = {}
    if "random" in exam.settings.baselines:
        rows_of["random"] = baselines.any_answer(exam.task, exam.items, offered)
    if "blind" in exam.settings.baselines:
        rows = _variant(exam, BLIND, changed)
        rows_of["blind"] = measures.scores([rows], "blind")["blind"] if rows is not None else None
    return rows_of


def _likelihoods(exam: Examination, offered: Any, extra: dict[str, Any]) -> Path | None:
    """Calibration of tasks with answer options; None in the results for other tasks."""
    settings = exam.settings
    if not settings.confidence and not settings.calibrate:
        return None
    if not answer_options.can_rank(exam.engine):
        raise ConfigError(
            f"the backend of {exam.engine.name} gives no likelihoods: leave out confidence and calibrate, or"
            " use transformers"
        )
    if offered is None:
        extra["calibration"] = None
        return None
    nats = likelihoods(exam, "likelihoods", exam.items)
    items = validation_items(exam, settings.calibrate) if settings.calibrate else None
    fitted = likelihoods(exam, "validation", items) if items is not None else None
    extra["calibration"] = confidence.calibrated(nats, fitted, settings.seed)
    return nats
