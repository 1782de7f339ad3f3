"""Lines of a vocabulary's file that define an id, for messages about terms that are wrong."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError

CODE = re.compile(r"\w+[:_]\w*\d\w*|\d{4,}")  # another id: the line is about that one
REFERS = re.compile(
    r"\b(?:is_a|parents?|sub|subClassOf|obj|xrefs?|alt_id|relationship|resource|intersection_of|consider|replaced_by)\b"
)
MAX_BYTES = 256 * 2**20  # of a file that is searched


def places(path: Path, ids: Collection[str]) -> dict[str, list[int]]:
    """Find the lines of a vocabulary's file that define the given ids.

    Args:
        path: a text file, plain or compressed, of at most MAX_BYTES; a folder or a larger file gives {}.
        ids: CURIEs; the part after the last colon is searched for.

    Returns:
        id -> line numbers from 1 that define it, or the first line that mentions it where none does; an id
        that does not occur is left out
    """
    local = {id.rpartition(":")[2]: id for id in ids}
    if not local or not path.is_file() or path.stat().st_size > MAX_BYTES:
        return {}
    pattern = re.compile(
        rf"(?<![\w.-])(?:\w+[:_])?({'|'.join(map(re.escape, sorted(local, key=len, reverse=True)))})(?![\w-]|\.\w)"  # noqa: E501
    )
    defined, mentioned = dict[str, list[int]](), dict[str, int]()
    try:
        for number, line in io.lines(path):
            for match in pattern.finditer(line):
                id, before = local[match[1]], line[: match.start()]
                mentioned.setdefault(id, number)
                if not REFERS.search(before) and not CODE.search(before):
                    defined.setdefault(id, []).append(number)
    except DataError:  # no text, or a line too long: its reader knows better
        return {}
    return {id: defined.get(id) or [mentioned[id]] for id in mentioned}
