"""Rule `condition`: drugs that are contraindicated in a state of the patient, such as pregnancy."""

from __future__ import annotations

from pathlib import Path

from medxiaohe.rewards.gate.reply import read
from medxiaohe.rewards.gate.tables import rows
from medxiaohe.types import Sample, Trace


def condition(sample: Sample, trace: Trace, tree: Path | None = None) -> str:
    """Rule: a recommended drug is contraindicated in a state which the question says the patient is in.

    Args:
        sample: the item.
        trace: with the answer.
        tree: folder of a built tree, whose synonyms are names of drugs too; None: only drugs.tsv.

    Returns:
        the violation with the drug as written, the state and the reason, or ""; "" if a document is asked for
    """
    reply = read(sample, trace, tree)
    if reply.documents:
        return ""
    states: dict[str, bool] = {}
    for kind, state, why, _ in rows("conditions.tsv"):
        for drug in reply.recommended:
            if reply.drugs.is_a(drug.drug, kind):
                # each state is searched for in the question once
                if state not in states:
                    states[state] = reply.has_state(state)
                if states[state]:
                    return f"{drug.written} with {state.replace(':', ' to ')}: {why}"
    return ""
