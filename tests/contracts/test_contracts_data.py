"""Every reader and every filter keeps its contract; a new file is found here by itself."""

import shutil
from importlib import import_module
from pathlib import Path
from typing import Literal

import pytest

from medxiaohe import io, plugins
from medxiaohe.data.formats import files
from medxiaohe.data.read import ReadSettings, Source, read
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError, MissingExtra
from medxiaohe.types import ROLES, SPLITS, Message, Sample

READERS, FILTERS = plugins.shipped("readers"), plugins.shipped("filters")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path_factory.mktemp("cache")))


def example(name: str, folder: Path) -> Path:
    reader = plugins.load("readers", name)
    files = __import__(reader.__module__, fromlist=["EXAMPLE"]).EXAMPLE
    for file, content in files.items():
        try:
            data = content() if callable(content) else content
        except ImportError as error:
            pytest.skip(f"{name}: {error}")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data.encode() if isinstance(data, str) else data)
    return folder


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_its_example(name: str, tmp_path: Path) -> None:
    folder = example(name, tmp_path)
    try:
        samples = list(plugins.load("readers", name)(folder))
    except MissingExtra as error:
        pytest.skip(str(error))
    assert samples and not any(isinstance(sample, DeadLetter) for sample in samples)
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        assert sample.id and sample.text.strip() and sample.source and sample.license
        assert sample.split in SPLITS and all(message.role in ROLES for message in sample.messages)
        assert sample.is_document or sample.messages[-1].role == "assistant"


@pytest.mark.parametrize("name", READERS)
def test_a_reader_gives_the_same_twice(name: str, tmp_path: Path) -> None:
    folder, reader = example(name, tmp_path), plugins.load("readers", name)
    try:
        assert list(reader(folder)) == list(reader(folder))
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_reader_says_what_is_missing(name: str, place: str, tmp_path: Path) -> None:
    try:
        with pytest.raises(DataError, match=tmp_path.name):
            list(plugins.load("readers", name)(tmp_path / place))
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_keeps_one_of_its_examples_and_gives_a_reason_for_dropping_the_other(name: str) -> None:
    reason = plugins.load("filters", name)
    file = import_module(reason.__module__)
    assert reason(file.KEEPS) == "" and isinstance(reason(file.DROPS), str) and reason(file.DROPS).strip()


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("role", ["document", "assistant"])
def test_a_filter_has_an_answer_for_a_sample_without_words(
    name: str, role: Literal["document", "assistant"]
) -> None:
    assert isinstance(plugins.load("filters", name)(Sample("1", (Message(role, ("",)),))), str)


IN_PARTS = [name for name in READERS if hasattr(import_module(f"medxiaohe.data.readers.{name}"), "APART")]


@pytest.mark.parametrize("name", IN_PARTS)
def test_parts_of_a_reader_are_read_once_and_are_the_whole(name: str, tmp_path: Path) -> None:
    """Three copies of the example under other names: each part gives the rows of its own files, no others."""
    example(name, tmp_path)
    reader = plugins.load("readers", name)
    endings = import_module(reader.__module__).APART
    for file in sorted(p for p in tmp_path.rglob("*") if p.is_file() and p.name.lower().endswith(endings)):
        for copy in ("b_", "c_"):
            shutil.copy(file, file.with_name(copy + file.name))
    found = files.files(tmp_path, *endings)
    assert len(found) >= 3, "EXAMPLE has no file with an ending of APART"
    try:
        whole = list(reader(tmp_path))
    except MissingExtra as error:
        pytest.skip(str(error))
    rows = []
    for number, file in enumerate(found):
        share = files.Share(frozenset([file]), frozenset(found) - {file}, number == 0)
        token = files.SHARE.set(share)
        try:
            rows += list(reader(tmp_path))
        finally:
            files.SHARE.reset(token)
        assert share.listed, f"{name} must list its files with data.formats.files.files"
    assert sorted(map(str, rows)) == sorted(map(str, whole))


def test_a_reader_that_lists_its_files_by_itself_is_not_read_in_parts(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    with io.publish(tree) as draft:
        io.write_jsonl(draft / "entities.jsonl", [{"id": "m:1", "name": "scurvy", "kind": "disease"}])
    (tmp_path / "own.py").write_text(
        "from medxiaohe.types import Message, Sample\nAPART = ('.txt',)\n"
        "def own(path):\n    for file in sorted(path.glob('*.txt')):\n"
        "        yield Sample(file.stem, (Message('document', (file.read_text(),)),))\n"
    )
    (tmp_path / "texts").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"texts/{name}.txt").write_text(f"Scurvy of {name}.")
    source = Source(reader=f"{tmp_path}/own.py:own", path=str(tmp_path / "texts"))
    with (
        pytest.raises(DataError, match=r"lists its files by itself.*leave out APART"),
        io.publish(tmp_path / "out") as out,
    ):
        read(ReadSettings((source,), part_mb=1e-6), out, tree=tree)


def test_files_of_no_part_are_read_once_too(tmp_path: Path) -> None:
    """The reader lists more endings than it says can be read apart."""
    tree = tmp_path / "tree"
    with io.publish(tree) as draft:
        io.write_jsonl(draft / "entities.jsonl", [{"id": "m:1", "name": "scurvy", "kind": "disease"}])
    (tmp_path / "own.py").write_text(
        "from medxiaohe.data.formats import files\n"
        "from medxiaohe.types import Message, Sample\nAPART = ('.txt',)\n"
        "def own(path):\n    for file in files.files(path, '.txt', '.md'):\n"
        "        yield Sample(file.name, (Message('document', (file.read_text(),)),))\n"
    )
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.txt", "c.txt", "d.md", "e.md"):
        (tmp_path / f"texts/{name}").write_text(f"Scurvy of {name}.")
    source = Source(reader=f"{tmp_path}/own.py:own", path=str(tmp_path / "texts"))
    for folder, size in (("parts", 1e-6), ("whole", 64.0)):
        with io.publish(tmp_path / folder) as out:
            done = read(ReadSettings((source,), part_mb=size), out, tree=tree)
            assert (done["read"], done["written"], done["dead"]) == (5, 5, 0)
