"""Which PubMed documents answer a BioASQ question: the text store beside bm25s and tantivy in the same run.

    pip install bm25s
    MEDXIAOHE_DATA=/path/to/data python benchmarks/retrieval.py --split test --among asset:pubmed_2021

A document is the snippets that experts marked in a PubMed abstract, joined, since the pack has no whole
abstracts: finding is easier than in PubMed, and figures compare only within a table. `--among` adds abstracts
that answer nothing. Gold are the documents with a snippet for the question. The questions are those of a
split by hash; anything is chosen on validation. Differences in nDCG@10 to the first row are paired, with an
interval by bootstrap over questions. `shuffled` is the text store with its ids permuted: chance.
"""

import argparse
import hashlib
import math
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medxiaohe import assets
from medxiaohe.models.embed import Embedder, embedder
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.retrieval.chunks import chunks
from medxiaohe.retrieval.dense import DenseStore, build_dense
from medxiaohe.retrieval.pubmed import articles
from medxiaohe.retrieval.store import Fused, Store
from medxiaohe.retrieval.text import TextStore, build_text
from medxiaohe.retrieval.words import terms
from medxiaohe.tasks._bioasq import _all
from medxiaohe.tasks._common import hash_split, place
from medxiaohe.types import Evidence

K = 10
DEPTH = 20  # chunks that are looked at for ten documents
RESAMPLES = 2000
Search = Callable[[str], list[str]]  # question -> ids of documents, best first


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", default="validation", choices=("train", "validation", "test"))
    parser.add_argument("--among", action="append", default=[], metavar="asset:NAME", help="more abstracts")
    parser.add_argument("--memory", type=int, default=50, help="questions asked of the store in memory")
    parser.add_argument("--answers-only", action="store_true", help="only documents of the split's questions")
    parser.add_argument("--dense", action="store_true", help="also MiniLM, and it fused with the text store")
    parser.add_argument("--embedder", default="minilm", help="of the dense store")
    parser.add_argument("--vectors", type=Path, help="folder in which vectors of texts are kept between runs")
    parser.add_argument(
        "--encode", type=float, metavar="SECONDS", help="only compute vectors into --vectors, for so long"
    )
    args = parser.parse_args()
    documents, questions, gold = bioasq(args.split)
    if args.answers_only:
        documents = {id: documents[id] for id in sorted(set().union(*gold))}
    for name in args.among:
        for article in articles(assets.folder(name.removeprefix("asset:"))):
            if article.abstract and article.pmid not in documents:
                documents[article.pmid] = f"{article.title}\n{article.abstract}"
    if args.encode:
        texts = [text[a:b] for text in documents.values() for a, b in chunks(text)]
        print(Kept(embedder(args.embedder), args.vectors).fill([*texts, *questions], args.encode), "left")
        return
    characters = sum(map(len, documents.values()))
    print(
        f"{len(documents):,} documents, {characters / 1e6:.1f} M characters,"
        f" {len(questions)} questions of {args.split}"
    )
    print(f"{'engine':<34}{'build CPU s':>12}{'ms/query':>10}{'nDCG@10':>9}{'R@10':>7}   less the first row")
    first: list[float] = []
    by_name: dict[str, list[float]] = {}
    for name, build in {**SYSTEMS, **(dense() if args.dense else {})}.items():
        start = time.process_time()
        search = build(documents)
        built = time.process_time() - start
        asked = questions[: args.memory] if name.startswith("in memory") else questions
        search(asked[0])
        start = time.process_time()
        found = [search(question) for question in asked]
        each = 1000 * (time.process_time() - start) / len(asked)
        scores = [ndcg(ids, right) for ids, right in zip(found, gold, strict=False)]
        recalls = [len(set(ids[:K]) & right) / len(right) for ids, right in zip(found, gold, strict=False)]
        first = first or scores
        by_name[name] = scores
        low, mean, high = bootstrap([b - a for a, b in zip(first, scores, strict=False)])
        print(
            f"{name:<34}{built:>12.1f}{each:>10.2f}{sum(scores) / len(scores):>9.3f}"
            f"{sum(recalls) / len(recalls):>7.3f}   {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
            f"{f' on {len(asked)} questions' if len(asked) < len(questions) else ''}",
            flush=True,
        )
    if args.dense:
        pairs = zip(by_name["text store"], by_name["text and dense store, fused"], strict=True)
        low, mean, high = bootstrap([b - a for a, b in pairs])
        print(f"fused less text store: {mean:+.3f} [{low:+.3f}, {high:+.3f}]")
    print(f"peak memory of the run {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def bioasq(split: str) -> tuple[dict[str, str], list[str], list[set[str]]]:
    """Documents by PubMed id, questions of a split, and the ids of each one's documents."""
    snippets: dict[str, dict[str, None]] = {}
    questions, gold = [], []
    for row in _all(place("", "corpus/bioasq")):
        ids = [snippet["document"].rpartition("/")[2] for snippet in row["snippets"]]
        for id, snippet in zip(ids, row["snippets"], strict=True):
            snippets.setdefault(id, {})[" ".join(snippet["text"].split())] = None
        if ids and hash_split("bioasq", row["id"], train=0.6, validation=0.1) == split:
            questions.append(row["body"].strip())
            gold.append(set(ids))
    return {id: " ".join(texts) for id, texts in snippets.items()}, questions, gold


def ndcg(found: Sequence[str], right: set[str]) -> float:
    """Normalised discounted cumulative gain of the first ten, with 0/1 relevance (Järvelin and Kekäläinen
    2002)."""
    gain = sum(1 / math.log2(rank + 2) for rank, id in enumerate(found[:K]) if id in right)
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(K, len(right))))


def bootstrap(values: Sequence[float]) -> tuple[float, float, float]:
    """2.5 %, mean and 97.5 % of the mean of resampled values."""
    draw = random.Random(0)
    means = sorted(sum(draw.choices(values, k=len(values))) / len(values) for _ in range(RESAMPLES))
    return means[RESAMPLES * 25 // 1000], sum(values) / len(values), means[RESAMPLES * 975 // 1000]


class Kept:
    """An embedder whose vectors stay in a folder, so that a run does not compute again what another one
    did."""

    PIECE = 512  # texts that are encoded and written together

    def __init__(self, encoder: Embedder, folder: Path):
        self.encoder, self.name, self.dim = encoder, encoder.name, encoder.dim
        self.folder = folder / re.sub(r"\W+", "_", encoder.name)
        self.rows: dict[str, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.npz")):
            piece = np.load(path)
            self.rows.update(zip(piece["keys"].tolist(), piece["rows"], strict=True))

    def fill(self, texts: Sequence[str], seconds: float, kind: str = "document") -> int:
        """Compute vectors for at most so long; the number of texts that are left."""
        end = time.monotonic() + seconds
        missing = [text for text in dict.fromkeys(texts) if self.key(text, kind) not in self.rows]
        while missing and time.monotonic() < end:
            piece, missing = missing[: self.PIECE], missing[self.PIECE :]
            self.add(piece, kind)
        return len(missing)

    def add(self, texts: Sequence[str], kind: str) -> None:
        keys = [self.key(text, kind) for text in texts]
        rows = self.encoder.encode(texts, 32, kind).astype(np.float16)
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{keys[0]}"
        with open(draft, "wb") as file:
            np.savez(file, keys=np.array(keys), rows=rows)
        draft.rename(self.folder / f"{keys[0]}.npz")
        self.rows.update(zip(keys, rows, strict=True))

    def encode(self, texts: Sequence[str], batch_size: int = 128, kind: str = "") -> np.ndarray:
        if missing := [text for text in dict.fromkeys(texts) if self.key(text, kind) not in self.rows]:
            self.add(missing, kind)
        return np.stack([self.rows[self.key(text, kind)] for text in texts]).astype(np.float32)

    def key(self, text: str, kind: str) -> str:
        return hashlib.sha256((self.encoder.prompts.get(kind, "") + text).encode()).hexdigest()[:32]


def distinct(ids: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ids))[:K]


def text_store(documents: dict[str, str]) -> Search:
    folder = Path(tempfile.mkdtemp(prefix="medxiaohe-retrieval-"))
    build_text(folder, (Evidence(id, text, "PubMed") for id, text in documents.items()))
    store = TextStore(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"  the text store takes {size / 1e6:.1f} MB on disk", file=sys.stderr)
    return found_in(store)


def shuffled(documents: dict[str, str]) -> Search:
    ids = list(documents)
    random.Random(0).shuffle(ids)
    return text_store(dict(zip(ids, documents.values(), strict=True)))


def memory(documents: dict[str, str]) -> Search:
    index = BM25(Evidence(id, text, "PubMed") for id, text in documents.items())
    return lambda question: [one.id for one in index.search([question], K)[0]]


def bm25s(split: Callable[[list[str]], Any]) -> Callable[[dict[str, str]], Search]:
    def build(documents: dict[str, str]) -> Search:
        import bm25s

        ids = list(documents)
        index = bm25s.BM25(k1=1.5, b=0.75)
        index.index(split(list(documents.values())), show_progress=False)

        def search(question: str) -> list[str]:
            rows, _ = index.retrieve(split([question]), k=K, show_progress=False)
            return [ids[row] for row in rows[0]]

        return search

    return build


def stop_and_stem(words: str) -> Callable[[list[str]], Any]:
    def split(texts: list[str]) -> Any:
        import bm25s
        import Stemmer

        return bm25s.tokenize(texts, stopwords=words, stemmer=Stemmer.Stemmer("english"), show_progress=False)

    return split


def our_terms(texts: list[str]) -> Any:
    return [terms(text) for text in texts]


def tantivy_plain(documents: dict[str, str]) -> Search:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", tokenizer_name="en_stem")
    builder.add_text_field("id", stored=True, tokenizer_name="raw")
    index = tantivy.Index(builder.build())
    writer = index.writer(256_000_000, 1)
    for id, text in documents.items():
        writer.add_document(tantivy.Document(text=text, id=id))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def search(question: str) -> list[str]:
        words = "".join(sign if sign.isalnum() else " " for sign in question)
        hits = searcher.search(index.parse_query(words.lower(), ["text"]), K).hits
        return [searcher.doc(address)["id"][0] for _, address in hits]

    return search


def dense() -> dict[str, Callable[[dict[str, str]], Search]]:
    """The dense store with MiniLM, and the two stores fused; vectors are computed once."""
    stores: dict[str, Store] = {}

    def minilm(documents: dict[str, str]) -> Search:
        folder = Path(tempfile.mkdtemp(prefix="medxiaohe-retrieval-"))
        build_dense(folder, (Evidence(id, text, "PubMed") for id, text in documents.items()))
        stores["dense"] = DenseStore(folder)
        return found_in(stores["dense"])

    def fused(documents: dict[str, str]) -> Search:
        folder = Path(tempfile.mkdtemp(prefix="medxiaohe-retrieval-"))
        build_text(folder, (Evidence(id, text, "PubMed") for id, text in documents.items()))
        return found_in(Fused([TextStore(folder), stores["dense"]]))

    return {"dense store, MiniLM": minilm, "text and dense store, fused": fused}


def found_in(store: Store) -> Search:
    return lambda question: distinct([one.id.partition("#")[0] for one in store.search([question], DEPTH)[0]])


SYSTEMS: dict[str, Callable[[dict[str, str]], Search]] = {
    "bm25s, stop words en_plus + stemmer": bm25s(stop_and_stem("en_plus")),
    "bm25s, stop words en + stemmer": bm25s(stop_and_stem("en")),
    "bm25s, terms of the text store": bm25s(our_terms),
    "tantivy, en_stem": tantivy_plain,
    "text store": text_store,
    "in memory (retrieval/bm25.py)": memory,
    "shuffled": shuffled,
}

if __name__ == "__main__":
    main()
