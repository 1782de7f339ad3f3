"""How far judges agree with people, on what the data pack has labels for.

    MEDXIAOHE_DATA=FOLDER python benchmarks/judge_agreement.py                  # constants and rules: a minute
    ... --tree out/tree/1                                                       # the rules with the names of a tree, too
    ... --backend transformers --model starter --batch 1 --limit 40             # a language model, after its self-test
    ... --backend openai_compatible --model NAME --option url=http://127.0.0.1:8000/v1

K-QA: 138 claims against answers of four systems, each labelled by three physicians. RadFact: 67 phrases of chest X-ray reports
against other reports, the few-shot examples of its authors. HealthBench: 1,251 criteria on 109 replies, verdicts of GPT-4, not of
physicians: agreement with them is agreement with another judge.

The thresholds of the rules are chosen by `--choose`, on the half of K-QA's questions whose hash is even; the other half and the
other sets had no part in it.
"""

import argparse
import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medxiaohe import io
from medxiaohe.scoring.judges import rules, selftest, use
from medxiaohe.scoring.judges.agreement import Agreement, agreement
from medxiaohe.scoring.judges.questions import Judge, Question, Verdict

NLI = {"Entailment": "supported", "Neutral": "neither", "Contradiction": "contradicted"}


@dataclass(frozen=True)
class Item:
    """One label that people gave, and the question a judge gets for it."""

    question: Question
    gold: str
    cluster: str


def kqa(pack: Path) -> list[Item]:
    with open(pack / "rubric/kqa/nli_medical_annotator.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [Item(Question("claim", row["answer"], (row["claim"],)), NLI[row["majority_label"]], row["Question"]) for row in rows]


def physicians(pack: Path) -> list[tuple[str, list[str], list[str], list[str]]]:
    """(who, gold, said, clusters): each physician beside the other two where these agree."""
    with open(pack / "rubric/kqa/nli_medical_annotator.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for one in range(3):
        first, second = (f"label_{i}" for i in range(3) if i != one)
        agreed = [row for row in rows if row[first] == row[second]]
        gold, said = ([NLI[row[key]] for row in agreed] for key in (first, f"label_{one}"))
        found.append((f"physician {one + 1} against two who agree", gold, said, [row["Question"] for row in agreed]))
    return found


def radfact(pack: Path) -> list[Item]:
    found = []
    for example in io.read_json(pack / "report_eval/radfact_nli_examples.json"):
        for mine, other in (("A", "B"), ("B", "A")):
            text = " ".join(example["input"][f"phrases_{other}"])
            for row in example["output"][f"phrases_{mine}_evidenced"]:
                label = NLI[row["status"].capitalize()]
                found.append(Item(Question("claim", text, (row["phrase"],)), label, example["example_id"]))
    return found


def healthbench(pack: Path) -> list[Item]:
    found = []
    for row in io.read_json(pack / "rubric/healthbench_srh/graded_responses_gpt4.json"):
        *before, reply = row["conversations"]
        context = "\n\n".join(f"{m['role']}: {m['content']}" for m in before)
        for one in row["rubrics"]:
            question = Question("rubric", reply["content"], (one["criteria"],), context)
            found.append(Item(question, "met" if one["criteria_met"] else "not met", row["prompt_id"]))
    return found


def even(item: Item) -> bool:
    """The half that thresholds may be chosen on."""
    return io.unit_interval("judge-agreement", item.cluster) < 0.5


def judged(judge: Judge, items: Sequence[Item]) -> list[Verdict]:
    """One verdict for each item; items of one text are asked together, as in a run."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, item in enumerate(items):
        groups.setdefault((item.question.kind, item.question.context, item.question.text), []).append(i)
    asked = [replace(items[some[0]].question, items=tuple(items[i].question.items[0] for i in some)) for some in groups.values()]
    found: dict[int, Verdict] = {}
    for some, verdicts in zip(groups.values(), judge.ask(asked), strict=True):
        found.update(zip(some, verdicts, strict=True))
    return [found[i] for i in range(len(items))]


def show(name: str, gold: Sequence[str], said: Sequence[str], clusters: Sequence[str], decided: Sequence[bool]) -> None:
    print(line(name, agreement(gold, said, clusters, decided)), flush=True)


def line(name: str, a: Agreement) -> str:
    cells = [f"{value:.3f} [{low:.3f}, {high:.3f}]" for value, low, high in (a.accuracy, a.balanced, a.macro_f1, a.kappa)]
    return f"| {name} | {a.decided} of {a.n} | {a.of_all:.3f} | {' | '.join(cells)} |"


def head(title: str) -> None:
    print(f"\n## {title}\n\n| judge | decided | right of all | accuracy | balanced | macro-F1 | kappa |\n|---|---|---|---|---|---|---|")


def choose(items: Sequence[Item], words: object) -> None:
    """The thresholds with the highest balanced accuracy on these items, and how flat it is around them."""
    rows = []
    for supports in (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9):
        rules.SUPPORTS, rules.SPEAKS_OF = supports, min(0.5, supports)
        said = [rules.entails(item.question.text, item.question.items[0], words) for item in items]  # type: ignore[arg-type]
        labels = [label for label, _ in said]
        a = agreement([i.gold for i in items], labels, [i.cluster for i in items], [label != "cannot tell" for label in labels])
        two = [("yes" if i.gold == "supported" else "no") == ("yes" if label == "supported" else "no") for i, label in zip(items, labels)]  # noqa: B905
        rows.append((supports, a, sum(two) / len(two)))
    for supports, a, two in rows:
        print(f"supports {supports:.2f}: balanced {a.balanced[0]:.3f}, kappa {a.kappa[0]:.3f}, supported or not {two:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--backend", default="openai_compatible")
    parser.add_argument("--option", action="append", default=[], help="of the backend: KEY=VALUE")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--limit", type=int, help="items of each set for the model, in hash order")
    parser.add_argument("--kinds", nargs="*", default=["rubric", "claim"], help="what the self-test asks; nothing skips it")
    parser.add_argument("--sets", nargs="+", default=["kqa", "radfact", "healthbench"])
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    sets: dict[str, tuple[str, Callable[[Path], list[Item]]]] = {
        "kqa": ("K-QA, labels of three physicians", kqa),
        "radfact": ("RadFact examples, labels of its authors", radfact),
        "healthbench": ("HealthBench, verdicts of GPT-4", healthbench),
    }
    if args.choose:
        choose([item for item in kqa(pack) if even(item)], rules.RuleJudge.of(args.tree).words)
        return
    judges: list[tuple[str, Judge]] = [("rules, lexicon", rules.RuleJudge.of())]
    if args.tree:
        judges.append(("rules, lexicon and tree", rules.RuleJudge.of(args.tree)))
    if args.model:
        options = {
            key: json.loads(value) if value[:1] in "0123456789[{tf" else value for key, _, value in (o.partition("=") for o in args.option)
        }
        settings = use.JudgeSettings(args.model, args.backend, options, batch=args.batch, retries=args.retries)
        model = use.make(settings)
        assert model is not None
        judges.append((args.model, model))
    for name, judge in judges if args.kinds else ():
        report = selftest.run(judge, args.kinds)
        print(f"\n## Self-test: {name} ({judge.name}): {'passed' if report.passed else 'REFUSED'}\n\n{report.table()}", flush=True)
    for key, (title, read) in ((key, sets[key]) for key in args.sets):
        items = sorted(read(pack), key=lambda item: io.unit_interval("order", item.cluster, item.question.items[0]))
        parts = [(title, items)]
        if key == "kqa":
            parts = [(f"{title}: half that thresholds were chosen on", [i for i in items if even(i)])]
            parts += [(f"{title}: held-out half", [i for i in items if not even(i)]), (f"{title}: all", items)]
        for title, part in parts:
            head(title)
            gold, clusters = [i.gold for i in part], [i.cluster for i in part]
            for label in sorted(set(gold)):
                show(f"always {label!r}", gold, [label] * len(part), clusters, [True] * len(part))
            for name, judge in judges:
                few = part[: args.limit] if judge.name not in (judges[0][1].name, judges[1][1].name if args.tree else "") else part
                if not few:
                    continue
                said = judged(judge, few)
                show(name, gold[: len(few)], [v.label for v in said], clusters[: len(few)], [v.decided for v in said])
            if key == "kqa" and len(part) == len(items):
                for who, others, said_by_one, units in physicians(pack):
                    show(who, others, said_by_one, units, [True] * len(others))


if __name__ == "__main__":
    main()
