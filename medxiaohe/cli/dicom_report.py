"""A report as a DICOM SR file, for `describe --dicom` and `trace export --to sr`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe import io, plugins
from medxiaohe.errors import DataError


def write_sr(report: Any, source: Path, out: Path) -> None:
    """Write a report as DICOM SR that refers to a DICOM image.

    Args:
        report: the report (reports/document.py).
        source: the DICOM image that the report is of; its pixels are not read.
        out: the file to write.

    Raises:
        DataError: `source` is not a DICOM file.
        MissingExtra: pydicom is not installed.
    """
    from medxiaohe.reports.dicom_sr import dicom_sr

    plugins.need("pydicom", why="a report as DICOM SR")
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        image = pydicom.dcmread(source, stop_before_pixels=True)
    except (OSError, InvalidDicomError) as error:
        raise DataError(f"{source}: not a DICOM file: {error}") from error
    dataset = dicom_sr(report, image)
    with io.storage(out):
        dataset.save_as(out)
