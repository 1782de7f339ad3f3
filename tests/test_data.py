"""From files to a mixture: what is read, what is dropped and why, and what a leak of test items looks like."""

import base64
import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io, plugins
from medxiaohe.data.curate import Against, CurateSettings, curate
from medxiaohe.data.mixture import MixtureSettings, mixture
from medxiaohe.data.read import ReadSettings, Source, read
from medxiaohe.data.readers import DeadLetter
from medxiaohe.data.readers.chat_jsonl import chat_jsonl
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.recipe.settings import build, input_paths
from medxiaohe.types import Entity, Message, Sample

ENTITIES = {"D:1": "pneumonia", "D:2": "asthma", "D:3": "melanoma", "D:4": "scurvy", "D:5": "renal failure"}
WORDS = """patient chronic fever cough dyspnea lung heart liver kidney brain lesion tumor biopsy serum plasma dose trial cohort
median survival risk factor therapy infusion bolus surgery resection margin nodule effusion opacity fracture onset relapse marker
antigen antibody receptor enzyme pathway mutation variant allele carrier infant adult woman man smoker diabetic episode admission
discharge ward nurse protocol placebo control arm outcome endpoint score scale index ratio level range limit baseline follow""".split()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    rows = [Entity("D:0", "disease or disorder", "disease")]
    rows += [Entity(id, name, "disease", ("D:0",), source="toy", license="CC0-1.0") for id, name in ENTITIES.items()]
    io.write_jsonl(tmp_path / "tree" / "entities.jsonl", rows)
    return tmp_path / "tree"


def prose(seed: object, words: int = 60) -> str:
    dice = random.Random(str(seed))
    return " ".join(dice.choice(WORDS) for _ in range(words))


def document(id: str, text: str, **fields: Any) -> Sample:
    return Sample(id, (Message("document", (text,)),), source="docs", license="CC0-1.0", **fields)


def question(id: str, *asked: Any, answer: str = "Yes.", **fields: Any) -> Sample:
    fields = {"source": "qa", "license": "CC0-1.0", **fields}
    return Sample(id, (Message("user", asked), Message("assistant", (answer,))), **fields)


def corpus(folder: Path, samples: list[Sample]) -> Path:
    io.write_jsonl(folder / "corpus" / "samples.jsonl", samples)
    return folder / "corpus"


def out(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def chat(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def asks(text: Any, answer: str = "Yes.", **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": answer}], **fields}


def picture(path: Path, seed: int, *, quality: int = 95, size: int = 96) -> Path:
    """A smooth random pattern; the same seed is the same picture, whatever its quality and size."""
    np, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 6), np.uint8)
    image.fromarray(coarse).resize((192, 192), 3).resize((size, size), 3).save(path, "JPEG", quality=quality)
    return path


def task_file(folder: Path, items: list[Sample], name: str = "mine", train: list[Sample] | None = None) -> str:
    """A task of a user's own, as a file."""
    io.write_jsonl(folder / f"{name}_test.jsonl", items)
    io.write_jsonl(folder / f"{name}_train.jsonl", train or [])
    (folder / f"{name}.py").write_text(
        "from pathlib import Path\nfrom medxiaohe import io\nfrom medxiaohe.types import Task\n"
        f"def {name}():\n"
        f"    rows = lambda split: io.read_samples(Path({str(folder)!r}) / f'{name}_{{split}}.jsonl')\n"
        f"    return Task({name!r}, rows, (), next(rows('test')), 'CC0-1.0')\n"
    )
    return f"{folder / name}.py:{name}"


def dropped(folder: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in io.read_jsonl(folder / "dropped.jsonl")}


# ---- reading -------------------------------------------------------------------------------------


def test_what_is_read_is_linked_counted_and_named_by_its_source(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("Is it pneumonia or asthma?"), {"text": "On scurvy and pneumonia."})
    summary = read(ReadSettings((Source(reader="chat_jsonl", path=str(path), name="mine", license="MIT"),)), out(tmp_path, "o"), tree=tree)
    samples = list(io.read_samples(tmp_path / "o" / "samples.jsonl"))
    assert [s.id for s in samples] == ["mine/mine:1", "mine/mine:2"]
    assert samples[0].entities == ("D:1", "D:2") and {s.license for s in samples} == {"MIT"}
    assert json.loads((tmp_path / "o" / "coverage.json").read_text()) == {"D:1": 2, "D:2": 1, "D:4": 1}
    assert summary["read"] == summary["written"] + summary["dead"] == 2
    assert summary["sources"]["mine"] == {"read": 2, "documents": 1, "instructions": 1, "images": 0, "license": "MIT"}


def test_a_licence_nobody_states_is_called_not_stated(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("Why?"))
    summary = read(ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree)
    assert summary["sources"]["chat_jsonl"]["license"] == "not stated"


def test_a_damaged_missing_or_repeated_row_is_a_dead_letter(tmp_path: Path, tree: Path) -> None:
    picture(tmp_path / "good.jpg", 1)
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "good.jpg").read_bytes()[:300])
    (tmp_path / "text.jpg").write_text("not an image")
    names = ["good.jpg", "cut.jpg", "text.jpg", "absent.jpg"]
    rows = [asks("<image>Effusion?", images=[name], id=name) for name in names]
    path = chat(tmp_path / "mine.jsonl", *rows, asks("Again?", id="good.jpg"))
    summary = read(ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree)
    assert (summary["read"], summary["written"], summary["dead"]) == (5, 1, 4)
    reasons = {(row["where"], row["reason"].split(":")[-1].split(",")[0]) for row in io.read_jsonl(tmp_path / "o" / "dead.jsonl")}
    assert {where for where, _ in reasons} == set(names)
    (sample,) = io.read_samples(tmp_path / "o" / "samples.jsonl")
    assert sample.images[0].sha256 == io.sha256(tmp_path / "good.jpg") and Path(sample.images[0].uri).is_absolute()


def test_an_image_inside_the_data_file_is_kept_by_its_content(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    data = picture(tmp_path / "x.jpg", 1).read_bytes()
    part = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode()}}
    path = chat(tmp_path / "mine.jsonl", asks([part, {"type": "text", "text": "Effusion?"}]))
    read(ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree)
    (sample,) = io.read_samples(tmp_path / "o" / "samples.jsonl")
    assert Path(sample.images[0].uri).read_bytes() == data
    assert b"base64" not in (tmp_path / "o" / "samples.jsonl").read_bytes()


def test_a_source_of_a_task_is_its_training_split_under_its_name(tmp_path: Path, tree: Path) -> None:
    name = task_file(tmp_path, [question("mine/t", "Test?", split="test")], train=[question(f"mine/{i}", f"Train {i}?") for i in range(3)])
    summary = read(ReadSettings((Source(task=name, limit=2),)), out(tmp_path, "o"), tree=tree)
    samples = list(io.read_samples(tmp_path / "o" / "samples.jsonl"))
    assert [(s.id, s.source, s.split) for s in samples] == [("mine/0", "mine", "train"), ("mine/1", "mine", "train")]
    assert summary["sources"]["mine"]["instructions"] == 2


def test_only_the_split_asked_for_is_read(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("A?", split="train"), asks("B?", split="test"))
    read(ReadSettings((Source(reader="chat_jsonl", path=str(path), split="train"),)), out(tmp_path, "o"), tree=tree)
    assert [s.split for s in io.read_samples(tmp_path / "o" / "samples.jsonl")] == ["train"]


def test_a_row_that_no_file_can_hold_is_a_dead_letter(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", asks("Half \ud83d?"), asks("Whole?"), {**asks("Number?"), "meta": {"score": float("nan")}})
    summary = read(ReadSettings((Source(reader="chat_jsonl", path=str(path)),)), out(tmp_path, "o"), tree=tree)
    assert (summary["written"], summary["dead"]) == (1, 2)


def test_an_empty_source_is_named(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl")
    with pytest.raises(DataError, match=r"source mine: no samples in .*mine.jsonl"):
        read(ReadSettings((Source(reader="chat_jsonl", path=str(path), name="mine"),)), out(tmp_path, "o"), tree=tree)


def test_a_source_of_bad_rows_only_shows_the_first(tmp_path: Path, tree: Path) -> None:
    path = chat(tmp_path / "mine.jsonl", {"messages": []}, {"messages": []})
    source = Source(reader="chat_jsonl", path=str(path), name="mine", options={"bad_rows": "skip"})
    with pytest.raises(DataError, match=r"source mine: all 2 rows .* unusable; the first, mine:1: no messages"):
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
        read(ReadSettings((Source(reader="chat_jsonl", path=str(path), options={"bad_row": "skip"}),)), out(tmp_path, "o"), tree=tree)


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
        asks([{"type": "image"}, {"type": "text", "text": "then"}, {"type": "image", "path": "b.png"}], images=["a.png"]),
    ]
    first, second = chat_jsonl(chat(tmp_path / "mine.jsonl", *rows))
    names = [part if isinstance(part, str) else Path(part.uri).name for part in first.messages[0].parts]
    assert names == ["First", "a.png", "then", "b.png", "compare."]
    assert [Path(i.uri).name for i in second.images] == ["a.png", "b.png"] and first.images[0].uri == str(tmp_path / "a.png")


def test_a_target_without_an_answer_becomes_the_answer(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "A or B?"}], "target": "B", "choices": ["x", "y"], "id": 7}
    (sample,) = chat_jsonl(chat(tmp_path / "mine.jsonl", row))
    assert (sample.id, sample.messages[-1], sample.choices) == ("7", Message("assistant", ("B",)), ("x", "y"))


def test_text_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_bytes('{"text": "Fièvre"}\n'.encode("latin-1"))
    with pytest.raises(DataError, match=r"mine.jsonl:1: not UTF-8"):
        list(chat_jsonl(tmp_path / "mine.jsonl"))


@pytest.mark.parametrize("name", ["chat_jsonl", "pubmed_xml"])
def test_a_truncated_gzip_is_named(name: str, tmp_path: Path) -> None:
    reader = plugins.load("readers", name)
    content = next(iter(__import__(reader.__module__, fromlist=["EXAMPLE"]).EXAMPLE.values())).encode()
    (tmp_path / "cut.gz").write_bytes(gzip.compress(content)[:-20])
    with pytest.raises(DataError, match=r"cut.gz: truncated"):
        list(reader(tmp_path / "cut.gz"))


def test_a_hub_folder_gives_its_images_splits_and_licence(tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    data = picture(tmp_path / "x.jpg", 1).read_bytes()
    features = datasets.Features(
        {
            "messages": datasets.List({"role": datasets.Value("string"), "content": datasets.Value("string")}),
            "images": datasets.List(datasets.Image()),
        }
    )
    row = asks("<image>Pneumonia?", images=[{"bytes": data, "path": None}])
    datasets.Dataset.from_list([row], features=features).to_parquet(tmp_path / "hub" / "test-00000-of-00001.parquet")
    read(ReadSettings((Source(reader="hub", path=str(tmp_path / "hub")),)), out(tmp_path, "o"), tree=tree)
    (sample,) = io.read_samples(tmp_path / "o" / "samples.jsonl")
    assert (sample.license, sample.split, sample.entities) == ("cc-by-4.0", "test", ("D:1",))
    assert Path(sample.images[0].uri).read_bytes() == data


def article(pmid: int, abstract: str = "", extra: str = "") -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article><ArticleTitle>Title {pmid}.</ArticleTitle>"
        f"<Abstract>{abstract}{extra}</Abstract></Article></MedlineCitation></PubmedArticle>"
    )


def test_pubmed_records_without_abstract_or_with_a_copyright_are_passed_over(tmp_path: Path) -> None:
    text, owned = "<AbstractText>Words.</AbstractText>", "<CopyrightInformation>© 2011 Someone.</CopyrightInformation>"
    path = tmp_path / "a.xml"
    path.write_text(f"<PubmedArticleSet>{article(1, text)}{article(2)}{article(3, text, owned)}</PubmedArticleSet>", encoding="utf-8")
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
    found = [s for s in plugins.load("readers", "pubtator")(root / "entity_gold" / "bc5cdr") if isinstance(s, Sample)]
    assert len(found) == 1000 and Counter(s.split for s in found) == {"train": 500, "validation": 500}
    assert sum(len(s.meta["mentions"]) for s in found) == pytest.approx(18_976, rel=0.01)
    for sample in found[:50]:
        text = sample.text
        assert all(text[start:end] == surface for start, end, surface, *_ in sample.meta["mentions"])


# ---- curating ------------------------------------------------------------------------------------


def curated(tmp_path: Path, samples: list[Sample], items: list[Sample], **settings: Any) -> dict[str, str]:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    against = (Against(task_file(tmp_path, items)),) if items else ()
    folder = out(tmp_path, "curated")
    summary = curate(CurateSettings(against=against, filters=(), **settings), folder, corpus=corpus(tmp_path, samples))
    kept = [s.id for s in io.read_samples(folder / "samples.jsonl")]
    gone = dropped(folder)
    assert summary["read"] == len(samples) == len(kept) + len(gone) and summary["kept"] == len(kept)
    assert set(kept) | set(gone) == {s.id for s in samples} and Counter(gone.values()) == summary["dropped"]
    return gone


def test_the_first_of_several_copies_is_kept(tmp_path: Path) -> None:
    text = prose(1, 200)
    edited = text.replace(text.split()[100], "quinine", 1)
    samples = [document("a", text), document("b", text.upper() + "!"), document("c", edited), document("d", prose(2, 200))]
    assert curated(tmp_path, samples, []) == {"b": "exact_duplicate", "c": "near_duplicate_text"}


def test_one_question_about_many_images_is_no_duplicate_but_the_same_image_is(tmp_path: Path) -> None:
    from medxiaohe import images

    files = [picture(tmp_path / "a.jpg", 1), picture(tmp_path / "b.jpg", 2), picture(tmp_path / "a2.jpg", 1, quality=40, size=64)]
    refs = [images.ref(file) for file in files]
    samples = [question(name, ref, "Does this chest X-ray show pneumonia?") for name, ref in zip("abc", refs, strict=True)]
    samples.append(question("d", refs[0], "Which lobe is affected?"))
    assert curated(tmp_path, samples, []) == {"c": "near_duplicate_image"}


def test_held_out_rows_and_rows_of_their_patients_and_studies_are_no_training_rows(tmp_path: Path) -> None:
    samples = [
        question("a", "One?", patient_id="p1", split="train"),
        question("b", "Two?", patient_id="p2", split="train"),
        question("c", "Three?", patient_id="p1", split="test"),
        document("d", prose(1), study_id="4711007", split="validation"),
        question("e", "Four?", study_id="PMID:4711007"),
        question("f", "Five?", patient_id="p1", source="another hospital"),  # a short id means nothing across sources
    ]
    gone = curated(tmp_path, samples, [])
    assert gone == {"a": "held_out_patient", "c": "held_out_split", "d": "held_out_split", "e": "held_out_study"}


def test_verbatim_and_lightly_edited_leaks_are_found_and_innocent_text_is_not(tmp_path: Path) -> None:
    lengths = [random.Random(n).randint(14, 60) for n in range(100)]
    items = [question(f"t{n}", prose(f"t{n}", length) + "?", split="test") for n, length in enumerate(lengths)]
    verbatim = [document(f"v{n}", f"{prose(f'x{n}', 80)} {item.messages[0].text} {prose(f'y{n}', 80)}") for n, item in enumerate(items)]
    edited = [question(f"e{n}", edit(item.messages[0].text, n)) for n, item in enumerate(items)]
    innocent = [document(f"i{n}", prose(f"i{n}", 200)) for n in range(200)]
    gone = curated(tmp_path, verbatim + edited + innocent, items)
    assert set(gone.values()) == {"test_text"}
    assert sum(id.startswith("v") for id in gone) == 100
    assert sum(id.startswith("e") for id in gone) >= 95
    assert not any(id.startswith("i") for id in gone)
    report = json.loads((tmp_path / "curated" / "contamination.json").read_text())
    assert report["checked"] == {"mine": 100} and len(report["matches"]) == len(gone)
    assert all(row["text"] and row["item_text"] and row["how"] and row["item"][1:] == row["id"][1:] for row in report["matches"])


def edit(text: str, seed: int) -> str:
    """One word in fifteen is another (at least one), capitals and punctuation differ."""
    dice, words = random.Random(seed), text.rstrip("?").split()
    for place in dice.sample(range(len(words)), max(1, len(words) // 15)):
        words[place] = "quinine"
    return ", ".join(words).capitalize() + " ?"


def test_a_short_question_leaks_when_it_is_the_same_question(tmp_path: Path) -> None:
    items = [question("t", "What causes scurvy?", split="test")]
    samples = [question("a", "What causes scurvy ?"), question("b", "What causes asthma?"), document("c", prose(1) + " what causes scurvy")]
    assert curated(tmp_path, samples, items) == {"a": "test_text"}


def test_the_template_of_a_task_is_no_leak(tmp_path: Path) -> None:
    template = "Read the title of this article and then say which of the four subject headings below fits it best of all: {}"
    items = [question(f"t{n}", template.format(prose(n, 6)), study_id=f"400000{n}", split="test") for n in range(20)]
    samples = [question(f"a{n}", template.format(prose(f"a{n}", 6)), study_id=f"500000{n}") for n in range(20)]
    assert curated(tmp_path, samples, items) == {}


def test_an_image_a_patient_or_a_study_of_the_test_split_leaks_but_its_question_does_not(tmp_path: Path) -> None:
    from medxiaohe import images

    asked = "Does this chest X-ray show pneumonia? Answer yes or no."
    files = {name: images.ref(picture(tmp_path / f"{name}.jpg", seed)) for seed, name in enumerate("abcdefgh")}
    files["a again"] = images.ref(picture(tmp_path / "a2.jpg", 0, quality=50, size=64))
    items = [question(f"t{name}", files[name], asked, patient_id=f"person{n}", split="test") for n, name in enumerate("abc")]
    samples = [
        question("same file", files["a"], "What is seen?"),
        question("same image", files["a again"], "Which lobe is it?"),
        question("same patient", files["d"], asked, patient_id="person1"),
        question("same question", files["e"], asked, patient_id="person77"),
        question("no image", asked),
    ]
    gone = curated(tmp_path, samples, items)
    assert gone == {"same file": "test_image", "same image": "test_image", "same patient": "test_patient"}


def test_filters_run_in_order_and_their_name_is_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    spanish = "El paciente con fiebre que ingresa en el hospital por una neumonía para el tratamiento con los antibióticos. " * 3
    samples = [document("a", "Too short."), document("b", spanish), document("c", "Retracted: " + prose(1)), document("d", prose(2))]
    summary = curate(CurateSettings(), out(tmp_path, "curated"), corpus=corpus(tmp_path, samples))
    assert dropped(tmp_path / "curated") == {"a": "too_short", "b": "not_english", "c": "retracted"} and summary["kept"] == 1


def test_a_corpus_of_which_nothing_is_left_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    with pytest.raises(DataError, match="nothing is left of 1 rows"):
        curate(CurateSettings(), out(tmp_path, "curated"), corpus=corpus(tmp_path, [document("a", "Too short.")]))


def test_edits_of_an_image_are_seen_through_and_another_image_is_not(tmp_path: Path) -> None:
    from medxiaohe import images
    from medxiaohe.data.looks import Gallery, look

    gallery = Gallery()
    for seed in range(20):
        gallery.add(look(images.ref(picture(tmp_path / "x.jpg", seed))), str(seed))
    edited = images.ref(picture(tmp_path / "x.jpg", 7, quality=30, size=48))
    assert [name for name, _ in gallery.find(look(edited))] == ["7"]
    assert list(gallery.find(look(images.ref(picture(tmp_path / "x.jpg", 99))))) == []


# ---- mixing --------------------------------------------------------------------------------------


def mixed_corpus(folder: Path) -> Path:
    """900 documents on pneumonia, 90 on asthma, 9 on scurvy, and 40 questions of a task."""
    entities = ["D:1"] * 900 + ["D:2"] * 90 + ["D:4"] * 9
    rows = [document(f"docs/{n}", prose(n, 40), entities=(entity,)) for n, entity in enumerate(entities)]
    return corpus(folder, rows + [question(f"mesh_topic/{n}", f"Question {n}?", source="mesh_topic") for n in range(40)])


def drawn(folder: Path, kind: str) -> list[Sample]:
    return list(io.read_samples(folder / f"{kind}.jsonl"))


def test_a_temperature_of_one_keeps_the_corpus_as_it_is_and_a_higher_one_lifts_the_rare(tmp_path: Path) -> None:
    data, counts = mixed_corpus(tmp_path), {}
    for temperature in (1.0, 2.0, 100.0):
        mixture(MixtureSettings(documents=99, temperature=temperature), out(tmp_path, f"m{temperature}"), data=data)
        counts[temperature] = Counter(s.entities[0] for s in drawn(tmp_path / f"m{temperature}", "documents"))
    assert 80 <= counts[1.0]["D:1"] <= 97
    assert counts[1.0]["D:1"] > counts[2.0]["D:1"] > counts[100.0]["D:1"]
    assert counts[100.0]["D:4"] >= 8 and 30 < counts[100.0]["D:2"] < 60


def test_a_mixture_is_drawn_without_replacement_and_the_same_each_time(tmp_path: Path) -> None:
    data = mixed_corpus(tmp_path)
    settings = MixtureSettings(documents=300, instructions=15, prompts=15, temperature=3, seed=5)
    first = mixture(settings, out(tmp_path, "1"), data=data)
    mixture(settings, out(tmp_path, "2"), data=data)
    mixture(MixtureSettings(documents=300, seed=6), out(tmp_path, "3"), data=data)
    names = ("documents.jsonl", "instructions.jsonl", "prompts.jsonl", "mixture.json")
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in names)
    assert (tmp_path / "1" / names[0]).read_bytes() != (tmp_path / "3" / names[0]).read_bytes()
    assert len({s.id for s in drawn(tmp_path / "1", "documents")}) == 300 == first["documents"]


def test_prompts_are_no_instructions_and_take_at_most_half(tmp_path: Path) -> None:
    mixture(MixtureSettings(instructions=40, prompts=40), out(tmp_path, "m"), data=mixed_corpus(tmp_path))
    prompts, instructions = ({s.id for s in drawn(tmp_path / "m", kind)} for kind in ("prompts", "instructions"))
    assert len(prompts) == len(instructions) == 20 and not prompts & instructions


def test_shares_by_source_are_kept_and_what_is_short_is_reported(tmp_path: Path) -> None:
    rows = [question(f"a/{n}", f"A{n}?", source="a") for n in range(100)] + [question(f"b/{n}", f"B{n}?", source="b") for n in range(10)]
    summary = mixture(MixtureSettings(instructions=60, by_source={"b": 0.25}), out(tmp_path, "m"), data=corpus(tmp_path, rows))
    assert summary["by_source"] == {"a": {"intended": 45, "realised": 45}, "b": {"intended": 15, "realised": 10}}


def test_an_entity_is_drawn_no_more_often_than_its_cap(tmp_path: Path) -> None:
    mixture(MixtureSettings(documents=500, max_per_entity=20), out(tmp_path, "m"), data=mixed_corpus(tmp_path))
    assert Counter(s.entities[0] for s in drawn(tmp_path / "m", "documents")) == {"D:1": 20, "D:2": 20, "D:4": 9}


def test_the_tail_has_a_larger_share_of_the_mixture_than_of_the_corpus(tmp_path: Path) -> None:
    summary = mixture(MixtureSettings(documents=99, temperature=5), out(tmp_path, "m"), data=mixed_corpus(tmp_path))
    head, rest = summary["by_bucket"]["head"], [summary["by_bucket"][name] for name in ("torso", "tail")]
    assert head["after"] < head["before"] and sum(r["after"] for r in rest) > sum(r["before"] for r in rest)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, "at least one must be above 0"),
        ({"documents": 1, "temperature": 0.5}, "temperature must be at least 1"),
        ({"documents": 1, "by_source": {"a": 0.7, "b": 0.7}}, "sum to at most 1"),
        ({"documents": 1, "max_per_entity": 0}, "max_per_entity must be"),
    ],
)
def test_a_mixture_that_cannot_be_meant_is_found_before_the_run(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build(MixtureSettings, values, "stages.mix.with")


def test_asking_for_what_the_data_does_not_have_is_an_error(tmp_path: Path) -> None:
    data = corpus(tmp_path, [document("docs/1", prose(1))])
    with pytest.raises(DataError, match="5 prompts were asked for, and the data has none"):
        mixture(MixtureSettings(prompts=5), out(tmp_path, "m"), data=data)
    with pytest.raises(ConfigError, match="no rows of a source 'dosc'; did you mean 'docs'"):
        mixture(MixtureSettings(documents=1, by_source={"dosc": 1.0}), out(tmp_path, "n"), data=data)
