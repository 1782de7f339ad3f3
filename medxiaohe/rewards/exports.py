"""Export scorers and rewards with the signatures of other trainers: TRL, verl, ms-swift.

    trl(reward)      (prompts, completions, sample: list[str], **columns) -> list[float | None]
    verl(reward)     (data_source, solution_str, ground_truth, extra_info) -> {"score": float, ...}
    ms_swift(reward) a class whose instances are called with (completions, sample=[...], **columns) ->
    list[float]

`reward(sample, trace)` is a Scorer or returns a hybrid.Reward; one with rubrics asks the judge that
scoring.judges.use.opened sets. The sample travels as JSON in a column `sample` (verl: in
extra_info["sample"]), as `column` writes it. An answer that could not be judged is None for TRL, which leaves
it out; verl and ms-swift have no such value: ModelError is raised there unless `unjudged` is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from medxiaohe import io
from medxiaohe.errors import DataError, ModelError
from medxiaohe.rewards.hybrid import Reward
from medxiaohe.types import Message, Sample, Score, Trace

Judged = Callable[[Sample, Trace], Score | Reward]


def column(sample: Sample) -> str:
    """Serialise a sample as a string column of a data set.

    Args:
        sample: the item; images stay references.

    Returns:
        JSON of one line, not escaped to ASCII
    """
    return json.dumps(io.to_json(sample), ensure_ascii=False)


def trl(reward: Judged) -> Callable[..., list[float | None]]:
    """Wrap a reward as a reward function of TRL's GRPOTrainer.

    Args:
        reward: a scorer, or a function that returns a hybrid.Reward.

    Returns:
        (prompts, completions, sample: column, ...) -> one value for each completion, None if not judged; it
        raises DataError if the data set has no column `sample`
    """

    def called(
        prompts: Sequence[Any], completions: Sequence[Any], sample: Sequence[str], **_: Any
    ) -> list[float | None]:
        """Reward completions with the signature of GRPOTrainer.

        Returns:
            one value for each completion; None: not judged
        """
        return [
            _value(reward, row, _text(completion))
            for row, completion in zip(sample, completions, strict=True)
        ]

    called.__name__ = _name(reward)  # TRL logs by this name
    return called


def verl(reward: Judged, unjudged: float | None = None) -> Callable[..., dict[str, Any]]:
    """Wrap a reward as verl's compute_score.

    Args:
        reward: a scorer, or a function that returns a hybrid.Reward.
        unjudged: number for answers that could not be judged, which verl needs; None: such an answer is an
            error.

    Returns:
        a function that returns {score, judged}, judged 1.0 or 0.0; it raises DataError if extra_info has no
        `sample`, and ModelError for an answer that could not be judged
    """

    def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: Any,
        extra_info: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """Reward one solution with the signature of verl.

        Returns:
            {score, judged}; verl averages every number of it
        """
        value = _value(reward, (extra_info or {}).get("sample"), solution_str)
        # verl averages every number of the result
        return {"score": _number(value, unjudged), "judged": float(value is not None)}

    return compute_score


def ms_swift(reward: Judged, unjudged: float | None = None) -> type:
    """Make a reward class for `swift.plugin.orms[NAME]`.

    ms-swift makes an instance of it and calls that with the completions.

    Args:
        reward: a scorer, or a function that returns a hybrid.Reward.
        unjudged: number for answers that could not be judged; None: such an answer is an error.

    Returns:
        a class; its instances return one number for each completion and raise DataError without a column
        `sample`, ModelError for an answer that could not be judged
    """

    class Orm:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def __call__(self, completions: Sequence[Any], sample: Sequence[str] = (), **_: Any) -> list[float]:
            rows: Sequence[str | None] = sample or [None] * len(completions)
            return [
                _number(_value(reward, row, _text(completion)), unjudged)
                for row, completion in zip(rows, completions, strict=True)
            ]

    Orm.__name__ = _name(reward)  # ms-swift logs by this name
    return Orm


def _value(reward: Judged, row: Any, answer: str) -> float | None:
    if not isinstance(row, str):
        raise DataError("the data set has no column `sample`: write it with rewards.exports.column")
    sample = io.sample_from_json(json.loads(row))
    judged = reward(sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,)))))
    return judged.total if isinstance(judged, Reward) else judged.value


def _number(value: float | None, unjudged: float | None) -> float:
    if value is None and unjudged is None:
        raise ModelError(
            "an answer could not be judged, and this trainer has no reward for that: give `unjudged`, or mend"
            " the judge"
        )
    return float(unjudged if value is None else value)  # type: ignore[arg-type]


def _text(completion: Any) -> str:
    """Text of a completion: the string itself, or the content of the last message."""
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _name(reward: Judged) -> str:
    return str(getattr(reward, "__name__", getattr(reward, "name", "reward")))
