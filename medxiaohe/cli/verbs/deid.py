"""`medxiaohe deid`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.cli.verbs.common import verb

ORDER = 110  # in the list of verbs


def add(verbs: Any) -> None:
    """Add `deid` to the verbs.

    Args:
        verbs: the subparsers of `medxiaohe`.
    """
    deid = verb(
        verbs,
        "deid",
        "de-identify DICOM, images and text",
        "medxiaohe deid scans --out clean --key key.hex",
        "deid:deid",
    )
    deid.add_argument(
        "path", type=Path, help="a file or folder: DICOM, pictures, .txt, .md, .csv, .tsv, .json, .jsonl"
    )
    deid.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder; a second call resumes"
    )
    deid.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="the key of pseudonyms, created if missing; or MEDXIAOHE_DEID_KEY",
    )
    deid.add_argument(
        "--pixels",
        default="ocr",
        choices=("ocr", "trust"),
        help="search the pixels for text (ocr), or assume that they have none (trust)",
    )
    deid.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help="YAML, boxes to blank: [{when: {Modality: US}, boxes: [[0, 0, 800, 60]]}]",
    )
    deid.add_argument(
        "--keep",
        default="",
        metavar="A,B",
        help="JSON fields and columns to copy unchanged, such as source,license",
    )
    deid.add_argument(
        "--sources",
        type=Path,
        metavar="FILE",
        help="write the paths of quarantined files to this file (it may contain names)",
    )
