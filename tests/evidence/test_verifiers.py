"""What verifiers of claims see, on made-up reports and on those of the data pack."""

import random
from collections import Counter

import pytest

from medxiaohe.errors import ModelError
from medxiaohe.evidence import planted
from medxiaohe.evidence.claims import by_findings
from medxiaohe.evidence.rule import named, ruled
from medxiaohe.evidence.sentences import split
from medxiaohe.evidence.verifiers.judged import judged
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring.judges.questions import Question, Verdict
from medxiaohe.types import Claim, Evidence, Ruling
from tests.evidence.drafts import packed, report


def label(text: str, *evidence: str) -> str:
    """The ruling on the worst claim of a text."""
    items = [Evidence(f"e{n}", words, "report") for n, words in enumerate(evidence)]
    found = {one.label for one in ruled(by_findings(text), items, named()).decided}
    return next((one for one in ("contradicted", "unsupported", "supported") if one in found), "unjudged")


CASES = [
    ("There is a left effusion.", "Small left pleural effusion.", "supported"),
    ("There is a right effusion.", "Small left pleural effusion.", "contradicted"),
    ("Large left effusion.", "Small left pleural effusion.", "contradicted"),
    ("Small left effusion.", "Left pleural effusion.", "unsupported"),
    ("Left effusion.", "Bilateral effusions.", "supported"),
    ("No consolidation.", "The lungs are clear.", "supported"),
    ("The lungs are clear.", "No consolidation.", "unsupported"),
    ("Consolidation.", "The lungs are clear.", "contradicted"),
    ("The left lung is clear.", "Right lower lobe consolidation.", "unsupported"),
    ("The lungs are clear.", "Right lower lobe consolidation.", "contradicted"),
    ("The heart is not enlarged.", "Heart size is normal.", "supported"),
    ("Heart size is normal.", "Heart size is borderline enlarged.", "contradicted"),
    ("There is an effusion.", "Possible effusion.", "unsupported"),
    ("Possible effusion.", "There is an effusion.", "supported"),
    ("Acute fracture of the left clavicle.", "Old fracture of the left clavicle.", "contradicted"),
    ("A 20 mm nodule.", "A 5 mm nodule.", "contradicted"),
    ("The effusion has increased.", "There is an effusion.", "unsupported"),
    ("The pneumothorax has resolved.", "There is a pneumothorax.", "contradicted"),
    ("The mother had tuberculosis.", "Tuberculosis.", "unsupported"),
    ("No acute abnormality.", "The lungs are clear. Heart size is normal.", "supported"),
    ("No acute abnormality.", "There is a pneumothorax. Heart size is normal.", "contradicted"),
    ("No acute abnormality.", "The trachea is midline.", "unsupported"),
    ("There is a right nipple ring.", "There is a left nipple ring.", "contradicted"),
    ("The tip is 4 cm above the carina.", "The tip is 2 cm above the carina.", "contradicted"),
    ("The trachea is deviated.", "Heart size is normal.", "unjudged"),
]


@pytest.mark.parametrize(("text", "evidence", "wanted"), CASES)
def test_a_claim_is_ruled_on_by_what_the_evidence_says(text: str, evidence: str, wanted: str) -> None:
    assert label(text, evidence) == wanted


def test_a_report_bears_out_its_own_sentences() -> None:
    for seed in range(60):
        text = report(seed)
        for sentence in split(text):
            assert label(sentence.text, text) in ("supported", "unjudged"), (sentence.text, text)


def _planted(texts: list[str]) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """Rulings on changed sentences by kind, and on those that were left as they are."""
    table: dict[str, Counter[str]] = {kind: Counter() for kind in planted.KINDS}
    own: Counter[str] = Counter()
    for text in texts:
        draw, names = random.Random(text), planted.names_of(text, lexicon())
        for sentence in split(text):
            own[label(sentence.text, text)] += 1
            for kind in planted.KINDS:
                if kind == "denial removed" and not planted.is_denial(sentence.findings):
                    continue
                if changed := planted.changed(kind, sentence.text, named=names, draw=draw):
                    table[kind][label(changed, text)] += 1
    return table, own


GOALS = {"finding": 0.99, "denial removed": 0.97, "denial added": 0.9, "side": 0.9, "degree": 0.85,
         "number": 0.95, "prior": 0.95}  # fmt: skip


def _reached(table: dict[str, Counter[str]], own: Counter[str]) -> None:
    for kind, goal in GOALS.items():
        n = sum(table[kind].values())
        assert table[kind]["contradicted"] + table[kind]["unsupported"] >= goal * n, (kind, table[kind])
    assert own["contradicted"] + own["unsupported"] <= 0.01 * sum(own.values()), own


def test_planted_errors_of_made_up_reports_are_caught_and_nothing_else() -> None:
    _reached(*_planted([report(seed) for seed in range(80)]))


def test_planted_errors_of_real_reports_are_caught_and_nothing_else() -> None:
    _reached(*_planted(list(packed(80, ("findings",)))))


def test_what_nobody_could_judge_is_never_called_unsupported() -> None:
    class Silent:
        name = "silent"

        def ask(self, questions: list[Question]) -> list[tuple[Verdict, ...]]:
            return [tuple(Verdict("", "no reply") for _ in one.items) for one in questions]

    claims = (Claim("c1", "Aspirin is a statin."),)
    evidence = (Evidence("e1", "Statins lower cholesterol.", "note"),)
    assert [one.label for one in judged(claims, evidence, judge=Silent())] == ["unjudged"]  # type: ignore[arg-type]
    assert [one.label for one in judged(claims, evidence)] == ["unjudged"], "no judge is in use"


def test_a_verifier_that_forgets_a_claim_is_an_error() -> None:
    def forgets(claims: object, evidence: object) -> list[Ruling]:
        return []

    with pytest.raises(ModelError, match="0 rulings on 1 claims"):
        ruled([Claim("c1", "x")], [], [forgets])
