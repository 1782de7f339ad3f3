"""A reply against claims that physicians wrote, and a report against a reference, by entailment; a judge says
what follows.

    claims                 share of the must-have claims that the reply says (K-QA: comprehensiveness; Manes
                           et al. 2024)
    claims.contradicted    1 - contradicted claims / all claims, must-have and nice-to-have (K-QA: precision)
    claims.hallucinations  number of contradicted claims (K-QA: its mean over questions is "hallucination
                           rate"); less is better
    claims.key_points      (supported - contradicted) / must-have claims, at least 0 (+ for a covered
                           key point, - for a false one)
    claims.precision       share of the reply's phrases that the reference entails (RadFact: logical
                           precision; Bannur et al. 2024)
    claims.recall          share of the reference's phrases that the reply entails (RadFact: logical recall)
    claims.f1              their harmonic mean

For the first four Sample.target is JSON: {"must": ["...", ...], "nice": ["...", ...]}. For the others the
reference is the last assistant message, else the target; phrases are sentences (K-QA and RadFact split with a
model; `atomic` does that too). One claim without a verdict leaves the score unjudged.
"""

import json
from collections.abc import Sequence

from medxiaohe.errors import DataError
from medxiaohe.scoring._free import reference, said
from medxiaohe.scoring._sentences import phrases
from medxiaohe.scoring._text import plain
from medxiaohe.scoring.judges.questions import Judge, Question, Verdict
from medxiaohe.scoring.judges.scorer import JudgedScorer, undecided
from medxiaohe.types import Message, Sample, Score, Trace


def must_and_nice(sample: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Read the must-have and nice-to-have claims of the target.

    Args:
        sample: its target is JSON {"must": [...], "nice": [...]}.

    Returns:
        the must-have and the nice-to-have claims

    Raises:
        DataError: the target is not such JSON, or has no must-have claim.
    """
    try:
        parsed = json.loads(sample.target)
        must, nice = (
            tuple(str(claim) for claim in parsed.get(key, ()) if str(claim).strip())
            for key in ("must", "nice")
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f'{sample.id}: the target of claims is JSON like {{"must": ["..."], "nice": ["..."]}}'
        ) from error
    if not must:
        raise DataError(f"{sample.id}: no must-have claim in the target")
    return must, nice


def to_target(must: Sequence[str], nice: Sequence[str] = ()) -> str:
    """Write claims as the target of a sample.

    Args:
        must: claims that a complete answer says.
        nice: claims that a good answer may say.

    Returns:
        JSON that `must_and_nice` reads
    """
    return json.dumps({"must": list(must), "nice": list(nice)}, ensure_ascii=False)


def atomic(
    judge: Judge, texts: Sequence[str], recited: Sequence[Sequence[str]] = ()
) -> list[list[str] | None]:
    """Split texts into atomic claims with a judge, each claim once and in order.

    `recited` are texts that are no claims though a text says them, such as wrong options (Baichuan-M3,
    2.2.2).

    Args:
        judge: which splits the texts.
        texts: what is split.
        recited: for each text what is not counted as its claims.

    Returns:
        claims of each text, in the judge's words; None where the judge failed
    """
    replies = judge.ask([Question("split", text) for text in texts])
    excluded = [{plain(text) for text in row} for row in recited] or [set[str]() for _ in texts]
    rows = [row[0].label.split("\n") if row[0].label else None for row in replies]
    return [
        None if row is None else [claim for claim in row if plain(claim) not in out]
        for row, out in zip(rows, excluded, strict=True)
    ]


def _about_claims(sample: Sample, trace: Trace) -> list[Question]:
    must, nice = must_and_nice(sample)
    return [Question("claim", said(trace), (*must, *nice))]


def _about_must(sample: Sample, trace: Trace) -> list[Question]:
    return [Question("claim", said(trace), must_and_nice(sample)[0])]


def _both_ways(sample: Sample, trace: Trace) -> list[Question]:
    gold, reply = reference(sample), said(trace)
    return [Question("claim", gold, tuple(phrases(reply))), Question("claim", reply, tuple(phrases(gold)))]


def _counted(name: str, sample: Sample, trace: Trace, verdicts: list[tuple[Verdict, ...]]) -> Score:
    row = verdicts[0]
    why = _lines([*must_and_nice(sample)[0], *must_and_nice(sample)[1]][: len(row)], row)
    if problem := undecided(row):
        return Score(name, None, "unjudged", why=f"{problem}\n{why}")
    # counts over claims, of which each score is a formula
    supported, contradicted = (sum(v.label == label for v in row) for label in ("supported", "contradicted"))
    value = {
        "claims": supported / len(row),
        "claims.contradicted": 1 - contradicted / len(row),
        "claims.hallucinations": float(contradicted),
        "claims.key_points": max(0.0, (supported - contradicted) / len(row)),
    }[name]
    return Score(
        name, value, parsed=f"{supported} supported, {contradicted} contradicted of {len(row)}", why=why
    )


def _entailed(name: str, sample: Sample, trace: Trace, verdicts: list[tuple[Verdict, ...]]) -> Score:
    all_verdicts = [v for row in verdicts for v in row]
    why = "\n".join(
        _lines(question.items, row)
        for question, row in zip(_asked(name, sample, trace), verdicts, strict=True)
    )
    if problem := undecided(all_verdicts):
        return Score(name, None, "unjudged", why=f"{problem}\n{why}")
    if not phrases(reference(sample)):
        return Score(name, None, "unjudged", why="the reference says nothing that can be compared")
    # precision and recall: share of entailed phrases; a reply of numbers has no phrases
    shares = [sum(v.label == "supported" for v in row) / max(1, len(row)) for row in verdicts]
    # harmonic mean where both directions were asked
    value = (
        2 * shares[0] * shares[-1] / (shares[0] + shares[-1])
        if len(shares) == 2 and any(shares)
        else shares[0]
    )
    return Score(name, value, parsed=", ".join(f"{share:.3f}" for share in shares), why=why)


def _asked(name: str, sample: Sample, trace: Trace) -> list[Question]:
    both = _both_ways(sample, trace)
    return {"claims.precision": both[:1], "claims.recall": both[1:], "claims.f1": both}[name]


def _lines(items: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    return "\n".join(
        f"{v.label or 'no verdict'}: {item[:100]} ({v.why[:120]})"
        for item, v in zip(items, verdicts, strict=True)
    )


claims = JudgedScorer("claims", "claim", _about_must, _counted)
contradicted = JudgedScorer("claims.contradicted", "claim", _about_claims, _counted)
hallucinations = JudgedScorer("claims.hallucinations", "claim", _about_claims, _counted)
key_points = JudgedScorer("claims.key_points", "claim", _about_must, _counted)
precision = JudgedScorer(
    "claims.precision", "claim", lambda s, t: _asked("claims.precision", s, t), _entailed
)
recall = JudgedScorer("claims.recall", "claim", lambda s, t: _asked("claims.recall", s, t), _entailed)
f1 = JudgedScorer("claims.f1", "claim", _both_ways, _entailed)

CASE_SENSITIVE = True  # the target is JSON
EXAMPLE = Sample(
    "claims/example",
    (
        Message("user", ("How is scabies treated by mouth?",)),
        Message(
            "assistant",
            ("Scabies is treated by mouth with ivermectin. Ivermectin is not given to pregnant women.",),
        ),
    ),
    target=to_target(
        ["Scabies is treated by mouth with ivermectin"], ["Ivermectin is not given to pregnant women"]
    ),
)
