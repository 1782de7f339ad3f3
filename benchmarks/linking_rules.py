"""What each rule of entity/linking/annotate.py does on the gold corpora, what its scores are worth, and how
fast it is.

    MEDXIAOHE_DATA=/path/to/data python benchmarks/linking_rules.py out/tree/tree/1                 # rules on
    and off: minutes
    MEDXIAOHE_DATA=/path/to/data python benchmarks/linking_rules.py out/tree/tree/1 --variants      # each
    rule of variants.py off MEDXIAOHE_DATA=/path/to/data python benchmarks/linking_rules.py out/tree/tree/1
    --speed

NCBI-disease and BC5CDR, their training parts (on which the rules were made and the scores measured) and
development parts (on which nothing was). A mention counts when its span is that of a gold mention (strict) or
overlaps one (relaxed), phenotypes as diseases; all members of a coordination have one span, as the gold has.
No learned part; benchmarks/entity_quality.py has the rest.
"""

import argparse
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from medxiaohe import plugins
from medxiaohe.entity.linking import document_rules, variants
from medxiaohe.entity.linking.abbreviations import definitions
from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.linking.index import Index
from medxiaohe.entity.linking.link import ONE_THING
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Sample

FILES = {
    "NCBI train": "ncbi_disease/NCBItrainset_corpus.txt",
    "NCBI devel": "ncbi_disease/NCBIdevelopset_corpus.txt",
    "BC5CDR train": "bc5cdr/CDR_TrainingSet.PubTator.txt",
    "BC5CDR devel": "bc5cdr/CDR_DevelopmentSet.PubTator.txt",
}  # fmt: skip
KINDS = ("disease", "chemical")
VARIANT_RULES = ("_uninverted", "_possessives", "_numerals", "_greek", "_joined", "_spelled")
Spans = Callable[[str], Iterator[tuple[int, int, str]]]


class Document(NamedTuple):
    text: str
    gold: dict[tuple[int, int], tuple[str, str]]  # span -> kind and id


def documents(path: Path) -> list[Document]:
    """PubTator; an article that is there twice counts once."""
    found: dict[str, Document] = {}
    for block in path.read_text(encoding="utf-8").strip().split("\n\n"):
        lines = block.strip().split("\n")
        title, abstract = (line.split("|", 2) for line in lines[:2])
        rows = [row for row in (line.split("\t") for line in lines[2:]) if len(row) > 5 and row[1].isdigit()]
        gold = {
            (int(row[1]), int(row[2])): ("chemical" if row[4] == "Chemical" else "disease", row[5])
            for row in rows
        }
        found.setdefault(title[0], Document(f"{title[2]} {abstract[2]}", gold))
    return list(found.values())


def quality(corpora: dict[str, list[Document]], spans_of: Spans) -> Iterator[str]:
    """Strict precision, recall and F1, and relaxed F1, of every corpus and kind."""
    for corpus, texts in corpora.items():
        for kind in KINDS if corpus.startswith("BC5CDR") else KINDS[:1]:
            right = near = covered = found = wanted = 0
            for document in texts:
                gold = {span for span, (of, _) in document.gold.items() if of == kind}
                said = {(start, end) for start, end, of in spans_of(document.text) if of == kind}
                right, found, wanted = right + len(gold & said), found + len(said), wanted + len(gold)
                near += sum(any(a < end and start < b for a, b in gold) for start, end in said)
                covered += sum(any(a < end and start < b for a, b in said) for start, end in gold)
            precision, recall = right / max(1, found), right / wanted
            yield (
                f"{precision:.3f} {recall:.3f} {f1(precision, recall):.3f}"
                f" ({f1(near / max(1, found), covered / wanted):.3f})"
            )


def f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def one_kind(kind: str) -> str:
    return "disease" if kind in ONE_THING else kind


def rules(tree: Tree, folder: Path, corpora: dict[str, list[Document]]) -> None:
    annotator = Annotator.of(folder)
    index = Index.of(tree)

    def dictionary(text: str) -> Iterator[tuple[int, int, str]]:
        yield from ((m.start, m.end, one_kind(tree.entities[m.entity].kind)) for m in index.find(text))

    def annotated(least: float = 0.0) -> Spans:
        return lambda text: (
            (a.start, a.end, one_kind(a.kind)) for a in annotator.annotate(text) if a.score >= least
        )

    nothing = re.compile(r"(?!)")
    table("dictionary", quality(corpora, dictionary))
    table("all rules", quality(corpora, annotated()))
    table("all rules, score of 0.3 or more", quality(corpora, annotated(0.3)))
    for label, module, name, off in (
        ("without abbreviations", document_rules, "definitions", lambda text: []),
        ("without coordination", document_rules.coordination, "may_share", lambda text, span: False),
        ("without words of genes", document_rules, "OF_A_GENE", nothing),
    ):
        table(label, with_other(module, {name: off}, lambda: list(quality(corpora, annotated()))))
    print("\nscores: of mentions found so in the training parts, how many have a gold span of their kind\n")
    right, found = Counter[str](), Counter[str]()
    for corpus in ("NCBI train", "BC5CDR train"):
        for document in corpora[corpus]:
            for a in annotator.annotate(document.text):
                if one_kind(a.kind) in (KINDS if corpus.startswith("BC5CDR") else KINDS[:1]):
                    found[f"{a.score:.2f}"] += 1
                    right[f"{a.score:.2f}"] += document.gold.get((a.start, a.end), ("", ""))[0] == one_kind(
                        a.kind
                    )
    for score in sorted(found, reverse=True):
        print(f"| score {score} | {right[score] / found[score]:.2f} of {found[score]:,} |")
    print("\nabbreviations: of definitions with both forms in the gold, how many have one id\n")
    for corpus, texts in corpora.items():
        both = [
            (d.gold[q.short_start, q.short_end][1], d.gold[q.long_start, q.long_end][1])
            for d in texts
            for q in definitions(d.text)
            if (q.short_start, q.short_end) in d.gold and (q.long_start, q.long_end) in d.gold
        ]
        print(f"| {corpus} | {sum(a == b for a, b in both)} of {len(both)} |")


def each_variant(tree: Tree, corpora: dict[str, list[Document]]) -> None:
    def built() -> list[str]:
        start = time.process_time()
        index = Index.of(tree)
        seconds = time.process_time() - start

        def spans(text: str) -> Iterator[tuple[int, int, str]]:
            yield from ((m.start, m.end, one_kind(tree.entities[m.entity].kind)) for m in index.find(text))

        return [f"{index.num_bytes / 1e6:.0f} MB, {seconds:.0f} s", *quality(corpora, spans)]

    def off(name: str) -> list[str]:
        return []

    table("all variants", built())
    for rule in VARIANT_RULES:
        table(f"without {rule.strip('_')}", with_other(variants, {rule: off}, built))
    table("plural of the last word only", with_other(variants, {"_numbers": variants._plurals}, built))
    table("without adjectives", with_other(variants, {"_ADJECTIVES": ()}, built))
    few = {**dict.fromkeys(VARIANT_RULES, off), "_numbers": variants._plurals, "_ADJECTIVES": ()}
    table("nothing but plurals", with_other(variants, few, built))


def with_other(module: Any, others: dict[str, Any], run: Callable[[], Any]) -> Any:
    """What `run` gives while some things in a module are others."""
    kept = {name: getattr(module, name) for name in others}
    for name, other in others.items():
        setattr(module, name, other)
    try:
        return run()
    finally:
        for name, thing in kept.items():
            setattr(module, name, thing)


def speed(folder: Path) -> None:
    reader = plugins.load("readers", "medquad_xml")
    rows = [
        row
        for row in reader(Path(os.environ["MEDXIAOHE_DATA"]) / "corpus" / "medquad")
        if isinstance(row, Sample)
    ]
    random.Random(0).shuffle(rows)
    texts, size = [], 0
    for row in rows:
        texts.append(row.text)
        size += len(row.text.encode())
        if size > 2e6:
            break
    annotator = Annotator.of(folder)
    index = annotator._names._index
    for label, run in (
        ("names found, as columns", index.find_batch),
        ("names found, as objects", annotator._names.find),
        ("annotated in one batch", annotator.annotate_batch),
        ("annotated one by one", lambda texts: [annotator.annotate(text) for text in texts]),
    ):
        run(texts[:50])
        start = time.process_time()
        run(texts)
        print(f"| {label} | {size / 1e6 / (time.process_time() - start):.1f} MB/s |", flush=True)


def table(label: str, cells: Iterable[str]) -> None:
    print(f"| {label} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tree", type=Path, help="the folder of a tree")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.speed:
        return speed(options.tree)
    gold = Path(os.environ["MEDXIAOHE_DATA"]) / "entity_gold"
    corpora = {corpus: documents(gold / path) for corpus, path in FILES.items()}
    tree = Tree.load(options.tree)
    columns = [
        f"{corpus} {kind}"
        for corpus in corpora
        for kind in (KINDS if corpus.startswith("BC5CDR") else KINDS[:1])
    ]
    columns = ["index", *columns] if options.variants else columns
    print("strict precision, recall, F1 (relaxed F1)\n")
    print(f"| | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|", flush=True)
    if options.variants:
        return each_variant(tree, corpora)
    return rules(tree, options.tree, corpora)


if __name__ == "__main__":
    main()
