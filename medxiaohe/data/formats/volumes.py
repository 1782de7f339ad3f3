"""Take one picture of a DICOM or NIfTI file that a row names as its image: the middle frame or slice.

The readers `dicom` and `nifti` read folders of such files, with several frames, presets and captions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.data.formats import embedded_images
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.types import ImageRef

DICOM = (".dcm", ".dicom", ".ima")
NIFTI = (".nii", ".nii.gz")


def picture(path: Path) -> ImageRef:
    """Convert the file that a row names as its image: a PNG of the middle frame or slice of a DICOM or NIfTI
    file, any other file unchanged.

    Args:
        path: an image file of any format; a DICOM or NIfTI file is known by its ending, so that no file
            is opened for rows that are only counted.

    Returns:
        A reference to the image.

    Raises:
        Rejected: a damaged file, or identifying text burned into its pixels.
    """
    name = path.name.lower()
    if not name.endswith((*DICOM, *NIFTI)) or not path.is_file():
        return ImageRef(str(path))
    folder = str(embedded_images.folder())
    if name.endswith(DICOM):
        options: dict[str, Any] = {
            "folder": folder,
            "preset": "auto",
            "max_frames": 1,
            "allow_burned_in": False,
        }
        rows = list(decode("medxiaohe.data.formats.decode_dicom:frames", path, **options))
    else:
        options = {"folder": folder, "plane": "axial", "preset": "auto", "modality": "", "max_slices": 1}
        rows = list(decode("medxiaohe.data.formats.decode_nifti:slices", path, volume=0, **options))
    saved = rows[0]["picture"]
    return ImageRef(saved["path"], sha256=saved["sha256"])
