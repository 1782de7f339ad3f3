"""Stage `evals.ladder`: check workflows with scripted roles that are right with a known probability.

The measured share of right outcomes must agree with the computed one.

    ladder.json   [{workflow, p, correlated, n, share, computed, error, within, calls}], error the standard
                  error of n cases, `within` four of them
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError
from medxiaohe.evals.oracle.rungs import RUNGS, near, standard_error
from medxiaohe.evals.statistics.costs import cost, mean


@dataclass(frozen=True)
class LadderSettings:
    workflows: tuple[str, ...] = tuple(RUNGS)  # names of the workflows that are measured
    right: tuple[float, ...] = (0.5, 0.6, 0.8)  # probabilities that a role is right
    cases: int = 400  # drawn for each workflow and probability

    def __post_init__(self) -> None:
        for name in self.workflows:
            if name not in RUNGS:
                raise ConfigError(
                    f"no scripted roles for the workflow {name!r}{plugins.nearest(name, RUNGS)}"
                )
        if not all(0 < p < 1 for p in self.right) or self.cases < 10:
            raise ConfigError("each of `right` must be between 0 and 1, and cases at least 10")


def ladder(settings: LadderSettings, out: Path) -> dict[str, Any]:
    """Run every workflow at every probability, with independent and with correlated roles.

    Args:
        settings: settings of the stage; docs/reference/recipes.md has a sentence for each.
        out: folder of the stage, a draft that is published whole.

    Returns:
        the summary of the stage: `outcomes`, `as_computed`
    """
    rows = []
    for name in settings.workflows:
        rung = RUNGS[name]
        for p in settings.right:
            for correlated in (False, True):
                traces = rung.traces(p, correlated, settings.cases)
                share, computed = rung.share(traces), rung.computed(p, correlated)
                rows.append(
                    {
                        "workflow": name,
                        "p": p,
                        "correlated": correlated,
                        "n": settings.cases,
                        "share": share,
                        "computed": round(computed, 6),
                        "error": round(standard_error(computed, settings.cases), 6),
                        "within": near(share, computed, settings.cases),
                        "calls": mean([cost(trace) for trace in traces]).calls,
                    }
                )
    io.write_json(out / "ladder.json", rows)
    return {"outcomes": len(rows), "as_computed": sum(row["within"] for row in rows)}
