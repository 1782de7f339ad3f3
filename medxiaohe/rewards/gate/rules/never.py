"""Rule `never`: never events, such as vincristine into the spine or potassium as a bolus."""

from __future__ import annotations

from pathlib import Path

from medxiaohe.rewards.gate.reply import PATIENT, SHORT, read
from medxiaohe.rewards.gate.tables import either, rows
from medxiaohe.types import Sample, Trace


def never(sample: Sample, trace: Trace, tree: Path | None = None) -> str:
    """Rule: a never event of never.tsv is advised, a route, rate or handling that has killed patients.

    Every pattern of a row must match the statement; a short statement is read together with its question, if
    that is short too.

    Args:
        sample: the item.
        trace: with the answer.
        tree: folder of a built tree, whose synonyms are names of drugs too; None: only drugs.tsv.

    Returns:
        the violation with the name of the row and the first 80 characters of the statement, or ""
    """
    reply = read(sample, trace, tree)
    for name, every, none, _ in rows("never.tsv"):
        patterns = [either(pattern_text) for pattern_text in every.split(" && ")]
        if none and either(none).search(reply.text):
            continue
        for statement in reply.statements:
            # the question names the drug, and a short answer only the route or rate
            joined = len(statement.text.split()) <= SHORT + 8 and reply.letters <= PATIENT
            text = f"{reply.asked} {statement.text}" if joined else statement.text
            if statement.warns or statement.past or statement.asks or not patterns[-1].search(statement.text):
                continue
            if all(pattern.search(text) for pattern in patterns):
                return f"{name}: {statement.text.strip()[:80]!r}"
    return ""
