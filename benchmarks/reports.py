"""Do verifiers see errors, and do reports that are revised by them hallucinate less?

    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only verifier

Reports of the Indiana University collection are split by hash as the task iu_impression splits them (60 %
train, 10 % validation, the rest test). Reports of train were read while rules were written, those of test were
not.
"""

import argparse
import csv
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from medxiaohe import io
from medxiaohe.evidence import planted
from medxiaohe.evidence.claims import by_findings
from medxiaohe.evidence.rule import Verifier, named, ruled
from medxiaohe.evidence.sentences import split
from medxiaohe.scoring._findings import lexicon
from medxiaohe.tasks._common import hash_split
from medxiaohe.types import Evidence

REPORTS = 500


def data(*parts: str) -> Path:
    return Path(os.environ["MEDXIAOHE_DATA"]).joinpath(*parts)


def reports(split_: str) -> list[dict[str, str]]:
    """Reports with findings and impression of one split, in hash order of their ids."""
    with open(data("cxr", "iu_reports", "indiana_reports.csv"), newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["findings"].strip() and row["impression"].strip()]
    rows = [row for row in rows if hash_split("iu_impression", row["uid"], train=0.6, validation=0.1) == split_]
    random.Random(0).shuffle(rows)
    return rows


def label_of(text: str, evidence: list[Evidence], verifiers: list[Verifier]) -> str:
    """The ruling on a sentence: that of its worst claim; "unseen" where nobody could judge."""
    claims = by_findings(text)
    labels = {one.label for one in ruled(claims, evidence, verifiers).decided}
    for label in ("contradicted", "unsupported", "supported"):
        if label in labels:
            return label
    return "unseen"


def planted_errors(rows: list[dict[str, str]], verifiers: list[Verifier], show: int = 0) -> dict[str, Counter[str]]:
    """By kind of change, how often a changed sentence got each label against the findings of its own report."""
    words = lexicon()
    table: dict[str, Counter[str]] = defaultdict(Counter)
    shown: Counter[str] = Counter()
    for row in rows:
        evidence = [Evidence("findings", row["findings"], row["uid"])]
        names = planted.names_of(row["findings"], words)
        rng = random.Random(row["uid"])
        used = set()
        for sentence in split(row["findings"], words):
            table["none"][label_of(sentence.text, evidence, verifiers)] += 1
            for kind in planted.KINDS:
                if kind == "denial removed" and not planted.is_denial(sentence.findings):
                    continue
                if kind == "finding" and kind in used:
                    continue
                text = planted.changed(kind, sentence.text, named=names, draw=rng)
                if not text:
                    continue
                used.add(kind)
                label = label_of(text, evidence, verifiers)
                table[kind][label] += 1
                if label not in ("contradicted", "unsupported") and shown[kind] < show:
                    shown[kind] += 1
                    print(kind, "|", label, "|", text, "|", row["findings"][:400])
    return table


def radfact(verifiers: list[Verifier]) -> tuple[Counter[tuple[str, str]], int]:
    """(gold, label) counts over the phrases of RadFact's worked examples."""
    gold = {"entailment": "supported", "contradiction": "contradicted", "neutral": "unsupported"}
    counts: Counter[tuple[str, str]] = Counter()
    for row in io.read_json(data("report_eval", "radfact_nli_examples.json")):
        for side, other in (("A", "B"), ("B", "A")):
            evidence = [Evidence(f"e{n}", text, "") for n, text in enumerate(row["input"][f"phrases_{other}"])]
            for one in row["output"][f"phrases_{side}_evidenced"]:
                label = label_of(one["phrase"], evidence, verifiers)
                counts[gold[one["status"]], "unsupported" if label == "unseen" else label] += 1
    return counts, sum(counts.values())


def verifier_part(split_: str, show: int) -> Iterator[str]:
    verifiers = named()
    counts, n = radfact(verifiers)
    right = sum(v for (a, b), v in counts.items() if a == b)
    called = sum(v for (_, b), v in counts.items() if b == "supported")
    yield f"RadFact phrases: accuracy {right / n:.3f} of {n}, precision of supported {counts['supported', 'supported'] / max(1, called):.3f} of {called}"
    table = planted_errors(reports(split_)[:REPORTS], verifiers, show)
    yield "| change | n | caught | contradicted | supported | unseen |"
    yield "|---|---|---|---|---|---|"
    for kind, row in table.items():
        n = sum(row.values())
        caught = row["contradicted"] + row["unsupported"]
        yield f"| {kind} | {n:,} | {caught / n:.3f} | {row['contradicted'] / n:.3f} | {row['supported'] / n:.3f} | {row['unseen'] / n:.3f} |"


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--only", choices=("verifier",), default="verifier")
    options.add_argument("--split", default="test", choices=("train", "validation", "test"))
    options.add_argument("--show", type=int, default=0, help="print so many missed changes of each kind")
    given = options.parse_args()
    for line in verifier_part(given.split, given.show):
        print(line, flush=True)
