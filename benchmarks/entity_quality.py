"""How well entities are found and named: marked texts of the data pack, with and without what is learned,
beside what pip offers.

    pip install 'medxiaohe[fast]' flashtext2==1.1.0 spacy
    MEDXIAOHE_DATA=/path/to/data python benchmarks/entity_quality.py --tree out/tree/tree/1
    python benchmarks/entity_quality.py --tree out/tree/tree/1 --test bc5cdr=CDR_TestSet.PubTator.txt
    ncbi=NCBItestset_corpus.txt

Learned from train, measured on devel. With --test, learned from train and devel, measured on your file. Texts
that are in both are refused, and the unmarked PubMed texts, which give the classes of words, leave out every
measured one. Nothing was tuned on devel: settings and rules were chosen by cross-validation in train.

strict: both ends and the kind are right. relaxed: the spans overlap. concept: the MeSH and OMIM ids of a
document, once each. The interval of F1 is from 1000 resamples of the documents. MB/s: CPU time of one thread,
from texts to named spans.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from entity_taggers import (
    Tag,
    World,
    dictionary,
    exact,
    flashtext,
    learned,
    phrase_matcher,
    rules,
    with_lexicon,
)

from medxiaohe import io, plugins
from medxiaohe.entity.linking.annotate import Annotator
from medxiaohe.entity.linking.normalise import Normaliser
from medxiaohe.entity.tagger import EncoderOptions, Options, Tagger, begin, knowledge_of
from medxiaohe.entity.tagging.gold import Document, Span, documents, without_shared
from medxiaohe.entity.tagging.quality import score
from medxiaohe.entity.tree.ids import prefix
from medxiaohe.errors import MedError

# reader, train, devel, kinds of the tree that are looked up
SETS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "ncbi": (
        "pubtator",
        "ncbi_disease/NCBItrainset_corpus.txt",
        "ncbi_disease/NCBIdevelopset_corpus.txt",
        ("disease",),
    ),
    "bc5cdr": (
        "pubtator",
        "bc5cdr/CDR_TrainingSet.PubTator.txt",
        "bc5cdr/CDR_DevelopmentSet.PubTator.txt",
        ("disease", "chemical"),
    ),
    "anatem": ("iob_tsv", "anatem/train.tsv", "anatem/devel.tsv", ("Anatomy",)),
    "bionlp13cg": ("iob_tsv", "bionlp13cg/train.tsv", "bionlp13cg/devel.tsv", ()),
}


# whose diseases, of its train texts, are learned from too: +0.9 in train; NCBI's cost BC5CDR 4.0 there
MORE = {"ncbi": "bc5cdr"}


BEFORE = {  # whose train texts the encoder learns first; nearly all of BioNLP13CG is in AnatEM
    "ncbi": ("bc5cdr", "anatem", "bionlp13cg"), "bc5cdr": ("ncbi", "anatem", "bionlp13cg"),
    "anatem": ("ncbi", "bc5cdr"), "bionlp13cg": ("ncbi", "bc5cdr"),
}  # fmt: skip


# letters; so many runs in common, 20 letters apart, are a text in common: 120 letters
RUN, MOST_SHARED = 40, 5


def _others(data: Path, name: str, other: Sequence[Document]) -> list[Document]:
    """The train texts of a corpus, but for those that another corpus has too: by id, text, or a part of it,
    since some name no document."""
    ids, texts = {document.id for document in other}, {document.text for document in other}
    runs = {run for document in other for run in _runs(document.text, 1)}
    rows = plugins.load("readers", SETS[name][0])(data / "entity_gold" / SETS[name][1])
    found = [
        one
        for one in documents(s for s in rows if hasattr(s, "split"))
        if one.id not in ids and one.text not in texts
    ]
    return [one for one in found if sum(run in runs for run in _runs(one.text, RUN // 2)) < MOST_SHARED]


def _runs(text: str, step: int) -> Iterable[str]:
    """Runs of letters and digits, one begun at every `step`-th."""
    flat = "".join(filter(str.isalnum, text.lower()))
    return (flat[i : i + RUN] for i in range(0, len(flat) - RUN + 1, step))


def _diseases(texts: Sequence[Document]) -> list[Document]:
    return [replace(one, spans=tuple(span for span in one.spans if span.kind == "disease")) for one in texts]


def measure(
    name: str, make: Callable[[], Tag], test: Sequence[Document], kinds: Sequence[str], only: Sequence[str]
) -> None:
    try:
        tag = make()
    except ImportError as error:
        print(f"| {name} | not installed: {error.name} |", flush=True)
        return
    texts = [document.text for document in test]
    num_bytes, passes = sum(len(text.encode()) for text in texts), 0
    tag(texts[:5])
    start = time.process_time()
    while (spent := time.process_time() - start) < 1.0 or not passes:
        found, passes = tag(texts), passes + 1
    speed = num_bytes * passes / spent / 1e6
    with_ids = any(span.ids for document in test for span in document.spans)
    for kind in kinds:
        cells = []
        for way in ("strict", "relaxed", "concept"):
            if way != "concept" or with_ids:
                s = score(test, found, kind, way)
                cells.append(
                    f"{100 * s.precision:.1f} / {100 * s.recall:.1f} / **{100 * s.f1:.1f}**"
                    f" ({100 * s.low:.1f} to {100 * s.high:.1f})"
                )
            else:
                cells.append("")
        marked = sum(span.kind == kind for document in test for span in document.spans)
        if marked or kind in only:
            print(f"| {name} | {kind} | {marked} | {' | '.join(cells)} | {speed:.2g} |", flush=True)


def run_set(
    name: str,
    world: World,
    train: list[Document],
    test: list[Document],
    options: Options,
    more: list[Document],
    start: Any,
) -> None:
    without_shared([*train, *more], test)
    kinds = SETS[name][3]
    every = sorted({span.kind for document in train for span in document.spans})
    beside = f" and {len(more)} of {MORE[name]}" if more else ""
    print(f"\n## {name}: learned from {len(train)} texts{beside}, measured on {len(test)}\n", flush=True)
    print(
        "| way | kind | marked | strict P / R / F1 | relaxed P / R / F1 | concept P / R / F1 | MB/s"
        " |\n|---|---|---|---|---|---|---|"
    )
    if kinds:
        measure("exact lookup of the tree's names", lambda: exact(world, kinds), test, kinds, kinds)
        measure("flashtext2, same names", lambda: flashtext(world, kinds), test, kinds, kinds)
        measure("spaCy PhraseMatcher, same names", lambda: phrase_matcher(world, kinds), test, kinds, kinds)
        measure("dictionary (entity.index)", lambda: dictionary(world, kinds), test, kinds, kinds)
        made = rules(world, kinds)
        measure("dictionary and rules (entity.annotate)", lambda: made, test, kinds, kinds)
        measure(
            "the same, and a lexicon from train", lambda: with_lexicon(made, train, kinds), test, kinds, kinds
        )
    tag, tagger, named = learned(world, train, options, more, start)
    measure("learned tagger and normaliser", lambda: tag, test, kinds or every, kinds or every)
    if named:
        measure(
            "entity.annotate with both",
            lambda: rules(world, kinds, tagger=tagger, normaliser=named),
            test,
            kinds,
            kinds,
        )
    print(f"\nlean {tagger.lean}", flush=True)


def crossed(
    name: str, world: World, every: list[Document], options: Options, more: list[Document], start: Any
) -> None:
    """Train and devel together, fivefold: what is learned from four fifths of all there is, measured on the
    fifth."""
    kinds = SETS[name][3]
    order = sorted(every, key=lambda document: io.unit_interval("crossed", document.id))
    tested, found = list[Document](), list[list[Span]]()
    for part in range(5):
        left_out = order[part::5]
        texts = {document.text for document in left_out}
        rest = [one for one in more if one.text not in texts]
        tag, _, _ = learned(
            world, [one for i, one in enumerate(order) if i % 5 != part], options, rest, start
        )
        tested += left_out
        found += tag([one.text for one in left_out])
        print(
            f"\n## {name}: train and devel together, {len(every)} texts, {part + 1} of five parts:"
            f" {len(tested)} measured\n"
        )
        print("| kind | strict F1 | concept F1 |\n|---|---|---|")
        for kind in kinds:
            scores = [score(tested, found, kind, way) for way in ("strict", "concept")]
            cells = [f"**{100 * s.f1:.1f}** ({100 * s.low:.1f} to {100 * s.high:.1f})" for s in scores]
            print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def ablation(name: str, world: World, train: list[Document]) -> None:
    """The learned tagger without one thing it knows, in threefold cross-validation of the training texts."""
    kinds, annotate = SETS[name][3], Annotator.of(world.folder).annotate_batch
    order = sorted(train, key=lambda document: io.unit_interval("ablation", document.id))
    everything: dict[str, Any] = {
        "classes": world.classes,
        "annotate": annotate,
        "knowledge": world.knowledge,
        "options": Options(),
    }
    ways = {
        "everything": {},
        "no classes of words": {"classes": {}},
        "no rules": {"annotate": None},
        "no rules, no names of the tree": {"annotate": None, "knowledge": knowledge_of(None)},
        "none of the three": {"annotate": None, "knowledge": knowledge_of(None), "classes": {}},
        "no lean to a kind": {"options": Options(folds=0)},
    }
    print(f"\n## {name}: strict F1 in threefold cross-validation of {len(train)} training texts\n")
    print(f"| tagger | {' | '.join(kinds)} |\n|---|{'---|' * len(kinds)}")
    for way, less in ways.items():
        tested, found = list[Document](), list[list[Span]]()
        for part in range(3):
            left_out = order[part::3]
            tagger = Tagger.train(
                [one for i, one in enumerate(order) if i % 3 != part], **{**everything, **less}
            )
            tested += left_out
            found += [
                [Span(s.start, s.end, s.kind) for s in spans]
                for spans in tagger.spans_batch([one.text for one in left_out])
            ]
        scores = [score(tested, found, kind, "strict") for kind in kinds]
        print(
            f"| {way} |"
            f" {' | '.join(f'{100 * s.f1:.1f} ({100 * s.low:.1f} to {100 * s.high:.1f})' for s in scores)} |",
            flush=True,
        )


def medquad(world: World, folder: Path) -> None:
    """The focus of an article of MedQuAD -> its UMLS code."""
    focus: dict[str, tuple[str, set[str]]] = {}
    for sample in plugins.load("readers", "medquad_xml")(folder):
        if getattr(sample, "meta", {}).get("umls"):
            focus.setdefault(sample.study_id, (sample.meta["focus"], set(sample.meta["umls"])))
    umls = {
        id: {x.removeprefix("UMLS:") for x in entity.xrefs if prefix(x) == "UMLS"}
        for id, entity in world.tree.entities.items()
    }
    names = {name.lower(): ids for name, ids in reversed(world.tree.names.items())}
    kinds = ("disease", "chemical", "anatomy", "gene", "process", "organism")
    near = Normaliser.of(world.tree, codes=("UMLS",), kinds=kinds)

    def first(surface: str) -> set[str]:
        return set(next((umls[id] for id in names.get(surface.lower(), ()) if umls[id]), set()))

    def nearest(surface: str) -> set[str]:
        best = [one for kind in kinds for one in near.candidates(surface, kind, 1)]
        return {max(best, key=lambda one: one[1])[0].removeprefix("UMLS:")} if best else set()

    print(f"\n## MedQuAD: {len(focus)} articles whose focus has a UMLS code\n")
    print("| way | named | right | precision | recall |\n|---|---|---|---|---|")
    ways = (("exact lookup", first), ("normaliser", nearest))
    for name, way in ways:
        pairs = [(way(surface), codes) for surface, codes in focus.values()]
        named, right = (
            sum(bool(found) for found, _ in pairs),
            sum(bool(found & codes) for found, codes in pairs),
        )
        print(
            f"| {name} | {named} | {right} | {right / max(named, 1):.3f} |"
            f" {right / max(len(pairs), 1):.3f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tree", type=Path, required=True, help="a folder that `medxiaohe tree build` finished"
    )
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("MEDXIAOHE_DATA", ".")), help="the data pack"
    )
    parser.add_argument("--sets", nargs="+", choices=[*SETS, "medquad"], default=[*SETS, "medquad"])
    parser.add_argument(
        "--test",
        nargs="+",
        metavar="SET=FILE",
        default=[],
        help="test files of yours; train and devel are learned from",
    )
    parser.add_argument(
        "--ablation",
        action="store_true",
        help="instead: the tagger without parts of what it knows, within train",
    )
    parser.add_argument(
        "--crossed", action="store_true", help="also: learned from four fifths of train and devel, five times"
    )
    parser.add_argument(
        "--encoder",
        default="",
        metavar="NAME",
        help="an encoder learns beside the tagger: minilm, or a folder; slow",
    )
    parser.add_argument("--quick", action="store_true", help="no classes of words, which take minutes")
    args = parser.parse_args()
    tests = dict(one.split("=", 1) for one in args.test)
    if wrong := [name for name in tests if name not in SETS]:
        parser.error(f"--test is SET=FILE with a set of {', '.join(SETS)}, not {wrong[0]!r}")
    pairs = {}
    for name in tests or [name for name in args.sets if name in SETS]:
        reader = plugins.load("readers", SETS[name][0])
        parts = [
            documents(s for s in reader(Path(args.data) / "entity_gold" / path) if hasattr(s, "split"))
            for path in SETS[name][1:3]
        ]
        if name in tests:
            parts = [
                [*parts[0], *parts[1]],
                documents(s for s in reader(Path(tests[name])) if hasattr(s, "split")),
            ]
        without_shared(*parts)
        pairs[name] = (parts[0], parts[1])
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numba", "numpy"))
    print(
        f"python {platform.python_version()}, {versions}; tree {args.tree}; load {os.getloadavg()[0]:.0f}",
        file=sys.stderr,
    )
    world = World(
        args.tree, {document.id for _, test in pairs.values() for document in test}, quick=args.quick
    )
    print(
        f"{'train and devel -> test' if tests else 'train -> devel'}; {len(world.tree)} entities;"
        f" {len(world.classes)} words in classes"
    )
    if args.ablation:
        for name, (train, _) in pairs.items():
            ablation(name, world, train)
        return
    for name, (train, test) in pairs.items():
        more = _diseases(_others(args.data, MORE[name], [*train, *test])) if name in MORE else []
        options = Options(
            folds=3 if SETS[name][3] else 0, encoder=EncoderOptions(args.encoder) if args.encoder else None
        )
        start = None
        if options.encoder:
            before = {other: _others(args.data, other, [*train, *test]) for other in BEFORE[name]}
            print(
                "\nthe encoder learns before:"
                f" {', '.join(f'{len(texts)} texts of {other}' for other, texts in before.items())}"
            )
            start = begin(list(before.values()), options.encoder, **world.knows())
        run_set(name, world, train, test, options, more, start)
        if args.crossed:
            crossed(name, world, [*train, *test], options, more, start)
    if not tests and "medquad" in args.sets:
        medquad(world, args.data / "corpus" / "medquad")


if __name__ == "__main__":
    try:
        main()
    except MedError as error:
        sys.exit(f"{Path(__file__).name}: {error}")
