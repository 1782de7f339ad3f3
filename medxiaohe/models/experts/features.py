"""Input features of the specialist: word vectors, and patch features of a frozen vision tower."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medxiaohe import assets, plugins
from medxiaohe.errors import ModelError
from medxiaohe.images import open_image
from medxiaohe.io.checkpoint_files import refuse_code
from medxiaohe.models.embed import Embedder
from medxiaohe.progress import Meter
from medxiaohe.types import ImageRef

WORD = re.compile(r"\w+|[^\w\s]")
SIDE = 8  # patches of an image are averaged to SIDE x SIDE
PIXELS = 224
COLOURS = "colours"  # a tower without weights: mean and spread of the colours of each patch
NEAR = 8  # images encoded together


@dataclass(frozen=True)
class Question:
    """A closed question with its image, caption and rationale.

    Attributes:
        text: of the question; caption and rationale: "" where there is none.
        image: None where there is none.
    """

    text: str
    image: ImageRef | None = None
    caption: str = ""
    rationale: str = ""


def words_of(question: Question, longest: int) -> list[tuple[str, int]]:
    """Split a question, its caption and its rationale into words, cut to a length.

    Args:
        longest: most words in all; what comes last is cut.

    Returns:
        (casefolded word, segment): segment 0 is the question, 1 the caption, 2 the rationale. [("?", 0)]
        where there is no word.
    """
    words: list[tuple[str, int]] = []
    for segment, text in enumerate((question.text, question.caption, question.rationale)):
        words += [(word, segment) for word in WORD.findall(text.casefold())]
    return words[:longest] or [("?", 0)]


def padded(
    questions: Sequence[Question], vectors: dict[str, np.ndarray], dim: int, longest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stack word vectors of questions, padded with zeros to the longest.

    Args:
        vectors: word -> vector (dim,).
        dim: width of the vectors.
        longest: most words of a question.

    Returns:
        (vectors (rows, words, dim) float32, segments (rows, words) int64, mask (rows, words) int64 with 1
        at words).
    """
    rows = [words_of(question, longest) for question in questions]
    width = max(map(len, rows))
    text = np.zeros((len(rows), width, dim), np.float32)
    segments, mask = np.zeros((2, len(rows), width), np.int64)
    for i, row in enumerate(rows):
        text[i, : len(row)] = [vectors[word] for word, _ in row]
        segments[i, : len(row)] = [segment for _, segment in row]
        mask[i, : len(row)] = 1
    return text, segments, mask


def vectors_of(words: Sequence[str], embedder: Embedder) -> dict[str, np.ndarray]:
    """Embed each distinct word once.

    Args:
        words: may repeat.

    Returns:
        word -> vector of length one, (dim,).
    """
    unique = sorted(set(words))
    return dict(zip(unique, embedder.encode(unique), strict=True))


def patches_of(images: Sequence[ImageRef | None], tower: str) -> dict[ImageRef | None, np.ndarray]:
    """Compute patch features of images with a frozen vision tower.

    Args:
        images: each is encoded once.
        tower: "colours", "dinov2" (the package asset), or a folder with a vision model in hub layout.

    Returns:
        image -> features (SIDE * SIDE, width of the tower), float32; zeros for None.

    Raises:
        ModelError: the tower cannot be loaded.
        DataError: an image cannot be read.
    """
    unique = [image for image in dict.fromkeys(images) if image is not None]
    encode = _colours if tower == COLOURS else _tower(tower) if unique else _colours
    meter, rows = Meter("look at images", len(unique)), []
    for start in range(0, len(unique), NEAR):
        batch = unique[start : start + NEAR]
        rows.append(encode([open_image(image).convert("RGB").resize((PIXELS, PIXELS)) for image in batch]))
        meter.advance(len(batch))
    meter.close()
    features: dict[ImageRef | None, np.ndarray] = {}
    if unique:
        features |= zip(unique, np.concatenate(rows), strict=True)
    dim = features[unique[0]].shape[1] if unique else 6
    return features | {None: np.zeros((SIDE * SIDE, dim), np.float32)}


def _colours(pictures: Sequence[Any]) -> np.ndarray:
    cell = PIXELS // SIDE
    pixels = np.stack([np.asarray(picture, np.float32) / 255 for picture in pictures])
    # (pictures, SIDE, cell, SIDE, cell, 3): mean and standard deviation of each cell and channel
    cells = pixels.reshape(len(pictures), SIDE, cell, SIDE, cell, 3)
    both = np.concatenate([cells.mean((2, 4)), cells.std((2, 4))], -1)
    flat: np.ndarray = both.reshape(len(pictures), SIDE * SIDE, 6)
    return flat


@functools.lru_cache(maxsize=1)
def _tower(name: str) -> Any:
    plugins.need("torch", "transformers", why=f"the tower {name}")
    import torch
    from transformers import AutoModel

    from medxiaohe.models.starter import IMAGENET_MEAN, IMAGENET_STD

    folder = assets.folder("dinov2_small_registers") if name == "dinov2" else Path(name)
    refuse_code(folder)
    try:
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True).eval()
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot load the tower {name}: {' '.join(str(error).split())[:300]}") from error
    mean, spread = (np.array(values, np.float32) for values in (IMAGENET_MEAN, IMAGENET_STD))

    def encode(pictures: Sequence[Any]) -> np.ndarray:
        pixels = np.stack([np.asarray(picture, np.float32) / 255 for picture in pictures])
        # normalise as the tower was trained; (pictures, 3, height, width)
        pixels = ((pixels - mean) / spread).transpose(0, 3, 1, 2).copy()
        with torch.inference_mode():
            hidden = model(pixel_values=torch.from_numpy(pixels)).last_hidden_state
        # patch tokens follow the class token and the registers, row by row
        patches = hidden[:, 1 + getattr(model.config, "num_register_tokens", 0) :]
        side = int(patches.shape[1] ** 0.5)
        grid = patches.transpose(1, 2).reshape(len(pictures), -1, side, side)
        # average the grid to SIDE x SIDE patches
        small = torch.nn.functional.adaptive_avg_pool2d(grid, SIDE)
        rows: np.ndarray = small.flatten(2).transpose(1, 2).numpy()
        return rows

    return encode
