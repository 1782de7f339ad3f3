"""Turn a pickled checkpoint into safetensors once, in a process of its own.

The pickle is opened weights-only, so a checkpoint that carries code is refused and its code never runs; the
process around it is for what a hostile or broken file may still do to memory and time. A converter is one
file, assets/converters/NAME.py, with `def NAME(state) -> (tensors, {file name: JSON})`.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import medxiaohe
from medxiaohe import io
from medxiaohe.errors import AssetError, MedError

PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib")
SECONDS = 600
OLDEST_TORCH = (2, 6)  # before it, weights_only could be got round (CVE-2025-32434)


def run(name: str, folder: Path, asset: str) -> None:
    """Replace the one pickle in `folder` by what the converter makes of it."""
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
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise AssetError(f"{asset}: its weights cannot be converted: {said[-1]}")


def convert(name: str, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST_TORCH:
        raise AssetError(f"opening a pickle safely needs torch 2.6 or newer, this is {torch.__version__}")
    pickles = sorted(p for p in folder.rglob("*") if p.suffix in PICKLES)
    if len(pickles) != 1:
        raise AssetError(f"a conversion takes one pickled checkpoint, there are {len(pickles)}")
    try:
        state = torch.load(pickles[0], map_location="cpu", weights_only=True)
    except Exception as error:  # whatever it is, the file is not one of plain tensors
        raise AssetError(
            f"{pickles[0].name} is not a checkpoint of plain tensors ({type(error).__name__})"
        ) from error
    make = getattr(importlib.import_module(f"medxiaohe.assets.converters.{name}"), name)
    tensors, files = make(state)
    # no shared storage
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for file, content in files.items():
        io.write_json(folder / file, content)
    pickles[0].unlink()


if __name__ == "__main__":
    try:
        convert(sys.argv[1], Path(sys.argv[2]))
    except MedError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
