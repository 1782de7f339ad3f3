"""NIfTI volumes (.nii, .nii.gz) as slices with captions: at most `slices` of one plane, evenly through the
volume.

    {reader: nifti, path: volumes, options: {plane: axial, slices: 8, modality: CT, captions: table.csv,
    caption: "{report}"}}

Slices lie as radiologists look at them, whatever the order of the file. NIfTI does not say its modality, and
it is not guessed: without `modality` a volume is shown between two percentiles. What was done (preset,
numbers, spacing in mm) is in `meta.preprocessing`. Of a series over time the volume number `volume` is taken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import embedded_images, files
from medxiaohe.data.formats.captions import captions as read_captions
from medxiaohe.data.formats.frames import Row, grouped, shown
from medxiaohe.data.formats.sandbox import decode
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.dicom import WORDS
from medxiaohe.errors import ConfigError
from medxiaohe.types import Message, Sample


def tiny(
    shape: tuple[int, ...] = (6, 5, 4),
    zooms: tuple[float, ...] = (2, 2, 3),
    voxels: bytes | None = None,
    kind: int = 4,
) -> bytes:
    """Make a valid single-file NIfTI-1 volume, axes to the right, front and head (RAS+), for tests.

    Args:
        shape: number of voxels along each axis, up to 7 axes.
        zooms: size of a voxel along each axis, in the file's unit (mm).
        voxels: raw data in Fortran order, little endian; None: int16 numbers that count up, modulo 500.
        kind: datatype code of NIfTI: 4 int16, 16 float32.

    Returns:
        The bytes of the file.
    """
    size = {4: 16, 16: 32}[kind]
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, len(shape), *shape, *(1,) * (7 - len(shape)))
    struct.pack_into("<2h", head, 70, kind, size)
    struct.pack_into("<8f", head, 76, 1, *zooms, *(1,) * (7 - len(zooms)))
    struct.pack_into("<3f", head, 108, 352, 1, 0)  # where the voxels begin, slope, intercept
    struct.pack_into("<2h", head, 252, 0, 1)  # the place is that of the matrix
    struct.pack_into("<12f", head, 280, zooms[0], 0, 0, 0, 0, zooms[1], 0, 0, 0, 0, zooms[2], 0)
    head[344:348] = b"n+1\0"
    count = 1
    for n in shape:
        count *= n
    return bytes(head) + (
        struct.pack(f"<{count}h", *(n % 500 for n in range(count))) if voxels is None else voxels
    )


APART = (".nii",)  # no file of a folder says anything about another
EXAMPLE = {"head.nii": tiny()}


def nifti(
    path: Path,
    *,
    plane: str = "axial",
    slices: int = 8,
    preset: str = "auto",
    modality: str = "",
    volume: int = 0,
    together: bool = True,
    captions: str = "",
    file: str = "file",
    caption: str = "caption",
    license: str = "not stated",
) -> Iterator[Sample | DeadLetter]:
    """Read slices of NIfTI volumes as 8-bit pictures.

    Args:
        path: a .nii or .nii.gz file, or a folder of them.
        plane: axial, coronal or sagittal.
        slices: slices of a volume at most, evenly chosen.
        preset: how stored values become 8 bits (data/formats/windows.py).
        modality: such as CT; NIfTI does not state it.
        volume: index of the volume in a 4D file, from 0.
        together: whether the slices of a volume are one sample; else each is one.
        captions: a table of captions, from the folder.
        file: column of that table with the name of the file.
        caption: column with the caption, or a template.
        license: of all rows.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    if plane not in ("axial", "coronal", "sagittal"):
        raise ConfigError(f"plane must be axial, coronal or sagittal, not {plane!r}")
    if slices < 1 or volume < 0:
        raise ConfigError(f"slices must be at least 1 and volume at least 0, not {slices} and {volume}")
    folder = path if path.is_dir() else path.parent
    every = files.files(path, *APART)
    places = [volume_path.relative_to(folder).as_posix() for volume_path in every]
    caption_of = read_captions(folder / captions if captions else None, file, caption, places)
    options: dict[str, Any] = {
        "folder": str(embedded_images.folder()),
        "plane": plane,
        "preset": preset,
        "modality": modality,
    }

    def read(volume_path: Path) -> Iterator[Sample | DeadLetter]:
        """Decode one volume in the sandbox.

        Yields:
            One Sample of all slices, or one for each.
        """
        rows = list(
            decode(
                "medxiaohe.data.formats.decode_nifti:slices",
                volume_path,
                max_slices=slices,
                volume=volume,
                **options,
            )
        )
        name = volume_path.relative_to(folder).as_posix()
        for id, group in grouped(name, rows, "index", together):
            yield _sample(id, name, group, plane, caption_of.get(name), license)

    yield from files.each(every, read, path)


def _sample(id: str, name: str, rows: Sequence[Row], plane: str, caption: str, license: str) -> Sample:
    parts = shown(
        rows,
        lambda row: f"{plane.capitalize()} slice {row['index'] + 1} of {row['preprocessing']['slices']}.",
    )
    parts.append(caption or WORDS.get(rows[0]["modality"], "Medical volume") + ".")
    meta = {"preprocessing": [row["preprocessing"] for row in rows], "modality": rows[0]["modality"]}
    message = Message("document", tuple(parts))
    return Sample(id=id, messages=(message,), source="nifti", license=license, study_id=name, meta=meta)
