"""From stored values to 8 bits, by modality and by name, so that training, evaluation and serving see the
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
PERCENTILES = (0.5, 99.5)
PRESETS = (
    "auto",
    "ct_three_window",
    *(f"ct_{name}" for name in CT_WINDOWS),
    "percentile",
    "voi",
    "full_range",
)


def choose(preset: str, modality: str, has_voi: bool) -> str:
    """The preset that "auto" is: CT three windows, CR and DX (and others that state one) their VOI window,
    else percentiles."""
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
    """The two percentiles of the values that are not the darkest one: air around the body does not count.
    All of the values where these are one: a mask of two values is black and white."""
    import numpy as np

    inside = values[values > values.min()] if values.size else values
    low, high = np.percentile(inside if inside.size else values, PERCENTILES)
    return (float(low), float(high)) if low < high else (float(values.min()), float(values.max()))


def window(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """uint8: `center` - width/2 is 0, `center` + width/2 is 255 (the linear exact VOI function of PS3.3
    C.11.2.1.3.2)."""
    return stretch(values, center - width / 2, center + width / 2)


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    import numpy as np

    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(
        255 / (high - low) if high > low else 0
    )
    grey: np.ndarray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def apply(
    preset: str, values: np.ndarray, volume_limits: Sequence[float] | None = None
) -> tuple[np.ndarray, dict[str, Any]]:
    """uint8 RGB and the numbers used. `volume_limits`: percentiles of the whole volume, so that its slices
    compare."""
    import numpy as np

    if preset == "ct_three_window":
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
