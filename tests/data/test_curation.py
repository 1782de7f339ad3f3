"""Cleaning in three layers (MX-6): one form, rules with reasons, and the classifier that teaches itself
(MX-7)."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import io
from medxiaohe.data.cleaning.normalise import normal_form, normalised
from medxiaohe.data.curate import CurateSettings, curate
from medxiaohe.data.filters.low_quality import low_quality
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.types import Annotations, Medical, Mention, Message, Sample

pytest.importorskip("numpy")
MEDICAL = """patient fever cough dyspnea lung heart liver kidney lesion tumor biopsy serum plasma dose
survival risk therapy infusion
surgery resection nodule effusion fracture relapse antigen antibody receptor enzyme mutation allele infant
diabetic admission""".split()
GENERAL = """function argument returns string list class method module file path error value default option
thread socket buffer parser
token stream encoding object attribute import call raise directory process signal handler iterator tuple
integer regex compile""".split()
COMMON = "the of and to in is with for that by on as are be from at this which an or".split()


def prose(words: list[str], seed: object, length: int = 60) -> str:
    dice = random.Random(str(seed))
    return " ".join(dice.choice(words if dice.random() < 0.4 else COMMON) for _ in range(length))


def document(id: str, text: str, **fields: Any) -> Sample:
    return Sample(id, (Message("document", (text,)),), **{"source": "docs", "license": "CC0-1.0", **fields})


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("signi\ufb01cant e\u0301tude", "significant étude"),
        ("dia\u00adbetes\u200b mel\u00adlitus\ufeff", "diabetes mellitus"),
        ("5\u00a0mg\u2009of\u3000aspirin  \r\ntwice", "5 mg of aspirin\ntwice"),
        ("ＣＴ ３ mm", "CT 3 mm"),
        ("One.\n\n\n\n\nTwo.", "One.\n\nTwo."),
        (
            (
                "Results.\nCopyright © 2011 Elsevier Inc. All rights reserved.\nDownload PDF\nThe dose was"
                " halved."
            ),
            "Results.\nThe dose was halved.",
        ),
        ("We use cookies to improve your visit.\nFever is common.\nPage 3 of 12", "Fever is common."),
        ("5 µg/mL, 10² cells, H₂O, T½", "5 µg/mL, 10² cells, H₂O, T½"),  # units are no typesetting
        ("Copyright law and patients: what the 1976 act says about records.",) * 2,
        ("The patient was asked to sign in and log in again.",) * 2,
    ],
)
def test_texts_have_one_form_and_lose_what_pages_and_publishers_added(given: str, wanted: str) -> None:
    assert normal_form(given) == wanted == normal_form(wanted)


def test_questions_answers_and_annotated_texts_stay_as_they_are() -> None:
    rows = [
        Sample("q", (Message("user", ("signi\ufb01cant?",)),)),
        document("a", "signi\ufb01cant", annotations=Annotations(mentions=(Mention(0, 10, "", ""),))),
    ]
    assert [normalised(row) for row in rows] == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a b c d e f g h i j " * 10, "the mean word has 1.0"),
        ("# fever ... of # unknown ... origin # " * 8, "as many # and ... as words"),
        (
            "• intermittent fever\n• productive cough\n• chills\n• headache\n• abdominal pain",
            "of the lines are bullets",
        ),
        (
            "\n".join(
                [
                    "the fever of the patient was found to be higher on the second day and that of the third"
                    " to..."
                ]
                * 4
            ),
            "end in an ellipsis",
        ),
        ("12.5 3.81 1400 4.15 98.2 sodium potassium", "of the words have a letter"),
        ("aspirin ibuprofen paracetamol naproxen " * 15, "of the commonest English words"),
        (
            (
                "Sodium 140 mmol/L, potassium 4.1 mmol/L and creatinine 98 umol/L were normal; that of the"
                " sister was 120."
            ),
            "",
        ),
        ("患者因发热咳嗽三天入院" * 10, ""),
    ],
)
def test_what_is_no_running_text_has_a_reason(text: str, says: str) -> None:
    found = low_quality(document("a", text))
    assert says in found and bool(found) == bool(says)


def corpus(folder: Path, num: int = 150) -> Path:
    rows = []
    for n in range(num):
        rows += [
            document(
                f"abstracts/{n}",
                prose(MEDICAL[:20], f"a{n}"),
                source="abstracts",
                entities=tuple(f"E:{i}" for i in range(6)),
            ),
            document(f"manuals/{n}", prose(GENERAL[:20], f"m{n}"), source="manuals"),
            document(
                f"web/m{n}",
                prose(MEDICAL[12:], f"x{n}"),
                source="web",
                entities=tuple(f"E:{i}" for i in range(5)),
            ),
            document(f"web/g{n}", prose(GENERAL[12:], f"y{n}"), source="web"),
        ]
    io.write_jsonl(folder / "corpus" / "samples.jsonl", rows)
    return folder / "corpus"


def classified(folder: Path, **settings: Any) -> tuple[Path, dict[str, Any]]:
    from medxiaohe.data.classify import ClassifySettings, classify

    out = folder / f"out{len(list(folder.iterdir()))}"
    out.mkdir()
    given = {"seeds": 20, "candidates": 80, **settings}
    return out, classify(
        ClassifySettings(("abstracts",), ("manuals",), **given), out, corpus=folder / "corpus"
    )


def test_labels_keep_their_round_and_the_classifier_gets_better_with_them(tmp_path: Path) -> None:
    corpus(tmp_path)
    first, _ = classified(tmp_path, rounds=0)
    out, summary = classified(tmp_path, rounds=2)
    labels = list(io.read_jsonl(out / "labels.jsonl"))
    assert {(row["round"], row["by"]) for row in labels} == {(0, "origin"), (1, "entities"), (2, "entities")}
    assert all((row["thought"] is None) == (row["round"] == 0) for row in labels) and len(
        {row["id"] for row in labels}
    ) == len(labels)
    assert [one["labels"] for one in summary["rounds"]] == sorted(one["labels"] for one in summary["rounds"])
    assert summary["rows"] == summary["medical"] + summary["general"] == 600

    def right(folder: Path) -> float:
        said = [
            (s.id, s.annotations.medical.probability >= 0.5)
            for s in io.read_samples(folder / "samples.jsonl")
            if s.source == "web"
        ]
        return sum(medical == id.startswith("web/m") for id, medical in said) / len(said)

    assert right(out) >= max(0.95, right(first))


def test_a_model_may_be_the_judge_and_what_it_does_not_say_joins_nothing(tmp_path: Path) -> None:
    corpus(tmp_path, 40)

    def says(conversation: Any) -> str:
        text = conversation[-1].text
        return (
            "Cannot tell."
            if "heart" in text
            else "Yes."
            if any(word in text for word in MEDICAL[:30])
            else "no"
        )

    out, _ = classified(
        tmp_path, rounds=1, judge="model", backend="scripted", model="teacher", options={"answer": says}
    )
    judged = [row for row in io.read_jsonl(out / "labels.jsonl") if row["round"]]
    assert judged and {row["by"] for row in judged} == {"teacher"}
    texts = {sample.id: sample.text for sample in io.read_samples(out / "samples.jsonl")}
    assert not any("heart" in texts[row["id"]] for row in judged)


def test_the_filter_medical_drops_what_the_classifier_finds_improbable(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    corpus(tmp_path, 60)
    out, _ = classified(tmp_path, rounds=1)
    (tmp_path / "curated").mkdir()
    curate(CurateSettings(filters=("medical",)), tmp_path / "curated", corpus=out)
    kept = [
        sample.id.split("/")[1][0] + sample.source
        for sample in io.read_samples(tmp_path / "curated" / "samples.jsonl")
    ]
    assert (
        sum(name in ("mweb",) or name.endswith("abstracts") for name in kept) >= 0.95 * len(kept)
        and len(kept) > 100
    )
    reasons = {
        json.loads(line)["detail"].split(", ")[-1]
        for line in (tmp_path / "curated" / "dropped.jsonl").read_text().splitlines()
    }
    assert reasons == {"round 1"}


def test_the_filter_medical_says_nothing_of_what_is_too_short_or_a_picture() -> None:
    from medxiaohe.data.filters.medical import medical
    from medxiaohe.types import ImageRef

    said = Annotations(medical=Medical(0.1, 1))
    long, short = (
        document("a", prose(GENERAL, 1), annotations=said),
        document("b", "Dermoscopy; malignant: 0.", annotations=said),
    )
    picture = Sample("c", (Message("document", (ImageRef("/x.png"), prose(GENERAL, 1))),), annotations=said)
    assert (
        medical(long) == "10% likely to be medical, round 1" and not medical(short) and not medical(picture)
    )
    assert "not classified" in medical(document("d", "Short."))


def test_the_same_classifier_is_trained_each_time_and_saved_whole(tmp_path: Path) -> None:
    from medxiaohe.data.cleaning.linear_classifier import load

    corpus(tmp_path, 40)
    one, _ = classified(tmp_path, rounds=1)
    two, _ = classified(tmp_path, rounds=1)
    assert all(
        (one / name).read_bytes() == (two / name).read_bytes() for name in ("samples.jsonl", "labels.jsonl")
    )
    text = prose(MEDICAL, "new")
    assert (
        load(one / "classifier.npz").probability(text) == load(two / "classifier.npz").probability(text) > 0.5
    )


def test_classify_says_what_is_wrong_with_its_settings(tmp_path: Path) -> None:
    from medxiaohe.data.classify import ClassifySettings, classify

    with pytest.raises(ConfigError, match="none in both"):
        ClassifySettings(("a",), ("a",))
    with pytest.raises(ConfigError, match="needs the name of a model"):
        ClassifySettings(("a",), ("b",), judge="model")
    corpus(tmp_path, 2)
    with pytest.raises(DataError, match=r"no rows of abstract.*did you mean 'abstracts'"):
        classify(ClassifySettings(("abstract",), ("manuals",)), tmp_path, corpus=tmp_path / "corpus")
