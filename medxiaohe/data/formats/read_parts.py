"""Divide sources into parts and join their results: the same rows however a source is divided.

Files of a folder are read in several parts where the reader says that none says anything about another
(`APART`, the endings of its files) and the source has no limit. An id that two parts have is a row of the
first one and a rejected row in the other.
"""

from __future__ import annotations

import hashlib
import heapq
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medxiaohe import io, plugins
from medxiaohe.data.formats import files
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.sharding.stage import Done, Stage
from medxiaohe.errors import DataError
from medxiaohe.types import Sample

if TYPE_CHECKING:
    from medxiaohe.data.read import Source


COUNTED = ("read", "documents", "instructions", "images")


@dataclass(frozen=True)
class Part:
    """A source, or some of its files, read as one job."""

    source: int  # its number
    files: tuple[str, ...] = ()  # () is all there is
    num_bytes: int = 1


@dataclass
class Together:
    """What all parts hold."""

    mentions_of: Callable[[str], int]
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)  # why the first row of a source is dead
    dead: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    coverage: Counter[str] = field(default_factory=Counter)
    mentions: int = 0
    written: int = 0
    _licenses: dict[str, set[str]] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """Sum the rows that were read of all sources.

        Returns:
            Number of rows.
        """
        return sum(int(row["read"]) for row in self.sources.values())

    def add(self, label: str, summary: dict[str, Any]) -> None:
        """Add the summary of a part.

        Args:
            label: of its source.
            summary: as `read.read_part` returns it.
        """
        row = self.sources.setdefault(label, {**dict.fromkeys(COUNTED, 0), "license": ""})
        for name in COUNTED:
            row[name] += summary["counts"][name]
        names = self._licenses.setdefault(label, set())
        names.update(summary["licenses"])
        shown = sorted(names)
        row["license"] = "; ".join(shown[:3]) + (f"; and {len(shown) - 3} more" if len(shown) > 3 else "")
        self.reasons[label] = self.reasons.get(label) or summary["reason"]
        self.dead.update(summary["dead"])
        self.dropped.update(summary["dropped"])
        self.coverage.update(summary["coverage"])
        self.mentions += summary["mentions"]
        self.written += summary["written"]

    def take_back(self, label: str, sample: Sample) -> None:
        """Subtract a sample that turned out to be a duplicate of one in another part: it is a rejected row.

        Args:
            label: of its source.
            sample: as it was counted.
        """
        self.sources[label]["documents" if sample.is_document else "instructions"] -= 1
        self.sources[label]["images"] -= len(sample.images)
        self.coverage.subtract(sample.entities)
        self.mentions -= self.mentions_of(sample.text)
        self.written -= 1
        self.dead["duplicate"] += 1


def parts(sources: Sequence[Source], part_bytes: int) -> list[Part]:
    """Divide sources into parts that are read independently.

    Args:
        sources: of the stage.
        part_bytes: size at which a part of several files is full.

    Returns:
        Parts in the order of the sources; one of a source whose files may depend on each other.
    """
    results = list[Part]()
    for number, source in enumerate(sources):
        names = _apart(source)
        if len(names) < 2:
            results.append(Part(number, num_bytes=_size(source)))
            continue
        group, size = list[str](), 0
        for name in names:
            group.append(str(name))
            size += name.stat().st_size
            if size >= part_bytes:
                results.append(Part(number, tuple(group), size))
                group, size = [], 0
        if group:
            results.append(Part(number, tuple(group), max(1, size)))
    return results


def _apart(source: Source) -> list[Path]:
    """List the files of a source that may be read independently."""
    if not source.reader or source.limit or source.path.startswith(("asset:", "hub:")):
        return []
    endings = getattr(sys.modules[plugins.load("readers", source.reader_name).__module__], "APART", ())
    path = Path(source.path).expanduser()
    try:
        return files.files(path, *endings) if endings and path.is_dir() else []
    except DataError:
        return []  # the reader reports it


def _size(source: Source) -> int:
    """Sum the bytes of a source's files, for the progress bar; a task or an asset counts as a megabyte."""
    path = Path(source.path).expanduser()
    if not source.path or not path.exists():
        return 1 << 20
    return max(1, sum(size for _, size, _ in files.stamp(str(path))))


def marks(ids: Iterable[str]) -> bytes:
    """Hash ids to 64 bits each, to find those that occur twice.

    Args:
        ids: of samples.

    Returns:
        Ascending unsigned integers of eight bytes.
    """
    hashes = (hashlib.blake2b(id.encode("utf-8", "replace"), digest_size=8).digest() for id in ids)
    return array("Q", sorted(int.from_bytes(item, "big") for item in hashes)).tobytes()


def together(
    stage: Stage,
    sources: Sequence[Source],
    parts: Sequence[Part],
    done: Done,
    mentions_of: Callable[[str], int],
) -> Together:
    """Join the parts: write samples.jsonl, dead.jsonl and coverage.json.

    Args:
        stage: the running stage.
        sources: of the stage.
        parts: as `parts` divides them.
        done: folder and summary of each part, in their order.
        mentions_of: counts the mentions of entities in a text.

    Returns:
        The counts of all parts; an id that two parts of a source have is a rejected row in the later one.
    """
    folders = [folder for folder, _ in done]
    total, places = Together(mentions_of), list(folders)
    numbers: dict[int, list[int]] = {}
    for number, part in enumerate(parts):
        numbers.setdefault(part.source, []).append(number)
        total.add(sources[part.source].label, done[number][1])
    # ids that occur in two parts of a source: candidates by their 64-bit marks, then exactly; the first part
    # that has one keeps it
    for source, own in numbers.items():
        if len(own) > 1 and (twice := _twice([folders[number] / "ids.bin" for number in own])):
            seen = set[str]()
            for number in own:
                places[number] = stage.work / f"once-{number:06d}"
                _once(folders[number], places[number], sources[source].label, twice, seen, total)
    stage.join(places, "samples.jsonl", "dead.jsonl")
    stage.carry(None, coverage=+total.coverage)
    return total


def _twice(paths: Sequence[Path]) -> set[int]:
    """Find the marks that are in several files, or several times in one."""
    result, before = set[int](), -1
    for mark in heapq.merge(*map(_numbers, paths)):
        if mark == before:
            result.add(mark)
        before = mark
    return result


def _numbers(path: Path) -> Iterator[int]:
    with open(path, "rb") as file:
        while block := file.read(1 << 16):
            yield from array("Q", block)


def _once(folder: Path, out: Path, label: str, twice: set[int], seen: set[str], total: Together) -> None:
    """Rewrite a part without the rows whose ids were read before; these become rejected rows."""
    letters = list[dict[str, Any]]()

    def rows() -> Iterator[Sample]:
        """Leave out the rows whose ids occurred before; these are appended to `letters`.

        Yields:
            Samples in the order of the part.
        """
        for sample in io.read_samples(folder / "samples.jsonl"):
            if sample.id in seen:
                letter = DeadLetter(
                    sample.id.removeprefix(f"{label}/"), "a sample with this id was read before", "duplicate"
                )
                letters.append({"source": label, **io.to_json(letter)})
                total.take_back(label, sample)
                continue
            if array("Q", marks([sample.id]))[0] in twice:
                seen.add(sample.id)
            yield sample

    io.write_jsonl(out / "samples.jsonl", rows())
    io.write_jsonl(out / "dead.jsonl", [*io.read_jsonl(folder / "dead.jsonl"), *letters])
