"""Hand-written pieces beside the libraries that could replace them: quality, time, size, start-up.

    python benchmarks/libraries.py --data DATA [--libraries FOLDER] [--only-imports]

DATA is the data pack (MedQuAD is read). FOLDER has scikit-learn, lightgbm and rapidfuzz, which medxiaohe does
not install: `pip install --target FOLDER scikit-learn lightgbm rapidfuzz`. What is not installed is left out.
ARCHITECTURE.md, "By hand or by library", has what it printed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import random
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

WORDS = 40  # of a text that counts as one
FEATURES, QUERIES, CANDIDATES = 35, 600, 20  # as many as the ranker of parents has
VECTORS, DIMENSIONS, CENTRES = 10_000, 50, 100  # about what the classes of words are made of


def timed(what: Callable[[], Any]) -> tuple[Any, float]:
    """Call a function.

    Returns:
        its result, and the CPU seconds that it took
    """
    start = time.process_time()
    return what(), time.process_time() - start


def medical(folder: Path, most: int) -> list[str]:
    """Answers of MedQuAD."""
    files = sorted((folder / "corpus" / "medquad").rglob("*.xml"))
    random.Random(0).shuffle(files)
    texts: list[str] = []
    for file in files:
        for answer in re.findall(r"<Answer>(.*?)</Answer>", file.read_text("utf-8"), re.DOTALL):
            if len(answer.split()) >= WORDS:
                texts.append(" ".join(answer.split()))
                break
        if len(texts) == most:
            break
    return texts


def general(most: int) -> list[str]:
    """Docstrings of installed packages, as the recipe `corpus` takes them for texts that are not medical."""

    def found() -> Iterator[str]:
        files = sorted(Path(sysconfig.get_paths()["purelib"]).glob("[a-z]*/**/*.py"))
        random.Random(0).shuffle(files)
        for file in files:
            try:
                tree = ast.parse(file.read_text("utf-8"))
            except (SyntaxError, ValueError, UnicodeDecodeError, RecursionError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    text = ast.get_docstring(node) or ""
                    if len(text.split()) >= WORDS:
                        yield " ".join(text.split())
                        break

    texts: list[str] = []
    for text in found():
        texts.append(text)
        if len(texts) == most:
            break
    return texts


def classifiers(data: Path) -> Iterator[tuple[str, str]]:
    """Accuracy on 1,000 texts after training on 200, ours and logistic regression of scikit-learn."""
    from medxiaohe.data.cleaning import linear_classifier

    groups = medical(data, 600), general(600)
    train = [(text, bool(label)) for label, texts in zip((1, 0), groups, strict=True) for text in texts[:100]]
    test = [(text, bool(label)) for label, texts in zip((1, 0), groups, strict=True) for text in texts[100:]]
    texts, labels = [text for text, _ in train], [label for _, label in train]
    ours, seconds = timed(lambda: linear_classifier.train(texts, labels))
    right = sum((ours.probability(text) >= 0.5) == label for text, label in test)
    yield "linear classifier, ours", f"{right} of {len(test)} right, {seconds:.2f} s"
    if importlib.util.find_spec("sklearn"):
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        model = make_pipeline(
            HashingVectorizer(ngram_range=(1, 2), n_features=1 << 18), LogisticRegression(max_iter=1000)
        )
        _, seconds = timed(lambda: model.fit(texts, labels))
        right = sum(model.predict([text for text, _ in test]) == [label for _, label in test])
        yield "linear classifier, scikit-learn", f"{right} of {len(test)} right, {seconds:.2f} s"


def rankers() -> Iterator[tuple[str, str]]:
    """Share of made-up queries whose right candidate comes first: ours and LightGBM's LambdaRank."""
    import numpy as np

    from medxiaohe.entity.literature import boost

    draw = np.random.default_rng(0)
    rows = draw.random((2 * QUERIES * CANDIDATES, FEATURES))
    group = np.repeat(np.arange(2 * QUERIES), CANDIDATES)
    # relevance: a product, a threshold and noise, which no linear score has
    value = rows[:, 0] * rows[:, 1] + (rows[:, 2] > 0.7) * rows[:, 3] + 0.15 * draw.standard_normal(len(rows))
    best = value.reshape(-1, CANDIDATES).argmax(1)
    gold = (np.arange(len(rows)) % CANDIDATES == best[group]).astype(float)
    half = QUERIES * CANDIDATES

    def first(score: Any) -> float:
        return float((score.reshape(-1, CANDIDATES).argmax(1) == best[QUERIES:]).mean())

    ranker, seconds = timed(lambda: boost.fit(rows[:half], group[:half], gold[:half]))
    yield "ranker, ours", f"{first(ranker.scores(rows[half:])):.3f} first of {QUERIES}, {seconds:.1f} s"
    if importlib.util.find_spec("lightgbm"):
        import lightgbm

        model = lightgbm.LGBMRanker(
            n_estimators=120, num_leaves=16, learning_rate=0.15, n_jobs=1, verbose=-1, random_state=0
        )
        sizes = [CANDIDATES] * QUERIES
        _, seconds = timed(lambda: model.fit(rows[:half], gold[:half], group=sizes))
        yield (
            "ranker, LightGBM",
            f"{first(model.predict(rows[half:])):.3f} first of {QUERIES}, {seconds:.1f} s",
        )


def clusterings() -> Iterator[tuple[str, str]]:
    """Mean cosine of vectors to the centre of their class, ours and scikit-learn's k-means."""
    import numpy as np

    from medxiaohe.entity.tagging import word_classes

    draw = np.random.default_rng(0)
    centres = draw.standard_normal((CENTRES, DIMENSIONS))
    vectors = centres[draw.integers(0, CENTRES, VECTORS)] + 0.8 * draw.standard_normal((VECTORS, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    def tightness(classes: Any) -> float:
        sums = np.zeros((CENTRES, DIMENSIONS))
        np.add.at(sums, classes, vectors)
        return float(np.linalg.norm(sums, axis=1).sum() / VECTORS)

    rng = np.random.default_rng(0)
    classes, seconds = timed(lambda: word_classes._k_means(vectors.astype(np.float32), CENTRES, rng))
    yield "k-means, ours", f"mean cosine {tightness(classes):.3f}, {seconds:.1f} s"
    if importlib.util.find_spec("faiss"):
        import faiss

        floats = vectors.astype(np.float32)
        model = faiss.Kmeans(DIMENSIONS, CENTRES, niter=word_classes.ROUNDS, spherical=True, seed=0)
        _, seconds = timed(lambda: model.train(floats))
        yield (
            "k-means, faiss",
            f"mean cosine {tightness(model.index.search(floats, 1)[1][:, 0]):.3f}, {seconds:.1f} s",
        )
    if importlib.util.find_spec("sklearn"):
        from sklearn.cluster import KMeans

        model, seconds = timed(lambda: KMeans(CENTRES, n_init=1, random_state=0).fit(vectors))
        yield "k-means, scikit-learn", f"mean cosine {tightness(model.labels_):.3f}, {seconds:.1f} s"


def imports() -> Iterator[tuple[str, str]]:
    """CPU milliseconds that an import adds to a bare interpreter, best of three, and megabytes on disk."""

    def milliseconds(module: str) -> float:
        program = f"import time; t = time.process_time(); import {module}; print(time.process_time() - t)"
        runs = [
            subprocess.run(
                [sys.executable, "-c", f"import sys; sys.path += {sys.path!r}; {program}"],
                capture_output=True, text=True, check=True,
            ).stdout
            for _ in range(3)
        ]  # fmt: skip
        return 1000 * min(map(float, runs))

    for module in (
        "medxiaohe.progress", "rich.progress", "tqdm", "medxiaohe.pages.elements.html", "jinja2", "difflib",
        "faiss", "rapidfuzz.process", "sklearn.linear_model", "sklearn.cluster", "lightgbm",
    ):  # fmt: skip
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            continue
        spec = importlib.util.find_spec(module.partition(".")[0])
        place = Path(spec.origin).parent if spec and spec.origin else None
        size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file()) if place else 0
        shown = f", {size / 1e6:.0f} MB" if place and not module.startswith(("medxiaohe", "difflib")) else ""
        yield f"import {module}", f"{milliseconds(module):.0f} ms{shown}"


def fuzzy() -> Iterator[tuple[str, str]]:
    """Milliseconds to find the nearest of 300 names, as a refusal of a wrong name does once."""
    import difflib

    names = [f"{left}_{right}" for left in ("med", "chest", "skin", "eye", "lab") for right in range(60)]
    start = time.perf_counter()
    close = difflib.get_close_matches("chset_17", names, n=1)
    yield "nearest name, difflib", f"{close}, {1000 * (time.perf_counter() - start):.1f} ms"
    if importlib.util.find_spec("rapidfuzz"):
        process = importlib.import_module("rapidfuzz.process")
        start = time.perf_counter()
        found = process.extractOne("chset_17", names)
        yield "nearest name, rapidfuzz", f"{[found[0]]}, {1000 * (time.perf_counter() - start):.1f} ms"


def main() -> None:
    """Print a line for each piece."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only-imports", action="store_true", help="measure imports alone")
    parser.add_argument("--data", type=Path, help="the data pack")
    parser.add_argument("--libraries", type=Path, help="a folder with libraries that are not installed")
    args = parser.parse_args()
    if args.libraries:
        sys.path.append(str(args.libraries))
    pieces = [classifiers(args.data)] if args.data and not args.only_imports else []
    pieces += [] if args.only_imports else [rankers(), clusterings(), fuzzy()]
    for piece in (*pieces, imports()):
        for name, text in piece:
            print(f"{name:<32} {text}", flush=True)


if __name__ == "__main__":
    main()
