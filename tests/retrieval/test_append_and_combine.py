"""Stores grow by segments and combine: fused, reranked, filtered, routed, remote; images; tokens."""

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.errors import ConfigError, DataError, PrivacyError, StorageError
from medxiaohe.retrieval import library
from medxiaohe.retrieval.chunks import TOKEN, chunks
from medxiaohe.retrieval.library import open_library, open_store
from medxiaohe.retrieval.store import Filtered, Reranked, matching
from medxiaohe.types import Evidence, ImageRef

pytest.importorskip("tantivy")
np = pytest.importorskip("numpy")

ANIMALS = ["spleen", "liver", "kidney", "heart", "lung", "brain"]


def documents(first: int, last: int) -> Iterator[Evidence]:
    for n in range(first, last):
        text = f"Report {n} of the {ANIMALS[n % 6]}. " + "It was looked at with care. " * (n % 3 * 30)
        yield Evidence(f"d{n}", text, "book" if n % 2 else "log", level="AB"[n % 2], date=str(2000 + n))


def build(folder: Path, kind: str, rows: Iterator[Evidence], **settings: object) -> Path:
    from medxiaohe.retrieval.dense import build_dense
    from medxiaohe.retrieval.text import build_text

    with io.publish(folder) as draft:
        if kind == "text":
            build_text(draft, rows)
        else:
            build_dense(draft, rows, "ngrams", **settings)  # type: ignore[arg-type]
    return folder


@pytest.mark.parametrize("kind", ["text", "dense"])
def test_an_appended_store_answers_as_one_that_was_built_at_once(tmp_path: Path, kind: str) -> None:
    old = build(tmp_path / "old", kind, documents(0, 30))
    before = {path.name: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    assert library.append(old, documents(30, 40), tmp_path / "new")["documents"] == 10
    assert before == {path.name: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    whole = open_store(build(tmp_path / "whole", kind, documents(0, 40)))
    grown = open_store(tmp_path / "new")
    asked = ["report of the heart", "kidney 34"]
    one, two = (
        [[(hit.id, round(hit.score, 5)) for hit in hits] for hits in store.search(asked, 12)]
        for store in (grown, whole)
    )
    assert one == two and grown.get("d35").text.startswith("Report 35") and grown.verify() == 40
    with pytest.raises(DataError, match="two documents have the id 'd3'"):
        library.append(tmp_path / "new", documents(3, 4), tmp_path / "again")
    assert not (tmp_path / "again").exists()
    with pytest.raises(ConfigError, match="in the way"):
        library.append(old, documents(50, 51), tmp_path / "new")


def test_a_large_segment_gets_a_graph_that_finds_what_exact_search_finds(tmp_path: Path) -> None:
    pytest.importorskip("faiss")
    exact = open_store(build(tmp_path / "exact", "dense", documents(0, 200)))
    near = open_store(build(tmp_path / "near", "dense", documents(0, 200), approximate=50))
    assert (tmp_path / "near" / "vectors.0.faiss").is_file()
    asked = [f"Report {n} of the {ANIMALS[n % 6]}." for n in range(0, 200, 7)]
    pairs = list(zip(exact.search(asked, 5), near.search(asked, 5), strict=True))
    same = [len({a.id for a in one} & {b.id for b in two}) / 5 for one, two in pairs]
    assert sum(same) / len(same) > 0.9
    assert near.search(asked, 5) == open_store(tmp_path / "near").search(asked, 5)
    (tmp_path / "near" / "vectors.0.faiss").write_bytes(b"no graph")
    with pytest.raises(DataError, match="truncated or damaged"):
        open_store(tmp_path / "near")


def test_a_full_disk_publishes_nothing_and_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as raised:
        build(tmp_path / "store", "text", documents(0, 5))
    assert "\n" not in str(raised.value) and not (tmp_path / "store").exists()


def test_two_appends_at_once_make_one_version(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    old = build(tmp_path / "old", "text", documents(0, 5))
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(library.append, old, documents(5, 9), tmp_path / "new") for _ in range(2)]
        outcomes = [job.exception() for job in jobs]
    assert sum(one is None for one in outcomes) == 1
    assert isinstance(next(filter(None, outcomes)), ConfigError)
    assert open_store(tmp_path / "new").verify() == 9


def test_results_are_filtered_by_metadata_and_reranked(tmp_path: Path) -> None:
    store = open_store(build(tmp_path / "text", "text", documents(0, 30)))
    kept = Filtered(store, matching(["BOOK"], ["B"], (), "2010", "2019")).search(["report"], 30)[0]
    assert {one.id.partition("#")[0] for one in kept} == {f"d{n}" for n in (11, 13, 15, 17, 19)}
    for wrong in ({"levels": ["Z"]}, {"since": "May"}):
        with pytest.raises(DataError, match=r"level is A|no date"):
            matching(**wrong)

    def shortest(pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [-float(len(text)) for _, text in pairs]

    (ranked,) = Reranked(store, shortest, depth=4).search(["report"], 8)
    (plain,) = store.search(["report"], 8)
    assert {one.id for one in ranked[:4]} == {one.id for one in plain[:4]}
    assert [len(one.text) for one in ranked[:4]] == sorted(len(one.text) for one in ranked[:4])
    assert [one.id for one in ranked[4:]] == [one.id for one in plain[4:]]
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)


def test_a_file_combines_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "text", "text", documents(0, 12))
    build(tmp_path / "dense", "dense", documents(0, 12))
    file = tmp_path / "both.yaml"
    file.write_text("fuse: [text, dense]\nweights: [2, 1]\nfilter: {levels: [B]}\n")
    assert main(["knowledge", "search", "the heart", "--store", str(file), "--top", "3"]) == 0
    shown = capsys.readouterr().out
    assert "[d3]" in shown.splitlines()[0] and "level A" not in shown
    file.write_text("route: {zh: text, en: {store: dense}}")
    assert open_library(str(file)).search(["heart report"], 1)[0][0].score <= 1.0
    for text, problem in {
        "fuse: []": "list of stores",
        "fuse: [text]\nroute: {}": "not 2 of them",
        "fuze: [text]": "did you mean 'fuse'",
        "fuse: [text, dense]\nweights: [1]": "1 weights given",
        "route: {de: text}": "store for zh",
        "store: text\nfilter: {colour: red}": "unknown key 'colour'",
    }.items():
        file.write_text(text)
        with pytest.raises(ConfigError, match=problem):
            open_library(str(file))
    file.write_text("remote: http://192.0.2.1:9/search")
    with pytest.raises(PrivacyError):
        open_library(str(file))


def test_chunks_of_tokens_cover_the_text_and_end_at_sentences() -> None:
    text = "\n".join(f"Item {n}. The liver was examined on day {n}. 肝脏正常。" for n in range(200))
    spans = chunks(text, 300, 60, "tokens")
    sizes = [len(TOKEN.findall(text[start:end])) for start, end in spans]
    assert max(sizes) <= 300 and min(sizes[:-1]) > 200 and len(spans) > 5
    covered = {i for start, end in spans for i in range(start, end)}
    assert all(i in covered or sign.isspace() for i, sign in enumerate(text))
    assert all(text[end - 1] in ".。" for _, end in spans)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Evidence]:
    image = pytest.importorskip("PIL.Image")
    rows = []
    for n in range(6):
        pixels = np.zeros((40, 40), np.uint8)
        pixels[:, n * 6 : n * 6 + 6] = 255
        image.fromarray(pixels).save(tmp_path / f"{n}.png")
        rows.append(Evidence(f"case{n}", f"A bar at {n}.", "made", (ImageRef(str(tmp_path / f"{n}.png")),)))
    return rows


def test_an_image_store_finds_the_image_and_the_one_beside_it(
    tmp_path: Path, pictures: list[Evidence], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": one.id, "text": one.text, "source": one.source, "image": one.images[0].uri} for one in pictures
    ]
    io.write_jsonl(tmp_path / "cases.jsonl", rows)
    sets = [f"--set={one}" for one in ("kind=image", "embedder=thumbnails", f"path={tmp_path}/cases.jsonl")]
    assert main(["knowledge", "build", "--out", str(tmp_path / "out"), *sets]) == 0
    store = str(tmp_path / "out" / "data_index")
    capsys.readouterr()
    assert main(["knowledge", "search", "--image", pictures[2].images[0].uri, "--store", store]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["1.00", "[case2]"]
    opened = open_store(Path(store))
    with pytest.raises(DataError, match="no vectors of texts"):
        opened.search(["a bar"], 1)
    with pytest.raises(DataError, match="has no image"):
        library.append(Path(store), iter([Evidence("x", "words", "s")]), tmp_path / "more")
    assert main(["knowledge", "check", "--store", store]) == 0
