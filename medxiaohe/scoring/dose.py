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
    """1 where drug, amount and frequency are those of one line of the target. DataError for a target without
    one dose.

    Args:
        sample: its target is one accepted dose a line, such as "amoxicillin 500 mg every 8 hours".
        trace: its answer is scored.
        tree: folder of a built tree, whose synonyms are names of the drug; None: spelling alone.

    Returns:
        1 or 0; `unparsed` without one clear dose

    Raises:
        DataError: a line of the target is not one dose.
    """
    known = tree_names(Path(tree)) if tree is not None else Names()
    text = final(readable(trace.answer))
    found = [one for one in doses(text) if not DENIED.search(text[: one.start])]
    if (
        not found
        or any(one.open for one in found)
        or not all(_alike(found[0], one) for one in found)
        or EITHER.search(text)
    ):
        return missing("dose", trace, "no single clear dose")
    shown = text[max(0, found[0].start - 30) : found[0].end + 30].strip()
    whys = [_differs(text, found[0], gold, known) for gold in golds(sample)]
    why = f"said {shown!r}, gold {' | '.join(golds(sample))!r}"
    return (
        Score("dose", 1.0, parsed=shown, why=why)
        if "" in whys
        else Score("dose", 0.0, parsed=shown, why=f"{why}: {whys[0]}")
    )


def _differs(text: str, said: Dose, gold: str, known: Names) -> str:
    """What is not as the gold has it, or ""."""
    wanted = doses(gold)
    if len(wanted) != 1:
        raise DataError(
            "the target of `dose` must have one dose, such as 'amoxicillin 500 mg three times a day', not"
            f" {gold!r}"
        )
    drug = gold[: wanted[0].start].strip(" ,:") or _first(AFTER, gold[wanted[0].end :])
    if drug and not any(known.same(name, drug) for name in _names(text, said)):
        return "another drug, or none"
    if not same_amount(said, wanted[0]):
        return "another amount"
    often = wanted[0].a_day
    return (
        "another frequency"
        if often is not None and (said.a_day is None or abs(said.a_day - often) > 1e-6)
        else ""
    )


def _names(text: str, said: Dose) -> list[str]:
    """What may be the name of the drug: the words right before the amount, and right behind it.

    A second name in brackets is left out: "Amoxicillin (Amoxil) 500 mg".
    """
    front = BRACKETS.sub(" ", text[: said.start])
    before, after = _first(BEFORE, front).split(), _first(AFTER, text[said.end :]).split()
    before = before or _first(BEFORE, text[: said.start]).split()
    return [" ".join(before[-n:]) for n in range(1, len(before) + 1)] + [
        " ".join(after[:n]) for n in range(1, len(after) + 1)
    ]


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1].strip() if found else ""


def _alike(one: Dose, other: Dose) -> bool:
    return same_amount(one, other) and (one.a_day is None or other.a_day is None or one.a_day == other.a_day)


CASE_SENSITIVE = True  # units: mg and Mg
EXAMPLE = Sample(
    "dose/example",
    (
        Message("user", ("Which antibiotic, in which dose, for a child of 40 kg with otitis media?",)),
        Message("assistant", ("Amoxicillin 500 mg every 8 hours",)),
    ),
    target="amoxicillin 500 mg three times a day",
)
