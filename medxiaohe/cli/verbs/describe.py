"""The options of `medxiaohe describe`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import verb

ORDER = 130  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `describe` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    example = "medxiaohe describe --draft draft.txt --evidence findings.txt --out out/report"
    command = verb(
        verbs, "describe", "write a report of a study, every statement checked against evidence", example,
        "describe:describe",
    )  # fmt: skip
    command.add_argument("--image", action="append", default=[], type=Path, help="a picture; repeatable")
    command.add_argument(
        "--dicom", type=Path, metavar="FILE", help="the DICOM image of the report, for report.dcm"
    )
    command.add_argument(
        "--model", default="", help="the model that writes the draft, as for `medxiaohe ask`"
    )
    command.add_argument(
        "--draft", type=Path, metavar="FILE", help="a file with the draft, instead of a model's"
    )
    command.add_argument("--backend", default="", help="a name of `medxiaohe list models`")
    command.add_argument("--indication", default="", metavar="TEXT", help="the indication")
    command.add_argument("--comparison", default="", metavar="TEXT", help="the earlier study for comparison")
    command.add_argument("--technique", default="", metavar="TEXT", help="the technique")
    command.add_argument(
        "--evidence", action="append", default=[], type=Path, metavar="PATH",
        help="texts about this study, a file or a folder; repeatable",
    )  # fmt: skip
    command.add_argument(
        "--record", action="append", default=[], metavar="K=V", help="a field of the record; repeatable"
    )
    command.add_argument("--prior", type=Path, metavar="FILE", help="the report of an earlier study")
    command.add_argument("--patient", default="", metavar="ID", help="of the study")
    command.add_argument(
        "--prior-patient", default="", metavar="ID", help="of the earlier study, if not the same"
    )
    command.add_argument("--date", default="", metavar="DATE", help="of the study, YYYY-MM-DD")
    command.add_argument("--prior-date", default="", metavar="DATE", help="of the earlier study")
    command.add_argument("--study", default="study", metavar="ID", help="what to call the study")
    command.add_argument(
        "--set", action="append", default=[], metavar="K=V",
        help="an option of the backend, or workflow.K=V one of the workflow report; repeatable",
    )  # fmt: skip
    command.add_argument("--key", type=Path, metavar="FILE", help="a private key that signs the trace")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
