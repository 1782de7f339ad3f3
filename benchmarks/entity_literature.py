"""Building from literature, part by part: what is extracted against gold mentions, kinds by neighbours,
spellings to concepts.

    pip install 'medxiaohe[train]' && medxiaohe assets minilm pubmed_2020
    MEDXIAOHE_DATA=/path/to/data python benchmarks/entity_literature.py --tree out/tree/tree/1
    MEDXIAOHE_DATA=/path/to/data python benchmarks/entity_literature.py --tree out/tree/tree/1 --model starter
    --sample 40 python benchmarks/entity_literature.py --tree out/tree/tree/1 --model starter --conflicts
    run/data_attach/1/conflicts.jsonl

Extraction is scored on development documents (NCBI disease, BC5CDR, BioNLP13CG): of each document, the
different pairs of surface (in any case) and kind. "statistics" learns what names look like from --pubmed
abstracts and the documents, and from the tree's names in them, never from the gold. "new" rows leave out what
the tree's names already find, on both sides. Intervals take the documents as what is independent.

Kinds: names of the tree, drawn by their hash and taken out, get the kind of their neighbours. Concepts: all
names of entities drawn from the tree are clustered; a pair of names is right when it is of one entity.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path

from medxiaohe import assets, io, plugins
from medxiaohe.data.attach import KINDS
from medxiaohe.data.growing.model_extraction import Limits, extract
from medxiaohe.data.growing.rulings import library, rule
from medxiaohe.data.readers.pubmed_xml import pubmed_xml
from medxiaohe.data.readers.pubtator import pubtator
from medxiaohe.entity.linking.finder import Finder, finder
from medxiaohe.entity.literature import candidates, cluster
from medxiaohe.entity.literature.conflicts import Conflict, Option
from medxiaohe.entity.literature.kinds import Typer
from medxiaohe.entity.literature.passages import Found, Passage
from medxiaohe.entity.literature.vectors import Remembering
from medxiaohe.entity.tagging import gold
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.evals.statistics.stats import estimate
from medxiaohe.models.embed import embedder
from medxiaohe.types import Sample

IOB_KINDS = {
    "Cancer": "disease", "Pathological_formation": "disease", "Simple_chemical": "chemical",
    "Amino_acid": "chemical",
    "Gene_or_gene_product": "gene", "Organ": "anatomy", "Tissue": "anatomy",
    "Multi-tissue_structure": "anatomy",
    "Anatomical_system": "anatomy", "Organism_subdivision": "anatomy", "Cell": "cell", "Organism": "organism",
}  # fmt: skip
SENTENCES = 8  # of BioNLP13CG that make a passage: the files have no documents
SETS = {
    "NCBI disease devel": ("ncbi_disease/NCBIdevelopset_corpus.txt", ("disease",)),
    "BC5CDR devel": ("bc5cdr/CDR_DevelopmentSet.PubTator.txt", ("disease", "chemical")),
    "BioNLP13CG devel": (
        "bionlp13cg/devel.tsv",
        ("disease", "chemical", "gene", "anatomy", "cell", "organism"),
    ),
}
Items = dict[str, set[tuple[str, str]]]  # document -> (surface, kind)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--tree", type=Path, required=True)
    options.add_argument("--pubmed", type=int, default=4000)
    options.add_argument("--model", default="", help="score this model too, on a sample of the documents")
    options.add_argument(
        "--sample", type=int, default=40, help="documents of all sets together that the model reads"
    )
    options.add_argument("--max-new-tokens", type=int, default=256)
    options.add_argument("--backend", default="transformers")
    options.add_argument(
        "--conflicts", type=Path, help="instead: let the model rule on these conflicts of tree attach"
    )
    options.add_argument("--parts", action="store_true", help="kinds and concepts instead of extraction")
    args = options.parse_args()
    if args.conflicts:
        rulings(args)
        return
    if not (root := Path(os.environ.get("MEDXIAOHE_DATA", "")) / "entity_gold").is_dir():
        sys.exit("set MEDXIAOHE_DATA to the folder of the data pack")
    tree = Tree.load(args.tree)
    if args.parts:
        kinds(tree)
        concepts(tree)
        return
    names = finder(args.tree)
    documents = {name: list(_documents(root / file)) for name, (file, _) in SETS.items()}
    print("| documents | method | precision | recall | gold pairs |\n|---|---|---|---|---|")
    if args.model:
        model_rows(args, documents, tree, names)
    else:
        statistics_rows(args.pubmed, documents, tree, names)


# ---- extraction ----------------------------------------------------------------------------------


def statistics_rows(
    num_pubmed: int, documents: dict[str, list[gold.Document]], tree: Tree, names: Finder
) -> None:
    pubmed = [Passage(s.id, s.text) for s in islice(pubmed_xml(assets.folder("pubmed_2020")), num_pubmed)]
    texts = [Passage(d.id, d.text) for docs in documents.values() for d in docs]
    start = time.time()
    found = candidates.extract([*pubmed, *texts], names.find, lambda id: tree.entities[id].kind, KINDS)
    seconds, counts = time.time() - start, dict(found.counts)
    new = _items(found.found)
    for name, docs in documents.items():
        wanted = SETS[name][1]
        right, known = _gold(docs, wanted), {d.id: _of(wanted, _linked(d.text, tree, names)) for d in docs}
        rest = {id: pairs - known[id] for id, pairs in right.items()}
        print_row(name, "names of the tree", known, right)
        print_row(
            name,
            "names of the tree and statistics",
            {d.id: known[d.id] | _of(wanted, new[d.id]) for d in docs},
            right,
        )
        print_row(name, "statistics, new", {d.id: _of(wanted, new[d.id]) - known[d.id] for d in docs}, rest)
    print(f"\nstatistics: {counts}, {seconds:.0f} s")


def model_rows(
    args: argparse.Namespace, documents: dict[str, list[gold.Document]], tree: Tree, names: Finder
) -> None:
    each = max(1, args.sample // len(documents))
    drawn = {
        name: sorted(docs, key=lambda d: io.unit_interval("sample", d.id))[:each]
        for name, docs in documents.items()
    }
    options = (
        {"max_new_tokens": args.max_new_tokens, "batch_size": 8} if args.backend == "transformers" else {}
    )
    model = plugins.load("models", args.backend)(args.model, **options)
    for name, docs in drawn.items():
        wanted = SETS[name][1]
        start = time.time()
        passages = [Passage(d.id, d.text) for d in docs]
        result = extract(
            passages, model, types=wanted, limits=Limits(batch=1, retries=1, max_characters=1500, together=8)
        )
        found, right = _items(result.found), _gold(docs, wanted)
        print_row(f"{name}, {len(docs)} documents", args.model, {d.id: found[d.id] for d in docs}, right)
        known = {d.id: _of(wanted, _linked(d.text, tree, names)) for d in docs}
        print_row(f"{name}, {len(docs)} documents", "names of the tree", known, right)
        print(f"    {args.model}: {dict(result.counts)}, {time.time() - start:.0f} s", flush=True)


def rulings(args: argparse.Namespace) -> None:
    """What the agent of data/growing/rulings.py does with a model, conflict by conflict."""
    rows = list(io.read_jsonl(args.conflicts))
    found = [
        Conflict(**{**row, "options": tuple(Option(**option) for option in row["options"])}) for row in rows
    ]
    passages = [
        Passage(s.id, s.text, s.source) for s in islice(pubmed_xml(assets.folder("pubmed_2020")), args.pubmed)
    ]
    options = (
        {"max_new_tokens": args.max_new_tokens, "batch_size": 8} if args.backend == "transformers" else {}
    )
    model, start = plugins.load("models", args.backend)(args.model, **options), time.time()
    print(
        "| conflict | name | searches | status | why | last reply, the first words"
        " |\n|---|---|---|---|---|---|"
    )
    for row in rule(found, model, library(passages, Tree.load(args.tree))):
        said = " ".join(row["replies"][-1].split())[:100].replace("|", "/") if row["replies"] else ""
        print(
            f"| {row['conflict']} | {row['name']} | {len(row['searches'])} | {row['status']} | {row['why']} |"
            f" {said} |",
            flush=True,
        )
    print(f"\n{len(rows)} conflicts, {time.time() - start:.0f} s")


def print_row(name: str, method: str, found: Items, right: Items) -> None:
    precision = [(float(pair in right[id]), id) for id, pairs in found.items() for pair in sorted(pairs)]
    recall = [(float(pair in found[id]), id) for id, pairs in right.items() for pair in sorted(pairs)]
    cells = [_cell(values) for values in (precision, recall)]
    print(f"| {name} | {method} | {' | '.join(cells)} | {len(recall)} |", flush=True)


def _cell(values: Sequence[tuple[float, str]]) -> str:
    if not values:
        return "nothing found"
    e = estimate([value for value, _ in values], [id for _, id in values])
    return f"{e.mean:.3f} ({e.low:.3f} to {e.high:.3f}), {int(sum(v for v, _ in values))} of {len(values)}"


def _of(kinds: Sequence[str], pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {pair for pair in pairs if pair[1] in kinds}


def _items(found: Sequence[Found]) -> defaultdict[str, set[tuple[str, str]]]:
    items: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for one in found:
        items[one.passage].add(_pair(one.surface, one.type))
    return items


def _pair(surface: str, kind: str) -> tuple[str, str]:
    """A sign is a disease in these sets."""
    return " ".join(surface.casefold().split()), "disease" if kind == "phenotype" else kind


def _linked(text: str, tree: Tree, names: Finder) -> set[tuple[str, str]]:
    return {_pair(m.surface, tree.entities[m.entity].kind) for m in names.find(text)}


def _gold(documents: Sequence[gold.Document], wanted: Sequence[str]) -> Items:
    return {
        d.id: {_pair(d.text[s.start : s.end], s.kind) for s in d.spans if s.kind in wanted} for d in documents
    }


def _documents(path: Path) -> Iterator[gold.Document]:
    if path.suffix == ".tsv":
        yield from _from_iob(path)
    else:
        yield from gold.documents(one for one in pubtator(path) if isinstance(one, Sample))


def _from_iob(path: Path) -> Iterator[gold.Document]:
    """Words and tags of BioNLP13CG as texts, words joined by spaces."""
    text, spans, sentences, number = "", list[gold.Span](), 0, 0
    for _, line in io.lines(path):
        word, _, tag = line.partition("\t")
        if word:
            start = len(text) + bool(text)
            text = f"{text} {word}" if text else word
            if tag.startswith("B-"):
                spans.append(gold.Span(start, len(text), IOB_KINDS.get(tag[2:], tag[2:])))
            elif tag.startswith("I-") and spans:
                spans[-1] = gold.Span(spans[-1].start, len(text), spans[-1].kind)
            continue
        sentences += 1
        if text and sentences % SENTENCES == 0:
            yield gold.Document(f"cg/{number}", text, tuple(spans))
            text, spans, number = "", [], number + 1
    if text:
        yield gold.Document(f"cg/{number}", text, tuple(spans))


# ---- kinds and concepts ----------------------------------------------------------------------------


def kinds(tree: Tree, num: int = 1000) -> None:
    print(
        "| kinds of names taken out of the tree | right | most frequent kind | seconds |\n|---|---|---|---|"
    )
    nodes = [e for e in tree.entities.values() if e.parents and e.kind in KINDS]
    asked = sorted(nodes, key=lambda e: io.unit_interval("kinds", e.id))[:num]
    out = {entity.id for entity in asked}
    taken = {entity.name for entity in asked}
    roots = [e for e in tree.entities.values() if not e.parents]
    rest = Tree(
        [
            *roots,
            *(
                replace(e, parents=(f"MET:{e.kind}",))
                for e in nodes
                if e.id not in out and e.name not in taken
            ),
        ]
    )
    most = Counter(entity.kind for entity in nodes).most_common(1)[0][0]
    for name in ("ngrams", "minilm"):
        start = time.time()
        typed = Typer(rest, Remembering(embedder(name)) if name == "minilm" else None, KINDS).types(
            [e.name for e in asked]
        )
        right = estimate([float(t.kind == e.kind) for t, e in zip(typed, asked, strict=True)])
        share = sum(e.kind == most for e in asked) / len(asked)
        print(
            f"| {name} | {right.mean:.3f} ({right.low:.3f} to {right.high:.3f}), n {right.n} | {share:.3f} |"
            f" {time.time() - start:.0f} |"
        )


def concepts(tree: Tree, num: int = 1500) -> None:
    print(
        "\n| names to concepts | threshold | precision of pairs | recall of pairs | names"
        " |\n|---|---|---|---|---|"
    )
    several = [
        e for e in tree.entities.values() if e.kind == "disease" and e.parents and len(e.synonyms) >= 1
    ]
    drawn = sorted(several, key=lambda e: io.unit_interval("concepts", e.id))[:num]
    owner = {name: e.id for e in reversed(drawn) for name in (e.name, *e.synonyms)}
    mentions = [Found("p", 0, len(name), name, "disease", "") for name in owner]
    minilm = Remembering(embedder("minilm"))
    gold_pairs = sum(n * (n - 1) // 2 for n in Counter(owner.values()).values())
    for method, near, leasts in (
        ("ngrams", None, (2.0, 0.8, 0.85, 0.9)),
        ("minilm", minilm, (0.9, 0.93, 0.95, 0.97)),
    ):
        for least in leasts:
            made = cluster.concepts(mentions, {}, near, least)
            pairs = [
                owner[a] == owner[b]
                for one in made
                for a, b in combinations(sorted(one.names), 2)
                if a in owner and b in owner
            ]
            label = "spelling alone" if least > 1 else f"{least:g}"
            shown = (
                f"{sum(pairs) / max(1, len(pairs)):.3f} of {len(pairs)} | {sum(pairs) / gold_pairs:.3f} of"
                f" {gold_pairs}"
            )
            print(f"| {method} | {label} | {shown} | {len(owner)} |", flush=True)


if __name__ == "__main__":
    main()
