"""Convert a pickled checkpoint to safetensors, or a pickled table to JSON, once, in a process of its own.

The pickle is loaded weights-only, so a checkpoint that carries code is refused and its code never runs; the
process limits what a hostile or broken file can still do to memory and time. A converter is one file,
assets/converters/NAME.py, with `def NAME(state) -> (tensors, {file name: JSON})`; with PLAIN = True it is
`def NAME(value) -> {file name: rows}`, and the unpickler refuses every class and function; with BYTES = True
the file is no pickle and is passed as bytes: `def NAME(content) -> (tensors, {file name: JSON})`.
"""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import medxiaohe
from medxiaohe import io
from medxiaohe.errors import AssetError, MedError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib")
SECONDS = 600
Packed = tuple[Mapping[str, Any], Mapping[str, Any]]  # tensors by name, and JSON files by name
OLDEST_TORCH = (2, 6)  # before it, weights_only could be got round (CVE-2025-32434)


def run(name: str, folder: Path, asset: str) -> None:
    """Convert the one pickle of a folder in a process of its own, at most SECONDS.

    Args:
        name: of the converter.
        folder: with the pickle, which is replaced by the converted files.
        asset: name of the asset, for messages.

    Raises:
        AssetError: the conversion fails or takes too long.
    """
    package_root = str(Path(medxiaohe.__file__).parent.parent)
    environment = {key: value for key, value in os.environ.items() if key != "CRASH_AT"}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [package_root, os.environ.get("PYTHONPATH", "")])
    )
    command = [sys.executable, "-P", "-m", "medxiaohe.assets.convert", name, str(folder)]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise AssetError(f"{asset}: converting its weights took more than {SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise AssetError(f"{asset}: its weights cannot be converted: {lines[-1]}")


def plain(name: str) -> bool:
    """Check whether a converter reads a pickle of texts, numbers, lists and mappings, for which it needs no
    torch.

    Returns:
        True if the converter has PLAIN = True.
    """
    return bool(getattr(_module(name), "PLAIN", False))


def convert(name: str, folder: Path) -> None:
    """Replace the one pickle of a folder by JSON lines of plain data, or by safetensors and JSON.

    Args:
        name: of the converter.
        folder: with the pickle, which is deleted.

    Raises:
        AssetError: there is not exactly one pickle, or it holds something else than the converter reads.
    """
    pickles = sorted(p for p in folder.rglob("*") if p.suffix in PICKLES)
    if len(pickles) != 1:
        raise AssetError(f"a conversion takes one pickled file, there are {len(pickles)}")
    make = getattr(_module(name), name)
    if plain(name):
        for file, rows in make(read_plain(pickles[0])).items():
            io.write_jsonl(folder / file, rows)
        pickles[0].unlink()
    elif getattr(_module(name), "BYTES", False):
        _save(make(pickles[0].read_bytes()), folder)
        pickles[0].unlink()
    else:
        _convert_tensors(make, pickles[0], folder)


def read_plain(path: Path) -> Any:
    """Read a pickle of plain data: texts, numbers, lists and mappings alone.

    Returns:
        The value.

    Raises:
        AssetError: it names a class or function, which is not imported, or it is broken.
    """
    try:
        with open(path, "rb") as file:
            return _Plain(file).load()
    except Exception as error:  # whatever it is, the file is not one of plain data
        raise AssetError(
            f"{path.name} is not a pickle of plain data ({type(error).__name__}: {error})"
        ) from error


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Refuse a class or function.

        Raises:
            pickle.UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        """Refuse a reference to an object outside of the pickle.

        Raises:
            pickle.UnpicklingError: always.
        """
        raise pickle.UnpicklingError("it refers to something outside")


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"medxiaohe.assets.converters.{name}")


def _convert_tensors(make: Callable[[Any], Packed], path: Path, folder: Path) -> None:
    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST_TORCH:
        raise AssetError(f"opening a pickle safely needs torch 2.6 or newer, this is {torch.__version__}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever it is, the file is not one of plain tensors
        raise AssetError(
            f"{path.name} is not a checkpoint of plain tensors ({type(error).__name__})"
        ) from error
    _save(make(state), folder)
    path.unlink()


def _save(packed: Packed, folder: Path) -> None:
    from safetensors.torch import save_file

    tensors, files = packed
    # no shared storage
    save_file(
        {key: value.detach().clone().contiguous() for key, value in tensors.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    for file, content in files.items():
        (folder / file).parent.mkdir(exist_ok=True)
        io.write_json(folder / file, content)


if __name__ == "__main__":
    try:
        convert(sys.argv[1], Path(sys.argv[2]))
    except MedError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
