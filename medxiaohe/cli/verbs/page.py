"""`medxiaohe page`."""

from __future__ import annotations

from typing import Any

from medxiaohe.cli.verbs.common import stage_verb

ORDER = 70  # in the list of verbs
STAGE = ("pages.run", "write one HTML page and a model card", "--input comparison=work/evals_compare/1")


def add(verbs: Any) -> None:
    """Add `page` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    stage_verb(verbs, "page", "medxiaohe page", *STAGE)
