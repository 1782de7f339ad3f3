"""What a corpus has about each entity (MX-15): data/coverage/entity_counts.py against a count by hand, and
`tree coverage`."""

import csv
import json
import os
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.data.coverage import corpora
from medxiaohe.data.coverage.entity_counts import Counter, Tally
from medxiaohe.data.readers import DeadLetter
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.tree.rare import is_rare
from medxiaohe.entity.tree.rollup import Rollup
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Annotations, Entity, ImageRef, Mention, Message, Sample

ENTITIES = [
    Entity("MET:disease", "disease", "disease"),
    Entity("D:lung", "lung disease", "disease", ("MET:disease",), definition="Of the lungs."),
    Entity("D:allergy", "allergic disease", "disease", ("MET:disease",)),
    Entity(
        "D:asthma",
        "asthma",
        "disease",
        ("D:lung", "D:allergy"),
        ("bronchial asthma",),
        xrefs=("MESH:D001249",),
    ),
    Entity("D:child", "childhood asthma", "disease", ("D:asthma",), sources=("DO_rare_slim 2026",)),
    Entity("D:scurvy", "scurvy", "disease", ("MET:disease",), xrefs=("ORPHA:1",)),
    Entity("MET:anatomy", "anatomy", "anatomy"),
    Entity("A:heart", "heart", "anatomy", ("MET:anatomy",)),
]
LONG = (
    "This is a text of more than twenty words, which is what a passage needs to be evidence and not a title"
    " with nothing below it."
)


def tree() -> Tree:
    return Tree(ENTITIES)


def document(id: str, text: str, **more: Any) -> Sample:
    return Sample(id, (Message("document", (text, *more.pop("images", ()))),), **more)


def question(id: str, asked: str, answer: str, **more: Any) -> Sample:
    return Sample(id, (Message("user", (asked,)), Message("assistant", (answer,))), **more)


def written(folder: Path, samples: list[Sample]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    io.write_jsonl(folder / "samples.jsonl", samples)
    return folder


def counted(folder: Path, samples: list[Sample], **options: Any) -> tuple[Tally, dict[str, dict[str, int]]]:
    """The tally of the samples, and its columns by id."""
    counter = Counter(tree(), Linker(tree()))
    tally = counter.count([corpora.corpus(str(written(folder, samples)))], "test", **options)
    return tally, {
        id: {name: column[n] for name, column in tally.columns.items()}
        for n, id in enumerate(counter.rollup.ids)
    }


# ---- counting ------------------------------------------------------------------------------------


def test_what_is_reached_by_two_paths_counts_once() -> None:
    rollup = Rollup(tree())
    assert rollup.total(array("q", [0, 0, 0, 2, 3, 0, 0, 1])).tolist() == [5, 5, 5, 5, 3, 0, 1, 1]
    assert {rollup.ids[n] for n in rollup.above(4)} == {
        "D:child",
        "D:asthma",
        "D:lung",
        "D:allergy",
        "MET:disease",
    }


def test_mentions_documents_and_passages_are_three_things(tmp_path: Path) -> None:
    tally, at = counted(
        tmp_path,
        [
            document("1", f"Asthma in cities\n{LONG} Asthma and scurvy, and asthma again."),
            document("2", f"A letter\n{LONG} Childhood asthma and asthma."),
            document("3", "Scurvy\nToo short to be a passage."),
            document("4", f"Nothing known\n{LONG}"),
        ],
    )
    assert at["D:asthma"]["mentions"] == 4  # the title, two more, and one beside childhood asthma
    assert (at["D:asthma"]["documents"], at["D:asthma"]["documents_below"]) == (2, 2)
    assert (at["D:asthma"]["passages"], at["D:scurvy"]["passages"]) == (1, 0)
    assert (at["D:lung"]["documents"], at["D:lung"]["documents_below"], at["D:lung"]["passages_below"]) == (
        0,
        2,
        1,
    )
    assert at["MET:disease"]["documents_below"] == 3 and at["A:heart"]["documents_below"] == 0
    assert (
        tally.totals["documents"] == 4
        and tally.totals["documents_with_mentions"] == 3
        and tally.totals["passages"] == 1
    )


def test_questions_of_one_article_are_one_document_and_their_title_is_the_question(tmp_path: Path) -> None:
    tally, at = counted(
        tmp_path,
        [
            question("1", "What is asthma?", LONG, study_id="a"),
            question("2", "What are the causes of asthma?", f"{LONG} Scurvy is none.", study_id="a"),
            question("3", "What is asthma?", LONG, study_id="b"),
            question("4", f"A patient with asthma: {LONG * 3}", LONG, study_id="c"),
        ],
    )
    assert tally.totals["rows"] == 4 and tally.totals["documents"] == 3
    # a case is no topic
    assert (at["D:asthma"]["mentions"], at["D:asthma"]["documents"], at["D:asthma"]["passages"]) == (4, 3, 2)
    assert (at["D:scurvy"]["documents"], at["D:scurvy"]["passages"]) == (1, 0)


def test_images_count_once_a_document_and_entities_of_the_row_are_named_too(tmp_path: Path) -> None:
    one, two = ImageRef("/a.png"), ImageRef("/b.png")
    _, at = counted(
        tmp_path,
        [
            document("1", "Asthma", images=(one, two), study_id="s"),
            document("2", "Asthma and scurvy", images=(one,), study_id="s"),
            document("3", "An image", images=(two,), entities=("A:heart", "GONE:1")),
        ],
    )
    assert (at["D:asthma"]["images"], at["D:lung"]["images_below"], at["D:scurvy"]["images"]) == (2, 2, 1)
    assert (at["A:heart"]["documents"], at["A:heart"]["mentions"], at["A:heart"]["images"]) == (1, 0, 1)


def test_reviewed_items_are_those_a_person_saw_and_count_for_what_the_person_wrote(tmp_path: Path) -> None:
    gold = [
        document(
            "1",
            "Scurvy and wheezing",
            annotations=Annotations(mentions=(Mention(11, 19, "wheezing", "Disease", "D001249"),)),
        ),
        question("2", "Which disease?", "Scurvy", meta={"disease": "orpha:1"}),
        question("3", "Is it the heart?", "Yes."),
    ]
    tally, at = counted(tmp_path / "gold", gold, reviewed=True)
    assert (at["D:asthma"]["reviewed"], at["D:scurvy"]["reviewed"], at["A:heart"]["reviewed"]) == (1, 1, 1)
    assert at["MET:disease"]["reviewed_below"] == 2 and at["MET:disease"]["reviewed"] == 0
    assert tally.totals["reviewed"] == 3 and not any(tally.columns["documents"])
    _, at = counted(
        tmp_path / "own",
        [
            document("1", "Asthma", annotations=Annotations(reviewed="by two physicians")),
            document("2", "Asthma"),
        ],
    )
    assert (at["D:asthma"]["documents"], at["D:asthma"]["reviewed"]) == (2, 1)


def test_the_compiled_index_counts_what_the_linker_counts(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    from medxiaohe.entity.linking.index import Index

    samples = [
        document(str(n), f"Heart\n{LONG} 肺炎 Bronchial asthma, \U0001f600 scurvies and the heart {n}.")
        for n in range(20)
    ]
    place = [corpora.corpus(str(written(tmp_path, samples)))]
    plain = Counter(tree(), Linker(tree())).count(place, "a")
    fast = Counter(tree(), Index.of(tree())).count(place, "b")
    assert plain == fast and any(plain.columns["passages"])


def test_a_rare_disease_is_one_of_the_slim_or_of_orphanet() -> None:
    assert [entity.id for entity in ENTITIES if is_rare(entity)] == ["D:child", "D:scurvy"]
    assert not is_rare(Entity("ORPHA:9", "a gene", "gene"))


# ---- corpora -------------------------------------------------------------------------------------


def test_a_row_that_is_none_is_a_dead_letter_and_the_rest_is_counted(tmp_path: Path) -> None:
    good = json.dumps(io.to_json(document("1", "Asthma"))).encode()
    bad = [
        b"{",
        b"[]",
        b'{"id": "2"}',
        b'{"id": "3", "messages": []}',
        b"\xff\xfe",
        b'{"id": "4", "messages": [{"role": "?"}]}',
        b"NaN",
    ]
    (tmp_path / "samples.jsonl").write_bytes(b"\n".join([good, *bad, b"", good]) + b"\n")
    letters: list[DeadLetter] = []
    counter = Counter(tree(), Linker(tree()))
    tally = counter.count(
        [corpora.corpus(str(tmp_path))], "test", reject=lambda _, letter: letters.append(letter)
    )
    assert tally.totals["rows"] == 2 and tally.dead == len(letters) == len(bad)
    assert [letter.where for letter in letters] == [f"samples.jsonl:{n}" for n in range(2, 9)]


@pytest.mark.parametrize("reader", ["chat_jsonl", "medquad_xml", "pubmed_xml", "pubtator", "phenopackets"])
def test_the_reader_of_its_own_example_is_guessed(reader: str, tmp_path: Path) -> None:
    from importlib import import_module

    for name, content in import_module(f"medxiaohe.data.readers.{reader}").EXAMPLE.items():
        (tmp_path / name).write_text(content)
    assert corpora.corpus(str(tmp_path)).reader == reader
    found = corpora.corpus(f"{reader}:{tmp_path}")
    rows = list(corpora.rows(found))
    assert rows and all(isinstance(row, Sample) for row in rows)
    assert corpora.expected(found) in (len(rows), None)


def test_what_nobody_reads_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\0")
    with pytest.raises(ConfigError, match="say --reader with one of alpaca, "):
        corpora.corpus(str(tmp_path))
    with pytest.raises(ConfigError, match="no corpus at"):
        corpora.corpus(str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="no readers named"):
        corpora.corpus(str(tmp_path), "medquad")


def test_too_long_a_line_is_a_dead_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "MAX_LINE_BYTES", 200)
    lines = [
        json.dumps(io.to_json(document(str(n), text)))
        for n, text in enumerate(["Asthma", "x" * 900, "Scurvy"])
    ]
    (tmp_path / "samples.jsonl").write_text("\n".join(lines) + "\n")
    kinds = [type(row).__name__ for row in corpora.rows(corpora.corpus(str(tmp_path)))]
    assert kinds == ["Sample", "DeadLetter", "Sample"]


# ---- the verb ------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path) -> Path:
    with io.publish(tmp_path / "tree" / "1") as draft:
        io.write_jsonl(draft / "entities.jsonl", ENTITIES)
    return tmp_path / "tree" / "1"


def test_the_verb_writes_a_table_a_summary_and_a_page(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = written(tmp_path / "a", [document("1", f"Asthma\n{LONG}"), document("2", "Scurvy and =asthma")])
    second = written(
        tmp_path / "b", [document("1", "Scurvy"), document("2", "Scurvy"), document("3", "Heart")]
    )
    options = [
        "--tree",
        str(built),
        "--out",
        str(tmp_path / "out"),
        "--compare",
        str(second),
        "--name",
        "A",
        "--compare-name",
        "B",
    ]
    assert main(["tree", "coverage", str(first), *options, "--reviewed", str(second), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    io.verify(tmp_path / "out")
    rows = {row["id"]: row for row in io.read_jsonl(tmp_path / "out" / "coverage.jsonl")}
    assert list(rows) == [entity.id for entity in ENTITIES]
    lung, scurvy = rows["D:lung"], rows["D:scurvy"]
    assert (lung["documents"], lung["documents_below"], lung["covered_below"], lung["entities_below"]) == (
        0,
        2,
        1,
        3,
    )
    assert (lung["definition"], lung["layer"], lung["rare"], lung["bucket"]) == (True, 2, False, "unseen")
    assert (scurvy["documents"], scurvy["other_documents"], scurvy["reviewed"], scurvy["rare"]) == (
        1,
        2,
        2,
        True,
    )
    assert scurvy["log2_ratio"] == pytest.approx(-0.3219, abs=1e-4)  # log2((1.5 / 3) / (2.5 / 4))
    with open(tmp_path / "out" / "coverage.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["documents_below"] for row in table] == [str(row["documents_below"]) for row in rows.values()]
    assert said == io.read_json(tmp_path / "out" / "summary.json")
    assert [one["name"] for one in said["corpora"]] == ["A", "B"]
    assert said["all"]["corpora"][0]["documents"] == 2 and said["all"]["reviewed"] == 2
    assert said["kinds"]["disease"]["entities"] == 6 and said["rare"]["rare"]["entities"] == 2
    assert said["corpora"][0]["fingerprint"] != said["corpora"][1]["fingerprint"]
    assert str(tmp_path) not in (tmp_path / "out" / "summary.json").read_text()
    assert "<html" in (tmp_path / "out" / "index.html").read_text()
    assert main(["tree", "coverage", str(first), "--tree", str(built), "--out", str(tmp_path / "out")]) == 0
    assert "a name in a text is not evidence" in capsys.readouterr().out


def test_wrong_use_of_the_verb_is_one_sentence(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = str(written(tmp_path / "a", [document("1", "Asthma")]))
    where = ["--tree", str(built), "--out", str(tmp_path / "out")]
    assert main(["tree", "coverage", first, "--compare", first, *where]) == 2
    assert "both corpora are called" in capsys.readouterr().err
    (tmp_path / "amcs.json").write_text("[]")
    assert (
        main(["tree", "coverage", first, "--amcs", str(tmp_path / "amcs.json"), *where])
        == DataError.exit_code
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert main(["tree", "coverage", first, "--tree", str(built), "--out", str(tmp_path / "mine")]) == 3
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


RUN = """
import re, sys
from pathlib import Path
from medxiaohe.cli import main
from medxiaohe.data.coverage import entity_counts as coverage
coverage.SECONDS_BETWEEN_SAVES = float(sys.argv[1])
code = main(sys.argv[2:])
status = Path("/proc/self/status")  # ru_maxrss would be that of the process this one was forked from
print("peak", re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1] if status.is_file() else 0)
sys.exit(code)
"""


def run(*words: str, between: float = 30, crash: int = 0) -> subprocess.CompletedProcess[str]:
    place = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": place, **({"CRASH_AT": str(crash)} if crash else {})}
    environment = {key: value for key, value in environment.items() if crash or key != "CRASH_AT"}
    return subprocess.run(
        [sys.executable, "-c", RUN, str(between), *words], env=environment, capture_output=True, text=True
    )


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(built: Path, tmp_path: Path) -> None:
    samples = [
        question(str(n), "What is asthma?", f"{LONG} Scurvy {n}.", study_id=f"s{n // 3}") for n in range(360)
    ]
    corpus = written(tmp_path / "corpus", samples)
    words = ["tree", "coverage", str(corpus), "--tree", str(built), "--out"]
    assert run(*words, str(tmp_path / "whole")).returncode == 0
    killed = run(*words, str(tmp_path / "out"), between=0, crash=61)
    assert killed.returncode == -9 and not (tmp_path / "out").exists()
    kept = list(tmp_path.glob(".out.work/*/corpus.tally"))
    assert len(kept) == 1 and 0 < Tally.load(kept[0], len(ENTITIES)).totals["rows"] < 360
    assert run(*words, str(tmp_path / "out")).returncode == 0
    assert not (tmp_path / ".out.work").exists()
    for path in sorted((tmp_path / "whole").iterdir()):
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path.name


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").is_file(), reason="the peak of a process is read from /proc"
)
def test_memory_does_not_follow_the_size_of_the_corpus(built: Path, tmp_path: Path) -> None:
    peaks = {}
    for megabytes in (1, 50):
        place = tmp_path / str(megabytes)
        text = f"Asthma and the heart\n{LONG * 30} Scurvy."
        count = megabytes * 1_000_000 // len(text)
        written(place, [document(str(n), f"{text} {n}", study_id=f"s{n // 2}") for n in range(count)])
        done = run(
            "tree", "coverage", str(place), "--tree", str(built), "--out", str(tmp_path / f"out{megabytes}")
        )
        assert done.returncode == 0, done.stderr
        peaks[megabytes] = int(done.stdout.split("peak")[1]) / 1024
    assert peaks[50] - peaks[1] < 8, peaks  # MiB; the texts alone are 50
