"""Every reader and every filter keeps its contract; a new file is found here by itself."""

from pathlib import Path

import pytest

from medxiaohe import plugins
from medxiaohe.data.readers import DeadLetter
from medxiaohe.errors import DataError, MissingExtra
from medxiaohe.types import ROLES, SPLITS, Message, Sample

READERS, FILTERS = plugins.available("readers"), plugins.available("filters")
SAMPLES = [
    Sample("1", (Message("document", ("",)),)),
    Sample("2", (Message("document", ("Aspirin inhibits platelets. " * 40,)),), entities=("E:1",)),
    Sample("3", (Message("user", ("Is it?",)), Message("assistant", ("Yes.",)))),
    Sample("4", (Message("user", ("Is it?",)), Message("assistant", (" ",)))),
    Sample(
        "5",
        (
            Message(
                "document", ("Die Patientin wurde mit Fieber und Husten in der Klinik aufgenommen. " * 4,)
            ),
        ),
    ),
    Sample("6", (Message("document", ("Retracted: Vitamin K2 and bone. " + "Copied words. " * 30,)),)),
    Sample(
        "7",
        (Message("document", ("The dose of aspirin.",)),),
        meta={"medical": {"probability": 0.9, "round": 1}},
    ),
]


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
def test_a_filter_answers_with_nothing_or_a_reason(name: str) -> None:
    keep = plugins.load("filters", name)
    reasons = [keep(sample) for sample in SAMPLES]
    assert all(isinstance(reason, str) for reason in reasons)
    assert "" in reasons and any(reasons), (
        f"{name} should keep some of SAMPLES and drop some: add a case to SAMPLES"
    )
