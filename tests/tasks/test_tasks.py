"""What single tasks promise, on data made up here."""

import json
from pathlib import Path

import pytest

from medxiaohe import io, plugins
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.retrieval import pubmed
from medxiaohe.tasks._names import among
from medxiaohe.tasks.entity_kind import KINDS, normal
from medxiaohe.types import Entity, Message, Sample, Task, Trace

SPLITS = ("train", "validation", "test")
HEADINGS = [f"Heading {chr(65 + i)}x" for i in range(12)]


def ids(task: Task, what) -> list[set[str]]:
    return [{what(sample) for sample in task.samples(split)} for split in SPLITS]


def disjoint(units: list[set[str]]) -> bool:
    return all(units) and not (units[0] & units[1] or units[0] & units[2] or units[1] & units[2])


# ---- chest_xray


@pytest.fixture
def radiographs(tmp_path: Path) -> Path:
    for i in range(1, 61):
        for split, name in (
            ("train", f"person{i}_bacteria_{i}"),
            ("train", f"person{i}_virus_{i + 90}"),
            ("test", f"person{i + 50}_virus_1"),
        ):
            _file(tmp_path / split / "PNEUMONIA" / f"{name}.jpeg")
        _file(tmp_path / "train/NORMAL" / f"NORMAL2-IM-{i:04d}-0001.jpeg")
        _file(tmp_path / "test/NORMAL" / f"IM-{i + 50:04d}-0001.jpeg")
    return tmp_path


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(str(path).encode())


def test_no_patient_number_of_the_test_folder_is_trained_on(radiographs: Path) -> None:
    task = plugins.load("tasks", "chest_xray")(path=str(radiographs))
    assert disjoint(ids(task, lambda s: s.patient_id))
    assert len(list(task.samples("test"))) == 120
    # NORMAL2-IM-0055 of train is IM-0055 of test
    assert "IM-0055" not in ids(task, lambda s: s.patient_id)[0]


def test_a_prompt_does_not_name_the_class(radiographs: Path) -> None:
    for sample in plugins.load("tasks", "chest_xray")(path=str(radiographs)).samples("test"):
        assert "NORMAL" not in sample.prompt.id and "PNEUMONIA" not in sample.prompt.id
        assert sample.prompt.messages[-1].text == "Does this chest X-ray show pneumonia? Answer yes or no."


def test_a_folder_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no test/PNEUMONIA"):
        list(plugins.load("tasks", "chest_xray")(path=str(tmp_path)).samples("test"))


# ---- entity_kind


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    rows = [Entity(f"{kind}:0", kind, kind) for kind in KINDS]
    for i in range(200):
        word = "".join("bcdfghklmn"[int(digit)] + "a" for digit in f"{i:03d}")
        for kind in KINDS:
            name = f"{word}{kind[:3]}"
            name = name.capitalize() if kind == "phenotype" else name
            shared = (
                (f"{word} {kind[:2]} twin",)
                if i % 2
                else (f"{word} {kind[:2]} twins", f"other {word}{kind[:3]}")
            )
            rows.append(Entity(f"{kind}:{i + 1}", name, kind, (f"{kind}:0",), shared))
        rows.append(Entity(f"twin:{i}", f"copy {word}", "disease", ("disease:0",), (f"{word} di TWIN",)))
    rows.append(Entity("x:1", "melanoma", "disease", ("disease:0",)))
    rows.append(Entity("x:2", "Melanoma", "phenotype", ("phenotype:0",)))
    rows.append(Entity("x:3", "gallbladder disease", "disease", ("disease:0",)))
    io.write_jsonl(tmp_path / "entities.jsonl", rows)
    return tmp_path


def test_no_name_of_a_test_entity_is_trained_on(tree: Path) -> None:
    task = plugins.load("tasks", "entity_kind")(tree=tree)
    names = {
        row["id"]: {normal(n) for n in (row["name"], *row["synonyms"])}
        for row in io.read_jsonl(tree / "entities.jsonl")
    }
    seen = [
        {name for sample in task.samples(split) for id in sample.entities for name in names[id]}
        for split in SPLITS
    ]
    assert disjoint(seen)


def test_frequent_and_rare_entities_take_turns_where_a_corpus_is_named(tree: Path, tmp_path: Path) -> None:
    asked = [s.entities[0] for s in plugins.load("tasks", "entity_kind")(tree=tree).samples("test")]
    often = sorted(asked)[::5]
    io.write_json(tmp_path / "corpus" / "coverage.json", dict.fromkeys(often, 50))
    task = plugins.load("tasks", "entity_kind")(tree=tree, data=tmp_path / "corpus")
    again = [s.entities[0] for s in task.samples("test")]
    assert sorted(again) == sorted(asked) and len(set(again[:16]) & set(often)) > len(
        set(asked[:16]) & set(often)
    )


def test_kinds_are_balanced_and_not_given_away(tree: Path) -> None:
    samples = list(plugins.load("tasks", "entity_kind")(tree=tree).samples("train"))
    text = "\n".join(sample.prompt.messages[0].text for sample in samples)
    assert {s.target for s in samples[:4]} == set(KINDS) and len(samples) % 4 == 0
    assert "elanoma" not in text and "gallbladder" not in text  # two kinds; says its own kind
    # only some vocabularies write capitals
    assert not any(sample.text.split("'")[1][0].isupper() for sample in samples)
    assert len({sample.choices for sample in samples}) > 10


def test_the_tree_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="needs"):
        list(plugins.load("tasks", "entity_kind")().samples("test"))


# ---- mesh_topic and the PubMed parser


@pytest.fixture
def citations(tmp_path: Path) -> Path:
    rows = []
    for pmid in range(1, 301):
        majors = [HEADINGS[pmid % 12], HEADINGS[pmid * 5 % 12]]
        mesh = "".join(
            f'<MeshHeading><DescriptorName MajorTopicYN="Y">{name}</DescriptorName></MeshHeading>'
            for name in majors
        )
        rows.append(
            f"<PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article>"
            f"<ArticleTitle>[A study of <i>{majors[0]}</i> in {pmid} mice].</ArticleTitle>"
            f'<Abstract><AbstractText Label="METHODS">We looked.</AbstractText>'
            f"<CopyrightInformation>(c) X</CopyrightInformation></Abstract>"
            f"<Language>eng</Language></Article><MeshHeadingList>{mesh}</MeshHeadingList></MedlineCitation></PubmedArticle>"
        )
    path = tmp_path / "pubmed.xml"
    path.write_text(f"<PubmedArticleSet>{''.join(rows)}</PubmedArticleSet>")
    return path


def test_an_article_keeps_what_matters(citations: Path) -> None:
    article = next(pubmed.articles(citations))
    assert (article.pmid, article.abstract, article.copyright) == ("1", "METHODS: We looked.", "(c) X")
    assert article.title == f"[A study of {HEADINGS[1]} in 1 mice]." and article.mesh == (
        (HEADINGS[1], True),
        (HEADINGS[5], True),
    )


def test_truncated_xml_is_one_sentence(citations: Path) -> None:
    citations.write_text(citations.read_text()[:-30])
    with pytest.raises(DataError, match=r"pubmed\.xml: truncated"):
        list(pubmed.articles(citations))


def test_wrong_options_were_not_given_to_the_article(citations: Path) -> None:
    task = plugins.load("tasks", "mesh_topic")(path=str(citations))
    given = {a.pmid: {name for name, _ in a.mesh} for a in pubmed.articles(citations)}
    assert disjoint(ids(task, lambda s: s.study_id))
    for split in SPLITS:
        for sample in task.samples(split):
            assert [c in given[sample.study_id] for c in sample.choices].count(True) == 1
            assert sample.choices["ABCD".index(sample.target)] in given[sample.study_id]
            assert pubmed.split_of(sample.study_id) == split


# ---- rare_disease


def test_cases_of_one_gene_stay_together(tmp_path: Path) -> None:
    for i in range(120):
        gene, packet = f"G{i // 2}", {"id": f"case{i}", "metaData": {}}
        packet["phenotypicFeatures"] = [{"type": {"label": f"finding {(i // 2 + k) % 9}"}} for k in range(4)]
        variant = {"variantInterpretation": {"variationDescriptor": {"geneContext": {"symbol": gene}}}}
        disease = {"id": f"OMIM:{i}", "label": f"Syndrome {i}"}
        packet["interpretations"] = [{"diagnosis": {"disease": disease, "genomicInterpretations": [variant]}}]
        (tmp_path / f"{i}.json").write_text(json.dumps(packet))
    task = plugins.load("tasks", "rare_disease")(path=str(tmp_path))
    assert disjoint(ids(task, lambda s: str(int(s.patient_id.removeprefix("case")) // 2)))
    assert all(len(set(sample.choices)) == 4 for sample in task.samples("train"))


def test_data_that_is_not_there_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDXIAOHE_DATA", raising=False)
    with pytest.raises(DataError, match="export MEDXIAOHE_DATA"):
        list(plugins.load("tasks", "pubmedqa")().samples("test"))


def test_messages_end_with_the_gold(citations: Path) -> None:
    for sample in plugins.load("tasks", "mesh_topic")(path=str(citations)).samples("train"):
        assert sample.messages[-1].role == "assistant" and isinstance(sample, Sample)


FIBROSIS = "Pulmonary fibrosis and/or bone marrow failure syndrome, telomere-related, 8"


@pytest.mark.parametrize(
    ("gold", "reply", "value", "status"),
    [
        (FIBROSIS, FIBROSIS, 1.0, "judged"),
        (FIBROSIS, f"1. {FIBROSIS}", 1.0, "judged"),
        (FIBROSIS, f"Rett syndrome; {FIBROSIS}", 1.0, "judged"),
        (FIBROSIS, f"The diagnosis is {FIBROSIS}.", 1.0, "judged"),
        (FIBROSIS, "Pulmonary fibrosis and/or bone marrow failure", 0.0, "unparsed"),
        (FIBROSIS, f"{FIBROSIS} or Rett syndrome", 0.0, "unparsed"),
        ("Rett syndrome", "Marfan syndrome or Rett syndrome", 0.0, "unparsed"),
        ("Rett syndrome", "Developmental delay with or without epilepsy", 0.0, "judged"),
    ],
)
def test_an_or_in_a_name_is_no_hedge_between_names(gold: str, reply: str, value: float, status: str) -> None:
    sample = Sample("1", (Message("user", ("Which diseases?",)),), gold)
    for k in (1, 5):
        score = among(None, k)(
            sample, Trace(sample.prompt, (*sample.messages, Message("assistant", (reply,))))
        )
        assert (score.value if k == 5 else score.value in (0.0, value), score.status) == (
            value if k == 5 else True,
            status,
        )
