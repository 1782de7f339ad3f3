"""`medxiaohe stage`."""

from __future__ import annotations

from typing import Any

from medxiaohe.cli.verbs.common import stage_options, verb

ORDER = 100  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `stage` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    example = "medxiaohe stage data.read --out work --with read.yaml --input tree=work/entity_build/1"
    stage = verb(verbs, "stage", "run any one stage", example, "runs:stage")
    stage.add_argument("uses", help="a name of `medxiaohe list stages`, or file.py:function")
    stage_options(stage)
