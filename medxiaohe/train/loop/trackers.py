"""`report_to`: the trackers of transformers, by their names. Their files are next to a stage's folder,
never in it: they hold times.

A tracker on this machine (tensorboard; mlflow and trackio with their local stores) is switched on by its
name. Others send curves, settings and the name of the machine away (codecarbon asks where the machine is), so
they need MEDXIAOHE_TRACKERS=remote in the environment: a recipe cannot switch them on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medxiaohe.errors import ConfigError, MissingExtra
from medxiaohe.plugins import nearest

# name -> package
LOCAL = {"tensorboard": "tensorboard", "mlflow": "mlflow", "trackio": "trackio"}
ALLOWED = "MEDXIAOHE_TRACKERS"


def checked(names: Sequence[str]) -> list[str]:
    """Check that the trackers of `report_to` exist, are installed and may be used.

    Args:
        names: names of transformers' integrations, such as tensorboard.

    Returns:
        The same names.

    Raises:
        ConfigError: an unknown tracker, or one that sends data to a server without MEDXIAOHE_TRACKERS=remote.
        MissingExtra: its package is not installed.
    """
    if not names:
        return []
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            raise ConfigError(f"report_to: no tracker {name!r}{nearest(name, INTEGRATION_TO_CALLBACK)}")
        if name not in LOCAL and os.environ.get(ALLOWED) != "remote":
            raise ConfigError(
                f"report_to: {name} sends what it tracks to a server: set {ALLOWED}=remote if you may, or use"
                " tensorboard"
            )
        if name not in get_available_reporting_integrations():
            raise MissingExtra(f"report_to: {name} is not installed: pip install {LOCAL.get(name, name)}")
    return list(names)


@contextmanager
def tracking(names: Sequence[str], out: Path) -> Iterator[None]:
    """Set the folders of local trackers for as long as a trainer is built and trains; a context manager.

    Variables that the user has set stay as they are; ours are removed at the end.

    Args:
        names: of trackers.
        out: folder of the stage; local stores are written to `tracked` next to it.

    Raises:
        ConfigError: as `checked`.
        MissingExtra: as `checked`.
    """
    trackers = checked(names)
    stores = (out.parent / "tracked").resolve()
    local = {
        "TENSORBOARD_LOGGING_DIR": str(stores),
        "MLFLOW_TRACKING_URI": f"file://{stores / 'mlflow'}",
        "TRACKIO_DIR": str(stores),
    }
    # what the user has set stays
    ours = {key: value for key, value in local.items() if trackers and key not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for key in ours:
            os.environ.pop(key, None)
