"""Decode slices of a NIfTI volume to 8-bit pictures, in the child process of data/formats/sandbox.py.

The header says how many bytes there must be; exactly those are unpacked, and none when they are more than fit
(a .nii.gz of one MiB may hold one GiB: docs/reliability.md).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medxiaohe.data.formats import windows
from medxiaohe.data.formats.decode_dicom import _spread
from medxiaohe.data.formats.frames import save_frame
from medxiaohe.data.readers import Rejected
from medxiaohe.io.packed import damage
from medxiaohe.plugins import need

MAX_VOLUME = 160 * 2**20  # bytes, unpacked
HEADER = 348  # bytes of a NIfTI-1 header
PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}  # axis across the plane, in LPS orientation
SAMPLE = 2_000_000  # voxels of which percentiles are taken


def prepare() -> None:
    """Import the decoders before the memory of the child process is limited.

    Raises:
        MissingExtra: nibabel, numpy or Pillow is not installed.
    """
    need("nibabel", "numpy", "PIL", why="NIfTI")
    import nibabel
    import nibabel.orientations  # noqa: F401
    import numpy  # noqa: F401
    import PIL.Image
    import PIL.PngImagePlugin  # noqa: F401


def slices(
    path: Path, folder: str, plane: str, preset: str, modality: str, max_slices: int, volume: int
) -> Iterator[dict[str, Any]]:
    """Decode slices of a NIfTI volume to 8-bit RGB pictures in radiological orientation: the patient's right
    on the left, anterior or head at the top.

    Args:
        path: a .nii or .nii.gz file.
        folder: where the PNG files are kept.
        plane: "axial", "coronal" or "sagittal".
        preset: one of windows.PRESETS.
        modality: "CT", "MR", ...; "" if unknown: "auto" then takes percentiles.
        max_slices: number of slices, evenly spread, that are decoded at most.
        volume: index in the fourth dimension; 0 where there are fewer.

    Yields:
        {picture {path, sha256}, index, modality, preprocessing}: number of the slice from 0, and how its
        values became 8 bits (spacing in mm).

    Raises:
        Rejected: a code of medxiaohe.errors.REJECTIONS, such as lie, not_finite, too_large or truncated.
    """
    import nibabel
    import numpy as np
    from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

    header, start, data = _read(path)
    shape = [int(n) for n in header.get_data_shape()]
    try:
        affine, scaling = header.get_best_affine(), header.get_slope_inter()
    except nibabel.spatialimages.HeaderDataError as error:
        raise Rejected(
            "not_finite", f"the place or the scale of its voxels is not finite: {str(error)[:120]}", 0
        ) from error
    zooms = [float(z) for z in header.get_zooms()[:3]]
    if not np.isfinite(affine).all() or not all(np.isfinite(z) and z > 0 for z in zooms):
        raise Rejected(
            "not_finite", "the place of its voxels (affine, spacing) is not finite and positive", 0
        )
    # NIfTI stores voxels with the first axis fastest (Fortran order)
    values = np.frombuffer(data, header.get_data_dtype(), offset=start, count=int(np.prod(shape))).reshape(
        shape, order="F"
    )
    del data
    while values.ndim > 3:
        values = values[..., volume if values.ndim == 4 and volume < values.shape[3] else 0]
    if values.ndim != 3:
        raise Rejected("unsupported", f"{len(shape)} dimensions, three are needed")
    if values.dtype.kind not in "iuf":
        raise Rejected("unsupported", f"voxels of {values.dtype} are not grey values")
    # permute and flip the axes to LPS; spacings follow their axes
    turn = ornt_transform(io_orientation(affine), axcodes2ornt("LPS"))
    values = apply_orientation(values, turn)  # axes: to the left, to the back, to the head
    order = [int(np.flatnonzero(turn[:, 0] == axis)[0]) for axis in range(3)]
    zooms = [zooms[axis] for axis in order]
    slope, intercept = (
        (1.0 if scaling[0] is None else float(scaling[0])),
        (0.0 if scaling[1] is None else float(scaling[1])),
    )
    # grey-value range of the whole volume from a regular sample: value = slope * stored + intercept
    subset = values.reshape(-1)[:: max(1, values.size // SAMPLE)].astype(np.float32) * np.float32(
        slope
    ) + np.float32(intercept)
    if not np.isfinite(subset).all() or not (
        values.dtype.kind != "f" or all(np.isfinite(value).all() for value in values)
    ):
        raise Rejected("not_finite", "its voxels are not all finite numbers", start)
    kind = modality.upper()
    use, bounds = windows.choose(preset, kind, False), windows.limits(subset)
    axis = PLANES[plane]
    for index in _spread(values.shape[axis], max_slices):
        picture = np.take(values, index, axis=axis).astype(np.float32) * np.float32(slope) + np.float32(
            intercept
        )
        picture = picture.T if axis == 2 else picture.T[::-1]  # rows go to the back, or from the head down
        rgb, used = windows.apply(use, picture, bounds)
        # spacing of rows, columns and slices in mm
        rest = [zooms[a] for a in range(3) if a != axis]
        used |= {
            "plane": plane,
            "slice": index,
            "slices": int(values.shape[axis]),
            "slope": slope,
            "intercept": intercept,
        }
        used |= {"spacing_mm": [round(rest[1], 4), round(rest[0], 4), round(zooms[axis], 4)], "shape": shape}
        yield {
            "picture": save_frame(np.ascontiguousarray(rgb), folder),
            "index": index,
            "modality": kind,
            "preprocessing": used,
        }


def _read(path: Path) -> tuple[Any, int, bytes]:
    """Read the header, the byte at which the voxels begin, and all bytes up to the last voxel."""
    import nibabel
    import numpy as np

    packed = open(path, "rb").read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if packed else open(path, "rb") as file:
            head = file.read(352)
            if len(head) < HEADER:
                raise Rejected("truncated", f"{len(head)} bytes are no NIfTI header", len(head))
            try:
                header = nibabel.Nifti1Header(head[:HEADER], check=False)
                if head[344:348] not in (b"n+1\0",):
                    raise Rejected("format", "not a NIfTI file of one part", 344)
                itemsize = header.get_data_dtype().itemsize
            except (nibabel.spatialimages.HeaderDataError, KeyError, ValueError) as error:
                if isinstance(error, Rejected):
                    raise
                raise Rejected("format", f"not a NIfTI header: {str(error)[:120]}", 0) from error
            shape = [int(n) for n in header.get_data_shape()]
            count = 1
            for n in shape:
                count *= n  # as Python numbers, which do not overflow
            if not shape or min(shape) < 1:
                raise Rejected("lie", f"a volume of {shape}", 40)
            offset = float(header["vox_offset"])
            start = max(352, int(offset)) if np.isfinite(offset) and 0 <= offset < 2**24 else -1
            if start < 0:
                raise Rejected("lie", f"the voxels are said to begin at byte {offset}", 108)
            need_ = start + count * itemsize
            if need_ > MAX_VOLUME:
                sides = " x ".join(map(str, shape))
                raise Rejected(
                    "too_large",
                    f"a volume of {sides} needs {need_ >> 20} MiB, {MAX_VOLUME >> 20} are read",
                    40,
                )
            data = head + file.read(need_ - len(head))
    except Rejected:
        raise
    except damage() as error:
        raise Rejected("truncated", f"damaged: {str(error)[:120]}") from error
    if len(data) < need_:
        raise Rejected("truncated", f"it says {need_:,} bytes and has {len(data):,}", len(data))
    return header, start, data
