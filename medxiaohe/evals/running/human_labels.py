"""What people said about texts, for judges to be held against: claims, phrases and criteria of the data pack.

kqa          138 claims against answers of four systems (K-QA), each labelled by three physicians; the
             majority decides
radfact      67 phrases of chest X-ray reports against other reports, the few-shot examples of RadFact's
             authors
healthbench  1,251 criteria on 109 replies. The verdicts are GPT-4's, so agreement with them is agreement with
             another judge
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.scoring.judges.agreement import Agreement, agreement
from medxiaohe.scoring.judges.questions import Judge, Question, Verdict
from medxiaohe.tasks._common import place

NLI = {"Entailment": "supported", "Neutral": "neither", "Contradiction": "contradicted"}
HEAD = (
    "| judge | decided | right of all | accuracy | balanced | macro-F1 | kappa"
    " |\n|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Item:
    """One label that people gave, and the question a judge gets for it. Items of one `cluster` are about one
    text."""

    question: Question
    gold: str
    cluster: str


def kqa(pack: str = "") -> list[Item]:
    return [
        Item(Question("claim", row["answer"], (row["claim"],)), NLI[row["majority_label"]], row["Question"])
        for row in _kqa_rows(pack)
    ]


def physicians(pack: str = "") -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """(who, gold, said, clusters): each physician of K-QA beside the other two where these agree: what a
    judge can hope for."""
    rows = _kqa_rows(pack)
    for one in range(3):
        first, second = (f"label_{i}" for i in range(3) if i != one)
        agreed = [row for row in rows if row[first] == row[second]]
        gold, said = ([NLI[row[key]] for row in agreed] for key in (first, f"label_{one}"))
        yield f"physician {one + 1} against two who agree", gold, said, [row["Question"] for row in agreed]


def _kqa_rows(pack: str) -> list[dict[str, str]]:
    with open(_file(pack, "rubric/kqa/nli_medical_annotator.csv"), encoding="utf-8") as file:
        return list(csv.DictReader(file))


def radfact(pack: str = "") -> list[Item]:
    found = []
    for example in io.read_json(_file(pack, "report_eval/radfact_nli_examples.json")):
        for mine, other in (("A", "B"), ("B", "A")):
            text = " ".join(example["input"][f"phrases_{other}"])
            for row in example["output"][f"phrases_{mine}_evidenced"]:
                label = NLI[row["status"].capitalize()]
                found.append(Item(Question("claim", text, (row["phrase"],)), label, example["example_id"]))
    return found


def healthbench(pack: str = "") -> list[Item]:
    found = []
    for row in io.read_json(_file(pack, "rubric/healthbench_srh/graded_responses_gpt4.json")):
        *before, reply = row["conversations"]
        context = "\n\n".join(f"{m['role']}: {m['content']}" for m in before)
        for one in row["rubrics"]:
            question = Question("rubric", reply["content"], (one["criteria"],), context)
            found.append(Item(question, "met" if one["criteria_met"] else "not met", row["prompt_id"]))
    return found


SETS: dict[str, tuple[str, Callable[[str], list[Item]]]] = {
    "kqa": ("K-QA, labels of three physicians", kqa),
    "radfact": ("RadFact examples, labels of its authors", radfact),
    "healthbench": ("HealthBench, verdicts of GPT-4", healthbench),
}


def _file(pack: str, below: str) -> Path:
    """Of a folder, or of the data pack where none is named; DataError when it is not there."""
    return place(f"{pack}/{below}" if pack else "", below)


def items(name: str, pack: str = "") -> list[Item]:
    """Of a set of SETS, in hash order, so that the first so many are a sample."""
    if name not in SETS:
        raise DataError(f"no labelled set {name!r}; there are {', '.join(SETS)}")
    return sorted(
        SETS[name][1](pack), key=lambda item: io.unit_interval("order", item.cluster, item.question.items[0])
    )


def even(item: Item) -> bool:
    """Whether an item is of the half of questions that thresholds of the rules were chosen on."""
    return io.unit_interval("judge-agreement", item.cluster) < 0.5


def with_physicians(judge: Judge, limit: int | None = None, pack: str = "") -> Agreement:
    """How far a judge agrees with physicians, on the half of K-QA that no threshold was chosen on."""
    some = [item for item in items("kqa", pack)[:limit] if not even(item)]
    said = judged(judge, some)
    clusters = [item.cluster for item in some]
    return agreement([i.gold for i in some], [v.label for v in said], clusters, [v.decided for v in said])


def judged(judge: Judge, some: Sequence[Item]) -> list[Verdict]:
    """One verdict for each item; items of one text are asked together, as in a run."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, item in enumerate(some):
        groups.setdefault((item.question.kind, item.question.context, item.question.text), []).append(i)
    asked = [
        replace(some[which[0]].question, items=tuple(some[i].question.items[0] for i in which))
        for which in groups.values()
    ]
    found: dict[int, Verdict] = {}
    for which, verdicts in zip(groups.values(), judge.ask(asked), strict=True):
        found.update(zip(which, verdicts, strict=True))
    return [found[i] for i in range(len(some))]


def row(
    name: str,
    gold: Sequence[str],
    said: Sequence[str],
    clusters: Sequence[str],
    decided: Sequence[bool] | None = None,
) -> str:
    """A line below HEAD; what is not decided is absent from all columns but "right of all"."""
    return _line(name, agreement(gold, said, clusters, [True] * len(gold) if decided is None else decided))


def _line(name: str, a: Agreement) -> str:
    cells = [
        f"{value:.3f} [{low:.3f}, {high:.3f}]"
        for value, low, high in (a.accuracy, a.balanced, a.macro_f1, a.kappa)
    ]
    return f"| {name} | {a.decided} of {a.n} | {a.of_all:.3f} | {' | '.join(cells)} |"


def rows(judges: Sequence[tuple[str, Judge, int | None]], some: Sequence[Item]) -> Iterator[str]:
    """One constant for each label, then each judge on the first so many items."""
    gold, clusters = [item.gold for item in some], [item.cluster for item in some]
    for label in sorted(set(gold)):
        yield row(f"always {label!r}", gold, [label] * len(gold), clusters)
    for name, judge, limit in judges:
        if few := some[:limit]:
            said = judged(judge, few)
            yield row(
                name,
                gold[: len(few)],
                [v.label for v in said],
                clusters[: len(few)],
                [v.decided for v in said],
            )
