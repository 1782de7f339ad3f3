"""Embed images as vectors of length one.

image_embedder("thumbnails").encode([ref])     32 x 32 grey values less their mean: no weights
image_embedder("dinov2")                       DINOv2-small, a package file
image_embedder("path/to/folder")               a vision model in hub layout, or heads of train.retriever
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import assets, images, io, plugins
from medxiaohe.errors import ConfigError, DataError, ModelError
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.models import starter
from medxiaohe.models.embed import embedder, weights_of
from medxiaohe.progress import Meter
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    import numpy as np

NAMES = ("thumbnails", "dinov2")
THUMBNAIL = 32  # pixels of a side
SIDE = 224  # pixels of a side of what a tower sees
HEADS = "heads.json"  # of a folder that train.retriever wrote
BATCH = 16


@dataclass(frozen=True)
class ImageEmbedder:
    """Embedder of images, and of texts where it has an encoder of them; build it with `image_embedder`."""

    name: str
    dim: int
    _encode: Callable[[Sequence[Any]], np.ndarray]  # pictures (PIL) -> rows
    _encode_text: Callable[[Sequence[str]], np.ndarray] | None = None
    weights: str = ""  # digest of its weights; "" where it has none

    def encode(self, refs: Sequence[ImageRef]) -> np.ndarray:
        """Embed images.

        Args:
            refs: images.

        Returns:
            float32 of shape (len(refs), dim)
        """
        import numpy as np

        if not refs:
            return np.zeros((0, self.dim), np.float32)
        meter, rows = Meter(f"encode images with {self.name}", len(refs)), []
        for start in range(0, len(refs), BATCH):
            batch = refs[start : start + BATCH]
            rows.append(self._encode([images.open_image(ref).convert("RGB") for ref in batch]))
            meter.advance(len(batch))
        meter.close()
        return unit(np.concatenate(rows))

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts in the space of the images.

        Args:
            texts: queries.

        Returns:
            float32 of shape (len(texts), dim)

        Raises:
            DataError: the embedder has no encoder of texts.
        """
        if self._encode_text is None:
            raise DataError(
                f"{self.name} has no vectors of texts: ask with an image, or train heads with train.retriever"
            )
        return unit(self._encode_text(texts))


def unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length one; a row of zeros becomes the first axis.

    Args:
        rows: of shape (n, dim).

    Returns:
        float32 of the same shape
    """
    import numpy as np

    rows = rows.astype(np.float32)
    # a row of zeros has no direction: it becomes the first axis
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows[length[:, 0] == 0, 0] = 1.0
    scaled: np.ndarray = rows / np.where(length == 0, 1.0, length)
    return scaled


def image_embedder(name: str = "dinov2", device: str = "cpu") -> ImageEmbedder:
    """Open an embedder of images.

    Args:
        name: `thumbnails`, `dinov2`, a folder with a vision model in hub layout, or the folder with the
            heads of train.retriever.
        device: torch device, such as "cpu" or "cuda".

    Returns:
        an embedder whose vectors have length one; that of train.retriever embeds texts too.

    Raises:
        ConfigError: there is no such embedder.
        ModelError: the folder cannot be loaded, or asks for code of its own.
    """
    if name == "thumbnails":
        return ImageEmbedder(f"grey thumbnails of {THUMBNAIL} pixels", THUMBNAIL**2, _thumbnails)
    if name == "dinov2":
        return tower(assets.folder("dinov2_small_registers"), "DINOv2-small", device)
    if (Path(name) / HEADS).is_file():
        return _with_heads(Path(name), device)
    if Path(name).is_dir():
        refuse_code(Path(name))
        return tower(Path(name), Path(name).name, device)
    raise ConfigError(
        f"no embedder of images {name!r}{plugins.nearest(name, NAMES)}; or give a folder with a vision model"
        " in hub layout"
    )


def _thumbnails(pictures: Sequence[Any]) -> np.ndarray:
    import numpy as np

    small = [
        np.asarray(p.convert("L").resize((THUMBNAIL, THUMBNAIL)), np.float32).reshape(-1) for p in pictures
    ]
    rows = np.stack(small)
    # without the mean the cosine compares structure, not brightness
    centred: np.ndarray = rows - rows.mean(1, keepdims=True)
    return centred


@functools.lru_cache(maxsize=2)
def tower(folder: Path, name: str, device: str = "cpu") -> ImageEmbedder:
    """Load a vision transformer as an embedder: class token and mean of the patch tokens, concatenated.

    Args:
        folder: a vision model in hub layout.
        name: recorded as the name of the embedder.
        device: of torch.

    Returns:
        an embedder of images

    Raises:
        ModelError: the model cannot be loaded.
    """
    plugins.need("torch", "transformers", why=f"the embedder of images {name}")
    import torch
    from transformers import AutoModel

    try:
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).to(device).eval()
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"cannot load the embedder {folder}: {' '.join(str(error).split())[:300]}"
        ) from error
    model = getattr(model, "vision_model", model)
    # class token and register tokens come before the patch tokens
    skipped = 1 + int(getattr(model.config, "num_register_tokens", 0) or 0)
    mean, scale = (
        torch.tensor(statistics).view(3, 1, 1) for statistics in (starter.IMAGENET_MEAN, starter.IMAGENET_STD)
    )

    def encode(pictures: Sequence[Any]) -> np.ndarray:
        import numpy as np

        pixels = np.stack([np.asarray(p.resize((SIDE, SIDE)), np.float32) / 255 for p in pictures])
        # ImageNet mean and standard deviation, as the tower was trained
        values = (torch.from_numpy(pixels).permute(0, 3, 1, 2) - mean) / scale
        with torch.inference_mode():
            hidden = model(pixel_values=values.to(device)).last_hidden_state
        # class token, then the mean of the patch tokens
        rows: np.ndarray = torch.cat([hidden[:, 0], hidden[:, skipped:].mean(1)], 1).cpu().numpy()
        return rows

    return ImageEmbedder(
        f"{name}, class token and mean of patches", 2 * int(model.config.hidden_size), encode,
        weights=weights_of(folder),
    )  # fmt: skip


def _with_heads(folder: Path, device: str) -> ImageEmbedder:
    """Load towers with the projection heads of train.retriever: images and texts in one space."""
    import numpy as np

    settings = io.read_json(folder / HEADS)
    pictures, words = image_embedder(settings["tower"], device), embedder(settings["embedder"], device)
    with np.load(folder / "heads.npz") as file:
        image_map, text_map = file["image"], file["text"]
    centre_images, centre_texts = (
        np.asarray(settings[key], np.float32) for key in ("image_mean", "text_mean")
    )

    def encode(batch: Sequence[Any]) -> np.ndarray:
        # subtract the mean of the training images, then project to the common space
        rows: np.ndarray = (unit(pictures._encode(batch)) - centre_images) @ image_map
        return rows

    def encode_text(texts: Sequence[str]) -> np.ndarray:
        # the same for texts
        rows: np.ndarray = (words.encode(list(texts)) - centre_texts) @ text_map
        return rows

    weights = io.fingerprint([io.sha256(folder / "heads.npz"), pictures.weights, words.weights])
    return ImageEmbedder(f"heads {settings['name']}", image_map.shape[1], encode, encode_text, weights)
