"""Do verifiers see errors, and do reports that are revised by them hallucinate less?

    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only verifier
    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only answers
    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only grounding
    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only text
    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only grounded
    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only reward
    MEDXIAOHE_DATA=FOLDER python benchmarks/reports.py --only motor

Reports of the Indiana University collection are split by hash as the task iu_impression splits them (60 %
train, 10 % validation, the rest test). Reports of train were read while rules were written, those of
test were not.
"""

import argparse
import csv
import functools
import os
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from medxiaohe import io
from medxiaohe.errors import ToolError
from medxiaohe.evals.revision import FLOOR, revisions, table, table_of_changes
from medxiaohe.evals.statistics.report_errors import Change, Reference, changes, errors, labels
from medxiaohe.evals.statistics.stats import estimate, holm, paired, proportion
from medxiaohe.evidence import planted, radfact, revision
from medxiaohe.evidence.claims import by_findings, by_rules
from medxiaohe.evidence.grounding import ground
from medxiaohe.evidence.phrases import NOT_VERIFIED
from medxiaohe.evidence.radfact import covered
from medxiaohe.evidence.revision import ARMS
from medxiaohe.evidence.rule import Verifier, named, ruled
from medxiaohe.evidence.sentences import split
from medxiaohe.evidence.verifiers import measured as measured_by
from medxiaohe.evidence.verifiers.judged import judged
from medxiaohe.progress import track
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.scoring._findings import lexicon
from medxiaohe.scoring._sentences import sentences
from medxiaohe.scoring.boxes import Box, matches
from medxiaohe.scoring.judges.agreement import agreement
from medxiaohe.scoring.judges.rules import RuleJudge
from medxiaohe.tasks import _bccd, _bioasq, bccd_report
from medxiaohe.tasks._common import hash_split
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import Claim, Evidence, ToolCall
from tests.rewards.report_attacks import earned

REPORTS = 500


def data(*parts: str) -> Path:
    return Path(os.environ["MEDXIAOHE_DATA"]).joinpath(*parts)


def reports(split_: str) -> list[dict[str, str]]:
    """Reports with findings and impression of one split, in hash order of their ids."""
    with open(data("cxr", "iu_reports", "indiana_reports.csv"), newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["findings"].strip() and row["impression"].strip()]
    rows = [
        row for row in rows if hash_split("iu_impression", row["uid"], train=0.6, validation=0.1) == split_
    ]
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


def planted_errors(
    rows: list[dict[str, str]], verifiers: list[Verifier], show: int = 0
) -> dict[str, Counter[str]]:
    """By kind of change, how often a changed sentence got each label against the findings of its own
    report."""
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


def radfact_phrases(verifiers: list[Verifier]) -> tuple[Counter[tuple[str, str]], int]:
    """(gold, label) counts over the phrases of RadFact's worked examples."""
    gold = {"entailment": "supported", "contradiction": "contradicted", "neutral": "unsupported"}
    counts: Counter[tuple[str, str]] = Counter()
    for row in io.read_json(data("report_eval", "radfact_nli_examples.json")):
        for side, other in (("A", "B"), ("B", "A")):
            evidence = [
                Evidence(f"e{n}", text, "") for n, text in enumerate(row["input"][f"phrases_{other}"])
            ]
            for one in row["output"][f"phrases_{side}_evidenced"]:
                label = label_of(one["phrase"], evidence, verifiers)
                counts[gold[one["status"]], "unsupported" if label == "unseen" else label] += 1
    return counts, sum(counts.values())


ORDER = ("contradicted", "unsupported", "unjudged", "supported")
TURNS = (  # denials of sentences that are no reports
    (re.compile(r"\b(is|are|was|were|has|have|had|can|may|does|do|did) not "), r"\1 "),
    (re.compile(r"\b(is|are|was|were|has|have|had|can|may) (?!not)"), r"\1 not "),
)


def general() -> dict[str, list[Verifier]]:
    """Verifiers of texts that are no reports: rules alone, and the judge of rules behind them."""
    judge = RuleJudge.of()
    return {
        "rules": named(),
        "rules, then the judge of rules": [*named(), functools.partial(judged, judge=judge)],
    }


def bioasq(verifiers: list[Verifier], split_: str, most: int) -> dict[str, Counter[str]]:
    """Sentences of answers against the snippets of their question, of another, and with a planted error."""
    rows = [row for kind in ("yesno", "factoid", "list") for row in _bioasq.questions("", kind, split_)][
        :most
    ]
    table: dict[str, Counter[str]] = {"own": Counter(), "other": Counter(), "changed": Counter()}
    for number, row in enumerate(rows):
        evidence, other = (
            [Evidence(f"s{n}", one["text"], "") for n, one in enumerate(some["snippets"][:10])]
            for some in (row, rows[(number + 1) % len(rows)])
        )
        answer = row.get("ideal_answer") or [""]
        for text in sentences(answer if isinstance(answer, str) else answer[0]):
            for kind, said, known in (("own", text, evidence), ("other", text, other)):
                if label := worst(said, known, verifiers):
                    table[kind][label] += 1
            for said in turned(text):
                table["changed"][worst(said, evidence, verifiers)] += 1
    return table


def worst(text: str, evidence: list[Evidence], verifiers: list[Verifier]) -> str:
    labels = {one.label for one in ruled(by_rules(text), evidence, verifiers).decided}
    return next((label for label in ORDER if label in labels), "")


def turned(text: str) -> Iterator[str]:
    """A sentence with one error of each kind that fits it."""
    rng = random.Random(text)
    for kind in ("side", "degree", "number"):
        if said := planted.changed(kind, text, named=(), draw=rng):
            yield said
    for pattern, by in TURNS:
        if said := pattern.sub(by, text, count=1):
            if said != text:
                yield said
                return


def kqa(verifiers: list[Verifier]) -> tuple[list[tuple[str, str, str]], list[float]]:
    """(gold, label, question) of claims that physicians labelled, and the physicians' shares of it."""
    gold = {"Entailment": "supported", "Contradiction": "contradicted", "Neutral": "unsupported"}
    with open(data("rubric", "kqa", "nli_medical_annotator.csv"), newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for row in rows:
        (one,) = ruled([Claim("c", row["claim"])], [Evidence("a", row["answer"], "")], verifiers).decided
        label = "unsupported" if one.label == "unjudged" else one.label
        found.append((gold[row["majority_label"]], label, row["Question"]))
    people = [sum(row[f"label_{n}"] == row["majority_label"] for row in rows) / len(rows) for n in range(3)]
    return found, people


def answers_part(split_: str, most: int) -> Iterator[str]:
    """Claims of answers to questions: BioASQ with snippets, K-QA with physicians."""
    yield "| verifiers | BioASQ sentences | n | contradicted | unsupported | unjudged | supported |"
    yield "|---|---|---|---|---|---|---|"
    after = []
    for name, verifiers in general().items():
        counts = bioasq(verifiers, split_, most or 300)
        for kind, row in counts.items():
            n = sum(row.values())
            yield f"| {name} | {kind} | {n:,} | {' | '.join(f'{row[label] / n:.3f}' for label in ORDER)} |"
        called_wrong = sum(row["contradicted"] for row in counts.values())
        share = counts["changed"]["contradicted"] / max(1, called_wrong)
        after.append(f"{name}: precision of contradicted {share:.3f} of {called_wrong}")
        pairs, people = kqa(verifiers)
        golds, said, asked = zip(*pairs, strict=True)
        agreed = agreement(golds, said, asked, [True] * len(pairs))
        kappa, low, high = agreed.kappa
        called = [a for a, b, _ in pairs if b == "supported"]
        after.append(
            f"{name}: K-QA, {len(pairs)} claims: right {agreed.of_all:.3f}, kappa {kappa:.3f}"
            f" [{low:.3f}, {high:.3f}];"
            f" of {len(called)} called supported {called.count('supported')} are;"
            " physicians are right"
            f" {', '.join(f'{one:.3f}' for one in people)}"
        )
    yield ""
    yield from after


def verifier_part(split_: str, show: int) -> Iterator[str]:
    verifiers = named()
    counts, n = radfact_phrases(verifiers)
    right = sum(v for (a, b), v in counts.items() if a == b)
    called = sum(v for (_, b), v in counts.items() if b == "supported")
    precision = counts["supported", "supported"] / max(1, called)
    yield f"RadFact phrases: accuracy {right / n:.3f} of {n}"
    yield f"precision of supported {precision:.3f} of {called}"
    table = planted_errors(reports(split_)[:REPORTS], verifiers, show)
    yield "| change | n | caught | contradicted | supported | unseen |"
    yield "|---|---|---|---|---|---|"
    for kind, row in table.items():
        n = sum(row.values())
        caught = row["contradicted"] + row["unsupported"]
        cells = [caught, row["contradicted"], row["supported"], row["unseen"]]
        yield f"| {kind} | {n:,} | {' | '.join(f'{cell / n:.3f}' for cell in cells)} |"


# ---- text: findings -> impression ---------------------------------------------------------------------


def reference(row: dict[str, str]) -> Reference:
    """A report with the findings that people marked for it in Rad-ReStruct, where they did."""
    return Reference(row["uid"], row["findings"], row["impression"], marked().get(row["uid"]))


@functools.cache
def marked() -> dict[str, frozenset[str]]:
    return labels(data("cxr", "radrestruct", "qa_pairs.jsonl"))


def drafts(rows: Sequence[dict[str, str]], train: Sequence[dict[str, str]]) -> dict[str, list[str]]:
    """Impressions that are not this report's: of the nearest report of train, and that with one drawn."""
    index = BM25([Evidence(row["uid"], row["findings"], "") for row in train])
    by_id = {row["uid"]: row for row in train}
    nearest = [
        by_id[index.search([row["findings"]], 1)[0][0].id]["impression"] for row in track(rows, "nearest")
    ]
    drawn = [random.Random(row["uid"]).choice(train)["impression"] for row in rows]
    return {"nearest": nearest, "nearest + drawn": [f"{a} {b}" for a, b in zip(nearest, drawn, strict=True)]}


def text_part(split_: str, most: int, labelled_only: bool = False) -> Iterator[str]:
    """P1: how far revision by the findings section lowers hallucination in impressions, and what it costs."""
    rows = [row for row in reports(split_) if not labelled_only or row["uid"] in marked()][: most or None]
    known = [reference(row) for row in rows]
    labelled = sum(one.labels is not None for one in known)
    yield f"{len(rows)} reports of {split_}, {labelled} of them with labels"
    yield ""
    arms: list[tuple[str, str, list[dict[str, float]]]] = [
        ("", FLOOR, [errors(one.impression, one) for one in known])
    ]
    verifiers: list[Verifier] = named()
    tested: list[tuple[str, Change]] = []
    for name, texts in drafts(rows, reports("train")).items():
        results = {
            arm: [
                errors(made.text, one)
                for made, one in zip(revisions(arm, texts, known, verifiers), known, strict=True)
            ]
            for arm in ARMS
        }
        arms += [(name, arm, each) for arm, each in results.items()]
        tested += [(name, one) for one in changes(results, "draft")]
    yield from table(arms)
    yield ""
    yield from table_of_changes(tested)


# ---- grounding: boxes and counts of blood smears --------------------------------------------------------


def smears(split_: str) -> Iterator[tuple[_bccd.Smear, tuple[Evidence, ...]]]:
    """Pictures of a split with what the tool `detect` finds in them."""
    tools = [replace(one, seconds=600) for one in open_tools(["detect"], {})]  # the machine may be busy
    for smear in _bccd.smears("", split_):
        call = ToolCall("1", "detect", {"image": 1, "what": "white cells"})
        result = call_tool(call, tools, (smear.image,))
        if result.error:
            raise ToolError(f"{smear.name}: {result.error}")
        yield smear, result.evidence


def gold_regions(smear: _bccd.Smear, size: tuple[int, int]) -> list[measured_by.Region]:
    boxes = [box for kind, box in smear.boxes if kind == "WBC"]
    return [measured_by.Region("white cell", box, size, f"gold{n}") for n, box in enumerate(boxes)]


def reported(found: Sequence[Evidence]) -> list[radfact.Phrase]:
    """The report that the regions of a tool give, with its boxes."""
    at = {item.id: item.at.box for item in found if item.at is not None and item.at.box is not None}
    return [
        radfact.Phrase(text, tuple(at[id] for id in ids if id in at))
        for text, ids in measured_by.statements(found)
    ]


def matched(boxes: Sequence[tuple[int, ...]], wanted: Sequence[tuple[int, ...]]) -> int:
    """Boxes that overlap one of `wanted` with an IoU of at least 0.5, one to one."""
    return matches([Box(*map(float, box)) for box in boxes], [Box(*map(float, box)) for box in wanted])


def drafted(regions: Sequence[measured_by.Region], rng: random.Random) -> dict[str, list[str]]:
    """Right sentences about the white cells of a picture, and sentences with one error each."""
    n = len(regions)
    name = "white blood cell" + ("s" if n != 1 else "")
    verb = "is" if n == 1 else "are"
    parts = sorted({one.part for one in regions})
    empty = [f"{a} {b}" for a in ("upper", "lower") for b in ("left", "right") if f"{a} {b}" not in parts]
    return {
        "right": [f"There {verb} {n} {name}.", f"A white cell lies in the {rng.choice(parts)}."],
        "count": [
            f"There are {n + rng.choice((1, 2))} white blood cells.",
            f"There are {n - 1} white blood cells." if n > 1 else "There are no white blood cells.",
        ],
        "part": [f"A white cell lies in the {rng.choice(empty)}."] if empty else [],
        "kind": ["Many platelets are seen.", "There are three platelets."],
    }


def grounding_part(split_: str) -> Iterator[str]:
    """P3: what reports of blood smears say of white cells, beside the boxes that people drew."""
    labels_: dict[str, Counter[str]] = defaultdict(Counter)
    rows = [
        (smear, found) for smear, found in smears(split_) if any(kind == "WBC" for kind, _ in smear.boxes)
    ]
    spatial = Counter[str]()
    six: dict[str, list[radfact.Share]] = defaultdict(list)
    swapped = elsewhere = counts = 0
    every = [[one.box for one in measured_by.regions(found)] for _, found in rows]
    drawn = [[one.box for one in gold_regions(smear, (640, 480))] for smear, _ in rows]
    for number, (smear, found) in enumerate(track(rows, "smears")):
        size = (640, 480)
        gold = gold_regions(smear, size)
        boxes, wanted = [one.box for one in measured_by.regions(found)], [one.box for one in gold]
        counts += len(boxes) == len(wanted)
        spatial["boxes"] += len(boxes)
        spatial["gold"] += len(wanted)
        spatial["box entailed"] += sum(covered(box, wanted) > 0.5 for box in boxes)
        spatial["gold entailed"] += sum(covered(box, boxes) > 0.5 for box in wanted)
        spatial["pointing"] += sum(
            any(a <= (x + z) / 2 <= c and b <= (y + w) / 2 <= d for a, b, c, d in wanted)
            for x, y, z, w in boxes
        )
        other = [one.box for one in measured_by.regions(rows[(number + 1) % len(rows)][1])]
        swapped += not other or any(covered(box, wanted) <= 0.5 for box in other)
        elsewhere += matched(other, wanted) < max(len(other), len(wanted))
        spatial["matched"] += matched(boxes, wanted)
        for name, share in radfact.measure(
            reported(found), radfact.phrases(bccd_report.written(smear)), size=size
        ).items():
            six[name].append(share)
        for kind, texts in drafted(gold, random.Random(smear.name)).items():
            for text in texts:
                labels_[kind][label_of(text, list(found), named())] += 1
    yield f"{len(rows)} pictures of {split_} with white cells; the count is right in {counts / len(rows):.3f}"
    for name, part, whole in (
        ("spatial precision", "box entailed", "boxes"), ("spatial recall", "gold entailed", "gold"),
        ("pointing", "pointing", "boxes"),
    ):  # fmt: skip
        low, high = proportion(spatial[part], spatial[whole])
        yield f"{name} {spatial[part] / spatial[whole]:.3f} [{low:.3f}, {high:.3f}] of {spatial[whole]}"
    f1 = 2 * spatial["matched"] / (spatial["boxes"] + spatial["gold"])
    yield f"F1 at an overlap (IoU) of 0.5: {f1:.3f}"
    yield "RadFact, by rules: " + ", ".join(
        f"{name} {sum(s.part for s in some)} of {sum(s.whole for s in some)}" for name, some in six.items()
    )
    fails = [
        [matched(other, wanted) < max(len(other), len(wanted)) for j, other in enumerate(every) if j != i]
        for i, wanted in enumerate(drawn)
    ]
    each = [sum(row) / len(row) for row in fails]
    every_other = estimate(each)
    yield (
        f"boxes of every other picture fail: {every_other.mean:.3f}"
        f" [{every_other.low:.3f}, {every_other.high:.3f}] of {sum(map(len, fails)):,} pairs by IoU of 0.5"
    )
    yield f"boxes of the next picture fail: {elsewhere / len(rows):.3f} of {len(rows)} by IoU of 0.5"
    yield f"and {swapped / len(rows):.3f} by half of their pixels (most cells are large and in the middle)"
    yield "| sentence | n | caught | supported |"
    yield "|---|---|---|---|"
    for kind, row in labels_.items():
        n = sum(row.values())
        yield f"| {kind} | {n} | {(n - row['supported']) / n:.3f} | {row['supported'] / n:.3f} |"
    errors = Counter[str]()
    for kind in ("count", "part", "kind"):
        errors += labels_[kind]
    n = sum(errors.values())
    yield f"planted errors caught: {(n - errors['supported']) / n:.3f} of {n}"


# ---- answers whose sentences name what they rest on --------------------------------------------------------


def grounded_part(split_: str, most: int) -> Iterator[str]:
    """Sentences that are made up, in answers to BioASQ questions before and after grounding in snippets.

    A draft is the answer of BioASQ, one sentence of it with a planted error, and a sentence of another
    question's answer: which sentences are wrong is known by construction. Every draft stays an answer.
    """
    rows = [row for kind in ("yesno", "factoid", "list") for row in _bioasq.questions("", kind, split_)]
    cases = list(_drafts(rows[: most or 200]))
    for name, verifiers in general().items():
        before, after, honest, answered = [], [], [], 0
        for sentences_, wrong, evidence in track(cases, name):
            policy: dict[str, revision.Action] = {
                "contradicted": "cut", "unsupported": "cut", "unjudged": "hedge",
            }  # fmt: skip
            made = ground(" ".join(sentences_), evidence, verifiers, policy=policy)
            stated = [line for line in made.text.splitlines() if not line.startswith(NOT_VERIFIED)]
            kept = [any(one.rstrip(". ") in line for line in stated) for one in sentences_]
            bad = [one in wrong for one in sentences_]
            before.append(sum(bad) / len(bad))
            after.append(sum(a and b for a, b in zip(kept, bad, strict=True)) / max(1, sum(kept)))
            honest.append(sum(a and not b for a, b in zip(kept, bad, strict=True)) / max(1, bad.count(False)))
            answered += bool(made.text.strip())
        change = paired(before, after)
        yield (
            f"{name}: {len(cases)} answers, {answered / len(cases):.3f} still answered; stated sentences that"
            f" are made up {sum(before) / len(before):.3f} before, {sum(after) / len(after):.3f} after,"
            f" change {change.difference:+.3f} [{change.low:+.3f}, {change.high:+.3f}];"
            f" right sentences still stated without a mark {sum(honest) / len(honest):.3f}"
        )


def _drafts(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[list[str], set[str], list[Evidence]]]:
    """Sentences of a draft, those of them that are wrong, and the snippets of its question."""
    answers = []
    for row in rows:
        answer = row.get("ideal_answer") or [""]
        answers.append(sentences(answer if isinstance(answer, str) else answer[0]))
    for number, row in enumerate(rows):
        own, other = answers[number], answers[(number + 1) % len(rows)]
        if not own or not other:
            continue
        changed = next((text for one in own for text in turned(one)), "")
        wrong = {one for one in (changed, other[0]) if one and one not in own}
        evidence = [Evidence(f"s{n}", one["text"], "") for n, one in enumerate(row["snippets"][:10])]
        yield [*own, *sorted(wrong)], wrong, evidence


def reward_part(split_: str, most: int) -> Iterator[str]:
    """What replies that say little earn of the reward `report`, beside an honest draft."""
    found = earned([row["findings"] for row in reports(split_)[: most or 200]])
    honest = found["honest"]
    yield "| reply | n | reward [95 %] | of the honest draft's | earns less than it | p (Holm) |"
    yield "|---|---|---|---|---|---|"
    names = [name for name in found if name != "honest"]
    tests = holm([paired(honest, found[name]).p for name in names])
    for name, p in zip(["honest", *names], [None, *tests], strict=True):
        one = estimate(found[name])
        less = sum(a < b for a, b in zip(found[name], honest, strict=True)) / one.n
        cells = [f"{one.n}", f"{one.mean:.3f} [{one.low:.3f}, {one.high:.3f}]"]
        if p is not None:
            cells += [f"{one.mean / estimate(honest).mean:.0%}", f"{less:.3f}", f"{p:.4f}"]
        yield f"| {name} | {' | '.join([*cells, *[''] * (5 - len(cells))])} |"


def motor_part() -> Iterator[str]:
    """P6: arms of train.motor, see motor_arms.py."""
    import motor_arms  # imports torch

    for data_ in motor_arms.PARTS:
        yield from motor_arms.part(data_, Path("motor_runs.jsonl"))
        yield ""


PARTS = {"verifier": lambda given: verifier_part(given.split, given.show),
         "answers": lambda given: answers_part(given.split, given.most),
    "grounding": lambda given: grounding_part(given.split),
    "text": lambda given: text_part(given.split, given.most, given.labelled),
    "grounded": lambda given: grounded_part(given.split, given.most),
    "reward": lambda given: reward_part(given.split, given.most),
    "motor": lambda given: motor_part()}  # fmt: skip

if __name__ == "__main__":
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--only", choices=tuple(PARTS), help="by default all parts")
    options.add_argument("--split", default="test", choices=("train", "validation", "test"))
    options.add_argument("--show", type=int, default=0, help="print so many missed changes of each kind")
    options.add_argument("--most", type=int, default=0, help="reports of the part text; 0: all")
    options.add_argument(
        "--labelled", action="store_true", help="of the part text: reports with labels alone"
    )
    given = options.parse_args()
    for part in [given.only] if given.only else list(PARTS):
        print(f"\n## {part}\n")
        for line in PARTS[part](given):
            print(line, flush=True)
