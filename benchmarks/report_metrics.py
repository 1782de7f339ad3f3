"""Do metrics of reports and notes follow what people say of them, and do they see a planted error?

    MEDXIAOHE_DATA=FOLDER python benchmarks/report_metrics.py --tree out/tree/1        # three minutes

1. MTS-Dialog: 400 machine-written sections of notes beside the reference, with the factual precision, recall,
   F1, hallucination and omission rates that people counted (Ben Abacha et al. 2023). Half of the dialogues,
   by hash, were looked at while the metrics were made; the figures to quote are of the other half. Intervals:
   1,000 resamples of dialogues.
2. Indiana chest X-ray reports: a report against itself with one planted error, and against another patient's
   report. An error is seen when the score falls below that of a harmless change: the sentences in another
   order, or other words for denials, too.
"""

import argparse
import csv
import functools
import math
import os
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from medxiaohe import assets, io, plugins
from medxiaohe.progress import track
from medxiaohe.scoring import _overlap, facts, findings
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring._sentences import phrases, sentences
from medxiaohe.scoring.judges.questions import Question
from medxiaohe.scoring.judges.rules import RuleJudge

RESAMPLES = 1000
LOOKED_AT = 400  # reports, in hash order: what was missed in them was used to extend the lexicon
Metric = Callable[[str, str], float]  # candidate, reference; NaN where it has nothing to say
OURS = {  # the metric of ours beside what people scored; the sign says which way a good metric goes
    "FactualF1": ("facts", 1), "FactualRecall": ("facts.recall", 1), "OmissionRate": ("facts.recall", -1),
    "FactualPrecision": ("findings.grounded", 1), "HallucinationRate": ("findings.grounded", -1),
}  # fmt: skip
BASELINES = ("rouge_1", "rouge_l", "bleu", "MiniLM, greedy over tokens")
HUMAN = ("FactualF1", "FactualPrecision", "FactualRecall", "HallucinationRate", "OmissionRate")


# ---- metrics -------------------------------------------------------------------------------------------


def metrics(tree: Path | None) -> dict[str, Metric]:
    found: dict[str, Metric] = {
        "rouge_1": lambda a, b: _overlap.rouge_n(a, b, 1),
        "rouge_2": lambda a, b: _overlap.rouge_n(a, b, 2),
        "rouge_l": _overlap.rouge_l,
        "bleu": _overlap.bleu,
        "MiniLM, greedy over tokens": minilm_greedy(),
        "claims.f1 by the rules": by_rules(tree),
        "findings": lambda a, b: compared(a, b, tree).f1 if told(a, b, tree) else math.nan,
        "findings.precision": lambda a, b: compared(a, b, tree).precision if told(a, "", tree) else math.nan,
        "findings.recall": lambda a, b: compared(a, b, tree).recall if told("", b, tree) else math.nan,
        "findings.grounded": lambda a, b: 1 - compared(a, b, tree).hallucination_rate,
        "findings.covered": lambda a, b: 1 - compared(a, b, tree).omission_rate,
        "facts": lambda a, b: facts.measure(a, b, tree)[0],
        "facts.recall": lambda a, b: facts.measure(a, b, tree)[1],
        "facts.precision": lambda a, b: facts.measure(a, b, tree)[2],
    }
    return found


@functools.lru_cache(maxsize=4096)
def compared(a: str, b: str, tree: Path | None) -> findings.Comparison:
    return findings.compare(a, b, lexicon(tree))


def told(a: str, b: str, tree: Path | None) -> bool:
    """Whether one of the two names a finding."""
    return any(lexicon(tree).findings(text) for text in (a, b) if text)


def by_rules(tree: Path | None) -> Metric:
    """F1 of sentences entailed, both ways, in the manner of RadFact, with rules for a judge."""
    judge = RuleJudge.of(tree)

    def measure(a: str, b: str) -> float:
        shares = []
        for text, other in ((b, a), (a, b)):
            verdicts = judge.ask([Question("claim", text, tuple(phrases(other)))])[0]
            shares.append(sum(v.label == "supported" for v in verdicts) / len(verdicts) if verdicts else 0.0)
        return 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0

    return measure


def minilm_greedy() -> Metric:
    """F1 of the best cosine of each token's last hidden state, as BERTScore (Zhang et al. 2020), without its
    weights or baseline."""
    plugins.need("transformers", why="this benchmark")
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = assets.folder("minilm")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    @functools.lru_cache(maxsize=4096)
    def vectors(text: str) -> torch.Tensor:
        with torch.inference_mode():
            batch = tokenizer(text, truncation=True, max_length=512, return_tensors="pt")
            return torch.nn.functional.normalize(model(**batch).last_hidden_state[0, 1:-1], dim=-1)

    def measure(a: str, b: str) -> float:
        mine, theirs = vectors(a), vectors(b)
        if not len(mine) or not len(theirs):
            return 0.0
        cosines = mine @ theirs.T
        precision, recall = float(cosines.max(1).values.mean()), float(cosines.max(0).values.mean())
        return 2 * precision * recall / (precision + recall)

    return measure


# ---- 1. people -----------------------------------------------------------------------------------------


def people(pack: Path, measures: dict[str, Metric]) -> None:
    folder = pack / "dialogue/mts_correlation"
    notes = _rows(folder / "MTS-Dialog-Automatic-Summaries-ValidationSet.csv")
    scores = _rows(folder / "MTS-Dialog-Manual-Scores4CorrelationStudy.csv")
    for part, wanted in (("held-out half", False), ("half that was looked at", True)):
        chosen = [i for i, note in enumerate(notes) if looked_at(note["Dialogue"]) == wanted]
        clusters = [notes[i]["Dialogue"] for i in chosen]
        print(f"\n## MTS-Dialog, {part}: {len(chosen)} notes of {len(set(clusters))} dialogues\n")
        values = {
            name: [
                m(notes[i]["Automatic Summary"], notes[i]["Reference Summary"]) for i in track(chosen, name)
            ]
            for name, m in measures.items()
        }
        for human in HUMAN:
            gold = [float(scores[i][human]) for i in chosen]
            print(f"### {human}\n\n| metric | n | Spearman | Kendall | Pearson |\n|---|---|---|---|---|")
            for name, row in values.items():
                keep = [k for k, value in enumerate(row) if not math.isnan(value)]
                cells = correlations(
                    [row[k] for k in keep], [gold[k] for k in keep], [clusters[k] for k in keep]
                )
                print(f"| {name} | {len(keep)} | {' | '.join(cells)} |")
            name, sign = OURS[human]
            for other in BASELINES:
                low, value, high = gain(values[name], values[other], gold, clusters, sign)
                print(
                    f"\n{name} against {other}: Spearman {value:+.3f} [{low:+.3f}, {high:+.3f}] nearer to"
                    " people"
                )
            print(flush=True)


def looked_at(dialogue: str) -> bool:
    return io.unit_interval("mts-correlation", dialogue.replace("\r\n", "\n")) < 0.5


def gain(
    mine: Sequence[float], other: Sequence[float], gold: Sequence[float], clusters: Sequence[str], sign: int
) -> tuple[float, float, float]:
    """How much higher the rank correlation of one metric is than that of another, on the same resamples of
    dialogues."""

    def one(rows: Sequence[int]) -> float:
        y = [gold[i] for i in rows]
        return sign * (spearman([mine[i] for i in rows], y) - spearman([other[i] for i in rows], y))

    found = sorted(value for draw in draws(clusters) if not math.isnan(value := one(draw)))
    return found[int(0.025 * len(found))], one(range(len(gold))), found[-1 - int(0.025 * len(found))]


def draws(clusters: Sequence[str]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for i, cluster in enumerate(clusters):
        groups.setdefault(cluster, []).append(i)
    rng, names = random.Random(0), list(groups)
    return [[i for name in rng.choices(names, k=len(names)) for i in groups[name]] for _ in range(RESAMPLES)]


def correlations(x: Sequence[float], y: Sequence[float], clusters: Sequence[str]) -> list[str]:
    cells, resampled = [], draws(clusters)
    for measure in (spearman, kendall, pearson):
        found = sorted(
            v
            for draw in resampled
            if not math.isnan(v := measure([x[i] for i in draw], [y[i] for i in draw]))
        )
        low, high = found[int(0.025 * len(found))], found[-1 - int(0.025 * len(found))]
        cells.append(f"{measure(x, y):+.3f} [{low:+.3f}, {high:+.3f}]")
    return cells


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(x, y)[0, 1])


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    return pearson(ranks(x), ranks(y))


def ranks(values: Sequence[float]) -> list[float]:
    """From 1, ties in the middle."""
    import numpy as np

    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # type: ignore[no-any-return]


def kendall(x: Sequence[float], y: Sequence[float]) -> float:
    """tau-b."""
    import numpy as np

    a, b = (
        np.sign(np.subtract.outer(np.asarray(v), np.asarray(v))).astype(np.int8).astype(np.float32)
        for v in (x, y)
    )
    norm = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / norm if norm else math.nan


# ---- 2. planted errors -----------------------------------------------------------------------------------


def planted(pack: Path, measures: dict[str, Metric], count: int) -> None:
    reports = [
        row["findings"].strip()
        for row in _rows(pack / "cxr/iu_reports/indiana_reports.csv")
        if len(row["findings"].split()) >= 20
    ]
    reports = sorted(dict.fromkeys(reports), key=lambda text: io.unit_interval("planted", text))[LOOKED_AT:][
        :count
    ]
    kinds: dict[str, Callable[[str], str]] = {
        "a denial dropped or added": flip_denial,
        "left and right swapped": flip_side,
        "a sentence with a finding dropped": drop_sentence,
        "a sentence of another report added": lambda text: f"{text} {extra(text, reports)}",
        "another patient's report": lambda text: reports[(reports.index(text) + 1) % len(reports)],
    }
    print(
        "\n## Indiana reports: share of planted errors that lower the score below that of a harmless change"
        f" ({len(reports)} reports)"
    )
    print("\nFirst against the sentences in another order, then against other words for denials, too.\n")
    print(f"| metric | {' | '.join(kinds)} | harmless: mean scores |\n|---|{'---|' * (len(kinds) + 1)}")
    for name, measure in measures.items():
        controls = {text: (measure(reordered(text), text), measure(reworded(text), text)) for text in reports}
        cells = []
        for change in kinds.values():
            pairs = [
                (measure(changed, text), controls[text])
                for text in reports
                if (changed := change(text)) and changed != text
            ]
            known = [(value, control) for value, control in pairs if not math.isnan(value + sum(control))]
            seen = [sum(value < control[i] for value, control in known) / len(known) for i in (0, 1)]
            cells.append(f"{seen[0]:.3f} / {seen[1]:.3f} (n {len(known)})")
        means = [
            sum(v) / len(v)
            for i in (0, 1)
            if (v := [row[i] for row in controls.values() if not math.isnan(row[i])])
        ]
        print(f"| {name} | {' | '.join(cells)} | {means[0]:.3f} / {means[1]:.3f} |", flush=True)


def flip_denial(text: str) -> str:
    """The first denial of the report dropped, or, where there is none, its first finding denied."""
    for pattern, new in (
        (r"\b[Tt]here (?:is|are) no (?:evidence of )?", "There is "),
        (r"\b[Nn]o (?:evidence of )?(?=[a-z])", "There is "),
        (r"\bwithout\b", "with"),
    ):
        if re.search(pattern, text):
            return re.sub(pattern, new, text, count=1)
    return re.sub(r"\b[Tt]here (?:is|are) (?:an? )?", "There is no ", text, count=1)


def flip_side(text: str) -> str:
    """Every left a right and the other way round; "" where the report has no side, or both."""
    words = {word.lower() for word in re.findall(r"\b(?:left|right)\b", text, re.IGNORECASE)}
    swap = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    return re.sub(r"\b(?:[Ll]eft|[Rr]ight)\b", lambda m: swap[m[0]], text) if len(words) == 1 else ""


def drop_sentence(text: str) -> str:
    rows = sentences(text)
    return (
        " ".join(row for row in rows if row != next((r for r in rows if lexicon().findings(r)), None))
        if len(rows) > 1
        else ""
    )


def extra(text: str, reports: Sequence[str]) -> str:
    """The first sentence of the reports after this one that says a finding is there which this one does not
    name."""
    here = {one.name for one in lexicon().findings(text)}
    start = reports.index(text)
    for other in (*reports[start + 1 :], *reports[:start]):
        for row in sentences(other):
            found = lexicon().findings(row)
            if found and all(one.status == "present" and one.name not in here for one in found):
                return row
    return ""


def reordered(text: str) -> str:
    return " ".join(row[:1].upper() + row[1:] for row in reversed(sentences(text)))


def reworded(text: str) -> str:
    """The sentences in reverse, and other words for normal and for denials."""
    for old, new in (
        (r"(?<!of )(?<!top )\bnormal in size\b", "of normal size"),
        (r"\bunremarkable\b", "normal"),
        (r"\bidentified\b", "seen"),
        (
            r"\bThere (?:is|are) no (?:evidence (?:of|for) )?([^.,]*)\.",
            lambda m: f"{m[1][:1].upper()}{m[1][1:]} is absent.",
        ),
        (r"\bNo ([^.,]*)\.", r"There is no evidence of \1."),
    ):
        text = re.sub(old, new, text)
    return reordered(text)


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--reports", type=int, default=400)
    parser.add_argument("--only", choices=("people", "planted"))
    args = parser.parse_args()
    pack = Path(os.environ["MEDXIAOHE_DATA"])
    if args.only != "planted":
        people(pack, metrics(args.tree))
    if args.only != "people":
        planted(pack, metrics(None), args.reports)


if __name__ == "__main__":
    main()
