"""The layout of MIMIC-CXR: files/p10/p10000032/s50414267.txt is a report, its folder s50414267 the images.

    {reader: mimic_cxr, path: mimic-cxr-jpg/2.1.0, options: {reports: ../../mimic-cxr-reports}}

One study is one sample: its images in the order of their names, then its report. The split is that of
mimic-cxr-2.0.0-split.csv (.gz) in the folder, where it is there. Images are .jpg, .png or DICOM. The data
themselves are under the PhysioNet credentialed licence: they never leave this machine by this reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from medxiaohe.data.formats import files, volumes
from medxiaohe.data.formats.chat import split as split_of
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.data.formats.records import records
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import ImageRef, Message, Sample, Split

LICENSE = "PhysioNet Credentialed Health Data License 1.5.0"
PICTURES = (".jpg", ".jpeg", ".png", *volumes.DICOM)
MAX_REPORT = 2**20  # bytes
SECTION = re.compile(r"^[ \t]*([A-Z][A-Z /()]{2,60}):", re.MULTILINE)
EXAMPLE = {
    "files/p10/p10000032/s50414267.txt": "FINDINGS: The lungs are clear.\n\nIMPRESSION: No acute process.\n",
    "files/p10/p10000032/s50414267/02aa804e.png": png(8, 6),
    "mimic-cxr-2.0.0-split.csv": (
        "dicom_id,study_id,subject_id,split\n02aa804e,50414267,10000032,validate\n"
    ),
}


def mimic_cxr(
    path: Path,
    *,
    reports: str = "",
    sections: tuple[str, ...] | list[str] = (),
    question: str = "",
    license: str = LICENSE,
) -> Iterator[Sample | DeadLetter]:
    """Read reports of MIMIC-CXR with their images.

    Args:
        path: the folder that holds files/p10/...
        reports: folder of the .txt files, from `path`, where they are kept apart from the images.
        sections: of a report, such as [findings, impression]; left out: all of it.
        question: text that asks for the report, for fine-tuning; "": a report is a document.
        license: of all rows.

    Yields:
        one Sample a study; a DeadLetter for each that cannot be used

    Raises:
        DataError: there is no report below the folder.
    """
    if not path.is_dir():
        raise DataError(f"{path} is not a folder: give the one that holds files/p10/...")
    if unknown := [section for section in sections if not re.fullmatch(r"[A-Za-z /()]+", section)]:
        raise ConfigError(f"sections: {unknown[0]!r} is not the name of a section")
    root = path / reports if reports else path
    splits, studies = _splits(path), _studies(root)
    if not studies:
        raise DataError(f"no report pNN/pNNNNNNNN/sNNNNNNNN.txt below {root}: name their folder in `reports`")
    for report in studies:
        name = f"{report.parent.name}/{report.stem}"
        try:
            yield _study(report, root, path, splits, tuple(sections), question, license)
        except DataError as error:
            yield files.rejected(name, error)


def is_mimic(path: Path) -> bool:
    """Check whether a folder has the layout of MIMIC-CXR.

    Returns:
        True if it has files/p1?/p1* or p1?/p1*/s*.txt.
    """
    return path.is_dir() and (any(path.glob("files/p1?/p1*")) or any(path.glob("p1?/p1*/s*.txt")))


def _studies(root: Path) -> list[Path]:
    return sorted(
        file
        for file in root.rglob("s*.txt")
        if re.fullmatch(r"s\d+", file.stem)
        and re.fullmatch(r"p\d+", file.parent.name)
        and not file.is_symlink()
    )


def _study(
    report: Path,
    root: Path,
    path: Path,
    splits: dict[str, Split],
    sections: tuple[str, ...],
    question: str,
    license: str,
) -> Sample:
    """Make the sample of one study; Rejected if it has no image or no text."""
    relative = report.relative_to(root).with_suffix("")
    candidates = [path / relative, report.with_suffix("")]
    if relative.parts[:1] != ("files",):
        candidates.append(path / "files" / relative)
    folder = next((item for item in candidates if item.is_dir()), None)
    pictures = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in PICTURES] if folder else []
    if not pictures:
        raise Rejected("missing", f"no image of the study {report.stem}")
    text = _sections(files.content(report, MAX_REPORT).decode("utf-8-sig", "replace"), sections)
    if not text:
        requested = f" of {', '.join(sections)}" if sections else ""
        raise Rejected("empty", f"the report has no text{requested}")
    images: tuple[ImageRef, ...] = tuple(volumes.picture(item) for item in pictures)
    study = report.stem.removeprefix("s")
    messages: tuple[Message, ...]
    if question:
        messages = (Message("user", (*images, question)), Message("assistant", (text,)))
    else:
        messages = (Message("document", (*images, text)),)
    return Sample(
        id=report.stem,
        messages=messages,
        source="mimic_cxr",
        license=license,
        patient_id=report.parent.name,
        study_id=report.stem,
        split=splits.get(study, ""),
    )


def _sections(report: str, requested: tuple[str, ...]) -> str:
    """Extract sections of a report by their headings (FINDINGS: ...); all of it if none are requested."""
    if not requested:
        return report.strip()
    heads = list(SECTION.finditer(report))
    names = {name.upper() for name in requested}
    texts: list[str] = []
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        if head[1].strip() in names:
            texts.append(report[head.start() : after.start() if after else None].strip())
    return "\n\n".join(texts)


def _splits(path: Path) -> dict[str, Split]:
    """Read the official table, study -> split; {} if there is none."""
    tables = sorted(path.glob("*split.csv*"))
    split_by_study: dict[str, Split] = {}
    for record in records(tables[0]) if tables else ():
        if isinstance(record, DeadLetter):
            raise DataError(f"{tables[0]}: {record.where}: {record.reason}")
        name = str(record.row.get("split", ""))
        split_by_study[str(record.row.get("study_id", ""))] = split_of(
            "validation" if name == "validate" else name
        )
    return split_by_study
