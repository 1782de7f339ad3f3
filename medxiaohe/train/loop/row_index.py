"""Index of a file of rows: byte offset and token count of each row of training, in memory-mapped integers, so
that neither the rows nor their sizes are held in memory.

Counting reads every sample once, in shards that worker processes share; a killed run resumes at the first
shard that is not counted. It finds every row that cannot be rendered before training begins.
"""

from __future__ import annotations

import functools
import mmap
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medxiaohe import images, io, plugins, shards
from medxiaohe.errors import DataError
from medxiaohe.models import checkpoint
from medxiaohe.models.families import family as families
from medxiaohe.models.render import Rendered, Thinking, render_turns, set_thinking
from medxiaohe.tasks import make
from medxiaohe.tools.toolbox import describe_tools
from medxiaohe.types import ImageRef, Sample, Tool

if TYPE_CHECKING:
    from PIL.Image import Image

    Opener = Callable[[ImageRef], Image]

SHARD_BYTES = 4 << 20  # of rows that are counted as one job
CHUNK = 1 << 16  # bytes read at once where a row is looked up
# of each row: its sample's first byte in the file, which of the sample's rows it is, tokens, tokens with
# loss, images, number of its source
COLUMNS = {"place": "q", "turn": "H", "tokens": "i", "trained": "i", "images": "H", "source": "H"}
JOB = f"{__name__}:count_shard"


@dataclass(frozen=True)
class Reading:
    """How samples are rendered: what a worker process needs to render as this one does.

    Attributes:
        model: whose processor renders, as `checkpoint.processor` names it.
        max_length: tokens of a row; text beyond is cut.
        oversize: whether a longer row with images is an error or dropped.
        thinking: as in `checkpoint.load`.
        min_pixels: area of an image at least; 0: as the processor has it.
        max_pixels: area of an image at most; likewise.
    """

    model: str
    max_length: int
    oversize: Literal["error", "drop"] = "error"
    thinking: Thinking = "auto"
    min_pixels: int = 0
    max_pixels: int = 0

    def processor(self) -> Any:
        """Open the processor with these settings.

        Returns:
            A processor of transformers, or a TextProcessor for a model without images.
        """
        result = checkpoint.processor(self.model)
        set_thinking(result, self.thinking)
        if self.min_pixels or self.max_pixels:
            families.of(result).limit_pixels(result, self.min_pixels, self.max_pixels)
        return result


@dataclass(frozen=True)
class RowIndex:
    """Columns with an entry for each row, in the order of the file; totals of them."""

    place: Sequence[int]
    turn: Sequence[int]
    tokens: Sequence[int]
    trained: Sequence[int]
    images: Sequence[int]
    source: Sequence[int]
    sources: tuple[str, ...]
    dropped: int  # rows with images that are longer than max_length
    total_tokens: int
    total_trained: int
    with_images: int
    first: dict[bool, int | None]  # the first row with images (True) and without

    def __len__(self) -> int:
        return len(self.place)


def build(
    file: Path,
    work: Path,
    reading: Reading,
    label: str,
    *,
    processor: Any,
    workers: int = 0,
    opened: bool = False,
) -> RowIndex:
    """Count the rows of a file, or take up what was counted below `work`.

    Args:
        file: JSONL of Samples, which does not change while it is trained on.
        work: a folder for the columns, of this file and this way of reading alone.
        reading: how rows are rendered.
        label: of the progress bar.
        processor: the one of `reading`, as it is open in this process.
        workers: processes that count; each opens the processor for itself.
        opened: whether images are unpacked, instead of being counted from their headers.

    Returns:
        Memory-mapped columns with an entry for each row.

    Raises:
        DataError: a row that is none, or that cannot be rendered.
    """
    with io.in_turn(work):  # processes that train together share one index
        io.make_folder(work)
        pieces = shards.split([file], SHARD_BYTES)
        options: dict[str, Any] = {"reading": reading, "opened": opened}
        if workers < 2 or len(pieces) < 2:
            options["processor"] = processor
        done = list(shards.run(JOB, pieces, work, options=options, workers=max(1, workers), label=label))
        return _joined(done, work)


def count_shard(
    shard: shards.Shard, out: Path, *, reading: Reading, opened: bool, processor: Any = None
) -> dict[str, Any]:
    """Count the rows of a shard and write their columns: the job of `build`.

    Args:
        shard: a range of bytes of the file.
        out: folder for one file of integers for each column.
        reading: how rows are rendered.
        opened: whether images are unpacked.
        processor: of this process; None: a worker opens its own.

    Returns:
        Totals: rows, dropped, tokens, trained, with_images; names of sources by number; the first row with
        and without images.

    Raises:
        DataError: a line that cannot be rendered, with its number.
    """
    processor = processor or _processor(reading)
    columns = {name: array(kind) for name, kind in COLUMNS.items()}
    sources: dict[str, int] = {}
    dropped = 0
    for offset, row in shards.placed(shard):
        sample = io.sample_from_json(row)
        try:
            rendered = rows_of(sample, processor, reading, images.open_image if opened else None)
        except DataError as error:
            raise DataError(f"row {_line(shard.path, offset)} ({sample.id}): {error}") from error
        for turn, item in enumerate(rendered):
            if reading.oversize == "drop" and item.num_images and len(item.tokens) > reading.max_length:
                dropped += 1
                continue
            source = sources.setdefault(sample.source, len(sources))
            values = (
                offset,
                turn,
                len(item.tokens),
                sum(item.mask),
                item.num_images,
                source,
            )
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    for name, column in columns.items():
        io.write(out / name, column.tofile)
    pictures = columns["images"]
    return {
        "sources": list(sources),
        "rows": len(pictures),
        "dropped": dropped,
        "tokens": sum(columns["tokens"]),
        "trained": sum(columns["trained"]),
        "with_images": sum(map(bool, pictures)),
        "first_with": next((i for i, number in enumerate(pictures) if number), None),
        "first_without": next((i for i, number in enumerate(pictures) if not number), None),
    }


@functools.lru_cache(maxsize=1)
def _processor(reading: Reading) -> Any:
    return reading.processor()


def _line(path: str, offset: int) -> int:
    """The number of the line that begins at a byte."""
    count = 1
    with open(path, "rb") as file:
        while offset > 0 and (chunk := file.read(min(CHUNK, offset))):
            count, offset = count + chunk.count(b"\n"), offset - len(chunk)
    return count


def _joined(done: Sequence[tuple[Path, dict[str, Any]]], work: Path) -> RowIndex:
    """Concatenate the columns of all shards; sources get numbers of the whole file."""
    summaries = [summary for _, summary in done]
    sources = {name: None for summary in summaries for name in summary["sources"]}
    number = {name: i for i, name in enumerate(sources)}
    for name in COLUMNS:
        if name != "source":
            shards.join([folder / name for folder, _ in done], work / name)

    def renumbered() -> Iterator[bytes]:
        for folder, summary in done:
            own = array(COLUMNS["source"], (folder / "source").read_bytes())
            yield array(COLUMNS["source"], [number[summary["sources"][code]] for code in own]).tobytes()

    io.write(work / "source", lambda file: file.writelines(renumbered()))
    first: dict[bool, int | None] = {}
    for has_images, key in ((True, "first_with"), (False, "first_without")):
        before = 0
        first[has_images] = None
        for summary in summaries:
            if summary[key] is not None:
                first[has_images] = before + summary[key]
                break
            before += summary["rows"]
    return RowIndex(
        **{name: mapped(work / name, kind) for name, kind in COLUMNS.items()},
        sources=tuple(sources),
        dropped=sum(summary["dropped"] for summary in summaries),
        total_tokens=sum(summary["tokens"] for summary in summaries),
        total_trained=sum(summary["trained"] for summary in summaries),
        with_images=sum(summary["with_images"] for summary in summaries),
        first=first,
    )


def mapped(path: Path, kind: str) -> Sequence[int]:
    """Map the integers of a file into memory, read from disk on access.

    Args:
        path: file without a header.
        kind: type code of `array`, such as "i" for int32.

    Returns:
        A sequence of integers; empty for an empty file.
    """
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return array(kind)
        mapped: Any = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return mapped.cast(kind)  # type: ignore[no-any-return]


# ---- rows of samples ---------------------------------------------------------------------------------


def rows_of(sample: Sample, processor: Any, reading: Reading, opener: Opener | None) -> list[Rendered]:
    """Render all rows of a sample: one, or one for each turn where the chat template rewrites earlier ones.

    Args:
        sample: a document or conversation.
        processor: the one of `reading`.
        reading: `max_length`, to which rows are cut; with oversize "drop", rows with images are not cut.
        opener: as in `render_turns`.

    Returns:
        Rows in the order of the turns.

    Raises:
        DataError: the sample cannot be rendered.
    """
    tools = offered(sample.source) if any(message.calls for message in sample.messages) else ()
    rows = render_turns(sample.messages, processor, opener, tools)
    limit = reading.max_length
    return [row if row.num_images and reading.oversize == "drop" else row.cut(limit) for row in rows]


@functools.cache
def offered(source: str) -> tuple[Tool, ...]:
    """List the tools of a task, so that a row with tool calls is shown those that its rollout would be shown.

    Args:
        source: name of a task; a source of any other name has no tools.

    Returns:
        Tools that describe themselves and are bound to no image.
    """
    return describe_tools(make(source).tools) if source in plugins.available("tasks") else ()


class StoredSamples:
    """Samples of a file by the byte at which they begin; processes that were forked may read at once."""

    def __init__(self, path: Path):
        self.path = path
        self._file = open(path, "rb")

    def at(self, offset: int) -> Sample:
        """Read the sample that begins at a byte of the file.

        Args:
            offset: of the first byte of its line.

        Returns:
            The sample.
        """
        parts, start = list[bytes](), offset
        # pread: a seek would move the position of every process that shares the file
        while chunk := os.pread(self._file.fileno(), CHUNK, start):
            head, newline, _ = chunk.partition(b"\n")
            parts.append(head)
            start += len(chunk)
            if newline:
                break
        encoding = "utf-8-sig" if offset == 0 else "utf-8"
        return io.sample_from_json(io.parse_row(b"".join(parts).decode(encoding)))
