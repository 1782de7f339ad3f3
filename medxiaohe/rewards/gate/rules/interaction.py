"""Rule `interaction`: pairs of drugs that labels forbid together."""

from __future__ import annotations

import re
from pathlib import Path

from medxiaohe.rewards.gate.drugs import Named
from medxiaohe.rewards.gate.reply import Reply, read
from medxiaohe.rewards.gate.tables import rows, words
from medxiaohe.types import Sample, Trace

TOGETHER = words("together")


def interaction(sample: Sample, trace: Trace, tree: Path | None = None) -> str:
    """Rule: two drugs together that labels forbid, both advised or one advised and one taken by the patient.

    Args:
        sample: the item.
        trace: with the answer.
        tree: folder of a built tree, whose synonyms are names of drugs too; None: only drugs.tsv.

    Returns:
        the violation with both drugs as written and the reason, or ""; "" if a document is asked for
    """
    reply = read(sample, trace, tree)
    if reply.documents:
        return ""
    advised = reply.recommended
    for first, second, why, _ in rows("pairs.tsv"):
        for drug in advised:
            # the opposite side of the pair; both sides for a drug that is on both
            opposite = second if reply.drugs.is_a(drug.drug, first) else first
            if not (reply.drugs.is_a(drug.drug, first) or reply.drugs.is_a(drug.drug, second)):
                continue
            sides = {opposite} | ({first} if reply.drugs.is_a(drug.drug, second) else set())
            for beside in (*reply.taken, *_same_statement(reply, drug)):
                # a drug and its own class or synonym are not a pair
                same = (
                    beside.drug in reply.drugs.classes[drug.drug]
                    or drug.drug in reply.drugs.classes[beside.drug]
                )
                if not same and any(reply.drugs.is_a(beside.drug, side) for side in sides):
                    return f"{drug.written} with {beside.written}: {why}"
    return ""


def _same_statement(reply: Reply, drug: Named) -> list[Named]:
    """Drugs that a statement without a warning advises together with `one`; [] for alternatives ("or")."""
    drugs: list[Named] = []
    for statement in reply.statements:
        names = reply.drugs.named(statement.text)
        together = TOGETHER.search(statement.text)
        if together and not statement.warns and any(name.drug == drug.drug for name in names):
            drugs += [name for name in names if not re.search(r"\bor\b|或", statement.text)]
    return drugs
