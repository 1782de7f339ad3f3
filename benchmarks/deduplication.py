"""Near-duplicates: precision and recall against the exact Jaccard index and planted copies, and throughput
beside other packages.

    python benchmarks/deduplication.py            # texts; peers that are installed: pip install datasketch
                                                  rensa imagehash
    MEDXIAOHE_DATA=/path/to/data python benchmarks/deduplication.py --images

Texts: PubMed abstracts of the asset pubmed_2020, with copies of one in ten of them in which 0 to 12 % of the
words are others. The truth is the exact Jaccard index of the word 5-grams with every earlier text that was
kept. Every package starts from strings, makes its own shingles of 5 words, keeps the first of a kind, and
runs alone in this process; the fastest of five turns counts. Images: those of chest_xray, vqa_rad and
ham10000, transformed by medxiaohe/data/duplicates/planted_leaks.py.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from medxiaohe import assets, images, plugins
from medxiaohe.data.duplicates import near_text, overlap, planted_leaks
from medxiaohe.data.duplicates.near_images import Gallery, Lens, look
from medxiaohe.data.duplicates.near_text import GRAM
from medxiaohe.tasks import make
from medxiaohe.types import ImageRef, Message, Sample

THRESHOLD, TURNS, IMAGE_TURNS = 0.8, 5, 2
BANDS, ROWS = 20, 6  # for every package


def texts(most: int) -> list[str]:
    read = plugins.load("readers", "pubmed_xml")
    found = (one.text for one in read(assets.folder("pubmed_2020")) if isinstance(one, Sample))
    plain = [text for text in islice(found, most) if len(overlap.words(text)) >= 30]
    dice, rows = random.Random(0), []
    for text in plain:
        rows.append(text)
        if dice.random() < 0.1:
            words = text.split()
            for place in dice.sample(range(len(words)), round(dice.uniform(0, 0.12) * len(words))):
                words[place] = dice.choice(plain[0].split())
            rows.append(" ".join(words))
    dice.shuffle(rows)
    return rows


def document(text: str) -> Sample:
    return Sample("", (Message("document", (text,)),))


def ours(rows: list[str]) -> set[int]:
    """The steps of data.curate, on texts in memory."""
    import numpy as np

    signatures = near_text.Signatures(THRESHOLD, Lens())
    for number, text in enumerate(rows):
        signatures.add(document(text), 0, number)
    found = signatures.arrays()
    exact = near_text.repeated(np.column_stack([found["keys"], np.arange(len(rows), dtype=np.uint64)]))
    stay = ~np.isin(found["banded"], exact[:, 0])
    bands, numbers = found["bands"][stay], found["banded"][stay].astype(np.uint64)
    pairs = near_text.crowded(np.column_stack([bands.ravel(), np.repeat(numbers, near_text.BANDS)]))
    near = near_text.resolved(near_text.alike_texts(lambda number: document(rows[number]), pairs, THRESHOLD))
    return {*exact[:, 0].tolist(), *(one.row for one in near)}


def shingles(text: str) -> list[str]:
    words = text.lower().split()
    return [" ".join(words[i : i + GRAM]) for i in range(len(words) - GRAM + 1)]


def by_estimate(rows: list[str], index: Any, signature: Callable[[list[str]], Any]) -> set[int]:
    """Rows that a peer's index, asked row by row, finds near one that was kept, by its estimate of their
    likeness."""
    gone, kept = set[int](), dict[int, Any]()
    for place, text in enumerate(rows):
        mine = signature(shingles(text))
        if any(mine.jaccard(kept[name]) >= THRESHOLD for name in index.query(mine)):
            gone.add(place)
        else:
            index.insert(place, mine)
            kept[place] = mine
    return gone


def with_datasketch(rows: list[str]) -> set[int]:
    from datasketch import MinHash, MinHashLSH

    def signature(said: list[str]) -> Any:
        mine = MinHash(num_perm=BANDS * ROWS)
        mine.update_batch([one.encode() for one in said])
        return mine

    return by_estimate(rows, MinHashLSH(params=(BANDS, ROWS), num_perm=BANDS * ROWS), signature)


def with_rensa(rows: list[str]) -> set[int]:
    from rensa import RMinHash, RMinHashLSH

    def signature(said: list[str]) -> Any:
        mine = RMinHash(num_perm=BANDS * ROWS, seed=0)
        mine.update(said)
        return mine

    return by_estimate(
        rows, RMinHashLSH(threshold=THRESHOLD, num_perm=BANDS * ROWS, num_bands=BANDS), signature
    )


def exact(rows: list[str]) -> set[int]:
    """Every text against every earlier one that was kept, by an index from each 5-gram to the texts that have
    it."""
    import numpy as np

    seen: dict[int, list[int]] = {}
    sizes, gone = list[int](), set()
    for place, text in enumerate(rows):
        mine = [int(h) for h in np.unique(overlap.grams(text, GRAM))]
        shared: dict[int, int] = {}
        for gram in mine:
            for other in seen.get(gram, ()):
                shared[other] = shared.get(other, 0) + 1
        sizes.append(len(mine))
        if any(n / (len(mine) + sizes[other] - n) >= THRESHOLD for other, n in shared.items()):
            gone.add(place)
        else:
            for gram in mine:
                seen.setdefault(gram, []).append(place)
    return gone


def compare(rows: list[str]) -> None:
    truth = exact(rows)
    size = sum(map(len, rows)) / 1e6
    print(
        f"{len(rows):,} texts, {size:.1f} million characters, {len(truth)} near-duplicates by the exact index"
        f" at {THRESHOLD}"
    )
    ways: dict[str, Callable[[list[str]], set[int]]] = {
        "medxiaohe": ours,
        "datasketch": with_datasketch,
        "rensa": with_rensa,
    }
    best, found = dict[str, float](), dict[str, set[int]]()
    for _ in range(TURNS):  # in turn, so that what else the machine does is shared out
        for name, way in ways.items():
            start = time.process_time()
            try:
                found[name] = way(rows)
            except ImportError:
                continue
            best[name] = min(best.get(name, 1e9), time.process_time() - start)
    for name, gone in found.items():
        hits = len(gone & truth)
        print(
            f"  {name:<12} precision {hits / max(1, len(gone)):.4f}  recall {hits / max(1, len(truth)):.4f}"
            f"  {len(rows) / best[name]:>8,.0f} texts/s  {size / best[name]:.2f} MB/s of one core"
        )


def compare_images(most: int, ending: str) -> None:
    files = []
    for name in ("chest_xray", "vqa_rad", "ham10000"):
        seen = {image.sha256: image for one in make(name).samples("test") for image in one.images}
        files += list(seen.values())[:most]
    dice = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, image in enumerate(files):
            for kind, edit in [("", None), *planted_leaks.IMAGE_EDITS.items()]:
                path = Path(folder) / f"{number} {kind}.{ending}"
                picture = images.open_image(image)
                (edit(picture, dice) if edit else picture).convert("RGB").save(path, quality=90)
                paths.append((number, kind, path))
        print(f"{len(files)} images, {len(paths) - len(files)} transformed copies, as {ending.upper()}")
        ways: dict[str, tuple[Callable, Callable]] = {"medxiaohe": (look, gallery_of)}  # type: ignore[type-arg]
        try:
            import imagehash
            from PIL import Image

            for method in (imagehash.phash, imagehash.dhash):
                near = lambda known: lambda one: [str(i) for i, other in known if one - other <= 6]  # noqa: E731
                ways[f"imagehash.{method.__name__}"] = (lambda ref, m=method: m(Image.open(ref.uri)), near)
        except ImportError:
            pass
        best = dict.fromkeys(ways, 1e9)
        for turn in range(IMAGE_TURNS):  # in turn, so that what else the machine does is shared out
            for name, (see, index) in ways.items():
                best[name] = report(paths, name, see, index, best[name], show=turn == IMAGE_TURNS - 1)


def gallery_of(known: list[tuple[int, object]]) -> Callable[[object], list[str]]:
    gallery = Gallery()
    for number, one in known:
        gallery.add(one, str(number))  # type: ignore[arg-type]
    return lambda one: [name for name, _ in islice(gallery.find(one), 1)]  # type: ignore[arg-type]


def report(
    paths: list[tuple[int, str, Path]], name: str, see: Callable, index: Callable, best: float, *, show: bool
) -> float:  # type: ignore[type-arg]
    """The shortest time so far, in seconds of CPU, from files to the names of what they are copies of."""
    start = time.process_time()
    seen = [(number, kind, see(ImageRef(str(path)))) for number, kind, path in paths]
    find = index([(number, one) for number, kind, one in seen if not kind])
    right, wrong, total, by_kind = 0, 0, 0, dict[str, list[bool]]()
    for number, kind, one in seen:
        names = find(one)
        wrong += sum(n != str(number) for n in names)
        if kind:
            total, right = total + 1, right + (str(number) in names)
            by_kind.setdefault(kind, []).append(str(number) in names)
    best = min(best, time.process_time() - start)
    if show:
        print(
            f"  {name:<18} recall {right / total:.4f}  other images named {wrong} times "
            f" {len(paths) / best:,.0f} images/s of one core"
        )
        shares = [f"{kind} {sum(hits) / len(hits):.1%}" for kind, hits in by_kind.items()]
        print("      " + ", ".join(shares[:4]) + ",\n      " + ", ".join(shares[4:]))
    return best


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=6000)
    parser.add_argument("--images", action="store_true")
    parser.add_argument(
        "--format", choices=("png", "jpg"), default="png", help="of the files that are looked at"
    )
    given = parser.parse_args()
    if given.images:
        compare_images(60, given.format)
    else:
        compare(texts(given.texts))
