"""data.reconstruct (RWR-3): clusters, questions that tell nothing, and what models always get right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.data import reconstruct as stage
from medxiaohe.data.reconstruct import ReconstructSettings, reconstruct
from medxiaohe.data.synth import groups
from medxiaohe.data.synth.reconstruct_reply import leak, read
from medxiaohe.data.synth.teacher import TeacherSettings, client
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.asking import Unreadable
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.types import Annotations, Mention, Message, Sample

np = pytest.importorskip("numpy")
pytest.importorskip("faiss")

REPLY = """\
Background: A 60-year-old man with cough.
Observation: An opacity in the right lower lobe with air bronchograms.
Analysis: Air bronchograms mean that airspaces are filled.
Conclusion: Lobar pneumonia of the right lung.
Question: A 60-year-old man coughs. What does his chest film show?
A. Pneumothorax
B. Lobar pneumonia
C. Sarcoidosis
Answer: B"""
TOPICS = {"heart": "cardiac murmur valve", "lung": "cough lobe bronchus", "skin": "rash itch scale"}
Answer = Callable[[Sequence[Message]], str]


# ---- clusters ------------------------------------------------------------------------------------------


def test_rows_of_a_kind_share_a_cluster_and_the_middle_one_is_taken() -> None:
    draw = np.random.default_rng(0)
    centres = np.eye(3, 8, dtype=np.float32)
    rows = np.concatenate([centre + 0.1 * draw.standard_normal((20, 8)) for centre in centres])
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    numbers, cosines = groups.kmeans(rows, 3, seed=1)
    assert [len(set(numbers[i : i + 20].tolist())) for i in (0, 20, 40)] == [1, 1, 1]
    assert len(set(numbers.tolist())) == 3
    chosen = groups.middle(numbers, cosines, 1)
    assert [place // 20 for place in chosen] == [0, 1, 2]
    for place in chosen:
        assert cosines[place] == cosines[place // 20 * 20 : place // 20 * 20 + 20].max()
    assert len(groups.middle(numbers, cosines, 2)) == 6
    again = groups.kmeans(rows, 3, seed=1)
    assert (again[0] == numbers).all() and (again[1] == cosines).all()
    with pytest.raises(DataError, match="lower `clusters`"):
        groups.kmeans(rows, 61)


# ---- replies -------------------------------------------------------------------------------------------


def test_a_reply_is_read_strictly() -> None:
    made = read(REPLY)
    assert made.options == ("Pneumothorax", "Lobar pneumonia", "Sarcoidosis") and made.answer == 1
    assert made.background == "A 60-year-old man with cough." and "airspaces" in made.evidence
    assert leak(made) == ""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("Analysis: Air bronchograms mean that airspaces are filled.\n", "", "must have the lines"),
        ("Observation: An opacity in the right lower lobe with air bronchograms.", "Observation:", ""),
        ("Answer: B", "Answer: D", "none of its options"),
        ("Answer: B", "", "must have the lines"),
        ("C. Sarcoidosis", "C. lobar pneumonias", "two of its options are the same"),
        ("A. Pneumothorax\n", "", "two to 4 options"),
        ("C. Sarcoidosis\n", "D. Sarcoidosis\n", "two to 4 options"),
        ("Background:", "I think so.\nBackground:", "must have the lines"),
    ],
)
def test_a_reply_of_another_form_is_unreadable(old: str, new: str, says: str) -> None:
    assert old in REPLY
    if not says:  # the next heading is taken for the text of the empty part: it is not, and the form fails
        says = "must have the lines"
    with pytest.raises(Unreadable, match=says):
        read(REPLY.replace(old, new))


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("Does he have lobar pneumonia, or what does the film show?", "names the answer"),
        ("Which pneumonia or other thing is it?", "'pneumonia' of the answer alone"),
        ("There is an opacity in the right lower lobe. What is it?", "repeats the findings"),
        ("What do air bronchograms mean that airspaces do not?", ""),  # five words in a row are no copy
    ],
)
def test_a_question_that_tells_the_findings_is_refused(question: str, says: str) -> None:
    found = leak(read(REPLY.replace("A 60-year-old man coughs. What does his chest film show?", question)))
    assert says in found if says else found == ""


# ---- the stage -----------------------------------------------------------------------------------------


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rows = [
        Sample(
            f"{topic}{n}",
            (Message("user", (f"{words} {words} case {n} {topic}",)), Message("assistant", (topic,))),
            target=topic,
            source="notes",
            license="CC0",
            study_id=f"s{n}",
            annotations=Annotations(mentions=(Mention(0, 4, "", "caps", "disease"),)),
        )
        for topic, words in TOPICS.items()
        for n in range(8)
    ]
    held = Sample("held", (Message("user", ("cardiac murmur valve",)),), "heart", split="test")
    with io.publish(tmp_path / "corpus") as draft:
        io.write_jsonl(draft / "samples.jsonl", [*rows, held])
        io.write_json(draft / "coverage.json", {"X:1": 3})
        io.write_json(draft / "contamination.json", {"checked": {"medqa": 3}, "matches": []})
    return tmp_path / "corpus"


def models(monkeypatch: pytest.MonkeyPatch, **answers: Answer) -> None:
    made = {name: scripted(name, answer) for name, answer in answers.items()}
    monkeypatch.setattr(
        stage, "teacher", lambda one, work: client(made[one.model], one, journal=work / f"{one.model}.sqlite")
    )


def writes(talk: Sequence[Message]) -> str:
    """A teacher that asks about the topic; about skin it gives the answer away."""
    topic = talk[0].text.rsplit(maxsplit=1)[-1]
    told = "Is this of the skin?" if topic == "skin" else "Which organ is meant?"
    return REPLY.replace("A 60-year-old man coughs. What does his chest film show?", told).replace(
        "Lobar pneumonia\n", f"{topic}\n"
    )


def settings(**more: object) -> ReconstructSettings:
    options = {
        "teacher": TeacherSettings("writer", retries=0), "features": "text", "encoder": "ngrams",
        "clusters": 3,
        "answerers": (TeacherSettings("good", retries=0), TeacherSettings("bad", retries=0)), "draws": 3,
    }  # fmt: skip
    return ReconstructSettings(**{**options, **more})  # type: ignore[arg-type]


def test_questions_come_from_the_middle_of_clusters_and_what_is_always_right_goes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(
        monkeypatch,
        writer=writes,
        good=lambda talk: "B",
        bad=lambda talk: "B" if "heart" in talk[0].text else "I do not know",
    )
    (out := tmp_path / ".one.draft").mkdir()
    summary = reconstruct(settings(), out, corpus=corpus)
    assert (summary["rows"], summary["clusters"], summary["asked"]) == (24, 3, 3)
    (kept,) = io.read_samples(out / "samples.jsonl")
    assert kept.source == "synth_reconstructed" and kept.provenance.made_of.startswith("lung")
    assert kept.target == "B" and kept.choices[1] == "lung" and kept.study_id and kept.license == "CC0"
    assert kept.messages[0].text.startswith("Which organ is meant?\nA. Pneumothorax\nB. lung")
    assert kept.messages[-1].text == "B. lung" and kept.annotations == Annotations()
    strata = {row["id"].split("/")[1][:4]: row for row in io.read_jsonl(out / "strata.jsonl")}
    assert strata["hear"]["stratum"] == "always" and strata["lung"]["stratum"] == "sometimes"
    assert strata["lung"]["right"] == {"good": 1.0, "bad": 0.0}
    assert strata["lung"]["judged"] == {"good": 3, "bad": 3}
    reasons = {row["reason"] for row in io.read_jsonl(out / "refused.jsonl")}
    assert reasons == {"always right", "tells the findings"}
    placed = list(io.read_jsonl(out / "clusters.jsonl"))
    assert len(placed) == 24 and sum(row["chosen"] for row in placed) == 3
    assert "held" not in {row["id"] for row in placed}
    assert io.read_json(out / "contamination.json") == {"checked": {}, "matches": []}


def test_without_answerers_every_question_stays(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(monkeypatch, writer=writes)
    (out := tmp_path / ".one.draft").mkdir()
    summary = reconstruct(settings(answerers=()), out, corpus=corpus)
    assert summary["kept"] == summary["questions"] == 2 and summary["strata"] == {}


def test_what_a_model_had_no_budget_to_answer_is_not_kept(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(monkeypatch, writer=writes, good=lambda talk: "A", bad=lambda talk: "A")
    poor = (TeacherSettings("good", retries=0), TeacherSettings("bad", retries=0, max_calls=1))
    (out := tmp_path / ".one.draft").mkdir()
    summary = reconstruct(settings(answerers=poor, draws=1), out, corpus=corpus)
    assert summary["strata"] == {"never": 1, "unjudged": 1} and summary["kept"] == 1
    assert summary["refused"] == {"tells the findings": 1, "not every model answered": 1}


def test_a_killed_run_asks_nothing_twice_and_leaves_the_same_bytes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def dies(talk: Sequence[Message]) -> str:
        asked.append(talk[0].text)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return writes(talk)

    one = settings(teacher=TeacherSettings("writer", retries=0, together=1), answerers=())
    models(monkeypatch, writer=writes)
    (whole := tmp_path / ".whole.draft").mkdir()
    reconstruct(one, whole, corpus=corpus)
    models(monkeypatch, writer=dies)
    (out := tmp_path / ".killed.draft").mkdir()
    with pytest.raises(KeyboardInterrupt):
        reconstruct(one, out, corpus=corpus)
    reconstruct(one, out, corpus=corpus)
    assert len(asked) == 4  # the one that was under way is asked again
    for name in ("samples.jsonl", "clusters.jsonl", "refused.jsonl"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


def test_what_cannot_be_made_is_one_sentence(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models(monkeypatch, writer=writes, good=writes)
    (out := tmp_path / ".one.draft").mkdir()
    with pytest.raises(DataError, match="no rows with an image"):
        reconstruct(settings(features="image"), out, corpus=corpus)
    with pytest.raises(DataError, match="24 rows cannot make 25 clusters"):
        reconstruct(settings(clusters=25), out, corpus=corpus)
    with pytest.raises(ConfigError, match="name each once"):
        reconstruct(settings(answerers=(TeacherSettings("good"),) * 2), out, corpus=corpus)
    with pytest.raises(ConfigError, match="at least 1"):
        settings(draws=0)
