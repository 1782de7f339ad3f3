"""Deduplicate a corpus of any size: the first row of each kind stays, so the order of the sources is their
priority.

Text is a near-duplicate when the Jaccard index of its word 5-grams with those of a kept row reaches
`threshold` and the two do not differ in a number, side, drug, denial or answer (contrasts.py; MinHash with
20 bands of 6 proposes: it finds 99.8 % at 0.8; the index itself is then counted on the two texts). A row
with images is a duplicate only when both its text and its images are: a hundred radiographs with one
question are a hundred rows, and so are twenty questions about one radiograph.

Each shard stores the signatures of its rows (`Signatures`). Equal signatures are found by an external sort:
they are partitioned on disk by bits of the key, and one part at a time is sorted in memory. Only the proposed
pairs are read again and compared, over shards. The driver needs one byte a row and 24 bytes a duplicate.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from medxiaohe import io
from medxiaohe.arrays import distinct
from medxiaohe.data.duplicates import contrasts, overlap
from medxiaohe.data.duplicates.near_images import SIDE, Gallery, Lens, Look
from medxiaohe.progress import track
from medxiaohe.types import ImageRef, Sample

if TYPE_CHECKING:
    import numpy as np

GRAM, BANDS, ROWS = 5, 20, 6  # words of an n-gram; bands of the MinHash signature, hashes of a band
MIN_GRAMS = 10  # n-grams; shorter texts are compared exactly only
MAX_BUCKET = 8  # rows; in a larger bucket the later rows are compared with the first ones only
PART_BYTES = 64 << 20  # of signatures that are sorted in memory at once


# ---- signatures ----------------------------------------------------------------------------------


class Signatures:
    """Signatures of the rows of a shard, by which copies are found. `save` writes arrays to signatures.npz:

    keys (n, 2): hash of words, answer and images; places (n): byte in survivors.jsonl; rows (n): number in
    the shard; bands (m, BANDS) of the rows `banded` (m); groups (k, 2): hash of the words of the rows
    `pictured` (k), whose looks are in looks.bin.
    """

    def __init__(self, near_text: float, lens: Lens):
        import numpy as np

        self._near, self._lens = near_text, lens
        # hash functions of MinHash, h_i(x) = x * factor_i modulo 2 ** 32, the same in every shard;
        # multiplication by an odd number permutes
        dice = np.random.default_rng(0)
        self._factors = dice.integers(0, 2**31, BANDS * ROWS, np.uint32) * np.uint32(2) + np.uint32(1)
        self._mix = dice.integers(0, 2**63, (BANDS, ROWS), np.uint64) * np.uint64(2) + np.uint64(1)
        self._keys, self._groups, self._looks = list[bytes](), list[bytes](), list[bytes]()
        self._places, self._rows, self._banded, self._pictured = (
            list[int](),
            list[int](),
            list[int](),
            list[int](),
        )
        self._bands: list[list[int]] = []

    def add(self, sample: Sample, offset: int, row: int) -> None:
        """Take the signature of a row.

        Args:
            sample: the row.
            offset: byte of the row in survivors.jsonl.
            row: its number in the shard.

        Raises:
            DataError: its first image cannot be opened, as images.open_image.
        """
        text, number = sample.text, len(self._places)
        self._keys.append(_key(sample, text, with_images=True))
        self._places.append(offset)
        self._rows.append(row)
        if sample.images:
            self._groups.append(_key(sample, text))
            self._pictured.append(number)
            self._looks.append(self._lens.look(sample.images[0]).grey.tobytes())
        elif self._near and (bands := self.bands(text)):
            self._bands.append(bands)
            self._banded.append(number)

    def bands(self, text: str) -> list[int]:
        """Compute the keys of the MinHash bands of a text.

        Returns:
            BANDS keys of 64 bits; [] for a text with fewer than MIN_GRAMS word 5-grams.
        """
        long = len(overlap.word_codes(text)) >= MIN_GRAMS + GRAM - 1
        return overlap.bands(text, GRAM, self._factors, self._mix) if long else []

    def arrays(self) -> dict[str, np.ndarray]:
        """Convert the signatures to arrays.

        Returns:
            Name -> array, as the docstring of this class lists them.
        """
        import numpy as np

        result: dict[str, Any] = {
            name: np.array(getattr(self, f"_{name}"), np.int64)
            for name in ("places", "rows", "banded", "pictured")
        }
        result["bands"] = np.array(self._bands, np.uint64).reshape(-1, BANDS)
        for name, keys in (("keys", self._keys), ("groups", self._groups)):
            result[name] = np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 2)
        return result

    def save(self, out: Path) -> None:
        """Write signatures.npz and, where rows have images, looks.bin.

        Args:
            out: folder of the shard.
        """
        import numpy as np

        io.write(out / "signatures.npz", lambda file: np.savez(file, **cast(Any, self.arrays())))
        if self._looks:
            io.write(out / "looks.bin", lambda file: [file.write(look) for look in self._looks])


def _key(sample: Sample, text: str, *, with_images: bool = False) -> bytes:
    images: Any = (
        [(i.sha256 or i.uri, i.frame, i.box) for i in sample.images] if with_images else len(sample.images)
    )
    signs = "".join(contrasts.signs(text))  # p < 0.05 and p > 0.05 have the same words
    rest = f"\0{sample.target}\0{images}\0{signs}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(overlap.word_codes(text).tobytes() + rest, digest_size=16).digest()


class Kept:
    """The rows that stayed after `check_shard` of all shards, each by its number in the corpus."""

    def __init__(self, folders: Sequence[Path]):
        import numpy as np

        self.folders = list(folders)
        sizes = [len(self.array(shard, "places")) for shard in range(len(self.folders))]
        self.first = (
            np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]) if sizes else np.zeros(1, np.int64)
        )

    def __len__(self) -> int:
        return int(self.first[-1])

    def array(self, shard: int, name: str) -> np.ndarray:
        """Load one array of the signatures of a shard.

        Args:
            shard: its number.
            name: of the array, as of `Signatures`.

        Returns:
            The array.
        """
        import numpy as np

        with np.load(self.folders[shard] / "signatures.npz") as arrays:
            return arrays[name]  # type: ignore[no-any-return]

    def where(self, number: int) -> tuple[int, int]:
        """Convert the number of a row in the corpus to its place.

        Returns:
            Shard, and number within the shard.
        """
        import numpy as np

        shard = int(np.searchsorted(self.first, number, "right")) - 1
        return shard, number - int(self.first[shard])

    def sample(self, number: int) -> Sample:
        """Load a row from survivors.jsonl.

        Args:
            number: of the row in the corpus.

        Returns:
            The row.
        """
        shard, own = self.where(number)
        offset = int(_places(str(self.folders[shard]))[own])
        with open(self.folders[shard] / "survivors.jsonl", "rb") as file:
            file.seek(offset)
            return io.sample_from_json(io.parse_row(file.readline().decode()))

    def look(self, shard: int, number: int) -> Look:
        """Load the look of the first image of a row.

        Args:
            shard: number of the shard.
            number: of the look in looks.bin of the shard.

        Returns:
            The look, SIDE x SIDE grey values.
        """
        import numpy as np

        with open(self.folders[shard] / "looks.bin", "rb") as file:
            file.seek(number * SIDE * SIDE)
            return Look(np.frombuffer(file.read(SIDE * SIDE), np.uint8).reshape(SIDE, SIDE))


@lru_cache(maxsize=64)
def _places(folder: str) -> np.ndarray:
    import numpy as np

    with np.load(Path(folder) / "signatures.npz") as arrays:
        return arrays["places"]  # type: ignore[no-any-return]


# ---- equal signatures ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """A row that is dropped as a duplicate of the row `of`: `value` is the Jaccard index of their word
    5-grams, or the correlation of the images."""

    row: int
    reason: str  # exact_duplicate, near_duplicate_text or near_duplicate_image
    of: int
    value: float = 1.0


def copies(survivors: Kept, work: Path) -> np.ndarray:
    """Find exact duplicates: rows with the words, signs, answer and images of an earlier one.

    Args:
        survivors: signatures of all shards.
        work: folder for parts that are sorted; it is removed.

    Returns:
        (n, 2) int64: each duplicate, and the first row of its kind.
    """
    import numpy as np

    def keyed() -> Iterator[np.ndarray]:
        """Load the keys of each shard.

        Yields:
            (n, 3) uint64: two columns of the key, then the number of the row in the corpus.
        """
        for shard in range(len(survivors.folders)):
            keys = survivors.array(shard, "keys")
            yield np.column_stack(
                [keys, np.arange(len(keys), dtype=np.uint64) + np.uint64(survivors.first[shard])]
            )

    results = [np.empty((0, 2), np.int64)]
    results += map(repeated, in_parts(keyed(), len(survivors) * 24, work))
    return np.concatenate(results)


def repeated(block: np.ndarray) -> np.ndarray:
    """Find rows whose key an earlier row has.

    Args:
        block: (n, k + 1) uint64: a key of k columns, then the number of the row.

    Returns:
        (m, 2) int64: the later row, and the first row with its key.
    """
    import numpy as np

    # all rows of a run but the first, which is the earliest: the last column is sorted too
    block, start = _runs(block)
    again = np.flatnonzero(start != np.arange(len(block)))
    return np.column_stack([block[again, -1], block[start[again], -1]]).astype(np.int64)


def proposals(survivors: Kept, gone: np.ndarray, work: Path) -> Iterator[np.ndarray]:
    """Propose pairs of near-duplicate texts: rows that share a MinHash band.

    Args:
        survivors: signatures of all shards.
        gone: (len(survivors),) bool, rows that are exact duplicates.
        work: folder for parts that are sorted; it is removed.

    Yields:
        (n, 2) int64, the earlier row first; a pair may come several times.
    """
    import numpy as np

    def keyed() -> Iterator[np.ndarray]:
        """Load the band keys of the rows of each shard that stay.

        Yields:
            (n * BANDS, 2) uint64: key, then the number of the row in the corpus.
        """
        for shard in range(len(survivors.folders)):
            bands, numbers = (
                survivors.array(shard, "bands"),
                survivors.array(shard, "banded") + survivors.first[shard],
            )
            stay = ~gone[numbers]
            bands, numbers = bands[stay], numbers[stay].astype(np.uint64)
            yield np.column_stack([bands.ravel(), np.repeat(numbers, BANDS)])

    # P(two texts share a band) = 1 - (1 - J ** ROWS) ** BANDS, J their Jaccard index: 0.998 at J = 0.8
    num_bytes = (
        sum(survivors.array(shard, "banded").nbytes for shard in range(len(survivors.folders))) * 2 * BANDS
    )
    for block in in_parts(keyed(), num_bytes, work):
        yield crowded(block)


def crowded(block: np.ndarray) -> np.ndarray:
    """Pair the rows with the same key: each later row with the first MAX_BUCKET of them.

    Args:
        block: (n, 2) uint64: key and number of the row.

    Returns:
        (m, 2) int64, distinct, the smaller number first.
    """
    import numpy as np

    # the k-th row of each bucket with every later one of it, for k below MAX_BUCKET
    block, start = _runs(block)
    index, rows = np.arange(len(block)), block[:, -1].astype(np.int64)
    later = [np.flatnonzero(index - start > k) for k in range(MAX_BUCKET)]
    pairs = [np.column_stack([rows[start[at] + k], rows[at]]) for k, at in enumerate(later)]
    once = np.unique(np.concatenate(pairs), axis=0)
    return once[once[:, 0] < once[:, 1]]


def same_words(survivors: Kept, gone: np.ndarray, work: Path) -> Iterator[list[list[int]]]:
    """Group the rows with images that have the same words.

    Args:
        survivors: signatures of all shards.
        gone: (len(survivors),) bool, rows that are exact duplicates.
        work: folder for parts that are sorted; it is removed.

    Yields:
        [row, shard, number of its look] of each row of a group, two rows or more, ascending.
    """
    import numpy as np

    def keyed() -> Iterator[np.ndarray]:
        """Load the keys of rows with images of each shard that stay.

        Yields:
            (n, 5) uint64: two columns of the key, then shard, number of the look, number of the row in
            the corpus.
        """
        for shard in range(len(survivors.folders)):
            groups, numbers = (
                survivors.array(shard, "groups"),
                survivors.array(shard, "pictured") + survivors.first[shard],
            )
            stay = np.flatnonzero(~gone[numbers])
            columns = [
                groups[stay],
                np.full(len(stay), shard, np.uint64),
                stay.astype(np.uint64),
                numbers[stay].astype(np.uint64),
            ]
            yield np.column_stack(columns)

    num_bytes = (
        sum(survivors.array(shard, "groups").nbytes for shard in range(len(survivors.folders))) * 5 // 2
    )
    for block in in_parts(keyed(), num_bytes, work):
        block, start = _runs(block, keys=2)
        for first, end in zip(*_ends(start), strict=True):
            if end - first > 1:
                yield sorted([int(row), int(shard), int(look)] for _, _, shard, look, row in block[first:end])


def in_parts(arrays: Iterable[np.ndarray], num_bytes: int, work: Path) -> Iterator[np.ndarray]:
    """Partition rows on disk by their first column, so that only about PART_BYTES are in memory at once.

    Args:
        arrays: (n, k) uint64 each; the first column is a hash.
        num_bytes: of all arrays, at least about.
        work: folder for the parts; it is removed.

    Yields:
        (n, k) uint64: all rows with the same first column are in one of them.
    """
    import numpy as np

    number = 1 + num_bytes // PART_BYTES
    if number == 1:
        results = [array for array in arrays if len(array)]
        if results:
            yield np.concatenate(results)
        return
    shutil.rmtree(work, ignore_errors=True)  # of a run that was killed
    work.mkdir(parents=True)
    width = 0
    for array in arrays:
        width = array.shape[1]
        # the bits above the lowest 20 spread the keys over the files
        location = (array[:, 0] >> np.uint64(20)) % np.uint64(number)
        for bucket in np.unique(location):
            with open(work / f"{int(bucket):06d}", "ab") as file:
                array[location == bucket].tofile(file)
    for path in sorted(work.iterdir()):
        yield np.fromfile(path, np.uint64).reshape(-1, width)
    shutil.rmtree(work)


def _runs(block: np.ndarray, keys: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sort rows, and find for each the first row with its key, which is all columns but the last (or the
    first `keys`).
    """
    import numpy as np

    # lexsort takes its last key first; a run begins where the key differs from the one before
    block = block[np.lexsort(block.T[::-1])]
    key = block[:, : keys or block.shape[1] - 1]
    new = np.ones(len(block), bool)
    new[1:] = (key[1:] != key[:-1]).any(axis=1)
    return block, np.maximum.accumulate(np.where(new, np.arange(len(block)), 0))


def _ends(start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import numpy as np

    first = distinct(start)
    return first, np.append(first[1:], len(start))


# ---- verification of proposed pairs --------------------------------------------------------------


def alike_texts(row_of: Callable[[int], Sample], pairs: np.ndarray, threshold: float) -> Iterator[Verdict]:
    """Verify proposed pairs: the Jaccard index of their word 5-grams, and no contrast between them
    (contrasts.py).

    Args:
        row_of: loads a row by its number.
        pairs: (n, 2) int64: earlier and later row.
        threshold: Jaccard index, 0 to 1.

    Yields:
        Verdicts on the later rows, by the later row.
    """

    @lru_cache(maxsize=512)
    def grams(number: int) -> np.ndarray:
        return distinct_grams(row_of(number).text)

    for earlier, later in sorted(pairs.tolist(), key=lambda pair: (pair[1], pair[0])):
        value = overlap.jaccard(grams(later), grams(earlier))
        if value >= threshold and not contrasts.contrast(row_of(earlier), row_of(later)):
            yield Verdict(later, "near_duplicate_text", earlier, value)


def distinct_grams(text: str) -> np.ndarray:
    """Hash the word 5-grams of a text.

    Returns:
        (n,) uint64, ascending and distinct.
    """
    return distinct(overlap.grams(text, GRAM))


def resolved(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Choose the rows to drop: a row is dropped when the other one of its pair stays, for the first of these.

    Args:
        verdicts: of all pairs, by the later row.

    Yields:
        One verdict for each row that is dropped.
    """
    gone = set[int]()
    for item in verdicts:
        if item.row not in gone and item.of not in gone:
            gone.add(item.row)
            yield item


def alike_pictures(survivors: Kept, group: Sequence[Sequence[int]], lens: Lens) -> Iterator[Verdict]:
    """Find rows whose images are all near-identical to those of an earlier row with the same words
    (near_images.py).

    Args:
        survivors: signatures of all shards.
        group: [row, shard, number of its look] of rows with the same words and the same number of images.
        lens: opens images.

    Yields:
        Verdicts on the later rows.

    Raises:
        DataError: an image cannot be opened, as images.open_image.
    """
    gallery, images = Gallery(), dict[int, tuple[ImageRef, ...]]()
    for row, shard, number in track(group, "images compared"):
        look = survivors.look(shard, number)
        for name, value in gallery.find(look):
            if all(
                _alike(a, b, lens)
                for a, b in zip(
                    _images(images, survivors, int(name))[1:],
                    _images(images, survivors, row)[1:],
                    strict=True,
                )
            ):
                yield Verdict(row, "near_duplicate_image", int(name), value)
                break
        else:
            gallery.add(look, str(row))


def _images(seen: dict[int, tuple[ImageRef, ...]], survivors: Kept, number: int) -> tuple[ImageRef, ...]:
    if number not in seen:
        seen[number] = survivors.sample(number).images
    return seen[number]


def _alike(a: ImageRef, b: ImageRef, lens: Lens) -> bool:
    pair = Gallery()
    pair.add(lens.look(a), "")
    return any(True for _ in pair.find(lens.look(b)))
