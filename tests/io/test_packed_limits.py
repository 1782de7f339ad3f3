"""Everything that reads a packed file stops at 100 times its size, in one sentence that names it."""

import bz2
import gzip
import json
import lzma
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from medxiaohe import io
from medxiaohe.data.coverage import corpora
from medxiaohe.data.readers import DeadLetter
from medxiaohe.entity.readers import _cellxgene, _json
from medxiaohe.errors import DataError

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
READ: dict[str, Callable[[Path], object]] = {
    "lines": lambda path: sum(1 for _ in io.lines(path)),
    "vocabulary of JSON": _json.load,
    "vocabulary of cellxgene": _cellxgene._terms,
}


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("reader", READ)
def test_a_bomb_is_one_sentence_that_names_it_and_takes_little_memory(
    reader: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"bomb.json{ending}"
    row = b'{"a": "' + b"0" * 2**16 + b'"}\n'
    path.write_bytes(PACK[ending](row * 400))  # 25 MiB
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"bomb\.json.*unpacks to more than 16 MiB"):
            READ[reader](path)
        assert tracemalloc.get_traced_memory()[1] < 80 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", PACK)
@pytest.mark.parametrize("reader", READ)
def test_a_packed_file_that_breaks_off_and_one_that_is_missing_are_one_sentence(
    reader: str, ending: str, tmp_path: Path
) -> None:
    path = tmp_path / f"x.json{ending}"
    with pytest.raises(DataError, match=r"no such file: .*x\.json"):
        READ[reader](path)
    good = PACK[ending](json.dumps({"a": list(range(5000))}).encode())
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match=r"x\.json"):
        READ[reader](path)


def test_a_corpus_that_breaks_off_or_is_a_bomb_is_read_up_to_there(tmp_path: Path) -> None:
    row = io.encoded({"id": "a", "messages": [{"role": "document", "parts": [{"text": "Words."}]}]})
    path = tmp_path / "samples.jsonl.gz"
    packed = gzip.compress(row * 2000)
    path.write_bytes(packed[: len(packed) // 2])
    rows = list(corpora._published(path))
    assert len(rows) > 1 and isinstance(rows[-1], DeadLetter) and "breaks off" in rows[-1].reason
    path.write_bytes(gzip.compress((b" " * 2**16 + b"\n") * 400))
    (last,) = corpora._published(path)
    assert isinstance(last, DeadLetter) and "unpacks to more than" in last.reason
