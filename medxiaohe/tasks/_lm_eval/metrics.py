"""The metrics of lm-eval and lmms-eval over one item, as scorers. Semantics: lm_eval/api/task.py, v0.4.9.

multiple_choice   the likelihoods of the options, which the workflow `likeliest` asked for, are in the steps
                  of the trace: acc takes the likeliest option, acc_norm the likeliest per character
generate_until    the reply, cut at `until`, goes through the filters; exact_match compares it as it is
process_results   a function of the file, which gets the row and the results and gives {metric: value}

An answer that was generated although options were to be ranked (a server without likelihoods) is read by the
strict parser of choices: acc then is the letter it gives, and acc_norm is unjudged.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest
from medxiaohe.scoring import choice
from medxiaohe.scoring._text import missing
from medxiaohe.tasks._lm_eval import filters
from medxiaohe.tasks._lm_eval.config import Function
from medxiaohe.types import Sample, Score, Scorer, Trace

RANKED = ("acc", "acc_norm", "loglikelihood")
GENERATED = ("exact_match",)
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
NO_DIGITS = str.maketrans("", "", string.digits)
GOLD, ROW = "gold", "row"  # keys of Annotations.harness


def scorers(config: Mapping[str, Any], output: str, origin: str) -> tuple[Scorer, ...]:
    """Build a scorer for each metric and, of generated replies, each filter pipeline.

    Args:
        config: checked keys of the file.
        output: its output_type.
        origin: name of the file, for messages.

    Returns:
        Scorers named METRIC, or METRIC,PIPELINE where there are several pipelines.

    Raises:
        ConfigError: a metric or filter is not done here.
    """
    metrics = config.get("metric_list") or [
        {"metric": "acc" if output != "generate_until" else "exact_match"}
    ]
    own = config.get("process_results")
    if output != "generate_until":
        pipelines: Sequence[Mapping[str, Any]] = ({},)
    else:
        pipelines = config.get("filter_list") or ({"name": "none", "filter": ({"function": "take_first"},)},)
        filters.check(pipelines, origin)
    results: list[Scorer] = []
    for row in metrics:
        for pipeline in pipelines:
            name = _name(row["metric"])
            label = name if len(pipelines) < 2 else f"{name},{pipeline.get('name')}"
            results.append(_scorer(name, label, row, pipeline, own, config, output, origin))
    return tuple(results)


def _name(metric: Any) -> str:
    return metric.name if isinstance(metric, Function) else str(metric)


def _scorer(
    name: str,
    label: str,
    row: Mapping[str, Any],
    pipeline: Mapping[str, Any],
    own: Any,
    config: Mapping[str, Any],
    output: str,
    origin: str,
) -> Scorer:
    options = {k: v for k, v in row.items() if k not in ("metric", "aggregation", "higher_is_better")}
    until = tuple((config.get("generation_kwargs") or {}).get("until") or ())
    steps = tuple(pipeline.get("filter") or ())
    scorer: Any
    if own is not None:
        result = {"function": own, "aggregation": row.get("aggregation"), "output": output}
        scorer = partial(of_results, label=label, metric=name, steps=steps, until=until, **result)
    elif isinstance(row["metric"], Function):
        scorer = partial(
            of_function, label=label, function=row["metric"], options=options, steps=steps, until=until
        )
    elif output == "generate_until" and name in GENERATED:
        scorer = partial(exact_match, label=label, steps=steps, until=until, **options)
    elif output != "generate_until" and name in RANKED:
        scorer = {"acc": acc, "acc_norm": acc_norm, "loglikelihood": loglikelihood}[name]
    else:
        available = GENERATED if output == "generate_until" else RANKED
        raise ConfigError(f"{origin}: no metric {name!r} for {output} here{nearest(name, available)}")
    if isinstance(scorer, partial):
        scorer.__name__ = label  # type: ignore[attr-defined]
    return scorer  # type: ignore[no-any-return]


# ---- options that were ranked ----------------------------------------------------------------------


def acc(sample: Sample, trace: Trace) -> Score:
    """Accuracy: 1 where the likeliest option is right.

    Args:
        sample: with options and gold.
        trace: with the likelihoods of the options, or a generated answer.

    Returns:
        1 or 0; `unparsed` for a generated answer without a letter
    """
    likelihoods = log_likelihoods(trace)
    if likelihoods is None:
        return _read("acc", sample, trace)
    return _picked("acc", sample, likelihoods)


def acc_norm(sample: Sample, trace: Trace) -> Score:
    """Length-normalised accuracy: 1 where the option of the highest log-likelihood per character is right.

    Args:
        sample: with options and gold.
        trace: with the likelihoods of the options.

    Returns:
        1 or 0; `unjudged` without likelihoods
    """
    likelihoods = log_likelihoods(trace)
    if likelihoods is None:
        return Score("acc_norm", None, "unjudged", why="the model gave no likelihoods")
    # characters, not bytes or tokens, without the delimiter before the option
    return _picked(
        "acc_norm", sample, [nats / len(text) for nats, text in zip(likelihoods, sample.choices, strict=True)]
    )


def loglikelihood(sample: Sample, trace: Trace) -> Score:
    """Log-likelihood of the target; exp(-mean) of them is the perplexity of lm-eval.

    Args:
        sample: its only option is the target.
        trace: with its likelihood.

    Returns:
        Nats, at most 0; `unjudged` without likelihoods
    """
    likelihoods = log_likelihoods(trace)
    if likelihoods is None:
        return Score("loglikelihood", None, "unjudged", why="the model gave no likelihoods")
    return Score("loglikelihood", likelihoods[0], parsed=sample.choices[0], why=f"{likelihoods[0]:.4f} nats")


def log_likelihoods(trace: Trace) -> list[float] | None:
    """Extract the log-likelihoods of the options from a trace.

    Args:
        trace: of the workflow `likeliest`.

    Returns:
        Nats, in the order of the options; None where nothing was ranked.
    """
    for step in reversed(trace.steps):
        if step.kind == "rank" and step.got is not None:
            return [-float(value) for value in step.got]  # the workflow records negative log-likelihoods
    return None


def _picked(name: str, sample: Sample, values: Sequence[float]) -> Score:
    pick = max(range(len(values)), key=lambda i: values[i])  # the first of equals, as numpy.argmax
    right = pick in golds(sample)
    shown = sample.choices[pick]
    return Score(name, float(right), parsed=shown, why=f"likeliest is {shown!r}, gold {sample.target!r}")


def _read(name: str, sample: Sample, trace: Trace) -> Score:
    if trace.answer.strip() in sample.choices:
        pick = sample.choices.index(trace.answer.strip())
        return Score(name, float(pick in golds(sample)), parsed=trace.answer.strip(), why="the option itself")
    bare = all(len(text) == 1 for text in sample.choices)
    letter = choice.parse(trace.answer, () if bare else sample.choices)
    if not letter or choice.LETTERS.index(letter) >= len(sample.choices):
        return missing(name, trace)
    right = choice.LETTERS.index(letter) in golds(sample)
    return Score(name, float(right), parsed=letter, why=f"said {letter!r}, gold {sample.target!r}")


def golds(sample: Sample) -> list[int]:
    """List the right options of an item.

    Args:
        sample: built by `task.samples`.

    Returns:
        Indices from 0.
    """
    gold = sample.annotations.harness[GOLD]
    return list(gold) if isinstance(gold, (list, tuple)) else [int(gold)]


# ---- replies that were generated -------------------------------------------------------------------


def reply(trace: Trace, steps: Sequence[Mapping[str, Any]], until: Sequence[str]) -> str:
    """Cut a reply at its stop strings and apply the filters.

    Args:
        trace: its answer is read.
        steps: of one filter pipeline.
        until: strings that end a reply.

    Returns:
        The first filtered reply, "" for none.
    """
    text = trace.answer
    for end in until:
        if end:
            text = text.split(end)[0]
    return "".join(filters.filtered([text], steps)[:1])


def exact_match(
    sample: Sample,
    trace: Trace,
    *,
    label: str = "exact_match",
    steps: Sequence[Mapping[str, Any]] = (),
    until: Sequence[str] = (),
    ignore_case: bool = False,
    ignore_punctuation: bool = False,
    ignore_numbers: bool = False,
    regexes_to_ignore: Sequence[str] = (),
) -> Score:
    """Exact match of the filtered reply with one of the golds.

    Args:
        sample: with its gold.
        trace: its answer is scored.
        label: name of the score.
        steps: of one filter pipeline.
        until: strings that end a reply.
        ignore_case: compare in lower case.
        ignore_punctuation: compare without ASCII punctuation.
        ignore_numbers: compare without digits.
        regexes_to_ignore: patterns that are removed before comparison.

    Returns:
        1 or 0; `unparsed` or `refused` where a filter pattern matches nothing
    """
    filtered = reply(trace, steps, until)
    gold = sample.annotations.harness[GOLD]

    def even(text: str) -> str:
        for pattern in regexes_to_ignore or ():
            text = re.sub(pattern, "", text)
        text = text.lower() if ignore_case else text
        text = text.translate(NO_PUNCTUATION) if ignore_punctuation else text
        return text.translate(NO_DIGITS) if ignore_numbers else text

    requested = [str(item) for item in gold] if isinstance(gold, (list, tuple)) else [str(gold)]
    right = even(filtered) in map(even, requested)
    if not right and filtered == filters.INVALID:
        return missing(label, trace)
    return Score(label, float(right), parsed=filtered, why=f"said {filtered!r}, gold {gold!r}")


def of_function(
    sample: Sample,
    trace: Trace,
    *,
    label: str,
    function: Function,
    options: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]] = (),
    until: Sequence[str] = (),
) -> Score:
    """Score with a metric function of the file.

    Args:
        sample: with its gold.
        trace: its answer is scored.
        label: name of the score.
        function: called with references and predictions.
        options: its further arguments.
        steps: of one filter pipeline.
        until: strings that end a reply.

    Returns:
        Its number; of a mapping the value under the function's name, else the first.
    """
    filtered = reply(trace, steps, until)
    result = function(references=[sample.annotations.harness[GOLD]], predictions=[filtered], **options)
    value = result.get(function.name, next(iter(result.values()))) if isinstance(result, Mapping) else result
    return Score(label, float(value), parsed=filtered, why=f"{function.name} gives {float(value):g}")


def of_results(
    sample: Sample,
    trace: Trace,
    *,
    label: str,
    metric: str,
    function: Function,
    aggregation: Any = "mean",
    steps: Sequence[Mapping[str, Any]] = (),
    until: Sequence[str] = (),
    output: str = "generate_until",
) -> Score:
    """Score with `process_results` of the file.

    A value that is no number goes through the aggregation function of the file, of this item alone: true for
    a share of right items, and not for a measure of a whole corpus.

    Args:
        sample: with its row.
        trace: its answer or likelihoods are scored.
        label: name of the score.
        metric: key of the result.
        function: called with the row and the results.
        aggregation: name or function of the file.
        steps: of one filter pipeline.
        until: strings that end a reply.
        output: output_type of the file.

    Returns:
        The number; `unjudged` without likelihoods, or where the result has no number for the metric
    """
    filtered = reply(trace, steps, until)
    results: list[Any] = [filtered]
    if output != "generate_until":
        ranked = log_likelihoods(trace)
        if ranked is None:
            return Score(label, None, "unjudged", why="the model gave no likelihoods")
        best = max(ranked)  # lm-eval passes (log-likelihood, is greedy): here the likeliest counts as greedy
        results = [(value, value == best) for value in ranked]
    outcome = function(sample.annotations.harness[ROW], results)
    if metric not in outcome:
        return Score(label, None, "unjudged", why=f"process_results gives no {metric}")
    value = outcome[metric]
    if isinstance(aggregation, Function):
        value = aggregation([value])
    if isinstance(value, Mapping) or not isinstance(value, (int, float)):
        return Score(label, None, "unjudged", why=f"process_results gives no number for {metric}")
    return Score(label, float(value), parsed=filtered, why=f"process_results gives {float(value):g}")
