"""Fit and measure the network of tools/vision/vessels.py on DRIVE, leaving one picture out each time.

    python benchmarks/fit_vessels.py            leave-one-out figures
    python benchmarks/fit_vessels.py --write    fit on all and write medxiaohe/tools/vision/vessels.npz

Needs torch and the data pack (${MEDXIAOHE_DATA}/retina/drive). About two minutes a picture on one core.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medxiaohe.tools.vision import vessels

CHANNELS, STEPS, PATCH, BATCH, RATE, SEED = 12, 500, 80, 6, 6e-3, 0
THRESHOLD = 0.4


def pictures(pack: Path) -> list[tuple[str, Any, Any, Any]]:
    """Name, planes, gold and field of view of each picture."""
    folder, found = pack / "retina/drive", []
    for file in sorted((folder / "images").glob("*.tif")):
        number = file.stem.partition("_")[0]
        pixels = np.asarray(Image.open(file).convert("RGB"))
        gold = np.asarray(Image.open(next((folder / "1st_manual").glob(f"{number}_*"))).convert("L")) > 127
        inside = np.asarray(Image.open(next((folder / "mask").glob(f"{number}_*"))).convert("L")) > 127
        found.append((file.stem, vessels.features(pixels, vessels.field_of_view(pixels)), gold, inside))
    return found


def fit(rows: Sequence[tuple[str, Any, Any, Any]]) -> tuple[Any, ...]:
    """Weights as `vessels.network` takes them, of random patches, turned and flipped."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(SEED)
    random = np.random.default_rng(SEED)
    inside = np.concatenate([planes[:, seen][:, ::50] for _, planes, _, seen in rows], axis=1)
    mean, spread = inside.mean(axis=1), inside.std(axis=1)
    inputs = len(mean)
    layers: list[Any] = []
    for dilation in vessels.DILATIONS:
        layers += [nn.Conv2d(inputs, CHANNELS, 3, padding=dilation, dilation=dilation), nn.ReLU()]
        inputs = CHANNELS
    net = nn.Sequential(*layers, nn.Conv2d(CHANNELS, 1, 1))
    optimiser = torch.optim.Adam(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
    for _ in range(STEPS):
        patches = [_patch(rows, random, mean, spread) for _ in range(BATCH)]
        x, gold, weight = (
            torch.tensor(np.stack(part), dtype=torch.float32) for part in zip(*patches, strict=True)
        )
        loss = binary_cross_entropy_with_logits(net(x)[:, 0], gold, weight, reduction="sum")
        loss = loss / weight.sum().clamp(min=1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    parameters = [parameter.detach().numpy().astype(np.float32) for parameter in net.parameters()]
    return (mean, spread, *parameters)


def _patch(
    rows: Sequence[tuple[str, Any, Any, Any]], random: Any, mean: Any, spread: Any
) -> tuple[Any, Any, Any]:
    _, planes, gold, seen = rows[random.integers(len(rows))]
    top, left = random.integers(gold.shape[0] - PATCH), random.integers(gold.shape[1] - PATCH)
    part = (slice(top, top + PATCH), slice(left, left + PATCH))
    x = (planes[:, *part] - mean[:, None, None]) / spread[:, None, None] * (1 + 0.1 * random.normal())
    turns, flip = int(random.integers(4)), random.random() < 0.5
    out = []
    for one in (x, gold[part], seen[part]):
        turned = np.rot90(one, turns, (-2, -1))
        out.append(np.ascontiguousarray(turned[..., ::-1] if flip else turned))
    return out[0], out[1], out[2]


def auc(scores: Any, gold: Any) -> float:
    """Area under the receiver operating characteristic, by ranks; ties share theirs."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    positive = int(gold.sum())
    return float((ranks[gold].sum() - positive * (positive + 1) / 2) / (positive * (len(gold) - positive)))


def left_out(pack: Path, say: Any = print) -> tuple[float, float]:
    """Mean AUC and F1 in the field of view, of pictures that the network was not fitted on."""
    rows = pictures(pack)
    found = []
    for n, (name, planes, gold, seen) in enumerate(rows):
        given = vessels.network(planes, fit([*rows[:n], *rows[n + 1 :]]))[seen]
        right, chosen = gold[seen], given > THRESHOLD
        f1 = 2 * (chosen & right).sum() / (chosen.sum() + right.sum())
        found.append((auc(given, right), float(f1)))
        say(f"  {name}: AUC {found[-1][0]:.4f}, F1 {found[-1][1]:.4f}")
    values = np.array(found)
    (area, f1), (low, low_f1) = values.mean(axis=0), values.min(axis=0)
    say(
        f"vessels: {len(rows)} pictures left out in turn: AUC {area:.4f} (least {low:.4f}), F1 at {THRESHOLD}"
        f" {f1:.4f} (least {low_f1:.4f})"
    )
    return float(values[:, 0].mean()), float(values[:, 1].mean())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="fit on all pictures and write the weights")
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    if parser.parse_args().write:
        np.savez_compressed(vessels.WEIGHTS, *fit(pictures(pack)))
    else:
        left_out(pack)
