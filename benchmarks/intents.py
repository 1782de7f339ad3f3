"""Intents of questions by prototypes, templated and natural phrasing apart (MedAide, arXiv 2410.12532).

    MEDXIAOHE_DATA=pack python benchmarks/intents.py --encoder minilm --save prototypes.json
    medxiaohe eval run --workflow aide --tools intents --set stores.prototypes=prototypes.json ...

Prototypes are the means of MedQuAD questions (train split) of each kind, and of 40 questions about medicines
written here, for MedQuAD has no such kind. Threshold and floor are fitted on development rows: MedQuAD's
validation split, as single questions and as two joined, medicine questions of other drugs, and 20 everyday
questions. Test:

    templated   MedQuAD's test split: single questions, and two of different kinds joined
    natural     209 questions as people write them (91 of K-QA, 118 of HealthBench's sexual and reproductive
                health part), with the hand labels of intents_labels.tsv
    elsewhere   100 everyday questions without medicine: none should activate an intent

and a second fit whose prototypes and threshold also see a quarter of the natural questions, tested on the
others. Beside them: keyword rules, and the intent of the nearest labelled question.

How the labels were made: the 209 questions are every question of K-QA in the pack, and every conversation of
the other source with one message of the user, in ASCII, of fewer than 220 characters. A language model
labelled each once, from the text alone, by the guide below; there was no second annotator and no clinician,
so agreement is not known. Guide: all that is asked for; `medicament` where a drug, its dose, safety, action
or name is asked for; `exams and tests` for tests, screening, visits, and "is it X?"; `considerations` for
diet, exercise and conduct; `susceptibility` for who gets it and contagion; `complications` for what it leads
to; `support groups` for where help is found; `none` where nothing medical is asked.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import random
from collections.abc import Collection, Sequence
from pathlib import Path

from medxiaohe.evals.statistics import stats
from medxiaohe.models.embed import embedder
from medxiaohe.retrieval.prototypes import Prototypes, f1, fitted, save
from medxiaohe.tasks import make

LABELS = Path(__file__).with_name("intents_labels.tsv")
MEDICAMENT = "medicament"
AGENTS = {
    "information": "pre_diagnosis", "symptoms": "pre_diagnosis", "causes": "pre_diagnosis",
    "susceptibility": "pre_diagnosis", "frequency": "pre_diagnosis", "prevention": "pre_diagnosis",
    "exams and tests": "diagnosis", "stages": "diagnosis", "complications": "diagnosis",
    "genetic changes": "diagnosis", "inheritance": "diagnosis", MEDICAMENT: "medicament",
    "treatment": "post_diagnosis", "outlook": "post_diagnosis", "considerations": "post_diagnosis",
    "research": "post_diagnosis", "support groups": "post_diagnosis",
}  # fmt: skip
ASKED = (
    "Can I take {} with {}?", "What is the dose of {}?", "What are the side effects of {}?",
    "Is {} safe while breastfeeding?", "How does {} work?", "Is {} the same as {}?",
    "How long does {} take to work?", "Is {} an antibiotic?", "Should I take {} with food?",
    "Is there a cream or a pill that I can take instead of {}?",
)  # fmt: skip
DRUGS = {  # no drug is in two splits
    "train": ("ibuprofen", "sertraline", "amoxicillin", "metformin"),
    "validation": ("cetirizine", "warfarin"),
    "test": ("omeprazole", "losartan"),
}
RULES = {  # words that name an intent
    "symptoms": ("symptom", "sign of", "feel like"),
    "causes": ("cause", "why "),
    "treatment": ("treat", "cure", "get rid"),
    "exams and tests": ("test", "diagnos", "screen", "scan"),
    "prevention": ("prevent", "avoid"),
    "outlook": ("outlook", "how long", "prognosis"),
    "frequency": ("how many people", "how common"),
    "susceptibility": ("at risk", "contagious", "who gets"),
    "inheritance": ("inherit",),
    "genetic changes": ("genetic", "gene "),
    "considerations": ("diet", "eat", "exercise"),
    "stages": ("stage",),
    "complications": ("complication", "lead to"),
    "research": ("research", "trial", "proven"),
    "support groups": ("support", "hotline", "resources"),
    MEDICAMENT: ("dose", "pill", "drug", "medic", "side effect", "antibiotic"),
    "information": ("what is", "information"),
}
EACH = 60  # questions of a kind that make its prototype
Labelled = tuple[str, set[str]]


def medicine(split: str) -> list[str]:
    drugs = DRUGS[split]
    return [text.format(drug, drugs[(i + 1) % len(drugs)]) for i, drug in enumerate(drugs) for text in ASKED]


def templated(split: str, each: int, seed: int = 0) -> list[tuple[str, str]]:
    """(question, kind), at most `each` of a kind."""
    rows = [(row.messages[0].text, str(row.meta["kind"])) for row in make("medquad").samples(split)]
    random.Random(seed).shuffle(rows)
    kept: dict[str, list[str]] = {}
    for text, kind in rows:
        if len(own := kept.setdefault(kind, [])) < each:
            own.append(text)
    return [(t, k) for k, own in kept.items() for t in own] + [(t, MEDICAMENT) for t in medicine(split)]


def joined(rows: Sequence[tuple[str, str]], count: int, seed: int) -> list[Labelled]:
    """Two questions of different kinds as one query."""
    chance, found = random.Random(seed), []
    while len(found) < count:
        (a, one), (b, two) = chance.sample(list(rows), 2)
        if one != two:
            found.append((f"{a} {b}", {one, two}))
    return found


def natural() -> list[Labelled]:
    """Questions with hand labels, in the order of the file."""
    texts = {
        row.id: row.messages[0].text
        for name in ("kqa", "healthbench_srh")
        for row in make(name).samples("test")
    }
    with open(LABELS, encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [(texts[row["id"]], set(row["intents"].split(", ")) - {"none"}) for row in rows]


def everyday() -> tuple[list[str], list[str]]:
    """(development, test) questions without medicine."""
    rows = [row.messages[0].text for row in make("everyday").samples("test")]
    rows.sort(key=lambda text: hashlib.sha256(text.encode()).hexdigest())
    return rows[:20], rows[20:120]


def by_rules(texts: Sequence[str]) -> list[set[str]]:
    return [{n for n, words in RULES.items() if any(w in text.casefold() for w in words)} for text in texts]


def by_nearest(texts: Sequence[str], rows: Sequence[tuple[str, str]], encoder: str) -> list[set[str]]:
    made = embedder(encoder)
    near = made.encode(list(texts)) @ made.encode([text for text, _ in rows]).T
    return [{rows[i][1]} for i in near.argmax(1)]


def show(name: str, said: Sequence[Collection[str]], gold: Sequence[Collection[str]]) -> None:
    """Micro and macro F1 with intervals of a bootstrap over questions."""
    names, chance = sorted(AGENTS), random.Random(0)
    draws = []
    for _ in range(500):
        pick = [chance.randrange(len(gold)) for _ in gold]
        draws.append(f1([said[i] for i in pick], [gold[i] for i in pick], names))
    cells = []
    for key in ("micro", "macro"):
        values = sorted(one[key] for one in draws)
        value = f1(said, gold, names)[key]
        cells.append(f"{key} {value:.3f} [{values[12]:.3f}, {values[487]:.3f}]")
    print(f"{name:<44} n={len(gold):<4} {'  '.join(cells)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--encoder", default="minilm", help="minilm, ngrams, or a folder with an encoder")
    parser.add_argument("--save", type=Path, help="write the prototypes of the first fit here")
    args = parser.parse_args()
    rows, dev_rows, test_rows = templated("train", EACH), templated("validation", 12), templated("test", 20)
    dev = [(t, {k}) for t, k in dev_rows] + joined(dev_rows, 100, 1)
    single, pairs = [(t, {k}) for t, k in test_rows], joined(test_rows, 200, 2)
    own, (quiet, elsewhere) = natural(), everyday()
    held = [int(hashlib.sha256(text.encode()).hexdigest(), 16) % 4 == 0 for text, _ in own]
    seen = [one for one, use in zip(own, held, strict=True) if use]
    rest = [one for one, use in zip(own, held, strict=True) if not use]
    first = fitted(rows, dev, quiet, args.encoder, AGENTS)
    more = [(text, intent) for text, intents in seen for intent in sorted(intents)]
    second = fitted([*rows, *more * 3], [*seen], quiet, args.encoder, AGENTS)
    print(
        f"{len(rows)} questions for {len(first.vectors)} prototypes, encoder {args.encoder}; threshold"
        f" {first.threshold}, floor {first.floor}; with natural questions {second.threshold}, {second.floor}"
    )
    sets = {
        "templated, single": single,
        "templated, two joined": pairs,
        "natural, all": own,
        "natural, not seen": rest,
    }
    for label, data in sets.items():
        texts, gold = [t for t, _ in data], [g for _, g in data]
        show(f"{label}: prototypes", first.of(texts), gold)
        if label == "natural, not seen":
            show(f"{label}: with {len(seen)} natural questions", second.of(texts), gold)
        show(f"{label}: nearest question", by_nearest(texts, rows, args.encoder), gold)
        show(f"{label}: keyword rules", by_rules(texts), gold)
    for name, fit in (("prototypes", first), ("with natural questions", second)):
        silent(name, fit, elsewhere)
    if args.save:
        save(first, args.save)


def silent(name: str, fit: Prototypes, texts: Sequence[str]) -> None:
    quiet = [float(not one) for one in fit.of(texts)]
    low, high = stats.proportion(int(sum(quiet)), len(quiet))
    print(f"activate none, {name}: {sum(quiet):.0f} of {len(quiet)} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
