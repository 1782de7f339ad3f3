"""Words in common as the reference packages count them, and the units of notes."""

import importlib.util

import pytest

from medxiaohe import plugins
from medxiaohe.errors import MissingExtra
from medxiaohe.scoring import _overlap as o
from medxiaohe.scoring import bleu, facts, rouge_l
from medxiaohe.scoring._sentences import phrases, sentences
from medxiaohe.types import Message, Sample, Trace

# (candidate, reference, rouge-1, rouge-2, rouge-L, sentence BLEU / 100): printed by rouge-score 0.1.2 without
# stemming and sacrebleu 2.6.0
PRINTED = [
    (
        "The patient has low back pain.",
        "The patient has had low back pain for eight years.",
        0.75,
        0.571428571429,
        0.75,
        0.24129671581,
    ),
    (
        "No fever.",
        "There is no fever, cough or pain.",
        0.444444444444,
        0.285714285714,
        0.444444444444,
        0.046918122225,
    ),
    ("a b c d e f", "f e d c b a", 1.0, 0.0, 0.166666666667, 0.127033187039),
    (
        "Temp. 38.5-39, weight 70kg & 5'9\"",
        "Temperature 38.5 - 39; weight 70 kg",
        0.533333333333,
        0.461538461538,
        0.533333333333,
        0.149911069467,
    ),
    ("pain", "pain", 1.0, 0.0, 1.0, 1.0),
    ("", "pain", 0.0, 0.0, 0, 0.0),
    (
        "Ibuprofen 400 mg twice daily for pain and swelling of the knee.",
        "Take ibuprofen 400 mg two times a day for pain and for swelling of the right knee.",
        0.689655172414,
        0.444444444444,
        0.689655172414,
        0.165528261015,
    ),
]


@pytest.mark.parametrize("row", PRINTED)
def test_rouge_and_bleu_are_those_of_rouge_score_and_sacrebleu(
    row: tuple[str, str, float, float, float, float],
) -> None:
    a, b, *expected = row
    assert [o.rouge_n(a, b, 1), o.rouge_n(a, b, 2), o.rouge_l(a, b), o.bleu(a, b)] == pytest.approx(
        expected, abs=1e-9
    )


def test_against_the_packages_where_they_are_installed() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rouge1", "rouge2", "rougeL"])
    sacrebleu = pytest.importorskip("sacrebleu")
    for a, b, *_ in PRINTED:
        theirs = scorer.score(b, a)
        ours = [o.rouge_n(a, b, 1), o.rouge_n(a, b, 2), o.rouge_l(a, b), o.bleu(a, b)]
        wanted = [theirs[key].fmeasure for key in ("rouge1", "rouge2", "rougeL")] + [
            sacrebleu.sentence_bleu(a, [b]).score / 100
        ]
        assert ours == pytest.approx(wanted, abs=1e-9)


def test_chinese_is_compared_by_characters() -> None:
    assert o.rouge_l("左肺可见结节", "左肺结节") == pytest.approx(2 * 4 / 10)


def test_overlap_does_not_see_a_denial_and_facts_do() -> None:
    gold, flipped, reworded = (
        "There is a pleural effusion.",
        "There is no pleural effusion.",
        "A pleural effusion is there.",
    )
    assert o.rouge_l(flipped, gold) > o.rouge_l(reworded, gold)
    assert facts.measure(flipped, gold)[0] < facts.measure(reworded, gold)[0] == 1.0


def test_units_of_a_note_by_hand() -> None:
    assert facts.units("No pneumothorax. Ibuprofen 400 mg.") == {
        ("finding", "pneumothorax", True), ("word", "ibuprofen", False), ("number", "400", False), ("word",
        "mg", False),
    }  # fmt: skip
    f2, recall, precision = facts.measure("Ibuprofen 400 mg and sleep.", "Ibuprofen 600 mg.")
    assert (recall, precision) == (pytest.approx(2 / 3), 0.5) and f2 == pytest.approx(
        5 * (2 / 3) * 0.5 / (4 * 0.5 + 2 / 3)
    )


@pytest.mark.parametrize(
    "scorer",
    [
        rouge_l.rouge_l,
        rouge_l.rouge_1,
        rouge_l.rouge_2,
        bleu.bleu,
        facts.facts,
        facts.recall,
        facts.precision,
    ],
)
def test_gold_is_one_and_games_are_nothing(scorer: object) -> None:
    sample = Sample(
        "n",
        (
            Message("user", ("Summarise the visit of this patient: back pain, no fever.",)),
            Message("assistant", ("Low back pain.",)),
        ),
    )

    def score(answer: str) -> float | None:
        return scorer(
            sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))
        ).value  # type: ignore[operator]

    assert score("Low back pain.") == 1.0
    for game in (
        "",
        "unknown",
        "A or B",
        "I cannot answer this.",
        sample.messages[0].text,
        "This is the same as the reference answer.",
    ):
        assert score(game) == 0.0, game


def test_sentences_of_reports_notes_and_lists() -> None:
    text = (
        "1. Bullous emphysema. 2. Scar in the left apex.There is no edema.\n- Dr. Smith agrees\n* 4.5 cm"
        " mass\n\n3"
    )
    assert sentences(text) == [
        "Bullous emphysema.",
        "Scar in the left apex.",
        "There is no edema.",
        "Dr. Smith agrees",
        "4.5 cm mass",
    ]
    assert phrases("No edema. No edema. A mass.") == ["No edema.", "A mass."]


def traces(*answers: str) -> list[tuple[Sample, Trace]]:
    sample = Sample(
        "x",
        (
            Message("user", ("Describe the X-ray.",)),
            Message("assistant", ("No pleural effusion is seen on the left.",)),
        ),
    )
    return [
        (sample, Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,)))))
        for answer in answers
    ]


def test_without_radeval_one_sentence_says_what_it_needs() -> None:
    if importlib.util.find_spec("radeval"):
        pytest.skip("radeval is installed")
    scorer = plugins.load("scoring", "medxiaohe.scoring.peers.radeval:radgraph")
    with pytest.raises(MissingExtra, match=r"pip install 'medxiaohe\[radeval\]'"):
        scorer.many(traces("There is an effusion."))
    assert scorer.many(traces("", "unknown"))[0].value == 0.0  # nothing to measure needs no package


@pytest.mark.network  # RadEval looks for NLTK data when it is imported, and goes on without
def test_radeval_measures_what_it_is_given() -> None:
    pytest.importorskip("radeval")
    for name in ("rouge_l", "bleu"):
        scorer = plugins.load("scoring", f"medxiaohe.scoring.peers.radeval:{name}")
        scores = scorer.many(
            traces("No pleural effusion is seen on the left.", "", "A pleural effusion is seen.")
        )
        assert (
            scores[0].value == pytest.approx(1.0, abs=1e-6)
            and scores[1].value == 0.0
            and scores[2].value < 1.0
        )
