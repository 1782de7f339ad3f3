"""How far judges agree with people, on what the data pack has labels for.

    MEDXIAOHE_DATA=FOLDER python benchmarks/judge_agreement.py                  # constants and rules: a
    minute
    ... --tree out/tree/1                                                       # the rules with the names of
    a tree, too
    ... --backend transformers --model starter --batch 1 --limit 40             # a language model, after its
    self-test ... --backend openai_compatible --model NAME --option url=http://127.0.0.1:8000/v1

K-QA: 138 claims against answers of four systems, each labelled by three physicians. RadFact: 67 phrases of
chest X-ray reports against other reports, the few-shot examples of its authors. HealthBench: 1,251 criteria
on 109 replies, verdicts of GPT-4, not of physicians: agreement with them is agreement with another judge.

The thresholds of the rules are chosen by `--choose`, on the half of K-QA's questions whose hash is even; the
other half and the other sets had no part in it.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from medxiaohe.evals.running import human_labels
from medxiaohe.evals.running.human_labels import Item, even
from medxiaohe.scoring.judges import rules, selftest, use
from medxiaohe.scoring.judges.agreement import agreement
from medxiaohe.scoring.judges.questions import Judge


def choose(items: Sequence[Item], words: object) -> None:
    """The thresholds with the highest balanced accuracy on these items, and how flat it is around them."""
    rows = []
    for supports in (0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9):
        rules.SUPPORTS, rules.SPEAKS_OF = supports, min(0.5, supports)
        said = [rules.entails(item.question.text, item.question.items[0], words) for item in items]  # type: ignore[arg-type]
        labels = [label for label, _ in said]
        a = agreement(
            [i.gold for i in items],
            labels,
            [i.cluster for i in items],
            [label != "cannot tell" for label in labels],
        )
        two = [
            ("yes" if i.gold == "supported" else "no") == ("yes" if label == "supported" else "no")
            for i, label in zip(items, labels, strict=False)
        ]
        rows.append((supports, a, sum(two) / len(two)))
    for supports, a, two in rows:
        print(
            f"supports {supports:.2f}: balanced {a.balanced[0]:.3f}, kappa {a.kappa[0]:.3f}, supported or not"
            f" {two:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--model", default="")
    parser.add_argument("--backend", default="openai_compatible")
    parser.add_argument("--option", action="append", default=[], help="of the backend: KEY=VALUE")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--retries", type=int, default=1)
    parser.add_argument("--limit", type=int, help="items of each set for the model, in hash order")
    parser.add_argument(
        "--kinds", nargs="*", default=["rubric", "claim"], help="what the self-test asks; nothing skips it"
    )
    parser.add_argument("--sets", nargs="+", default=["kqa", "radfact", "healthbench"])
    parser.add_argument("--choose", action="store_true")
    args = parser.parse_args()
    if args.choose:
        choose([item for item in human_labels.kqa() if even(item)], rules.RuleJudge.of(args.tree).words)
        return
    judges: list[tuple[str, Judge, int | None]] = [("rules, lexicon", rules.RuleJudge.of(), None)]
    if args.tree:
        judges.append(("rules, lexicon and tree", rules.RuleJudge.of(args.tree), None))
    if args.model:
        options = {
            key: json.loads(value) if value[:1] in "0123456789[{tf" else value
            for key, _, value in (o.partition("=") for o in args.option)
        }
        settings = use.JudgeSettings(
            args.model, args.backend, options, batch=args.batch, retries=args.retries
        )
        model = use.make(settings)
        assert model is not None
        judges.append((args.model, model, args.limit))
    for name, judge, _ in judges if args.kinds else ():
        report = selftest.run(judge, args.kinds)
        print(
            f"\n## Self-test: {name} ({judge.name}):"
            f" {'passed' if report.passed else 'REFUSED'}\n\n{report.table()}",
            flush=True,
        )
    for key in args.sets:
        title, items = human_labels.SETS[key][0], human_labels.items(key)
        parts = [(title, items)]
        if key == "kqa":
            parts = [(f"{title}: half that thresholds were chosen on", [i for i in items if even(i)])]
            parts += [
                (f"{title}: held-out half", [i for i in items if not even(i)]),
                (f"{title}: all", items),
            ]
        for title, part in parts:
            print(f"\n## {title}\n\n{human_labels.HEAD}")
            for line in human_labels.rows(judges, part):
                print(line, flush=True)
            if key == "kqa" and len(part) == len(items):
                for told in human_labels.physicians():
                    print(human_labels.row(*told), flush=True)


if __name__ == "__main__":
    main()
