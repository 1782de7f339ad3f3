"""What alignment finds: mismatches planted over real questions, reports, captions and pictures, by kind.

    MEDXIAOHE_DATA=/path/to/data python benchmarks/alignment.py --tree out/tree/tree/1 --split tune
    MEDXIAOHE_DATA=/path/to/data python benchmarks/alignment.py --tree out/tree/tree/1                   # the
    half that is reported MEDXIAOHE_DATA=/path/to/data python benchmarks/alignment.py --tree out/tree/tree/1
    --only pictures

Texts: MedQuAD answers beside their questions; Indiana University reports beside the tags that people gave
them; ROCO captions beside the keywords of their pictures (which were taken from the captions: the easy case).
Pictures: what VQA-RAD says of each picture. A quarter of the rows is corrupted, a third of those in each way,
where the way fits the row. Studies are halved by hash: thresholds and rules were chosen on `tune`. Recall:
the share of planted rows that are flagged, for whatever reason. False alarms: the share of whole rows that
are flagged. Precision: the share of flagged rows that are planted, in this mixture. Intervals are exact ones
at 95 %.
"""

import argparse
import csv
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shares import line

from medxiaohe import images, io, plugins
from medxiaohe.data.synth import planted, similarity
from medxiaohe.data.synth.anchors import Item, item
from medxiaohe.data.synth.graph import Graph
from medxiaohe.data.synth.mismatch import CONFLICTS, Rules
from medxiaohe.entity.linking.finder import finder
from medxiaohe.models.embed import embedder
from medxiaohe.scoring._findings import lexicon
from medxiaohe.types import Sample

SHARE = 0.25  # of the rows that are corrupted
STANDINGS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
KINDS = ("sibling, named by the anchor", "sibling, not named there", "side", "unrelated")


@dataclass(frozen=True)
class Case:
    item: Item
    study: str
    kind: str = ""  # how it was corrupted


def medquad(folder: Path) -> Iterator[tuple[Item, str]]:
    for sample in plugins.load("readers", "medquad_xml")(folder / "corpus" / "medquad"):
        if isinstance(sample, Sample) and len(sample.messages[-1].text.split()) >= 8:
            yield replace(item(sample, tags=()), id=sample.id), sample.study_id


def reports(folder: Path) -> Iterator[tuple[Item, str]]:
    with open(folder / "cxr" / "iu_reports" / "indiana_reports.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            text = f"{row['findings']} {row['impression']}".strip()
            tags = [
                " ".join(tag.replace("/", " ").split())
                for tag in row["MeSH"].split(";")
                if tag.strip().lower() != "normal"
            ]
            if tags and len(text.split()) >= 8:
                yield Item(f"iu/{row['uid']}", text, tuple(tags)), row["uid"]


def captions(folder: Path) -> Iterator[tuple[Item, str]]:
    for row in io.read_jsonl(folder / "corpus" / "roco_captions_cui.jsonl"):
        if len(row["caption"].split()) >= 8:
            yield Item(row["id"], row["caption"], tuple(row["keywords"])), row["source_image"].split("_")[0]


SOURCES: dict[str, Callable[[Path], Iterator[tuple[Item, str]]]] = {
    "medquad": medquad,
    "iu_reports": reports,
    "roco": captions,
}


def corrupted(pairs: Sequence[tuple[Item, str]], graph: Graph, rules: Rules, seed: int) -> list[Case]:
    """A quarter of the rows, each in the way its number says, where that way fits it; the others as they
    are."""
    dice, items = random.Random(seed), [one for one, _ in pairs]
    studies = {one.id: study for one, study in pairs}
    found = []
    for number, (one, study) in enumerate(pairs):
        kind = planted.KINDS[number // 4 % 3] if number % 4 == 0 else ""
        made: Item | None = one
        if kind == "sibling":
            made = planted.sibling(one, graph, rules.names, dice)
            asked = {m.entity for m in rules.names.find(one.anchor)}
            lost = {m.entity for m in rules.names.find(one.text)} - {
                m.entity for m in rules.names.find(made.text if made else "")
            }
            kind = KINDS[0] if asked & lost else KINDS[1]
        elif kind == "side":
            made = planted.side(one)
        elif kind == "unrelated":
            made = planted.unrelated(one, items, studies, dice)
        found.append(Case(made, study, kind) if kind and made else Case(one, study))
    return found


def half(pairs: Iterator[tuple[Item, str]], split: str, most: int) -> list[tuple[Item, str]]:
    found = [pair for pair in pairs if (io.unit_interval("alignment", pair[1]) < 0.5) == (split == "tune")]
    return sorted(found, key=lambda pair: io.unit_interval("order", pair[0].id))[:most]


def show(name: str, cases: Sequence[Case], flagged: Sequence[str]) -> None:
    """`flagged` has the reason for each case, "" for none."""
    print(f" {name}")
    wrong = Counter(case.kind for case, why in zip(cases, flagged, strict=True) if case.kind and why)
    total = Counter(case.kind for case in cases if case.kind)
    for kind in KINDS:
        if total[kind]:
            print(line(f"recall, {kind}", wrong[kind], total[kind]))
    whole = [why for case, why in zip(cases, flagged, strict=True) if not case.kind]
    print(line("false alarms", sum(map(bool, whole)), len(whole)))
    all_flagged = [case.kind for case, why in zip(cases, flagged, strict=True) if why]
    print(line("precision", sum(map(bool, all_flagged)), len(all_flagged)))
    for reason in sorted(set(filter(None, flagged))):
        given = [case.kind for case, why in zip(cases, flagged, strict=True) if why == reason]
        kinds = ", ".join(f"{kind or 'whole'} {n}" for kind, n in Counter(given).most_common())
        print(line(f"precision of {reason!r}", sum(map(bool, given)), len(given)) + f"   ({kinds})")


def texts(name: str, folder: Path, graph: Graph, rules: Rules, args: argparse.Namespace) -> None:
    pairs = half(SOURCES[name](folder), args.split, args.items)
    cases = corrupted(pairs, graph, rules, args.seed)
    start = time.process_time()
    found = [rules(case.item) for case in cases]
    spent = time.process_time() - start
    checked = sum(one.checked for one in found)
    print(
        f"\n{name}: {len(cases)} rows, {checked} with something to compare; rules take"
        f" {spent / len(cases) * 1e3:.1f} ms a row"
    )
    show("rules alone", cases, [one.kind for one in found])
    for encoder in args.encoders:
        embed = embedder(encoder)
        start = time.process_time()
        stand = similarity.of_texts(
            [c.item.anchor for c in cases], [c.item.text for c in cases], [c.study for c in cases], embed
        )
        spent = time.process_time() - start
        print(
            f" similarity by {embed.name}: {spent / len(cases) * 1e3:.1f} ms a row; flagged below a"
            " standing of"
        )
        table(cases, stand)
        strong = [one.kind if one.kind != "unrelated" else "" for one in found]
        both = [
            why or ("unlike" if value < args.least else "") for why, value in zip(strong, stand, strict=True)
        ]
        show(f"as data.align does it: rules, and similarity by {encoder} below {args.least}", cases, both)


def table(cases: Sequence[Case], stand: Sequence[float]) -> None:
    for least in STANDINGS:
        shares = []
        for kind in (*KINDS, ""):
            values = [value for case, value in zip(cases, stand, strict=True) if case.kind == kind]
            shares.append(
                f"{kind or 'whole'} {sum(v < least for v in values) / max(1, len(values)):.1%} of"
                f" {len(values)}"
            )
        print(f"  {least:<5} " + "   ".join(shares))


def pictures(folder: Path, args: argparse.Namespace) -> None:
    """One text for each picture: all that is asked and answered about it."""
    said: dict[str, list[str]] = defaultdict(list)
    organ, case = {}, {}
    for row in io.read_json(folder / "vqa" / "vqa_rad" / "vqa_rad.json"):
        said[row["image_name"]].append(f"{row['question']} {row['answer']}.")
        organ[row["image_name"]], case[row["image_name"]] = row["image_organ"], row["image_case_url"]
    names = sorted(name for name in said if (folder / "vqa" / "vqa_rad" / "images" / name).is_file())
    refs = [images.ref(folder / "vqa" / "vqa_rad" / "images" / name) for name in names]
    dice, whole = random.Random(args.seed), [" ".join(said[name]) for name in names]
    swapped = list(whole)
    for i in dice.sample(range(len(names)), round(SHARE * len(names))):
        other = dice.choice([j for j in range(len(names)) if case[names[j]] != case[names[i]]])
        swapped[i] = whole[other]
    start = time.process_time()
    features = similarity.picture_features(refs)
    print(
        f"\npictures: {len(names)} of VQA-RAD, {(time.process_time() - start) / len(names):.2f} s a picture;"
        " texts planted"
    )
    for encoder in args.encoders:
        vectors = embedder(encoder).encode(swapped)
        stand = similarity.of_pictures(features, vectors, [case[name] for name in names], args.seed)
        print(
            f" standing by DINOv2-small and {encoder}; texts of another case, of another organ, of the same"
            " organ, and whole"
        )
        groups: dict[str, list[float]] = defaultdict(list)
        for i, name in enumerate(names):
            if swapped[i] == whole[i]:
                groups["whole"].append(stand[i])
                continue
            donor = names[whole.index(swapped[i])]
            groups["other organ" if organ[donor] != organ[name] else "same organ"].append(stand[i])
        for least in STANDINGS:
            shares = [
                f"{kind} {sum(v < least for v in vs) / len(vs):>6.1%} of {len(vs)}"
                for kind, vs in sorted(groups.items())
            ]
            print(f"  {least:<5} " + "   ".join(shares))
        for kind in ("other organ", "same organ"):
            bad, good = groups[kind], groups["whole"]
            area = sum((b < g) + 0.5 * (b == g) for b in bad for g in good) / max(1, len(bad) * len(good))
            print(f"  area under the curve, {kind}: {area:.3f}")
        hits = {kind: sum(v < args.least_pictures for v in vs) for kind, vs in groups.items()}
        for kind, vs in sorted(groups.items()):
            print(
                line(
                    f"{'false alarms' if kind == 'whole' else f'recall, {kind}'} below {args.least_pictures}",
                    hits[kind],
                    len(vs),
                )
            )
        flagged = sum(hits.values())
        print(line("precision", flagged - hits["whole"], flagged))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--split", choices=("tune", "report"), default="report")
    parser.add_argument("--items", type=int, default=1500, help="rows of a source at most")
    parser.add_argument("--only", nargs="*", default=[*SOURCES, "pictures"])
    parser.add_argument("--encoders", nargs="*", default=["ngrams", "minilm"])
    parser.add_argument("--least", type=float, default=0.7)
    parser.add_argument("--least-pictures", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(os.environ["MEDXIAOHE_DATA"])
    if set(args.only) & set(SOURCES):
        graph = Graph.load(args.tree)
        rules = Rules(graph, finder(args.tree), lexicon(args.tree))
        print(f"reasons the rules may give: {', '.join(CONFLICTS)}; split {args.split}")
        for name in (one for one in args.only if one in SOURCES):
            texts(name, folder, graph, rules, args)
    if "pictures" in args.only:
        pictures(folder, args)


if __name__ == "__main__":
    main()
