"""The options of `medxiaohe trace`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import group, verb

ORDER = 140  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `trace` and its second words to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    words = group(verbs, "trace", "show, verify, redact and export traces of what a workflow did")

    show = verb(
        words, "show", "the traces of a folder, or one", "medxiaohe trace show traces 0", "trace:show"
    )
    _folder(show)
    show.add_argument(
        "which", nargs="?", default="", metavar="TRACE", help="its number, or its name or the beginning of it"
    )
    show.add_argument(
        "--html", type=Path, metavar="FILE",
        help="write an HTML page of it: sentences with their evidence, roles, budget, levels of verification",
    )  # fmt: skip
    _how_to_verify(show)

    verify = verb(
        words,
        "verify",
        "check that traces are unchanged: exit code 0, or 1 with the first bad record",
        "medxiaohe trace verify traces --key signer.pub",
        "trace:verify",
    )
    _folder(verify)
    _how_to_verify(verify)
    verify.add_argument(
        "--level",
        default="",
        choices=("", "intact", "resolved", "replayed"),
        help="exit 1 unless all of this level, and of those before it, could be checked",
    )

    redact = verb(
        words,
        "redact",
        "a copy with fewer records open, which still verifies",
        "medxiaohe trace redact traces --keep claim,ruling --out public",
        "trace:redact",
    )
    _folder(redact)
    redact.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    redact.add_argument("--keep", default="", metavar="A,B", help="kinds of records that stay open")

    export = verb(
        words,
        "export",
        "traces in formats of other programs, on stdout",
        "medxiaohe trace export traces --to otel",
        "trace:export",
    )
    _folder(export)
    export.add_argument(
        "which", nargs="?", default="", metavar="TRACE", help="the number of one trace (default: all)"
    )
    export.add_argument(
        "--to", required=True, choices=("otel", "inspect", "fhir", "sr", "intoto"), help="the format"
    )
    export.add_argument("--dicom", type=Path, metavar="FILE", help="for sr: the image that the report is of")
    export.add_argument("--out", type=Path, metavar="FILE", help="for sr: a new file")
    export.add_argument(
        "--content", action="store_true", help="include the text of messages, tools and arguments"
    )

    key = verb(
        words,
        "key",
        "a new key that signs checkpoints",
        "medxiaohe trace key clinic --out clinic",
        "trace:key",
    )
    key.add_argument("name", help="of whoever signs")
    key.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="writes FILE.key (keep it secret) and FILE.pub (give it to anyone)",
    )


def _how_to_verify(command: argparse.ArgumentParser) -> None:
    command.add_argument("--key", default="", metavar="KEY", help="public key of the signer, or its file")
    command.add_argument("--since", type=Path, metavar="FILE", help="a checkpoint of the log that you kept")
    command.add_argument("--no-replay", action="store_true", help="do not run tools and workflows again")
    command.add_argument(
        "--sources", action="append", default=[], type=Path, metavar="DIR",
        help="a folder of documents and images that blobs/ lacks, matched by their hash; repeatable",
    )  # fmt: skip
    command.add_argument(
        "--library", action="append", default=[], metavar="FILE",
        help="passages of the tool search, to repeat its searches; NAME=FILE for search_NAME; repeatable",
    )  # fmt: skip
    command.add_argument("--model", default="", help="ask this model again: the level regenerated")
    command.add_argument("--backend", default="", help="of that model, when another is meant")
    command.add_argument(
        "--set", action="append", default=[], metavar="K=V", help="an option of that backend; repeatable"
    )
    command.add_argument(
        "--second", default="", metavar="VERIFIER", help="ask it about the claims: the level entailed"
    )


def _folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="DIR", help="a folder of traces")
