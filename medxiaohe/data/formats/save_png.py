"""Keep a decoded picture as a PNG named by its content; the same pixels are the same file, with nothing of
where they come from."""

from __future__ import annotations

import hashlib
import io as standard
from pathlib import Path
from typing import TYPE_CHECKING

from medxiaohe import io

if TYPE_CHECKING:
    import numpy as np


def save(rgb: np.ndarray, folder: str) -> dict[str, str]:
    """`rgb`: uint8 of height x width x 3. Returns {path, sha256}."""
    from PIL import Image

    grey = (rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 1] == rgb[..., 2]).all()
    out = standard.BytesIO()
    Image.fromarray(rgb[..., 0] if grey else rgb).save(out, "PNG", compress_level=4)
    data = out.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    path = Path(folder) / digest
    if not path.exists():
        io.write(path, lambda file: file.write(data))
    return {"path": str(path), "sha256": digest}
