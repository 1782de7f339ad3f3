"""Human labels of texts that judges are compared with: claims, phrases and criteria of the data pack.

kqa          138 claims and answers of four systems (K-QA), each labelled by three physicians; the
             majority decides
radfact      67 phrases of chest X-ray reports and other reports, the few-shot examples of RadFact's
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
    """One human label, and the question for a judge. Items of one `cluster` are about one text."""

    question: Question
    gold: str
    cluster: str


def kqa(pack: str = "") -> list[Item]:
    """Read the claims of K-QA with the majority label of three physicians.

    Args:
        pack: folder of the data pack; "": that of the environment.

    Returns:
        one item for each claim

    Raises:
        DataError: the file does not exist.
    """
    return [
        Item(Question("claim", row["answer"], (row["claim"],)), NLI[row["majority_label"]], row["Question"])
        for row in _kqa_rows(pack)
    ]


def physicians(pack: str = "") -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """Compare each physician of K-QA with the other two, where these agree: a ceiling for judges.

    Args:
        pack: folder of the data pack; "": that of the environment.

    Yields:
        (name of the row, labels of the two, labels of the physician, clusters)

    Raises:
        DataError: the file does not exist.
    """
    rows = _kqa_rows(pack)
    for physician in range(3):
        first, second = (f"label_{i}" for i in range(3) if i != physician)
        agreed = [row for row in rows if row[first] == row[second]]
        gold, labels = ([NLI[row[key]] for row in agreed] for key in (first, f"label_{physician}"))
        yield (
            f"physician {physician + 1} against two who agree",
            gold,
            labels,
            [row["Question"] for row in agreed],
        )


def _kqa_rows(pack: str) -> list[dict[str, str]]:
    with open(_file(pack, "rubric/kqa/nli_medical_annotator.csv"), encoding="utf-8") as file:
        return list(csv.DictReader(file))


def radfact(pack: str = "") -> list[Item]:
    """Read the phrases of RadFact's few-shot examples with the labels of its authors.

    Args:
        pack: folder of the data pack; "": that of the environment.

    Returns:
        one item for each phrase, in both directions

    Raises:
        DataError: the file does not exist.
    """
    items = []
    for example in io.read_json(_file(pack, "report_eval/radfact_nli_examples.json")):
        for mine, reference in (("A", "B"), ("B", "A")):
            text = " ".join(example["input"][f"phrases_{reference}"])
            for row in example["output"][f"phrases_{mine}_evidenced"]:
                label = NLI[row["status"].capitalize()]
                items.append(Item(Question("claim", text, (row["phrase"],)), label, example["example_id"]))
    return items


def healthbench(pack: str = "") -> list[Item]:
    """Read the criteria of HealthBench with the verdicts of GPT-4.

    Args:
        pack: folder of the data pack; "": that of the environment.

    Returns:
        one item for each criterion of each reply

    Raises:
        DataError: the file does not exist.
    """
    items = []
    for row in io.read_json(_file(pack, "rubric/healthbench_srh/graded_responses_gpt4.json")):
        *before, reply = row["conversations"]
        context = "\n\n".join(f"{m['role']}: {m['content']}" for m in before)
        for criterion in row["rubrics"]:
            question = Question("rubric", reply["content"], (criterion["criteria"],), context)
            items.append(Item(question, "met" if criterion["criteria_met"] else "not met", row["prompt_id"]))
    return items


SETS: dict[str, tuple[str, Callable[[str], list[Item]]]] = {
    "kqa": ("K-QA, labels of three physicians", kqa),
    "radfact": ("RadFact examples, labels of its authors", radfact),
    "healthbench": ("HealthBench, verdicts of GPT-4", healthbench),
}


def _file(pack: str, below: str) -> Path:
    """File of a folder, or of the data pack if no folder is given."""
    return place(f"{pack}/{below}" if pack else "", below)


def items(name: str, pack: str = "") -> list[Item]:
    """Read a labelled set.

    Args:
        name: of SETS.
        pack: folder of the data pack; "": that of the environment.

    Returns:
        in an order by hash, so that the first ones are a random sample

    Raises:
        DataError: no set has this name, or its file does not exist.
    """
    if name not in SETS:
        raise DataError(f"no labelled set {name!r}; there are {', '.join(SETS)}")
    return sorted(
        SETS[name][1](pack), key=lambda item: io.unit_interval("order", item.cluster, item.question.items[0])
    )


def even(item: Item) -> bool:
    """Whether an item is in the half of the questions that thresholds of the rules were chosen on.

    Args:
        item: of a set.

    Returns:
        True for the development half; all items of a cluster are in one half
    """
    return io.unit_interval("judge-agreement", item.cluster) < 0.5


def with_physicians(judge: Judge, limit: int | None = None, pack: str = "") -> Agreement:
    """Agreement of a judge with physicians, on the half of K-QA that no threshold was chosen on.

    Args:
        judge: which is measured.
        limit: number of items of the whole set at most, before the other half is dropped.
        pack: folder of the data pack; "": that of the environment.

    Returns:
        accuracy, balanced accuracy, macro-F1 and kappa, with intervals

    Raises:
        DataError: the file does not exist.
    """
    chosen = [item for item in items("kqa", pack)[:limit] if not even(item)]
    verdicts = judged(judge, chosen)
    clusters = [item.cluster for item in chosen]
    return agreement(
        [i.gold for i in chosen], [v.label for v in verdicts], clusters, [v.decided for v in verdicts]
    )


def judged(judge: Judge, chosen: Sequence[Item]) -> list[Verdict]:
    """Ask a judge about items; items of one text are one question, as in a run.

    Args:
        judge: which is measured.
        chosen: items.

    Returns:
        one verdict for each item, in order
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, item in enumerate(chosen):
        groups.setdefault((item.question.kind, item.question.context, item.question.text), []).append(i)
    questions = [
        replace(chosen[which[0]].question, items=tuple(chosen[i].question.items[0] for i in which))
        for which in groups.values()
    ]
    verdict_of: dict[int, Verdict] = {}
    for which, verdicts in zip(groups.values(), judge.ask(questions), strict=True):
        verdict_of.update(zip(which, verdicts, strict=True))
    return [verdict_of[i] for i in range(len(chosen))]


def row(
    name: str,
    gold: Sequence[str],
    labels: Sequence[str],
    clusters: Sequence[str],
    decided: Sequence[bool] | None = None,
) -> str:
    """Markdown row below HEAD for one judge.

    Args:
        name: first cell.
        gold: human labels.
        labels: of the judge, in the same order.
        clusters: text of each item.
        decided: whether each item was decided; None: all. Others count only in "right of all".

    Returns:
        one line
    """
    return _line(name, agreement(gold, labels, clusters, [True] * len(gold) if decided is None else decided))


def _line(name: str, a: Agreement) -> str:
    cells = [
        f"{value:.3f} [{low:.3f}, {high:.3f}]"
        for value, low, high in (a.accuracy, a.balanced, a.macro_f1, a.kappa)
    ]
    return f"| {name} | {a.decided} of {a.n} | {a.of_all:.3f} | {' | '.join(cells)} |"


def rows(judges: Sequence[tuple[str, Judge, int | None]], chosen: Sequence[Item]) -> Iterator[str]:
    """Markdown rows of constant answers and judges.

    Args:
        judges: (name, judge, number of items at most).
        chosen: items.

    Yields:
        one line for each label as a constant answer, then one for each judge
    """
    gold, clusters = [item.gold for item in chosen], [item.cluster for item in chosen]
    for label in sorted(set(gold)):
        yield row(f"always {label!r}", gold, [label] * len(gold), clusters)
    for name, judge, limit in judges:
        if few := chosen[:limit]:
            verdicts = judged(judge, few)
            yield row(
                name,
                gold[: len(few)],
                [v.label for v in verdicts],
                clusters[: len(few)],
                [v.decided for v in verdicts],
            )
