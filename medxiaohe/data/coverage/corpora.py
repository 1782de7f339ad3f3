"""Open a corpus for counting: the folder of a stage, or what a reader reads; streamed, with its rejected
rows.

out/quickstart/curate/1        samples.jsonl of data.read or data.curate
corpus/medquad                 the reader is guessed from the first file that is known
pubmed_xml:asset:pubmed_2021   or named, and the path may be a package file
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.data.formats.guess import PUBLISHED, guess
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import ConfigError, DataError, Rejected
from medxiaohe.io import packed
from medxiaohe.models.hub import data_commit
from medxiaohe.types import Sample

MARKS = {  # bytes that occur once for each row in the files of a reader, for the progress bar
    PUBLISHED: b"\n", "chat_jsonl": b"\n", "medquad_xml": b"<QAPair ", "pubmed_xml": b"<PubmedArticle>",
    "pubtator": b"|t|",
}  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """A corpus with the reader that reads it."""

    reader: str
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)  # of the reader, as guessed
    notes: tuple[str, ...] = ()  # what the guess saw

    @property
    def place(self) -> Path:
        """Resolve the path; `asset:NAME` is the folder of a package file.

        Returns:
            A file or folder.
        """
        return (
            assets.folder(self.path.removeprefix("asset:"))
            if self.path.startswith("asset:")
            else Path(self.path)
        )

    @property
    def label(self) -> str:
        """Name the corpus for a reader of the page by the end of its path.

        Returns:
            The last three parts of the path for the folder of a stage, else the last one; for asset: and
            hub: all behind the colon.
        """
        if self.path.startswith(("asset:", "hub:")):
            return self.path.partition(":")[2]
        parts = Path(self.path).resolve().parts
        return "/".join(parts[-3:] if self.reader == PUBLISHED else parts[-1:])

    def files(self) -> list[Path]:
        """List the files of the corpus.

        Returns:
            Paths in order; none for a corpus on the hub.
        """
        if self.reader == PUBLISHED:
            return [self.place / "samples.jsonl" if self.place.is_dir() else self.place]
        if self.path.startswith("hub:"):
            return []
        return (
            sorted(p for p in self.place.rglob("*") if p.is_file()) if self.place.is_dir() else [self.place]
        )

    def state(self) -> list[list[Any]]:
        """Describe the state of the files, which changes when they do, so that unfinished work is continued
        only for the same files.

        Returns:
            [path, bytes, time of writing in nanoseconds] of each file; [path, commit] for a corpus on the
            hub.
        """
        if self.path.startswith("hub:"):
            return [[self.path, data_commit(self.path.removeprefix("hub:"), self.options.get("revision"))]]
        return [[str(path), (stat := path.stat()).st_size, stat.st_mtime_ns] for path in self.files()]


def corpus(spec: str, reader: str = "") -> Corpus:
    """Resolve the spec of a corpus.

    Args:
        spec: the folder of a stage, a file, a folder, READER:PATH, asset:NAME or hub:ORG/NAME.
        reader: name of the reader; "": the one of the spec, or guessed from the content.

    Returns:
        The corpus with its reader and options.

    Raises:
        ConfigError: there is nothing at the path, or no reader knows it.
    """
    readers = plugins.available("readers")
    first, colon, rest = spec.partition(":")
    if not reader and colon and first in readers and first != "hub":
        reader, spec = first, rest
    if spec.startswith("hub:"):
        return Corpus("hub", spec)
    if not spec.startswith("asset:") and not Path(spec).exists():
        raise ConfigError(
            f"no corpus at {spec}: give the folder of data.read or data.curate, a file, a folder or"
            " READER:PATH"
        )
    if reader:
        plugins.load("readers", reader)
        return Corpus(reader, spec)
    guessed = guess(Corpus("", spec).place)
    return Corpus(guessed.reader, spec, guessed.options, guessed.notes)


def rows(source: Corpus) -> Iterator[Sample | DeadLetter]:
    """Read the rows of a corpus one at a time.

    Args:
        source: the corpus.

    Yields:
        Samples; a row that is no Sample, or is empty, is a DeadLetter.

    Raises:
        DataError: a file is not in the format of its reader.
    """
    if source.reader == PUBLISHED:
        yield from _published(source.files()[0])
        return
    reader = plugins.load("readers", source.reader)
    options = dict(source.options)
    if "bad_rows" in inspect.signature(reader).parameters:
        options["bad_rows"] = "skip"
    for row in reader(Path(source.path) if source.reader == "hub" else source.place, **options):
        if isinstance(row, Sample) and not (row.text.strip() or row.images):
            row = DeadLetter(row.id, "the sample is empty")
        yield row


def expected(source: Corpus) -> int | None:
    """Estimate the number of rows by counting row marks, without parsing.

    Args:
        source: the corpus.

    Returns:
        The number of marks; None for a reader without a mark, or a damaged file.
    """
    mark = MARKS.get(source.reader)
    if mark is None:
        return None
    total = 0
    for path in source.files():
        end = b""
        try:
            with packed.opened(path) as file:
                while chunk := file.read(1 << 20):
                    total += (end + chunk).count(mark)
                    end = chunk[1 - len(mark) :] if len(mark) > 1 else b""
        except packed.damage():  # the reader will say what is wrong with it; Rejected is a ValueError
            return None
    return total


def _published(path: Path) -> Iterator[Sample | DeadLetter]:
    number = 0
    try:
        with packed.opened(path) as file:
            while line := file.readline(io.MAX_LINE_BYTES + 1):
                number += 1
                location = f"{path.name}:{number}"
                if len(line) > io.MAX_LINE_BYTES:
                    while line and not line.endswith(b"\n"):
                        line = file.readline(io.MAX_LINE_BYTES)
                    yield DeadLetter(location, f"line longer than {io.MAX_LINE_BYTES >> 20} MiB")
                elif line.strip():
                    yield _sample(line, location)
    except Rejected as error:
        if not number:
            raise
        yield DeadLetter(f"{path.name}:{number + 1}", str(error))
    except packed.damage() as error:  # rows before the damage are read
        yield DeadLetter(f"{path.name}:{number + 1}", f"the file breaks off: {error}")


def _sample(line: bytes, location: str) -> Sample | DeadLetter:
    try:
        sample = io.sample_from_json(io.parse_row(line.decode("utf-8")))
    except UnicodeDecodeError as error:
        return DeadLetter(location, f"not UTF-8: {error.reason} at byte {error.start}")
    except DataError as error:
        return DeadLetter(location, str(error)[:300])
    return sample if sample.text.strip() or sample.images else DeadLetter(location, "the sample is empty")
