"""Convert stored values to 8 bits by modality and preset, so that training, evaluation and serving see the
same picture.

    name, rgb = windows.apply("auto", values, modality="CT")     # uint8 of height x width x 3

The preset that was used and its numbers are kept in `meta.preprocessing` of the sample; the reference of the
picture has the hash of the pixels it made. Values are in the units of the modality: Hounsfield units for CT.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medxiaohe.errors import ConfigError
from medxiaohe.plugins import nearest

if TYPE_CHECKING:
    import numpy as np

# center and width in Hounsfield units; one of each is a channel of the three-window picture
CT_WINDOWS: Mapping[str, tuple[float, float]] = {
    "lung": (-600, 1500), "soft_tissue": (40, 400), "bone": (400, 1800), "brain": (40, 80),
    "mediastinum": (50, 350), "liver": (30, 150),
}  # fmt: skip
THREE = ("lung", "soft_tissue", "bone")
PERCENTILES = (0.5, 99.5)  # 1 % of the values are clipped: metal and noise do not set the range
PRESETS = (
    "auto",
    "ct_three_window",
    *(f"ct_{name}" for name in CT_WINDOWS),
    "percentile",
    "voi",
    "full_range",
)


def choose(preset: str, modality: str, has_voi: bool) -> str:
    """Resolve the preset "auto": three windows for CT; the VOI window for projection radiography
    (CR, DX, MG, PX, IO, XA, RF) that states one; else percentiles.

    Args:
        preset: one of PRESETS.
        modality: DICOM code, such as "CT".
        has_voi: whether the file states a VOI window or table.

    Returns:
        One of PRESETS other than "auto".

    Raises:
        ConfigError: there is no such preset.
    """
    if preset not in PRESETS:
        raise ConfigError(f"no preset {preset!r}{nearest(preset, PRESETS)}")
    if preset != "auto":
        return preset
    if modality == "CT":
        return "ct_three_window"
    if modality in ("CR", "DX", "MG", "PX", "IO", "XA", "RF") and has_voi:
        return "voi"
    return "percentile"


def limits(values: np.ndarray) -> tuple[float, float]:
    """Compute the grey-value range from PERCENTILES of the values above the minimum, so that air around the
    body does not count.

    Args:
        values: of any shape.

    Returns:
        Low and high; minimum and maximum where the percentiles are equal, as of a mask of two values.
    """
    import numpy as np

    inside = values[values > values.min()] if values.size else values
    low, high = np.percentile(inside if inside.size else values, PERCENTILES)
    return (float(low), float(high)) if low < high else (float(values.min()), float(values.max()))


def window(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """Apply a window: the linear exact VOI function of DICOM PS3.3 C.11.2.1.3.2.

    Args:
        values: of any shape, in units of the modality (Hounsfield units for CT).
        center: of the window, in the same units.
        width: of the window, in the same units.

    Returns:
        uint8 of the same shape: `center` - width/2 is 0, `center` + width/2 is 255.
    """
    return stretch(values, center - width / 2, center + width / 2)


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale values linearly to 8 bits, clipped at both ends.

    Args:
        values: of any shape.
        low: becomes 0.
        high: becomes 255.

    Returns:
        uint8 of the same shape; zeros where `high` is not above `low`.
    """
    import numpy as np

    # y = (x - low) * 255 / (high - low), rounded and clipped
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(
        255 / (high - low) if high > low else 0
    )
    grey: np.ndarray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def apply(
    preset: str, values: np.ndarray, volume_limits: Sequence[float] | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """Convert stored values to an 8-bit RGB picture.

    Args:
        preset: one of PRESETS, resolved by `choose`; "voi" is applied by the caller.
        values: (height, width), in units of the modality (Hounsfield units for CT).
        volume_limits: low and high of the whole volume, so that its slices compare; None: those of
            `values`.

    Returns:
        (height, width, 3) uint8, and the preset with the numbers used.
    """
    import numpy as np

    if preset == "ct_three_window":
        # one window for each channel: lung in red, soft tissue in green, bone in blue
        channels = [window(values, *CT_WINDOWS[name]) for name in THREE]
        return np.stack(channels, axis=-1), {
            "preset": preset,
            "windows": {name: list(CT_WINDOWS[name]) for name in THREE},
        }
    if preset.startswith("ct_"):
        name = preset.removeprefix("ct_")
        grey = window(values, *CT_WINDOWS[name])
        used: dict[str, Any] = {"preset": preset, "windows": {name: list(CT_WINDOWS[name])}}
    else:
        if preset == "full_range":
            low, high = float(values.min()), float(values.max())
        else:
            low, high = volume_limits or limits(values)
        grey = stretch(values, low, high)
        used = {"preset": preset, "low": round(low, 4), "high": round(high, 4)}
    return np.repeat(grey[..., None], 3, axis=-1), used
