"""Refuse checkpoints that hold code, names of code or pickles, before they are opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from medxiaohe.errors import ModelError
from medxiaohe.io.reading import read_json

CONFIG_BYTES = 32 * 2**20  # of a JSON file that may be a config; a tokenizer is smaller
CODE = (".py", ".pyc", ".so", ".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".h5", ".msgpack", ".joblib")
NAMES_CODE = ("auto_map", "custom_pipelines", "trust_remote_code")  # keys of a config


def refuse_code(folder: Path, *, weights: bool = True) -> None:
    """A checkpoint is data: one that ships Python, names code to run, or holds pickled weights is refused.

    Args:
        folder: looked through with its sub-folders, where an index or a generation script may lead.
        weights: whether files of code and pickles count, besides configs that name them.

    Raises:
        ModelError: a file is code or a pickle, a config names code, or an index leads out of the folder.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    bad = [p for p in files if p.suffix in CODE and weights]
    for path in files:
        if path.suffix == ".json" and path.stat().st_size <= CONFIG_BYTES:
            config = read_json(path)
            places = config.get("weight_map", {}) if isinstance(config, dict) else {}
            leads = [str(name) for name in places.values()] if isinstance(places, dict) else []
            is_read = weights or ".safetensors." in path.name
            if _names_code(config) or (is_read and any(_leads_out(name) for name in leads)):
                bad.append(path)
    if bad:
        names = ", ".join(sorted(path.relative_to(folder).as_posix() for path in bad)[:5])
        raise ModelError(f"{folder} holds code or pickles ({names}): only safetensors and JSON are loaded")


def _names_code(config: Any) -> bool:
    """Check whether a config names code, at any depth: configs of parts are nested in that of the model."""
    if isinstance(config, dict):
        return any(config.get(key) for key in NAMES_CODE) or any(map(_names_code, config.values()))
    return isinstance(config, list) and any(map(_names_code, config))


def _leads_out(name: str) -> bool:
    """Check whether a file that an index of weights names is anything but a safetensors file of its
    folder.
    """
    return not name.endswith(".safetensors") or Path(name).is_absolute() or ".." in Path(name).parts
