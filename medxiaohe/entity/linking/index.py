"""Compiled dictionary of names: the mentions that entity.link finds, tens of times as fast, for millions of
names.

    index = Index.of(tree)                # or Index.load(path), which maps the file: processes share one copy
    index.find(text)                      # the mentions that Linker(tree).find(text) gives
    mentions = index.find_batch(texts)    # arrays, and no Python object for each mention

Needs `pip install 'medxiaohe[fast]'`. Threads may share an index: the search releases the GIL.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from medxiaohe import io
from medxiaohe.arrays import distinct
from medxiaohe.entity.linking.link import CJK, Linker, Mention, plain
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import DataError, MissingExtra, UsageError

if TYPE_CHECKING:
    import numpy as np

MAGIC = b"medxiaohe index 1\n"
ALIGNED = 64  # bytes: where arrays begin in the file
DIGEST = 32  # bytes of a SHA-256
MULTIPLIER = 0x9E3779B97F4A7C15  # of the hash: 2^64 / golden ratio, odd (Fibonacci hashing)
MAX_DOCUMENT = 2**31 - 1  # bytes: positions have 32 bits
BLOCK = 512  # tokens processed together: they fit in the L1 cache
BYTES_PER_MENTION = 16  # a guess; the output grows where it is wrong
PADDING = b"\0" * 80  # _kernels.scan reads so far ahead
FULL = 0.6  # largest load factor of the hash table
BITS_EACH = 16  # Bloom filter: 16 bits a key or more, 2 hashes, so false-positive rate <= (2 / 16)^2 = 1/64
RUN = re.compile(rf"([{CJK}]+)|([^\W{CJK}]+)|[^\w\s\-\u2010\u2011]+")  # link.TOKEN, but runs of a kind
ARRAYS = {  # what the file holds: name -> type
    "narrow": "u1",  # kind or fold of an ASCII character
    "pages": "u2",
    "letters": "u4",  # kind and fold of any character, by pages of 256
    "singles": "u8",  # Bloom filter of the names of one token
    "pairs": "u8",  # Bloom filter of the first two tokens of the others
    "table": "u8",  # hash table of prefixes
    "records": "u1",
    "ids": "u1",
    "id_bounds": "i8",
}


@dataclass(frozen=True)
class Found:
    """Mentions of many documents as columns; those of document d are the rows rows[d] to rows[d + 1]."""

    rows: np.ndarray
    start: np.ndarray  # from the beginning of the document
    end: np.ndarray
    value: np.ndarray  # what `Index.build` was given for the name

    def __len__(self) -> int:
        return len(self.value)

    @property
    def document(self) -> np.ndarray:
        """Document of each mention.

        Returns:
            (mentions,) int64
        """
        import numpy as np

        return np.repeat(np.arange(len(self.rows) - 1), np.diff(self.rows))


class Index:
    """Compiled dictionary that maps names to values and finds them in texts.

    The values of `Index.of` are 2 x number of the entity + 1 for an ambiguous name.
    """

    def __init__(self, arrays: dict[str, np.ndarray], *, longest: int, multiplier: int = MULTIPLIER):
        import numpy as np

        self._kernels = kernels()
        self._arrays = {name: _read_only(array) for name, array in arrays.items()}
        self._settings = {"longest": longest, "multiplier": multiplier}
        self._letters = tuple(self._arrays[name] for name in ("narrow", "pages", "letters"))
        self._names = (
            *(self._arrays[name] for name in ("singles", "pairs", "table", "records")),
            self._arrays["records"].view(np.uint32),
        )
        self._multiplier = np.uint64(multiplier)
        self._ids: dict[int, str] = {}  # those mentioned so far

    @classmethod
    def of(cls, tree: Tree) -> Index:
        """Compile the names that a Linker looks for in this tree.

        Args:
            tree: whose entities are numbered in tree order.

        Raises:
            MissingExtra: numba is not installed.
        """
        linker = Linker(tree)
        numbers = {id: number for number, id in enumerate(tree.entities)}
        names = [*linker.acronyms, *linker.names]
        meanings = (*linker.acronyms.values(), *linker.names.values())
        values = [2 * numbers[meaning.entity] + meaning.ambiguous for meaning in meanings]
        return cls.build(names, values, num_exact=len(linker.acronyms), ids=numbers)

    @classmethod
    def build(
        cls,
        names: Sequence[str],
        values: Sequence[int] | np.ndarray | None = None,
        *,
        num_exact: int = 0,
        ids: Iterable[str] = (),
        multiplier: int = MULTIPLIER,
    ) -> Index:
        """Compile an index of plain names.

        Args:
            names: of names with the same tokens the first stays.
            values: of each name, below 2**31; None takes the number of the name.
            num_exact: the first so many names match as written only, and go before the others, which match in
                any case.
            ids: entity ids, for `id`.
            multiplier: odd 64-bit number of the hash; tests change it.

        Raises:
            MissingExtra: numba is not installed.
        """
        import numpy as np

        blob, offsets = _packed([plain(name) for name in names])
        letters = _letters()
        hash_multiplier = np.uint64(multiplier)
        most = int(np.diff(offsets).max(initial=0)) + 65
        buffers = (np.empty(most, np.uint64), np.empty(most, np.int64), np.empty(most, np.int64))
        keys, bounds = np.empty(3 * len(blob) + 8, np.uint8), np.empty(len(names) + 1, np.int64)
        hashes, lengths = np.empty(len(blob) + 1, np.uint64), np.empty(len(names), np.int64)
        make = kernels()
        num_bytes, num_hashes = make.prefixes(
            blob,
            offsets,
            num_exact,
            *letters.values(),
            hash_multiplier,
            buffers,
            keys,
            bounds,
            hashes,
            lengths,
        )
        hashes, keys = hashes[:num_hashes], keys[:num_bytes].copy()
        begins = np.cumsum(lengths) - lengths
        singles, pairs = (
            _bits(distinct(hashes[begins[lengths == 1]]).size),
            _bits(distinct(hashes[begins[lengths > 1] + 1]).size),
        )
        table = np.zeros(_power_of_two(distinct(hashes).size / FULL), np.uint64)
        records = np.zeros(int((np.diff(bounds) + make.HEAD + 7).sum()) // 8 * 8 + len(PADDING), np.uint8)
        numbers = np.arange(len(names), dtype=np.uint32) if values is None else np.asarray(values, np.uint32)
        used = make.fill(
            hashes,
            lengths,
            num_exact,
            keys,
            bounds,
            numbers,
            singles,
            pairs,
            table,
            records,
            records.view(np.uint32),
        )
        records = records[: 8 * used + len(PADDING)]
        id_blob, id_bounds = _packed(list(ids))
        arrays = {
            **letters, "singles": singles, "pairs": pairs, "table": table, "records": records, "ids": id_blob,
            "id_bounds": id_bounds,
        }  # fmt: skip
        return cls(arrays, longest=int(lengths.max(initial=1)), multiplier=multiplier)

    @property
    def num_bytes(self) -> int:
        """Size of the index in memory.

        Returns:
            bytes of all arrays
        """
        return sum(array.nbytes for array in self._arrays.values())

    def id(self, number: int) -> str:
        """Id of an entity.

        Args:
            number: value // 2 of a mention.

        Returns:
            id, as given to `build`
        """
        if number not in self._ids:
            start, end = self._arrays["id_bounds"][number : number + 2]
            self._ids[number] = self._arrays["ids"][start:end].tobytes().decode()
        return self._ids[number]

    # ---- finding ---------------------------------------------------------------------------------

    def find(self, text: str) -> list[Mention]:
        """Find the names of a text, as the Linker of the same tree does.

        Args:
            text: to search.

        Returns:
            mentions in order, without overlap

        Raises:
            UsageError: the index was built without ids.
            DataError: the text is larger than 2 GiB.
        """
        if len(self._arrays["id_bounds"]) < 2:
            raise UsageError(
                "this index has names without entities: use find_batch, or build it with Index.of(tree)"
            )
        matches = self.find_batch([text])
        columns = zip(matches.start.tolist(), matches.end.tolist(), matches.value.tolist(), strict=True)
        return [
            Mention(start, end, self.id(value >> 1), text[start:end], value & 1 == 1)
            for start, end, value in columns
        ]

    def find_batch(self, texts: Sequence[str]) -> Found:
        """Find the names of many texts.

        Args:
            texts: to search.

        Returns:
            columns of mentions; start and end count code points

        Raises:
            DataError: a text is larger than 2 GiB.
        """
        return self._find(*_packed([plain(text) for text in texts]), in_letters=True)

    def find_bytes(self, data: bytes | np.ndarray, offsets: np.ndarray) -> Found:
        """Find the names of UTF-8 documents without decoding them.

        A dash inside a word is no hyphen here, and a name that must stand as written matches with its accents
        only.

        Args:
            data: all documents, one after the other.
            offsets: (documents + 1,): document d is data[offsets[d]:offsets[d + 1]].

        Returns:
            columns of mentions; start and end count bytes

        Raises:
            DataError: the offsets do not rise within the data, or a document is larger than 2 GiB.
        """
        return self._find(data, offsets, in_letters=False)

    def _find(self, data: bytes | np.ndarray, offsets: np.ndarray, *, in_letters: bool) -> Found:
        import numpy as np

        text = _read_only(
            np.ascontiguousarray(np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data, np.uint8)
        )
        offsets = np.ascontiguousarray(offsets, np.int64)
        if len(offsets) == 0 or offsets[0] < 0 or offsets[-1] > len(text) or (np.diff(offsets) < 0).any():
            raise DataError(f"offsets of documents must rise from 0 to {len(text)}, the number of bytes")
        if len(offsets) > 1 and np.diff(offsets).max() > MAX_DOCUMENT:
            raise DataError(f"document {int(np.diff(offsets).argmax())} is larger than 2 GiB: split it")
        longest = self._settings["longest"]
        room = BLOCK + longest
        buffers = (np.empty(room, np.uint64), *(np.empty(room, np.int64) for _ in range(3)))
        rows = np.zeros(len(offsets), np.int64)
        columns = [
            np.empty((int(offsets[-1] - offsets[0]) // BYTES_PER_MENTION) + 16, np.int32) for _ in range(3)
        ]
        document, count = 0, 0
        while True:
            document, count = self._kernels.find(
                text, offsets, document, *self._letters, self._multiplier, longest, *self._names, *buffers,
                rows, *columns, count, in_letters,
            )  # fmt: skip
            if document == len(offsets) - 1:
                return Found(rows, *(column[:count] for column in columns))
            columns = [np.concatenate((column, np.empty_like(column))) for column in columns]

    # ---- on disk ---------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write the index to one file, with a SHA-256 of its bytes.

        Args:
            path: of the file, written atomically.
        """
        io.write(path, self._write)

    def _write(self, out: IO[bytes]) -> None:
        digest, places, at = hashlib.sha256(), {}, 0
        for name, array in self._arrays.items():
            places[name] = [at, len(array)]
            at += -(-array.nbytes // ALIGNED) * ALIGNED
        header = json.dumps(
            {**self._settings, "arrays": places, "bytes": at, "byteorder": sys.byteorder}
        ).encode()
        start = len(MAGIC) + DIGEST + 8 + len(header)
        header += b" " * (-start % ALIGNED)
        chunks: list[Any] = [len(header).to_bytes(8, "little"), header]
        for array in self._arrays.values():
            chunks += [memoryview(cast(Any, array)), b"\0" * (-array.nbytes % ALIGNED)]
        for chunk in chunks:
            digest.update(chunk)
        out.write(MAGIC + digest.digest())
        for chunk in chunks:
            out.write(chunk)

    @classmethod
    def load(cls, path: Path) -> Index:
        """Memory-map the index that `save` wrote: processes that load it share one copy. Every byte is
        checked first.

        Args:
            path: of the file.

        Raises:
            DataError: the file is missing, damaged, of another version or of a machine with another byte
                order.
            MissingExtra: numba is not installed.
        """
        import numpy as np

        try:
            data = np.memmap(path, np.uint8, "r")
        except OSError as error:
            reason = (
                "no such file"
                if isinstance(error, FileNotFoundError)
                else f"cannot read it: {error.strerror or error}"
            )
            raise DataError(f"{path}: {reason}") from error
        except ValueError as error:  # an empty file cannot be mapped
            raise DataError(f"{path}: an empty file is no index: build it again") from error
        begin = len(MAGIC) + DIGEST
        if bytes(data[: len(MAGIC)]) != MAGIC:
            raise DataError(f"{path}: not an index of this version of medxiaohe: build it again")
        if hashlib.sha256(cast(Any, data[begin:])).digest() != bytes(data[len(MAGIC) : begin]):
            raise DataError(f"{path}: the index is damaged or cut off: build it again")
        body = begin + 8 + int.from_bytes(bytes(data[begin : begin + 8]), "little")
        header = json.loads(bytes(data[begin + 8 : body]))
        if header["byteorder"] != sys.byteorder:
            raise DataError(
                f"{path}: an index of a {header['byteorder']}-endian machine: build it again on this one"
            )
        arrays = {}
        for name, (at, length) in header["arrays"].items():
            kind = np.dtype(ARRAYS[name])
            arrays[name] = data[body + at : body + at + length * kind.itemsize].view(kind, np.ndarray)
        return cls(arrays, **{key: header[key] for key in ("longest", "multiplier")})


@functools.cache
def kernels() -> Any:
    """Import the compiled functions; the first use on a machine compiles them, which takes some seconds, and
    caches them.

    Returns:
        the module `_kernels`

    Raises:
        MissingExtra: numba is not installed.
        UsageError: numba has no folder to cache compiled code in.
    """
    try:
        from medxiaohe.entity.linking import _kernels
    except ImportError as error:
        raise MissingExtra("a compiled index needs numba: pip install 'medxiaohe[fast]'") from error
    except RuntimeError as error:  # numba found no folder to keep compiled code in
        raise UsageError(
            f"no folder to keep compiled code in: set NUMBA_CACHE_DIR to one that can be written ({error})"
        ) from error
    return _kernels


def _packed(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate the UTF-8 of all texts; returns the bytes (with PADDING) and the offset of each text."""
    import numpy as np

    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=offsets[1:])
    return np.frombuffer(b"".join((*encoded, PADDING)), np.uint8), offsets


def _read_only(array: np.ndarray) -> np.ndarray:
    """Read-only view of an array: the type of a mapped file, so that numba compiles each function once."""
    view = array.view()
    view.flags.writeable = False
    return view


def _bits(count: int) -> np.ndarray:
    import numpy as np

    return np.zeros(_power_of_two(count * BITS_EACH / 64), np.uint64)


def _power_of_two(least: float) -> int:
    return 1 << max(6, math.ceil(math.log2(least + 1)))


@functools.cache
def _letters() -> dict[str, np.ndarray]:
    """Tables of kind and fold of every code point, for _kernel_tokens.letter; equal pages of 256 are stored
    once.
    """
    import numpy as np

    from medxiaohe.entity.linking import _kernel_tokens as kernel

    every = "".join(map(chr, range(0x110000)))
    lower = np.frombuffer(plain(every).lower().encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds = np.full(len(every), kernel.KIND_SPACE, np.uint32)
    for mark in RUN.finditer(every):
        kinds[mark.start() : mark.end()] = (kernel.KIND_POINT, kernel.KIND_SINGLE, kernel.KIND_WORD)[
            mark.lastindex or 0
        ]
    # fold minus code point: equal for whole alphabets, so that most pages of 256 are equal and stored once
    distance: Any = lower - np.arange(len(every), dtype=np.uint32)
    entries = (kinds << 24 | distance & 0xFFFFFF).reshape(-1, 256)
    letters, pages = np.unique(entries, axis=0, return_inverse=True)
    narrow = np.full(256, kernel.WIDE, np.uint8)
    narrow[:128] = np.choose(kinds[:128], [kernel.SPACE, kernel.POINT, lower[:128], kernel.POINT])
    return {"narrow": narrow, "pages": pages.ravel().astype(np.uint16), "letters": letters.ravel()}
