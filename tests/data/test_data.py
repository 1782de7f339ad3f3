"""What is read from files, row by row: samples, rejected rows, licences, splits."""

import base64
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from corpora_for_tests import asks, chat, out, picture, question, task_file

from medxiaohe import io, plugins
from medxiaohe.data.read import ReadSettings, Source, read
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.chat_jsonl import chat_jsonl
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import build, input_paths
from medxiaohe.types import Entity, Message, Sample

ENTITIES = {"D:1": "pneumonia", "D:2": "asthma", "D:3": "melanoma", "D:4": "scurvy", "D:5": "renal failure"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    rows = [Entity("D:0", "disease or disorder", "disease")]
    rows += [
        Entity(id, name, "disease", ("D:0",), source="toy", license="CC0-1.0")
        for id, name in ENTITIES.items()
    ]
    io.write_jsonl(tmp_path / "tree" / "entities.jsonl", rows)
    return tmp_path / "tree"


# ---- reading -------------------------------------------------------------------------------------


def test_what_is_read_is_linked_counted_and_named_by_its_source(tmp_path: Path, tree: Path) -> None:
    path = chat(
        tmp_path / "mine.jsonl", asks("Is it pneumonia or asthma?"), {"text": "On scurvy and pneumonia."}
    )
    summary = read(
        ReadSettings((Source(reader="chat_jsonl", path=str(path), name="mine", license="MIT"),)),
        out(tmp_path, "o"),
        tree=tree,
    )
    samples = list(io.read_samples(tmp_path / "o" / "samples.jsonl"))
    assert [s.id for s in samples] == ["mine/mine:1", "mine/mine:2"]
    assert samples[0].entities == ("D:1", "D:2") and {s.license for s in samples} == {"MIT"}
    assert json.loads((tmp_path / "o" / "coverage.json").read_text()) == {"D:1": 2, "D:2": 1, "D:4": 1}
    assert summary["read"] == summary["written"] + summary["dead"] == 2
    assert summary["sources"]["mine"] == {
        "read": 2,
        "documents": 1,
        "instructions": 1,
        "images": 0,
        "license": "MIT",
    }


def test_a_licence_nobody_states_is_called_not_stated(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("Why?"))
    summary = read(
        ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree
    )
    assert summary["sources"]["chat_jsonl"]["license"] == "not stated"


def test_a_damaged_missing_or_repeated_row_is_a_dead_letter(tmp_path: Path, tree: Path) -> None:
    picture(tmp_path / "good.jpg", 1)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("not an image")
    names = ["good.jpg", "cut.jpg", "text.jpg", "absent.jpg"]
    rows = [asks("<image>Effusion?", images=[name], id=name) for name in names]
    path = chat(tmp_path / "mine.jsonl", *rows, asks("Again?", id="good.jpg"))
    summary = read(
        ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree
    )
    assert (summary["read"], summary["written"], summary["dead"]) == (5, 1, 4)
    reasons = {
        (row["where"], row["reason"].split(":")[-1].split(",")[0])
        for row in io.read_jsonl(tmp_path / "o" / "dead.jsonl")
    }
    assert {where for where, _ in reasons} == set(names)
    (sample,) = io.read_samples(tmp_path / "o" / "samples.jsonl")
    assert (
        sample.images[0].sha256 == io.sha256(tmp_path / "good.jpg")
        and Path(sample.images[0].uri).is_absolute()
    )


def test_an_image_inside_the_data_file_is_kept_by_its_content(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    data = picture(tmp_path / "x.jpg", 1).read_bytes()
    part = {
        "type": "image_url",
        "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode()},
    }
    path = chat(tmp_path / "mine.jsonl", asks([part, {"type": "text", "text": "Effusion?"}]))
    read(ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree)
    (sample,) = io.read_samples(tmp_path / "o" / "samples.jsonl")
    assert Path(sample.images[0].uri).read_bytes() == data
    assert b"base64" not in (tmp_path / "o" / "samples.jsonl").read_bytes()


def test_a_source_of_a_task_is_its_training_split_under_its_name(tmp_path: Path, tree: Path) -> None:
    name = task_file(
        tmp_path,
        [question("mine/t", "Test?", split="test")],
        train=[question(f"mine/{i}", f"Train {i}?") for i in range(3)],
    )
    summary = read(ReadSettings((Source(task=name, limit=2),)), out(tmp_path, "o"), tree=tree)
    samples = list(io.read_samples(tmp_path / "o" / "samples.jsonl"))
    assert [(s.id, s.source, s.split) for s in samples] == [
        ("mine/0", "mine", "train"),
        ("mine/1", "mine", "train"),
    ]
    assert summary["sources"]["mine"]["instructions"] == 2


def test_only_the_split_asked_for_is_read(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("A?", split="train"), asks("B?", split="test"))
    read(
        ReadSettings((Source(reader="chat_jsonl", path=str(path), split="train"),)),
        out(tmp_path, "o"),
        tree=tree,
    )
    assert [s.split for s in io.read_samples(tmp_path / "o" / "samples.jsonl")] == ["train"]


def test_a_row_that_no_file_can_hold_is_a_dead_letter(tmp_path: Path, tree: Path) -> None:
    path = chat(
        tmp_path / "mine.jsonl",
        asks("Half \ud83d?"),
        asks("Whole?"),
        {**asks("Number?"), "meta": {"score": float("nan")}},
    )
    summary = read(
        ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree
    )
    assert (summary["written"], summary["dead"]) == (1, 2)


def test_an_empty_source_is_named(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl")
    with pytest.raises(DataError, match=r"source mine: no samples in .*mine.jsonl"):
        read(
            ReadSettings((Source(reader="chat_jsonl", path=str(path), name="mine"),)),
            out(tmp_path, "o"),
            tree=tree,
        )


def test_a_source_of_bad_rows_only_shows_the_first(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", {"messages": []}, {"messages": []})
    source = Source(reader="chat_jsonl", path=str(path), name="mine", options={"bad_rows": "skip"})
    with pytest.raises(
        DataError, match=r"source mine: all 2 rows .* unusable; the first, mine:1: no messages"
    ):
        read(ReadSettings((source,)), out(tmp_path, "o"), tree=tree)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "a reader or a task"),
        ({"reader": "chat_jsonl", "task": "chest_xray", "path": "."}, "a reader or a task"),
        ({"reader": "chat_jsonl"}, "needs a path"),
        ({"task": "chest_xray", "split": "test"}, "brings its own"),
        ({"reader": "chat_jsonl", "path": ".", "hold_out": 1.0}, "hold_out is a share"),
        ({"reader": "chat_jsonl", "path": ".", "limit": 0}, "limit must be"),
        ({"reader": "chat_jsonl", "path": "no/such/file"}, "no such file or folder"),
        ({"reader": "chat_jsonl", "path": ".", "spilt": "test"}, "did you mean 'split'"),
    ],
)
def test_a_contradictory_source_is_found_before_the_run(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(ReadSettings, {"sources": [values]}, "stages.corpus.with")


def test_the_files_of_a_source_are_part_of_the_fingerprint() -> None:
    values = {"sources": [{"reader": "chat_jsonl", "path": "."}, {"task": "chest_xray"}]}
    assert list(input_paths(build(ReadSettings, values, "with"))) == ["."]


def test_sources_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="give each its own"):
        ReadSettings((Source(reader="pubmed_xml", path="a"), Source(reader="pubmed_xml", path="b")))


def test_an_unknown_option_of_a_reader_is_refused(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("Why?"))
    with pytest.raises(ConfigError, match="no option 'bad_row'; did you mean 'bad_rows'"):
        read(
            ReadSettings((Source(reader="chat_jsonl", path=str(path), options={"bad_row": "skip"}),)),
            out(tmp_path, "o"),
            tree=tree,
        )


# ---- readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (asks("<image><image>Compare.", images=["a.png"]), "2 image placeholders but 1 images"),
        (asks("Effusion?", images=["a.png"]), "0 image placeholders but 1 images"),
        (asks([{"type": "image"}], images=[]), "1 image placeholders but 0 images"),
        ({"messages": []}, "no messages"),
        ({}, "no messages"),
        ({"text": " "}, "text is empty"),
        ({"messages": [{"role": "doctor", "content": "x"}]}, "unknown role 'doctor'"),
        ({"messages": ["x"]}, "unknown role 'x'"),
        ({"messages": [{"role": "user", "content": "x"}]}, "end with an assistant message, or give a target"),
        (asks("x", answer=" "), "of role assistant is empty"),
        (asks("x", target=""), "target is empty"),
        (asks("x", split="tset"), "unknown split 'tset'; did you mean 'test'"),
        (asks("x", choices="AB"), "choices must be a list"),
        (asks("x", license=["MIT"]), "license must be text"),
        (asks([{"type": "audio"}]), "must have type text, image or image_url"),
        (asks("<image>x", images=["https://example.org/a.png"]), "remote images are not fetched"),
        (asks("<image>x", images=[None]), "must be a path or a data: URI"),
    ],
)
def test_a_bad_chat_row_is_named_by_file_and_line(row: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("Fine?"), row)
    with pytest.raises(DataError, match=f"mine.jsonl:2: .*{says}"):
        list(chat_jsonl(path))
    letters = [item for item in chat_jsonl(path, bad_rows="skip") if isinstance(item, DeadLetter)]
    assert [letter.where for letter in letters] == ["mine:2"]


def test_images_of_a_chat_row_stand_where_their_placeholders_stood(tmp_path: Path) -> None:
    rows = [
        asks("First <image> then <image> compare.", images=["a.png", {"path": "b.png"}]),
        asks(
            [{"type": "image"}, {"type": "text", "text": "then"}, {"type": "image", "path": "b.png"}],
            images=["a.png"],
        ),
    ]
    first, second = chat_jsonl(chat(tmp_path / "mine.jsonl", *rows))
    names = [part if isinstance(part, str) else Path(part.uri).name for part in first.messages[0].parts]
    assert names == ["First", "a.png", "then", "b.png", "compare."]
    assert [Path(i.uri).name for i in second.images] == ["a.png", "b.png"] and first.images[0].uri == str(
        tmp_path / "a.png"
    )


def test_a_target_without_an_answer_becomes_the_answer(tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "user", "content": "A or B?"}],
        "target": "B",
        "choices": ["x", "y"],
        "id": 7,
    }
    (sample,) = chat_jsonl(chat(tmp_path / "mine.jsonl", row))
    assert (sample.id, sample.messages[-1], sample.choices) == ("7", Message("assistant", ("B",)), ("x", "y"))


def test_text_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_bytes('{"text": "Fièvre"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=r"mine.jsonl:1: not UTF-8"):
        list(chat_jsonl(tmp_path / "mine.jsonl"))


@pytest.mark.parametrize("name", ["chat_jsonl", "pubmed_xml"])
def test_a_truncated_gzip_is_named(name: str, tmp_path: Path) -> None:
    """Rows of a cut file are an error; articles before the cut are whole and kept."""
    reader = plugins.load("readers", name)
    content = next(iter(__import__(reader.__module__, fromlist=["EXAMPLE"]).EXAMPLE.values())).encode()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(content)[:-20])
    if name == "chat_jsonl":
        with pytest.raises(DataError, match=r"cut.gz: truncated"):
            list(reader(tmp_path / "cut.gz"))
    else:
        (letter,) = reader(tmp_path / "cut.gz")
        assert letter.code == "truncated" and "cut.gz: truncated" in letter.reason


def test_a_hub_folder_gives_its_images_splits_and_licence(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    data = picture(tmp_path / "x.jpg", 1).read_bytes()
    features = datasets.Features(
        {
            "messages": datasets.List(
                {"role": datasets.Value("string"), "content": datasets.Value("string")}
            ),
            "images": datasets.List(datasets.Image()),
        }
    )
    row = asks("<image>Pneumonia?", images=[{"bytes": data, "path": None}])
    datasets.Dataset.from_list([row], features=features).to_parquet(
        tmp_path / "hub" / "test-00000-of-00001.parquet"
    )
    read(ReadSettings((Source(reader="hub", path=str(tmp_path / "hub")),)), out(tmp_path, "o"), tree=tree)
    (sample,) = io.read_samples(tmp_path / "o" / "samples.jsonl")
    assert (sample.license, sample.split, sample.entities) == ("cc-by-4.0", "test", ("D:1",))
    assert Path(sample.images[0].uri).read_bytes() == data


def article(pmid: int, abstract: str = "", extra: str = "") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article><ArticleTitle>Title"
        f" {pmid}.</ArticleTitle>"
        f"<Abstract>{abstract}{extra}</Abstract></Article></MedlineCitation></PubmedArticle>"
    )


def test_pubmed_records_without_abstract_or_with_a_copyright_are_passed_over(tmp_path: Path) -> None:
    text, owned = (
        "<AbstractText>Words.</AbstractText>",
        "<CopyrightInformation>© 2011 Someone.</CopyrightInformation>",
    )
    path = tmp_path / "a.xml"
    path.write_text(
        f"<PubmedArticleSet>{article(1, text)}{article(2)}{article(3, text, owned)}</PubmedArticleSet>",
        encoding="utf-8",
    )
    read_pubmed = plugins.load("readers", "pubmed_xml")
    assert [s.study_id for s in read_pubmed(path)] == ["1"]
    assert [s.license[-15:] for s in read_pubmed(path, copyrighted=True)][1] == "© 2011 Someone."


def test_nine_tenths_of_pubmed_are_for_training(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    articles = "".join(article(n, "<AbstractText>Words.</AbstractText>") for n in range(10_000, 12_000))
    path.write_text(f"<PubmedArticleSet>{articles}</PubmedArticleSet>", encoding="utf-8")
    splits = Counter(s.split for s in plugins.load("readers", "pubmed_xml")(path))
    assert 1740 < splits["train"] < 1860 and 60 < splits["validation"] < 140 and 60 < splits["test"] < 140


def test_a_damaged_file_of_many_is_one_dead_letter(tmp_path: Path) -> None:
    for name in ("medquad_xml", "phenopackets"):
        reader, folder = plugins.load("readers", name), out(tmp_path, name)
        for file, content in __import__(reader.__module__, fromlist=["EXAMPLE"]).EXAMPLE.items():
            (folder / file).write_text(content)
            (folder / f"cut_{file}").write_text(content[:-30])
        assert sorted(type(item).__name__ for item in reader(folder)) == ["DeadLetter", "Sample"]


def test_the_data_pack_reads_as_its_table_says() -> None:
    import os

    root = Path(os.environ.get("MEDXIAOHE_DATA", "nowhere"))
    if not (root / "entity_gold").is_dir():
        pytest.skip("export MEDXIAOHE_DATA=FOLDER of the data sets")
    found = [
        s
        for s in plugins.load("readers", "pubtator")(root / "entity_gold" / "bc5cdr")
        if isinstance(s, Sample)
    ]
    assert len(found) == 1000 and Counter(s.split for s in found) == {"train": 500, "validation": 500}
    assert sum(len(s.annotations.mentions) for s in found) == pytest.approx(18_976, rel=0.01)
    for sample in found[:50]:
        text = sample.text
        assert all(text[start:end] == surface for start, end, surface, *_ in sample.annotations.mentions)
