"""Compare texts with the anchor or image of their row by the rank of their similarity among texts of other
rows.

The standing of a pair is the share of other rows' texts that are less similar to its anchor than its own text
is: near 1 where they belong together, uniform where they do not. A rank needs no scale, and has the same
meaning for every encoder.

For images, no encoder among the package assets shares a space with texts. So a ridge regression from image
features to text vectors is fitted on the corpus's own pairs, cross-fitted in FOLDS folds by study: what is
predicted for an image was learnt from other studies. A corpus that contains wrong pairs still teaches what
most pairs have in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import assets, io, plugins
from medxiaohe.errors import DataError
from medxiaohe.models.embed import Embedder
from medxiaohe.progress import Meter
from medxiaohe.types import ImageRef

if TYPE_CHECKING:
    import numpy as np

# standard error of a rank from 100 others: at most 0.05
OTHERS = 100  # texts of other rows that a pair is held against
# folds of the cross-fitting; RIDGE / 10 is the penalty for each row (lambda = 3 n) on standardised features
FOLDS, RIDGE = 5, 30.0
# below, a fold has too few pairs to fit a regression
MIN_PAIRS = 50
SIDE, PATCHES = 84, 16  # pixels of a picture, and how many go through the encoder together


def standing(
    anchors_ND: np.ndarray, texts_ND: np.ndarray, groups: Sequence[str], seed: int = 0
) -> np.ndarray:
    """Rank each text among texts of other studies by its dot product with the anchor of its row.

    Args:
        anchors_ND: vectors of the anchors, (n, d).
        texts_ND: vectors of the texts, (n, d).
        groups: study of each row, n of them; rows of one study are not compared with each other.
        seed: seed of the draw of at most OTHERS other texts for a row.

    Returns:
        Share of the others that are less similar, ties counting half: (n,) float32 in [0, 1].

    Raises:
        DataError: there are fewer than two studies.
    """
    import numpy as np

    if len(set(groups)) < 2:
        raise DataError("a similarity needs rows of two studies or more to be compared with each other")
    dice = np.random.default_rng(seed)
    number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    # study of each row as a number, (n,)
    own_N = np.array([number[group] for group in groups])
    standings = np.empty(len(groups), np.float32)
    for i, own in enumerate(own_N):
        # draw twice as many as needed, then drop rows of the same study
        others = dice.integers(0, len(groups), 2 * OTHERS)
        others = others[own_N[others] != own][:OTHERS]
        # a study that has nearly all rows: take the rows of the others in order
        if not len(others):
            others = np.flatnonzero(own_N != own)[:OTHERS]
        # rank of the own text: P(s < s_own) + P(s = s_own) / 2, the mid-rank of the Mann-Whitney statistic
        mine = float(anchors_ND[i] @ texts_ND[i])
        scores = texts_ND[others] @ anchors_ND[i]
        standings[i] = ((scores < mine).sum() + 0.5 * (scores == mine).sum()) / len(others)
    return standings


def of_texts(
    anchors: Sequence[str], texts: Sequence[str], groups: Sequence[str], embed: Embedder, seed: int = 0
) -> np.ndarray:
    """Rank texts by similarity to their anchors in an embedding.

    Args:
        anchors: n texts.
        texts: n texts to rank.
        groups: study of each row.
        embed: encoder of both.
        seed: seed of the draw of other texts.

    Returns:
        Standing of each row, (n,) float32 in [0, 1].

    Raises:
        DataError: there are fewer than two studies.
    """
    return standing(embed.encode(anchors), embed.encode(texts), groups, seed)


def of_pictures(
    features_NF: np.ndarray, texts_ND: np.ndarray, groups: Sequence[str], seed: int = 0
) -> np.ndarray:
    """Rank texts by similarity to what a ridge regression predicts from the features of their pictures.

    The regression is cross-fitted in FOLDS folds by study.

    Args:
        features_NF: features of the pictures, (n, f).
        texts_ND: vectors of the texts, (n, d).
        groups: study of each row.
        seed: seed of the folds and of the draw of other texts.

    Returns:
        Standing of each row, (n,) float32 in [0, 1].

    Raises:
        DataError: there are fewer than MIN_PAIRS rows, or fewer than two studies.
    """
    import numpy as np

    if len(groups) < MIN_PAIRS:
        raise DataError(
            f"{len(groups)} pictures with texts are too few to learn from: {MIN_PAIRS} or more are needed"
        )
    # folds by study: what is predicted for a picture was learnt from other studies
    fold = np.array([int(io.unit_interval(str(seed), "fold", group) * FOLDS) for group in groups])
    predicted = np.zeros_like(texts_ND)
    for number in range(FOLDS):
        train, test = fold != number, fold == number
        if test.any() and train.any():
            predicted[test] = _ridge(features_NF[train], texts_ND[train], features_NF[test])
    # unit predictions of centred texts: the product is the cosine up to the length of the text
    length = np.linalg.norm(predicted, axis=1, keepdims=True)
    centred = texts_ND - texts_ND.mean(0)
    return standing(predicted / np.maximum(length, 1e-9), centred, groups, seed)


def _ridge(x: np.ndarray, y: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Predict texts by a ridge regression on standardised features, less the mean text."""
    import numpy as np

    # standardise the features by the training rows; 1e-6 keeps constant features finite
    mean, spread = x.mean(0), x.std(0) + 1e-6
    x, x_test = (x - mean) / spread, (x_test - mean) / spread
    # ridge: W = (X'X + lambda I)^-1 X'(Y - mean Y), lambda = RIDGE n / 10
    weights = np.linalg.solve(x.T @ x + RIDGE * len(x) / 10 * np.eye(x.shape[1]), x.T @ (y - y.mean(0)))
    return x_test @ weights


def picture_features(
    images: Sequence[ImageRef], encode: Callable[[Any], np.ndarray] | None = None
) -> np.ndarray:
    """Compute features of pictures, each distinct picture once.

    Args:
        images: n pictures.
        encode: from a list of PIL images to rows (b, f); None: DINOv2-small (`dino`).

    Returns:
        (n, f) float32.
    """
    import numpy as np

    from medxiaohe.images import open_image

    encode = encode or dino()
    # encode each distinct picture once, in batches of PATCHES
    unique = list(dict.fromkeys(images))
    meter, rows = Meter("look at pictures", len(unique)), []
    for start in range(0, len(unique), PATCHES):
        batch = unique[start : start + PATCHES]
        rows.append(encode([open_image(image).convert("RGB") for image in batch]))
        meter.advance(len(batch))
    meter.close()
    number = {image: i for i, image in enumerate(unique)}
    # back to one row for each of the images
    return np.concatenate(rows)[[number[image] for image in images]].astype(np.float32)


def dino(folder: Path | None = None, side: int = 2 * SIDE) -> Callable[[Any], np.ndarray]:
    """Load DINOv2-small with registers of the package assets (docs/assets.md), on the CPU.

    Args:
        folder: of a checkpoint; None: that of the assets.
        side: width and height in pixels that pictures are resized to.

    Returns:
        A function from b PIL images to (b, 2 x hidden size): class token, then mean of the patch tokens.

    Raises:
        MissingExtra: torch or transformers is not installed.
    """
    plugins.need("torch", "transformers", why="comparing images by DINOv2")
    import torch
    from transformers import AutoModel

    from medxiaohe.models.starter import IMAGENET_MEAN, IMAGENET_STD

    model = AutoModel.from_pretrained(
        folder or assets.folder("dinov2_small_registers"), dtype=torch.float32, use_safetensors=True
    ).eval()

    def encode(pictures: Any) -> np.ndarray:
        """Encode RGB pictures, normalised by the mean and standard deviation of ImageNet.

        Returns:
            (b, 2 x hidden size) float32.
        """
        import numpy as np

        # (b, side, side, 3) in [0, 1], then standardised by ImageNet
        pixels = np.stack(
            [np.asarray(picture.resize((side, side)), np.float32) / 255 for picture in pictures]
        )
        pixels = (pixels - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
        with torch.inference_mode():
            # (b, 1 + registers + patches, hidden)
            hidden = model(
                pixel_values=torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())
            ).last_hidden_state
        # mean of the patch tokens, behind the class token and the registers
        patches = hidden[:, 1 + model.config.num_register_tokens :].mean(1)
        features: np.ndarray = torch.cat([hidden[:, 0], patches], 1).numpy()
        return features

    return encode
