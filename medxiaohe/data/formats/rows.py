"""Convert rows of any layout to samples: chats, prompts with completions, questions with answers, documents.

One set of options for all readers of rows, and one order in which a row is understood:

1. by `columns`, where the user names them (columns.py);
2. in a chat layout: messages, conversations, prompt and completion, instruction and output (chat.py);
3. by the usual names of published tables (columns.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medxiaohe import io
from medxiaohe.data.formats import chat, files
from medxiaohe.data.formats.columns import chat_row, normalised, usual
from medxiaohe.data.formats.records import Record, at
from medxiaohe.data.readers import DeadLetter, Rejected
from medxiaohe.errors import DataError
from medxiaohe.types import Sample


@dataclass(frozen=True)
class RowOptions:
    """How rows become samples.

    Attributes:
        columns: key -> column (columns.py); empty: by layout, or by the usual names.
        images: the folder that relative image paths start from; "" is the folder of the data file.
        layout: the only chat layout allowed; "" allows all, "table" only columns.
        first_index: the number of the first option where `answer_index` is a number.
        split: for rows that state none.
        license: for rows that state none.
        keep: columns that are copied to `Sample.meta`.
        allow_outside: further folders, outside of the data's own, in which rows may name images.
    """

    columns: Mapping[str, Any] | None = None
    images: str = ""
    layout: str = ""
    first_index: int = 0
    split: str = ""
    license: str = ""
    keep: Sequence[str] = ()
    allow_outside: Sequence[str] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", normalised(self.columns))

    def image_root(self, folder: Path) -> Path:
        """Resolve the folder where relative image paths start.

        Args:
            folder: of the data file.

        Returns:
            `images` from there, or `folder`.
        """
        return folder / Path(self.images).expanduser() if self.images else folder

    def confined(self, path: Path | None) -> io.Confined:
        """List the folders in which rows may name files, the root of the images among them.

        Args:
            path: a data file or folder; None: `allow_outside` alone.

        Returns:
            The folders.
        """
        if path is None:
            return io.confined(None, self.allow_outside)
        folder = path if path.is_dir() else path.parent
        own = [self.image_root(folder)] if self.images else []
        return io.confined(path, [*own, *self.allow_outside])


def sample_of(record: Record, folder: Path, options: RowOptions, within: io.Confined) -> Sample | DeadLetter:
    """Convert a row to a sample.

    Args:
        record: the row with its position.
        folder: the folder of the data file.
        options: how rows become samples.
        within: the folders that the row may name images in.

    Returns:
        The sample, or the rejected row with the reason.
    """
    try:
        converted = understood(record.row, options)
        for key, value in (("license", options.license), ("split", options.split)):
            if value and not converted.get(key):
                converted[key] = value
        sample = chat.sample(converted, options.image_root(folder), record.where, within)
        if options.keep:
            sample = io.lifted(replace(sample, meta={key: at(record.row, key) for key in options.keep}))
        return sample
    except DataError as error:
        return files.rejected(record.where, error, record.raw, record.offset)


def understood(row: Mapping[str, Any], options: RowOptions) -> dict[str, Any]:
    """Convert a row of any layout to a chat layout: by `columns`, by its own layout, or by usual names of
    columns.

    Args:
        row: a JSON object.
        options: how rows become samples.

    Returns:
        A row in one of chat.LAYOUTS.

    Raises:
        Rejected: the row is in another layout than the only one allowed, or has no text.
    """
    if options.columns:
        return chat_row(row, options.columns, options.first_index)
    layout = chat.layout(row)
    if options.layout and options.layout != "table":
        if chat.LAYOUTS[options.layout] not in row:
            key = chat.LAYOUTS[options.layout]
            raise Rejected(
                "row", f"no `{key}`" + (f": the row is in the layout of {layout}" if layout else "")
            )
        return dict(row)
    if options.layout != "table" and layout and layout != "document":
        return dict(row)
    names = usual(row)
    if layout == "document" and not ("user" in names and {"assistant", "answer_index"} & names.keys()):
        return dict(row)
    return {**chat_row(row, names, options.first_index), **_own_keys(row)}


def _own_keys(row: Mapping[str, Any]) -> dict[str, Any]:
    """Select `source` and `meta` of a row in our own layout."""
    return {key: row[key] for key in ("source", "meta") if isinstance(row.get(key), (str, Mapping))}


def samples(
    records: Iterator[Record | DeadLetter], folder: Path, options: RowOptions, within: io.Confined
) -> Iterator[Sample | DeadLetter]:
    """Convert all rows of a file to samples.

    Args:
        records: of records.py.
        folder: of the data file.
        options: how rows become samples.
        within: folders that rows may name images in.

    Yields:
        Samples; a row that cannot be converted is a DeadLetter.
    """
    for record in records:
        yield record if isinstance(record, DeadLetter) else sample_of(record, folder, options, within)
