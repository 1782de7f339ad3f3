"""Texts that contradict what else their row says (MET-4): rules, similarity as a rank, a judge; and the
stage."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import synth_for_tests as small

from medxiaohe import io
from medxiaohe.data import align as stage
from medxiaohe.data.align import AlignSettings, align
from medxiaohe.data.synth import planted, similarity
from medxiaohe.data.synth.anchors import Item, item
from medxiaohe.data.synth.mismatch import Rules
from medxiaohe.data.synth.teacher import TeacherSettings, client
from medxiaohe.errors import ConfigError, DataError, JudgeFailed
from medxiaohe.models.asking import Unreadable
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.models.embed import embedder
from medxiaohe.scoring._findings import lexicon
from medxiaohe.types import ImageRef, Message, Sample

GRAPH, NAMES = small.graph(), small.names()
RULES = Rules(GRAPH, NAMES, lexicon())
GOOD = Item(
    "a",
    "Brun myopathy is an illness of the deltoid muscle; it comes with tremor.",
    ("What is Brun myopathy?",),
)


def _asked(question: str, answer: str, id: str = "q", **fields: Any) -> Sample:
    return Sample(
        id,
        (Message("user", (question,)), Message("assistant", (answer,))),
        source="x",
        license="CC0-1.0",
        **fields,
    )


# ---- what is compared ------------------------------------------------------------------------------


def test_an_answer_is_held_against_its_question_and_a_body_against_its_title_and_tags() -> None:
    found = item(
        _asked("What is Brun myopathy?", "An illness.", meta={"laterality": "left", "url": "http://x"})
    )
    assert found.text == "An illness." and found.anchors == ("What is Brun myopathy?", "left")
    page = Sample(
        "d",
        (Message("document", ("Brun myopathy\nIt is an illness that makes muscles weak over two years.",)),),
    )
    assert item(page).anchors == ("Brun myopathy",) and item(page).text.startswith("It is an illness")


def test_what_is_said_once_is_unchecked_not_aligned() -> None:
    found = RULES(Item("a", "A text about Brun myopathy, and no more.", ()))
    assert (found.kind, found.checked) == ("", False)


# ---- the rules: planted mismatches (systems.md 2d) ---------------------------------------------------


def test_a_whole_row_passes() -> None:
    assert RULES(GOOD).kind == ""


def test_a_wrong_sibling_is_caught() -> None:
    wrong = planted.sibling(GOOD, GRAPH, NAMES, random.Random(0))
    assert wrong is not None and "Brun" not in wrong.text
    assert RULES(wrong).kind == "sibling"


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        (
            "Opacity lung base left",
            "There is an opacity at the base of the left lung. The heart is of normal size.",
        ),
        ("Right knee, after a fall", "The right knee is swollen."),
        ("Pleural effusion left", "A small left pleural effusion has come back since the last film."),
    ],
)
def test_the_wrong_side_is_caught(tag: str, text: str) -> None:
    good = Item("a", text, (tag,))
    wrong = planted.side(good)
    assert RULES(good).kind == "" and wrong is not None and RULES(wrong).kind == "side"


def test_a_text_about_something_else_is_caught() -> None:
    other = Item("b", "Bring water to the boil, add salt, and let the noodles cook for ten minutes.", ())
    assert RULES(Item("a", other.text, GOOD.anchors)).kind == "unrelated"


def test_something_above_or_below_what_is_asked_about_is_no_mismatch() -> None:
    assert (
        RULES(
            Item("a", "Any myopathy may do this, sooner or later in life.", ("What is Brun myopathy?",))
        ).kind
        == ""
    )
    assert (
        RULES(
            Item(
                "a", "Brun myopathy with onset in infancy is worse than others.", ("What is Brun myopathy?",)
            )
        ).kind
        == ""
    )


def test_what_cannot_be_planted_is_none() -> None:
    assert planted.side(Item("a", "No side here.", ())) is None
    assert planted.sibling(Item("a", "No name here.", ()), GRAPH, NAMES, random.Random(0)) is None


# ---- similarity ---------------------------------------------------------------------------------------


def _pairs(num: int) -> tuple[list[str], list[str]]:
    dice = random.Random(0)
    word = ["".join(dice.choice("abcdefghiklmnoprstu") for _ in range(8)) for _ in range(4 * num)]
    return [" ".join(word[4 * i : 4 * i + 4]) for i in range(num)], [
        f"On {' and '.join(word[4 * i : 4 * i + 4])}." for i in range(num)
    ]


def test_texts_of_other_rows_stand_low_and_own_ones_high() -> None:
    pytest.importorskip("numpy")
    anchors, texts = _pairs(60)
    groups = [str(i) for i in range(60)]
    own = similarity.of_texts(anchors, texts, groups, embedder("ngrams"))
    other = similarity.of_texts(anchors, [*texts[1:], texts[0]], groups, embedder("ngrams"))
    assert own.min() > 0.95 and 0.3 < other.mean() < 0.7


def test_pictures_are_matched_by_what_other_studies_teach() -> None:
    np = pytest.importorskip("numpy")
    dice = np.random.default_rng(0)
    hidden = dice.normal(size=(300, 4))
    features, texts = hidden @ dice.normal(size=(4, 20)), hidden @ dice.normal(size=(4, 16))
    texts = (texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float32)
    groups = [str(i) for i in range(300)]
    whole = similarity.of_pictures(features.astype(np.float32), texts, groups)
    swapped = similarity.of_pictures(features.astype(np.float32), np.roll(texts, 7, axis=0), groups)
    assert whole.mean() > 0.85 and abs(swapped.mean() - 0.5) < 0.1
    with pytest.raises(DataError, match="too few"):
        similarity.of_pictures(features[:10], texts[:10], groups[:10])


# ---- the stage ------------------------------------------------------------------------------------------


def _corpus(folder: Path, rows: list[Sample], **files: Any) -> Path:
    with io.publish(folder) as draft:
        io.write_jsonl(draft / "samples.jsonl", rows)
        for name, value in files.items():
            io.write_json(draft / f"{name}.json", value)
    return folder


def _rows(num: int = 40) -> list[Sample]:
    ids = [f"D:{g}{i}" for g in range(3) for i in range(5)]
    found = []
    for n in range(num):
        entity = GRAPH.tree.entities[ids[n % len(ids)]]
        answer = f"{entity.name}: {entity.definition} Case {n}."
        found.append(_asked(f"What is {entity.name}? ({n})", answer, f"q{n}", entities=(entity.id,)))
    return found


def _run(
    tmp_path: Path, rows: list[Sample], name: str = "out", **settings: Any
) -> tuple[dict[str, Any], Path]:
    tree = tmp_path / "tree"
    if not tree.exists():
        small.folder(tree)
        _corpus(
            tmp_path / "corpus", rows, contamination={"checked": {"medqa": 3}, "matches": []}, coverage={}
        )
    out = tmp_path / name
    out.mkdir()
    return align(AlignSettings(**settings), out, corpus=tmp_path / "corpus", tree=tree), out


def test_the_stage_drops_planted_rows_with_reasons_and_hands_the_report_on(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    rows = _rows()
    rows[3] = _asked(rows[3].messages[0].text, rows[4].messages[1].text, "planted")
    summary, out = _run(tmp_path, rows)
    dropped = list(io.read_jsonl(out / "dropped.jsonl"))
    assert [(row["id"], row["stage"], row["reason"]) for row in dropped] == [("planted", "rules", "sibling")]
    assert summary["read"] == 40 == summary["kept"] + 1
    assert summary["account"] == {"read": 40, "written": 39, "dropped": {"rules: sibling": 1}, "dead": {}}
    assert io.read_json(out / "contamination.json")["checked"] == {"medqa": 3}
    assert {row.annotations.alignment["rules"] for row in io.read_samples(out / "samples.jsonl")} == {
        "checked"
    }


def _judging(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    model = scripted("judge", answer)
    monkeypatch.setattr(
        stage, "teacher", lambda settings, work: client(model, settings, journal=work / "replies.sqlite")
    )
    return model.conversations


def _fits(talk: Any) -> str:
    """A judge that compares the first name of A and B."""
    a, b = (part.split(":", 1)[1] for part in talk[0].text.split("\n")[1:3])
    names = [{m.entity for m in NAMES.find(text)} for text in (a, b)]
    return "match" if names[0] & names[1] else "mismatch"


def test_a_judge_that_tells_planted_mismatches_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = _rows()
    rows[3] = _asked(
        rows[3].messages[0].text, "Something about weather and cooking, at some length indeed.", "planted"
    )
    _judging(monkeypatch, _fits)
    summary, out = _run(tmp_path, rows, rules=False, similarity="", judge=TeacherSettings("m", price_in=1.0))
    assert [(r["id"], r["stage"]) for r in io.read_jsonl(out / "dropped.jsonl")] == [("planted", "judge")]
    kept = next(io.read_samples(out / "samples.jsonl"))
    assert (
        kept.annotations.alignment["judge"]["verdict"] == "match"
        and kept.annotations.alignment["judge"]["cost"] > 0
    )
    assert summary["judge"]["calls"] == 40 + 2 * 20


@pytest.mark.parametrize("said", ["match", "mismatch", "unsure", "it is not a match", ""])
def test_a_judge_that_cannot_tell_them_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    _judging(monkeypatch, lambda talk: said)
    with pytest.raises(JudgeFailed, match="planted mismatches"):
        _run(tmp_path, _rows(), rules=False, similarity="", judge=TeacherSettings("m"))


@pytest.mark.parametrize(("undecided", "kept"), [("keep", 40), ("drop", 0)])
def test_an_abstention_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undecided: str, kept: int
) -> None:
    _judging(monkeypatch, lambda talk: "unsure")
    how = {
        "rules": False,
        "similarity": "",
        "judge": TeacherSettings("m"),
        "planted": 0,
        "undecided": undecided,
    }
    if not kept:
        with pytest.raises(DataError, match="nothing is left"):
            _run(tmp_path, _rows(), **how)
        return
    summary, out = _run(tmp_path, _rows(), **how)
    assert summary["kept"] == kept and summary["undecided"] == 40
    assert all(
        row.annotations.alignment["judge"]["verdict"] == "unsure"
        for row in io.read_samples(out / "samples.jsonl")
    )


def test_the_judge_is_shown_the_picture_and_never_the_gold_of_meta() -> None:
    shown = stage.question(Item("a", "A lung.", ("What is this?",), (ImageRef("x.png"),)))
    assert shown[0].images == (ImageRef("x.png"),) and "same picture" in shown[0].text


@pytest.mark.parametrize(
    ("reply", "said"), [("Match.", "match"), (" answer: mismatch", "mismatch"), ("UNSURE", "unsure")]
)
def test_verdicts_are_read_strictly(reply: str, said: str) -> None:
    assert stage.verdict(reply) == said
    for wrong in ("not a match", "match or mismatch", "I think match", "", "yes"):
        with pytest.raises(Unreadable):
            stage.verdict(wrong)


def test_two_runs_leave_the_same_bytes(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    _, first = _run(tmp_path, _rows())
    _, second = _run(tmp_path, _rows(), name="again")
    assert (first / "samples.jsonl").read_bytes() == (second / "samples.jsonl").read_bytes()
    assert Counter(json.dumps(row) for row in io.read_jsonl(first / "dropped.jsonl")) == Counter()


def test_settings_that_align_by_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing is left to align by"):
        AlignSettings(rules=False, similarity="")
