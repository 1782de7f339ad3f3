"""Knowledge that comes with assets: what the tools clinical and drug look up."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from medxiaohe import assets
from medxiaohe.retrieval.drugs import Interactions, RenalDoses
from medxiaohe.retrieval.guidelines import Guidelines

TEXTS = (".json", ".md", ".tsv")


def texts(folder: Path) -> dict[str, str]:
    """Texts of an asset's folder by their names below it."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in TEXTS)
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in paths}


def resources() -> dict[str, Callable[[], Any]]:
    """Resources of tools by name; the asset of one is obtained when a tool first needs it."""
    return {"guidelines": _guidelines, "interactions": _interactions, "renal_doses": _renal_doses}


@cache
def _guidelines() -> Guidelines:
    return Guidelines(texts(assets.folder("open_medicine")))


@cache
def _renal_doses() -> RenalDoses:
    return RenalDoses(texts(assets.folder("open_medicine")))


@cache
def _interactions() -> Interactions:
    return Interactions(texts(assets.folder("ddi_ansm")))
