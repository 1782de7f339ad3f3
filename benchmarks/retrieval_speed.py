"""How fast stores are built, opened and searched, beside the libraries they rest on, in one run on one core.

    pip install bm25s usearch PyStemmer
    MEDXIAOHE_DATA=/path/to/data python benchmarks/retrieval_speed.py --passages 200000 --part text
    MEDXIAOHE_DATA=/path/to/data python benchmarks/retrieval_speed.py --passages 200000 --part dense

Passages of 1,000 characters are drawn from the words and pairs of words of the BioASQ snippets of the pack;
queries are its first 500 questions. Vectors are points near 2,000 centres in 384 dimensions, harder to search
than those of texts. Times are CPU seconds of the process, so a busy machine changes them less than wall time
would. Memory is the resident set of a process of its own that opens a store and asks 100 queries.
"""

import argparse
import importlib.util
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from medxiaohe.retrieval.dense import DenseStore, build_dense
from medxiaohe.retrieval.text import TextStore, build_text
from medxiaohe.tasks._bioasq import _all
from medxiaohe.tasks._common import place
from medxiaohe.types import Evidence

CHARACTERS, DIM, TOP = 1000, 384, 10
PEERS = {"text": ("tantivy", "bm25s", "Stemmer"), "dense": ("faiss", "usearch")}


def passages(count: int) -> Iterator[Evidence]:
    """Passages whose words follow each other as in the pack."""
    draw = random.Random(0)
    follow: dict[str, list[str]] = defaultdict(list)
    for row in _all(place("", "corpus/bioasq")):
        for snippet in row["snippets"]:
            words = snippet["text"].split()
            for one, two in pairwise(words):
                follow[one].append(two)
    starts = sorted(follow)
    for number in range(count):
        text: list[str] = []
        length, word = 0, draw.choice(starts)
        while length < CHARACTERS - 12:
            text.append(word)
            length += len(word) + 1
            after = follow.get(word)
            word = after[int(draw.random() * len(after))] if after else draw.choice(starts)
        yield Evidence(f"p{number}", " ".join(text)[:CHARACTERS], "made")


def questions() -> list[str]:
    return [row["body"].strip() for row in _all(place("", "corpus/bioasq"))][:500]


def spent(start: float) -> float:
    return time.process_time() - start


def size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def show(name: str, **figures: float) -> None:
    print(
        f"| {name} | " + " | ".join(f"{key} {value:,.2f}" for key, value in figures.items()) + " |",
        flush=True,
    )


def probe(kind: str, folder: Path) -> None:
    """In a process of its own: open a store, ask 100 queries, print seconds and memory."""
    start = time.perf_counter()
    if kind == "text":
        store: TextStore | DenseStore = TextStore(folder)
        asked: list[str] = questions()[:100]
    else:
        store = DenseStore(folder, Points())
        asked = [str(n) for n in range(100)]
    opened = time.perf_counter() - start
    for query in asked:
        store.search([query], TOP)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"open_s": opened, "rss_mb": peak}))


def probed(kind: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--probe", kind, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def text(count: int) -> None:
    rows = list(passages(count))
    asked = questions()
    folder = Path(tempfile.mkdtemp(prefix="medxiaohe-speed-"))
    start = time.process_time()
    build_text(folder, rows)
    built = spent(start)
    store = TextStore(folder)
    store.search(asked[:5], TOP)
    start = time.process_time()
    found = [store.search([query], TOP)[0] for query in asked]
    singly = len(asked) / spent(start)
    start = time.process_time()
    store.search(asked, TOP)
    batched = len(asked) / spent(start)
    show(
        "text store",
        build_s=built,
        disk_mb=size_mb(folder),
        per_s=singly,
        batched=batched,
        **probed("text", folder),
    )
    more = [Evidence(f"m{n}", one.text, "made") for n, one in enumerate(rows[: count // 100])]
    from medxiaohe.retrieval.library import append

    start = time.process_time()
    append(folder, iter(more), folder.with_name(f"{folder.name}-more"))
    show("text store, 1 % appended", build_s=spent(start))
    shutil.rmtree(folder.with_name(f"{folder.name}-more"))

    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
    builder.add_unsigned_field("id", stored=True)
    place = Path(tempfile.mkdtemp(prefix="medxiaohe-speed-"))
    start = time.process_time()
    index = tantivy.Index(builder.build(), path=str(place))
    writer = index.writer(1_000_000_000, 1)
    for number, one in enumerate(rows):
        writer.add_document(tantivy.Document(text=one.text, id=number))
    writer.commit()
    writer.wait_merging_threads()
    built = spent(start)
    index.reload()
    searcher = index.searcher()
    plain = ["".join(sign if sign.isalnum() else " " for sign in query).lower() for query in asked]
    start = time.process_time()
    for query in plain:
        hits = searcher.search(index.parse_query(query, ["text"]), TOP).hits
        [searcher.doc(address) for _, address in hits]
    show(
        "tantivy, en_stem, no text kept",
        build_s=built,
        disk_mb=size_mb(place),
        per_s=len(asked) / spent(start),
    )
    shutil.rmtree(place)

    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    start = time.process_time()
    tokens = bm25s.tokenize([one.text for one in rows], stopwords="en", stemmer=stemmer, show_progress=False)
    model = bm25s.BM25()
    model.index(tokens, show_progress=False)
    built = spent(start)
    start = time.process_time()
    for query in asked:
        terms = bm25s.tokenize([query], stopwords="en", stemmer=stemmer, show_progress=False)
        model.retrieve(terms, k=TOP, show_progress=False)
    show("bm25s, stop words + stemmer, in memory", build_s=built, per_s=len(asked) / spent(start))
    assert found


class Points:
    """An encoder of numbers: the text is the seed of a point near one of 2,000 centres."""

    name, dim = "points near 2,000 centres", DIM

    def __init__(self) -> None:
        draw = np.random.default_rng(7)
        self.centres = draw.standard_normal((2000, DIM)).astype(np.float32)
        self.axes = draw.standard_normal((48, DIM)).astype(np.float32)

    def encode(self, texts: list[str], batch_size: int = 128, kind: str = "") -> np.ndarray:
        draw = np.random.default_rng([len(texts), int(texts[0]), len(kind)])
        n = len(texts)
        rows = self.centres[draw.integers(0, 2000, n)] * 0.6
        rows += draw.standard_normal((n, 48)).astype(np.float32) @ self.axes * 0.12
        rows += draw.standard_normal((n, DIM)).astype(np.float32) * 0.25
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def dense(count: int) -> None:
    encoder = Points()
    folder = Path(tempfile.mkdtemp(prefix="medxiaohe-speed-"))
    start = time.process_time()
    build_dense(
        folder, (Evidence(f"{n}", f"{n}", "made") for n in range(count)), encoder=encoder, approximate=1
    )
    built = spent(start)
    store = DenseStore(folder, encoder)
    asked = encoder.encode([str(n) for n in range(200)], kind="query")
    vectors = np.memmap(folder / "vectors.0.f16", dtype="<f2", mode="r", shape=(count, DIM))
    scores = np.concatenate(
        [asked @ vectors[i : i + 65536].astype(np.float32).T for i in range(0, count, 65536)], axis=1
    )
    exact = np.argpartition(-scores, TOP, axis=1)[:, :TOP]

    def recall(found: list[list[int]]) -> float:
        return float(
            np.mean([len(set(a) & set(b)) / TOP for a, b in zip(found, exact.tolist(), strict=True)])
        )

    start = time.process_time()
    near = [store.vectors.search(asked[i : i + 1], TOP)[0] for i in range(len(asked))]
    speed = len(asked) / spent(start)
    share = recall([[row for _, row in one[:TOP]] for one in near])
    graph = (folder / "vectors.0.faiss").stat().st_size / 1e6
    show("dense store", build_s=built, graph_mb=graph, recall=share, per_s=speed, **probed("dense", folder))
    start = time.process_time()
    for i in range(20):
        row = (
            vectors.astype(np.float32) @ asked[i]
            if count <= 300_000
            else vectors[:300_000].astype(np.float32) @ asked[i]
        )
        np.argpartition(-row, TOP)[:TOP]
    show("exact, float16 rows, numpy", per_s=20 / spent(start))

    import faiss

    faiss.omp_set_num_threads(1)
    rows = np.asarray(vectors, np.float32)
    flat = faiss.IndexFlatIP(DIM)
    flat.add(rows)
    start = time.process_time()
    flat.search(asked, TOP)
    show("faiss, exact, float32", recall=1.0, batched=len(asked) / spent(start))
    del flat
    from usearch.index import Index

    for connectivity in (16, 32):
        index = Index(ndim=DIM, metric="cos", dtype="i8", connectivity=connectivity, expansion_add=80)
        start = time.process_time()
        index.add(np.arange(count), rows, threads=1)
        built = spent(start)
        for expansion in (64, 192):
            index.expansion_search = expansion
            start = time.process_time()
            keys = [index.search(row, TOP, threads=1).keys.tolist() for row in asked]
            show(
                f"usearch, 8 bits, connectivity {connectivity}, expansion {expansion}",
                build_s=built, graph_mb=index.serialized_length / 1e6, recall=recall(keys),
                per_s=len(asked) / spent(start),
            )  # fmt: skip
    shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--passages", type=int, default=200_000)
    parser.add_argument("--part", choices=("text", "dense"), default="text")
    parser.add_argument("--probe", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if args.probe:
        probe(args.probe[0], Path(args.probe[1]))
    elif missing := [name for name in PEERS[args.part] if importlib.util.find_spec(name) is None]:
        parser.error(f"{', '.join(missing)} not installed: see the first line of --help")
    else:
        print(f"{args.passages:,} passages, load {os.getloadavg()[0]:.1f}")
        (text if args.part == "text" else dense)(args.passages)


if __name__ == "__main__":
    main()
