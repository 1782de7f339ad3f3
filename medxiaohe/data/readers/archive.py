"""A .zip or .tar (.gz, .bz2, .xz) of anything another reader reads: `{reader: archive, path: a.zip, options:
{reader: chat_jsonl}}`.

Members that lead out of the archive, links and devices are rejected rows; an archive that unpacks without end
is one too. The files are kept by their content in the cache of medxiaohe. A row may name only images that
came with it.
"""

from __future__ import annotations

import io as standard
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from medxiaohe import assets, io, plugins
from medxiaohe.data.formats import archives, files
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Sample


def _tiny() -> bytes:
    out = standard.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr(
            "rows/mine.jsonl", '{"id": "1", "text": "Scurvy is a lack of vitamin C.", "license": "CC0-1.0"}\n'
        )
    return out.getvalue()


EXAMPLE = {"mine.zip": _tiny}


def archive(
    path: Path, *, reader: str = "chat_jsonl", options: Mapping[str, Any] | None = None
) -> Iterator[Sample | DeadLetter]:
    """Read the content of archives with another reader.

    Args:
        path: a .zip or .tar file, or a folder of them.
        reader: name of the reader of the content.
        options: its options.

    Yields:
        one Sample a row; a DeadLetter for each row or file that cannot be used

    Raises:
        DataError: the path does not exist, or is a single file that cannot be read.
    """
    if reader == "archive":
        raise ConfigError("an archive in an archive is not unpacked: give the reader of what is inside")
    inner = plugins.load("readers", reader)
    for file in files.files(path, *archives.ENDINGS):
        try:
            folder = _unpacked(file)
        except DataError as error:
            letter = files.rejected(file.name, error)
            yield DeadLetter(file.name, letter.reason, letter.code, files.digest_of(file), letter.offset or 0)
            continue
        yield from (DeadLetter(**row) for row in io.read_jsonl(folder / "refused.jsonl"))
        content = (folder / "content").resolve()
        if not any(member.is_file() for member in content.rglob("*")):
            continue
        for row in inner(content, **(options or {})):
            outside = (
                [i.uri for i in row.images if _outside(i.uri, content)] if isinstance(row, Sample) else []
            )
            yield (
                DeadLetter(row.id, f"the image {outside[0][-80:]!r} is not in the archive", "unsafe_path")
                if outside
                else row
            )


def _unpacked(file: Path) -> Path:
    """Extract an archive into the cache, once for its bytes: `content/` with the members, and
    refused.jsonl.
    """
    folder = assets.cache_root() / "archives" / io.sha256(file)
    if not (folder / io.MANIFEST).is_file():
        with io.publish(folder) as draft:
            (draft / "content").mkdir()
            io.write_jsonl(draft / "refused.jsonl", archives.extract(file, draft / "content"))
    return folder


def _outside(uri: str, folder: Path) -> bool:
    return not uri.startswith("data:") and not Path(uri).resolve().is_relative_to(folder)
