"""How fast names are found in text: the compiled index, and the pure Python linker, beside what pip offers
for it.

    pip install 'medxiaohe[fast]' ahocorasick_rs==1.0.3 daachorse==0.5.0 flashtext2==1.1.0
    pyahocorasick==2.3.1
    python benchmarks/entity_linking.py            # 100,000 and 1,000,000 names: three minutes and 4 GB
    python benchmarks/entity_linking.py --quick    # 5,000 names, 1 MB of text: some seconds

Every engine gets the same names and documents, in any case, in one thread, a pass each in turn; the table has
the median of the passes by CPU time, from texts to (start, end) of every mention. "full" finds whole words
and the longest name; "raw" is the engine alone, which finds "ear" in "heart" and is here to show what the
rest costs.
"""

import argparse
import ctypes
import gc
import importlib.metadata
import itertools
import os
import platform
import random
import statistics
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medxiaohe import assets, plugins
from medxiaohe.entity.linking.index import Index
from medxiaohe.entity.linking.link import Linker
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.types import Entity, Sample

PACKAGES = ("numba", "numpy", "flashtext2", "ahocorasick_rs", "daachorse", "pyahocorasick")
BEFORE = (
    "acute", "chronic", "familial", "congenital", "severe", "mild", "recurrent", "primary", "secondary",
    "bilateral", "idiopathic",
    "hereditary", "suspected", "early-onset", "late-onset", "juvenile", "history of", "absence of", "risk of",
    "treatment of",
)  # fmt: skip
Spans = list[tuple[int, int]]


# ---- names and text ------------------------------------------------------------------------------


def vocabulary(wanted: int, seed: int = 0) -> tuple[list[str], int]:
    """Names in lower case, each once, and how many of them are really in a vocabulary; the others have a word
    before it."""
    found = dict[str, None]()
    for reader in ("mondo", "hpo", "uberon", "chebi"):
        for entity in plugins.load("vocabularies", reader)(None):
            found.update(
                dict.fromkeys(" ".join(name.lower().split()) for name in (entity.name, *entity.synonyms))
            )
    tabular = next(assets.folder("icd10cm").glob("*.xml"))
    for element in ElementTree.parse(tabular).iter():
        if element.tag in ("desc", "note") and element.text:
            found[" ".join(element.text.lower().split())] = None
    real = [name for name in found if len(name) >= 3]
    random.Random(seed).shuffle(real)
    names = real[:wanted]
    made = (f"{before} {name}" for before in BEFORE for name in real if len(name) < 60)
    names += itertools.islice((name for name in made if name not in found), wanted - len(names))
    return names, min(wanted, len(real))


def documents(num_bytes: int) -> tuple[list[str], str]:
    """Texts as written, so many bytes or a little more, and what they are."""
    if pack := os.environ.get("MEDXIAOHE_DATA"):
        reader, path, name = "medquad_xml", Path(pack) / "corpus" / "medquad", "MedQuAD"
    else:
        reader, path, name = "pubmed_xml", assets.folder("pubmed_2021"), "PubMed 2021"
    samples = (row for row in plugins.load("readers", reader)(path) if isinstance(row, Sample))
    texts = [
        "\n".join(part for message in sample.messages for part in message.parts if isinstance(part, str))
        for sample in samples
    ]
    random.Random(0).shuffle(texts)
    found, size = [], 0
    for text in texts:
        found.append(text)
        size += len(found[-1].encode())
        if size >= num_bytes:
            break
    return found, name


# ---- engines: names -> a function from documents to the number of mentions -----------------------

Engine = Callable[[Sequence[str]], int]


def compiled(names: Sequence[str]) -> Engine:
    index = Index.build(names)
    return lambda texts: len(index.find_batch(texts))


def pure_python(names: Sequence[str]) -> Engine:
    root = Entity("MET:name", "name", "name")
    linker = Linker(
        Tree([root, *(Entity(f"N:{number}", name, "name", (root.id,)) for number, name in enumerate(names))])
    )
    return lambda texts: sum(len(linker.find(text)) for text in texts)


def flashtext2_full(names: Sequence[str]) -> Engine:
    import flashtext2

    processor = flashtext2.KeywordProcessor(case_sensitive=False)
    processor.add_keywords_from_iter(names)
    return lambda texts: sum(len(processor.extract_keywords_with_span(text)) for text in texts)


def ahocorasick_rs_full(names: Sequence[str]) -> Engine:
    import ahocorasick_rs

    automaton = ahocorasick_rs.AhoCorasick(names)

    def spans(text: str) -> Spans:
        return whole_and_longest(
            text, ((s, e) for _, s, e in automaton.find_matches_as_indexes(text, overlapping=True))
        )

    return lambda texts: sum(len(spans(text.lower())) for text in texts)


def ahocorasick_rs_raw(names: Sequence[str]) -> Engine:
    import ahocorasick_rs

    automaton = ahocorasick_rs.AhoCorasick(names, matchkind=ahocorasick_rs.MatchKind.LeftmostLongest)
    return lambda texts: sum(len(automaton.find_matches_as_indexes(text.lower())) for text in texts)


def pyahocorasick_full(names: Sequence[str]) -> Engine:
    import ahocorasick

    automaton = ahocorasick.Automaton(ahocorasick.STORE_INTS)
    for name in names:
        automaton.add_word(name, len(name))
    automaton.make_automaton()

    def spans(text: str) -> Spans:
        return whole_and_longest(text, ((e - n + 1, e + 1) for e, n in automaton.iter(text)))

    return lambda texts: sum(len(spans(text.lower())) for text in texts)


def daachorse_full(names: Sequence[str]) -> Engine:
    import daachorse

    automaton = daachorse.CharwiseDoubleArrayAhoCorasick(names)

    def spans(text: str) -> Spans:
        return whole_and_longest(text, ((s, e) for s, e, _ in automaton.find_overlapping(text)))

    return lambda texts: sum(len(spans(text.lower())) for text in texts)


def daachorse_raw(names: Sequence[str]) -> Engine:
    import daachorse

    automaton = daachorse.CharwiseDoubleArrayAhoCorasick(names, daachorse.MATCH_KIND_LEFTMOST_LONGEST)
    return lambda texts: sum(len(automaton.find(text.lower())) for text in texts)


def whole_and_longest(text: str, spans: Iterator[tuple[int, int]]) -> Spans:
    """Of overlapping spans those that are whole words, leftmost first, the longest of each start."""
    whole = [
        (start, -end)
        for start, end in spans
        if not (start and text[start - 1].isalnum() and text[start].isalnum())
        and not (end < len(text) and text[end].isalnum() and text[end - 1].isalnum())
    ]
    whole.sort()
    found, free = [], 0
    for start, end in whole:
        if start >= free:
            found.append((start, -end))
            free = -end
    return found


OURS = "medxiaohe, compiled"
ENGINES: dict[str, Callable[[Sequence[str]], Engine]] = {
    OURS: compiled,
    "flashtext2": flashtext2_full,
    "ahocorasick_rs": ahocorasick_rs_full,
    "daachorse": daachorse_full,
    "pyahocorasick": pyahocorasick_full,
    "ahocorasick_rs, raw": ahocorasick_rs_raw,
    "daachorse, raw": daachorse_raw,
}


# ---- measuring -----------------------------------------------------------------------------------


def resident() -> float:
    """MB of memory that this process holds."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def measured(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """What a call returns, its CPU seconds, and how much more memory is held after it."""
    before, start = resident(), time.process_time()
    result = function()
    seconds = time.process_time() - start
    return result, seconds, resident() - before


def compare(
    engines: dict[str, Callable[[Sequence[str]], Engine]],
    names: Sequence[str],
    texts: Sequence[str],
    rounds: int,
) -> None:
    size = sum(len(text.encode()) for text in texts) / 1e6
    built = {name: measured(lambda make=make: make(names)) for name, make in engines.items()}
    mentions = {name: engine(texts) for name, (engine, _, _) in built.items()}  # also warms up
    seconds: dict[str, list[float]] = {name: [] for name in built}
    for _, (name, (engine, _, _)) in itertools.product(range(rounds), built.items()):
        start = time.process_time()
        engine(texts)
        seconds[name].append(time.process_time() - start)
    speeds = {name: size / statistics.median(times) for name, times in seconds.items()}
    print("\n| engine | MB/s | build s | memory MB | mentions |\n|---|---|---|---|---|")
    for name, (_, build_seconds, memory) in built.items():
        print(f"| {name} | {speeds[name]:.1f} | {build_seconds:.1f} | {memory:.0f} | {mentions[name]:,} |")
    for kind in ("full", "raw"):
        best = max(
            (name for name in engines if name != OURS and (kind == "raw") == ("raw" in name)),
            key=speeds.__getitem__,
        )
        ratios = sorted(theirs / ours for theirs, ours in zip(seconds[best], seconds[OURS], strict=True))
        ratio = speeds[OURS] / speeds[best]
        print(
            f"\nThe best {kind} peer is {best}; ours is {ratio:.1f} times as fast, by round {ratios[0]:.1f}"
            f" to {ratios[-1]:.1f}."
        )


def start_up(names: Sequence[str]) -> None:
    """How long a process takes to have a saved index, and its size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "names.index"
        Index.build(names).save(path)
        before, start = resident(), time.perf_counter()
        index = Index.load(path)
        seconds = time.perf_counter() - start
        size, memory = path.stat().st_size / 1e6, resident() - before
        print(
            f"\nSaved, the index is {size:.0f} MB; mapped and checked in {seconds:.2f} s, {memory:.0f} MB"
            " that processes share."
        )
        assert len(index.find_batch(["no name"])) == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="few names, little text, and the pure Python linker too"
    )
    parser.add_argument("--names", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--megabytes", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    sizes, megabytes = ([5_000], 1.0) if options.quick else (options.names, options.megabytes)
    texts, source = documents(int(megabytes * 1e6))
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    print(
        f"Python {platform.python_version()}, {versions}; {time.strftime('%Y-%m-%d')}; {len(texts):,}"
        f" documents of {source}"
    )
    Index.build(["warm"]).find_batch(["up"])  # compile, or load what is compiled
    for size in sizes:
        names, real = vocabulary(size)
        print(f"\n## {len(names):,} names, {real:,} of them from vocabularies")
        compare(
            {**ENGINES, "medxiaohe, pure Python": pure_python} if size <= 100_000 else ENGINES,
            names,
            texts,
            options.rounds,
        )
        start_up(names)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
