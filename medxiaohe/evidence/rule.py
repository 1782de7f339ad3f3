"""Combine the rulings of several verifiers on the same claims.

    ruled(claims, evidence, [entities, findings])   -> every ruling, and the one that counts for each claim

The first verifier that says supported or contradicted decides; a comparison without an earlier study is never
supported. If none decides, a claim is unsupported if one verifier called it that, else unjudged: a claim that
no verifier could judge is never called unsupported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from medxiaohe import plugins
from medxiaohe.errors import ModelError
from medxiaohe.types import Claim, Evidence, Ruling

Verifier = Callable[[Sequence[Claim], Sequence[Evidence]], list[Ruling]]
RULES = (
    "comparison",
    "measured",
    "entities",
    "findings",
)  # verifiers that ask no model, in the order in which they decide
DECIDES = ("supported", "contradicted")
BLOCKS = ("comparison",)  # its "unsupported" overrides a "supported" of other verifiers


@dataclass(frozen=True, slots=True)
class Ruled:
    """All rulings, and for each claim the one that counts."""

    all: tuple[Ruling, ...]
    decided: tuple[Ruling, ...]  # in the order of the claims


def named(
    names: Sequence[str] = RULES, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Verifier]:
    """Load verifiers by name, each with its settings.

    Args:
        names: of `medxiaohe list verifiers`, or file.py:function.
        settings: name -> keyword arguments.

    Returns:
        verifiers in the same order

    Raises:
        ConfigError: a name is neither a verifier nor code that can be loaded.
    """
    return [partial(plugins.load("verifiers", name), **(settings or {}).get(name, {})) for name in names]


def ruled(claims: Sequence[Claim], evidence: Sequence[Evidence], verifiers: Sequence[Verifier]) -> Ruled:
    """Run verifiers on claims and decide between their rulings.

    Args:
        claims: to rule on.
        evidence: to verify them with.
        verifiers: in the order in which they decide.

    Returns:
        all rulings, verifier by verifier, and the one that counts for each claim

    Raises:
        ModelError: a verifier returned another number of rulings, or one on another claim.
    """
    rows = [list(verifier(claims, evidence)) for verifier in verifiers]
    for row in rows:
        if [ruling.claim for ruling in row] != [claim.id for claim in claims]:
            raise ModelError(f"a verifier gave {len(row)} rulings on {len(claims)} claims, or on others")
    decided = [_first([row[n] for row in rows], claim) for n, claim in enumerate(claims)]
    return Ruled(tuple(ruling for row in rows for ruling in row), tuple(decided))


def _first(rulings: Sequence[Ruling], claim: Claim) -> Ruling:
    """The ruling that counts for a claim, of those of all verifiers in order."""
    decisive = next((ruling for ruling in rulings if ruling.label in DECIDES), None)
    blocked = next(
        (ruling for ruling in rulings if ruling.by in BLOCKS and ruling.label == "unsupported"), None
    )
    if decisive is not None and (blocked is None or decisive.label == "contradicted"):
        return decisive
    if blocked is not None:
        return blocked
    for ruling in rulings:
        if ruling.label == "unsupported":
            return ruling
    return rulings[-1] if rulings else Ruling(claim.id, "unjudged", why="no verifier was asked")
