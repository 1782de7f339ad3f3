"""Report metrics of RadEval (Xu et al. 2025), per item, beside our own: MedEvalKit reports such numbers.

    metric_list: [{metric: "medxiaohe.scoring.peers.radeval:radgraph"}]

They need `pip install 'medxiaohe[radeval]'` (torchvision, medspacy, stanza and a dozen packages more) and
most of them the weights of their models from the hub. Those that send reports to a hosted model (CRIMSON,
MammoGREEN, RadFact-CT) are not here: `claims.f1` with a judge does that, and a judge passes the guard.
RadCliQ is a distance without a best value, not a score, so it is not here either.
"""

from __future__ import annotations

import functools
import importlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medxiaohe.errors import MissingExtra, ModelError
from medxiaohe.scoring._free import no_answer, reference, said
from medxiaohe.types import Sample, Score, Trace


@dataclass(frozen=True)
class RadEvalScorer:
    """Scorer of one RadEval metric.

    Attributes are the `metric` as RadEval takes it and the `key` of its number in RadEval's result.
    """

    metric: str
    key: str

    @property
    def name(self) -> str:
        """Name of the scorer in results.

        Returns:
            "radeval." and the metric.
        """
        return f"radeval.{self.metric}"

    def __call__(self, sample: Sample, trace: Trace) -> Score:
        return self.many([(sample, trace)])[0]

    def many(self, pairs: Sequence[tuple[Sample, Trace]]) -> list[Score]:
        """Score several traces in one call of RadEval; a reply that says nothing is 0 and is not measured.

        Args:
            pairs: (item, conversation).

        Returns:
            Scores in order; `unjudged` where RadEval returns no finite number.

        Raises:
            MissingExtra: a package is not installed.
            ModelError: the model of the metric cannot be loaded.
        """
        nothing = [no_answer(self.name, trace, reference(sample)) for sample, trace in pairs]
        # one call for all replies that can be measured; results are merged back in order
        scorable = [pair for pair, none in zip(pairs, nothing, strict=True) if none is None]
        values = iter(
            self._measure(
                [said(trace) for _, trace in scorable], [reference(sample) for sample, _ in scorable]
            )
            if scorable
            else ()
        )
        return [
            none or self._score(next(values), trace) for (_, trace), none in zip(pairs, nothing, strict=True)
        ]

    def _score(self, value: float, trace: Trace) -> Score:
        if not math.isfinite(value):
            return Score(self.name, None, "unjudged", why=f"RadEval gave {value}")
        return Score(self.name, value, parsed=said(trace), why=f"{self.key} of RadEval")

    def _measure(self, replies: list[str], golds: list[str]) -> list[float]:
        measured = evaluator(self.metric)(refs=golds, hyps=replies)
        return [float(value) for value in measured[self.key]]


@functools.lru_cache(maxsize=4)
def evaluator(metric: str) -> Any:
    """Load RadEval with one metric; the last four are cached.

    Args:
        metric: as RadEval names it.

    Returns:
        A callable of `refs` and `hyps` that returns a list of numbers for each key.

    Raises:
        MissingExtra: a package is not installed.
        ModelError: the model of the metric cannot be loaded.
    """
    try:
        package = importlib.import_module("radeval")
    except ImportError as error:
        raise MissingExtra(
            f"radeval.{metric} needs {error.name}: pip install 'medxiaohe[radeval]'"
        ) from error
    with warnings.catch_warnings():
        try:
            return package.RadEval(metrics=[metric], per_sample=True, show_progress=False)
        except ImportError as error:
            raise MissingExtra(
                f"radeval.{metric} needs {error.name}: pip install 'medxiaohe[radeval]'"
            ) from error
        except (OSError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"radeval.{metric} could not be made: {' '.join(str(error).split())[:200]}"
            ) from error


bleu = RadEvalScorer("bleu", "bleu")
rouge_l = RadEvalScorer("rouge", "rougeL")
bertscore = RadEvalScorer("bertscore", "bertscore")
radeval_bertscore = RadEvalScorer("radeval_bertscore", "radeval_bertscore")
radgraph = RadEvalScorer("radgraph", "radgraph_partial")
ratescore = RadEvalScorer("ratescore", "ratescore")
srrbert = RadEvalScorer("srrbert", "srrbert_weighted_f1")
temporal = RadEvalScorer("temporal", "temporal_f1")
green = RadEvalScorer("green", "green")
