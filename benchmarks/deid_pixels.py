"""How often text drawn on medical images is found, and how often an image without text is refused.

    MEDXIAOHE_DATA=... PYTHONPATH=. python benchmarks/deid_pixels.py [--images 40]

Names and ids of 10 to 24 pixels, 40 to 200 grey levels brighter or darker than what is under them, on
radiographs and CT of the package asset chest_xray and of VQA-RAD (images on which the OCR finds nothing are
the clean ones: VQA-RAD has arrows and letters of its own, so false alarms are counted on chest_xray alone).
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medxiaohe import assets
from medxiaohe.privacy import pixels

SIZES, CONTRASTS = (10, 14, 18, 24), (40, 70, 120, 200)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--images", type=int, default=40)
    count = options.parse_args().images
    rng = random.Random(7)
    paths = sorted(
        p
        for p in Path(assets.folder("chest_xray")).rglob("*")
        if p.suffix.lower() in (".jpg", ".jpeg", ".png")
    )
    rng.shuffle(paths)
    frames = [np.asarray(Image.open(p).convert("L").resize((512, 512))) for p in paths[:count]]
    start = time.perf_counter()
    alarms = sum(bool(pixels.texts(frame)) for frame in frames)
    print(
        f"{count} images as they are: {alarms} refused, {(time.perf_counter() - start) / count:.2f} s an"
        " image"
    )
    found: Counter[tuple[str, int]] = Counter()
    total: Counter[tuple[str, int]] = Counter()
    for i, frame in enumerate(frames):
        for size in SIZES:
            contrast = CONTRASTS[(i + SIZES.index(size)) % len(CONTRASTS)]
            seen = bool(pixels.texts(drawn(frame, size, contrast, rng)))
            for key in (("pixels", size), ("contrast", contrast), ("all", 0)):
                total[key] += 1
                found[key] += seen
    for key in sorted(total):
        print(
            f"  {key[0]:<8} {key[1] or '':>4}  {found[key]:>3} of {total[key]:>3} found"
            f" ({100 * found[key] / total[key]:.1f} %)"
        )


def drawn(frame: np.ndarray, size: int, contrast: int, rng: random.Random) -> np.ndarray:
    """The image with a line of text that differs from what is under it by at least `contrast` grey levels, or
    what 8 bits leave."""
    text = (
        f"{rng.choice(('QUXLEY', 'Zaramund', 'Okonkwo', 'NGUYEN'))} {rng.choice(('Jan', 'MARIA', 'Wei'))}"
        f" {rng.randrange(10**6, 10**7)}"
    )
    font = ImageFont.load_default(size)
    left, top, right, bottom = (int(v) for v in font.getbbox(text))
    x, y = rng.randrange(4, 508 - right), rng.randrange(4, 508 - bottom)
    under = frame[y + top : y + bottom, x + left : x + right]
    level = int(under.max()) + contrast
    level = level if level <= 255 else max(0, int(under.min()) - contrast)
    image = Image.fromarray(frame)
    ImageDraw.Draw(image).text((x, y), text, fill=level, font=font)
    return np.asarray(image)


if __name__ == "__main__":
    main()
