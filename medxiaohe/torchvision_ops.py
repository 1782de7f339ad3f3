"""Use torchvision with a torch of another build, such as a CUDA build with a CPU-only torch.

Its compiled operators do not load there. Without their names `import torchvision` fails, and with it every
processor of transformers. Image processors use only its Python transforms, so the names are all that is
needed: `declare()` defines them, and an operator that is called raises that it has no kernel.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

_declared: list[Any] = []  # torch forgets the names with the library that declared them


def declare() -> bool:
    """Declare torchvision's operators where its compiled part does not load; call it before transformers is
    used.

    Returns:
        Whether they had to be declared; False where torchvision is not installed or loads without it.
    """
    if _declared or "torchvision" in sys.modules:
        return bool(_declared)
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(Path(spec.origin).parent):
        return False
    import torch

    text = (Path(spec.origin).parent / "_meta_registrations.py").read_text(encoding="utf-8")
    pairs = re.findall(r'register_meta\("(\w+)"|register_fake\("torchvision::(\w+)"', text)
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted({name for pair in pairs for name in pair if name}):
        library.define(f"{name}(Tensor x) -> Tensor")
    _declared.append(library)
    return True


def _loads(folder: Path) -> bool:
    """Whether the compiled part fits this torch; loading it twice does no harm."""
    import torch

    try:
        for file in folder.glob("_C*.so"):
            torch.ops.load_library(str(file))
    except (OSError, RuntimeError):
        return False
    return True
