"""A drug, its dose and how often: "amoxicillin 500 mg three times a day" is "500 mg of amoxicillin every 8
hours".

The amounts compare in any unit of the same kind, "1.5 g a day in three doses" is three times 500 mg. How
often counts where the target says it, the drug where the target names one: by spelling, and by the tree where
one is given. Ranges, bounds and several different doses are no answer.
"""

import re
from pathlib import Path

from medxiaohe.errors import DataError
from medxiaohe.scoring._answer import final
from medxiaohe.scoring._doses import Dose, doses, same_amount
from medxiaohe.scoring._equivalence import Names, tree_names
from medxiaohe.scoring._numbers import readable
from medxiaohe.scoring._text import golds, missing
from medxiaohe.types import Message, Sample, Score, Trace

LONGEST = 5  # words of the name of a drug
ROUTE = (
    r"(?:(?:oral(?:ly)?|by mouth|intra(?:venous|muscular)|subcutaneous|iv|im|sc|po|tablets?|capsules?|at|a"
    r" dose of|dose|daily|[:,(])\s*)*"
)
BEFORE = re.compile(rf"((?:[\w'\-/]+\s+){{0,{LONGEST - 1}}}[\w'\-/]+?)\s*{ROUTE}$", re.IGNORECASE)
AFTER = re.compile(rf"^\s*(?:of\s+)?{ROUTE}(?:of\s+)?((?:[\w'\-/]+\s*){{1,{LONGEST}}})", re.IGNORECASE)
BRACKETS = re.compile(r"(?<=\w)\s*\([^()]*\)")
DENIED = re.compile(
    r"(?:\bnot|n't|\bnever|\bno|\bavoid|\brather than|\binstead of|不|避免|禁)\s*(?:\w+\s+){0,2}$",
    re.IGNORECASE,
)
EITHER = re.compile(r"\b(?:or|versus|vs|either)\b|或", re.IGNORECASE)


def dose(sample: Sample, trace: Trace, *, tree: Path | None = None) -> Score:
    """Accuracy of a dose: 1 where drug, amount and frequency are those of one line of the target.

    Args:
        sample: its target is one accepted dose a line, such as "amoxicillin 500 mg every 8 hours".
        trace: its answer is scored.
        tree: folder of a built tree, whose synonyms are names of the drug; None: spelling alone.

    Returns:
        1 or 0; `unparsed` without one clear dose

    Raises:
        DataError: a line of the target is not one dose.
    """
    names = tree_names(Path(tree)) if tree is not None else Names()
    text = final(readable(trace.answer))
    candidates = [candidate for candidate in doses(text) if not DENIED.search(text[: candidate.start])]
    if (
        not candidates
        or any(candidate.open for candidate in candidates)
        or not all(_alike(candidates[0], candidate) for candidate in candidates)
        or EITHER.search(text)
    ):
        return missing("dose", trace, "no single clear dose")
    shown = text[max(0, candidates[0].start - 30) : candidates[0].end + 30].strip()
    whys = [_differs(text, candidates[0], gold, names) for gold in golds(sample)]
    why = f"said {shown!r}, gold {' | '.join(golds(sample))!r}"
    return (
        Score("dose", 1.0, parsed=shown, why=why)
        if "" in whys
        else Score("dose", 0.0, parsed=shown, why=f"{why}: {whys[0]}")
    )


def _differs(text: str, candidate: Dose, gold: str, names: Names) -> str:
    """What is not as the gold has it, or ""."""
    gold_doses = doses(gold)
    if len(gold_doses) != 1:
        raise DataError(
            "the target of `dose` must have one dose, such as 'amoxicillin 500 mg three times a day', not"
            f" {gold!r}"
        )
    drug = gold[: gold_doses[0].start].strip(" ,:") or _first(AFTER, gold[gold_doses[0].end :])
    if drug and not any(names.same(name, drug) for name in _names(text, candidate)):
        return "another drug, or none"
    if not same_amount(candidate, gold_doses[0]):
        return "another amount"
    often = gold_doses[0].a_day
    return (
        "another frequency"
        if often is not None and (candidate.a_day is None or abs(candidate.a_day - often) > 1e-6)
        else ""
    )


def _names(text: str, candidate: Dose) -> list[str]:
    """What may be the name of the drug: the words right before the amount, and right behind it.

    A second name in brackets is left out: "Amoxicillin (Amoxil) 500 mg".
    """
    front = BRACKETS.sub(" ", text[: candidate.start])
    before, after = _first(BEFORE, front).split(), _first(AFTER, text[candidate.end :]).split()
    before = before or _first(BEFORE, text[: candidate.start]).split()
    return [" ".join(before[-n:]) for n in range(1, len(before) + 1)] + [
        " ".join(after[:n]) for n in range(1, len(after) + 1)
    ]


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1].strip() if match else ""


def _alike(first: Dose, second: Dose) -> bool:
    return same_amount(first, second) and (
        first.a_day is None or second.a_day is None or first.a_day == second.a_day
    )


CASE_SENSITIVE = True  # units: mg and Mg
EXAMPLE = Sample(
    "dose/example",
    (
        Message("user", ("Which antibiotic, in which dose, for a child of 40 kg with otitis media?",)),
        Message("assistant", ("Amoxicillin 500 mg every 8 hours",)),
    ),
    target="amoxicillin 500 mg three times a day",
)
