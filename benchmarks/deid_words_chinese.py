"""Make medxiaohe/privacy/chinese_words.txt.gz: how often Chinese words and the characters of names are said.

    pip download --no-deps --no-binary :all: jieba==0.42.1 && tar xzf jieba-0.42.1.tar.gz      (MIT; the list
    of words is used as data) MEDXIAOHE_DATA=... PYTHONPATH=. python benchmarks/deid_words_chinese.py
    jieba-0.42.1/jieba/dict.txt

Words are those the list does not tag as names of persons; what it tags so, and begins with a surname, gives
the characters that names are made of. Counts are kept as steps: round(2 ln(count + 1)). Then the finder reads
texts without patients (half of the questions of Toyhom, the half the benchmark uses as "tune", and one set of
instructions): what it takes for a name there in two texts or more is a word.
"""

from __future__ import annotations

import gzip
import math
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from benchmarks.deid_text import chinese
from medxiaohe import io
from medxiaohe.privacy import text_chinese_names as names

HAN = re.compile(r"[\u4e00-\u9fff]+")
# of notes, which the list lacks or has as names
ALSO = "代诉 查房 周一 周二 周三 周四 周五 周六 周日 周末 后行 阴转 阳转 方可 方能".split()
LEAST, LONGEST, FAMOUS, TEXTS, WORD = 4, 4, 5, 2, 1000


def main(file: Path) -> None:
    words, people = Counter[str](), Counter[str]()
    for line in file.read_text(encoding="utf-8").splitlines():
        word, count, tag = line.split()
        if not HAN.fullmatch(word) or len(word) > LONGEST or tag == "nrt":
            continue
        if tag == "nr" and 2 <= len(word) - (names.surname(word) - 1) <= 3 and names.surname(word):
            people[word] += min(int(count), FAMOUS)  # one person in the news is not a kind of name
        elif int(count) >= LEAST:
            words[word] += int(count)
    parts = {
        "surname": Counter[str](),
        "only": Counter[str](),
        "first": Counter[str](),
        "second": Counter[str](),
    }
    for name, count in people.items():
        own = name[names.surname(name) :]
        parts["surname"][name[: names.surname(name)]] += count
        for part, character in zip(("only",) if len(own) == 1 else ("first", "second"), own, strict=True):
            parts[part][character] += count
    words.update(dict.fromkeys(ALSO, WORD))
    write({"word": words, **parts})
    taken = said_as_names()
    write({"word": words + Counter(dict.fromkeys(taken, WORD)), **parts})
    print(len(words), "words,", len(taken), "more from texts:", " ".join(sorted(taken)[:60]))


def write(tables: dict[str, Counter[str]]) -> None:
    with gzip.GzipFile(names.FILE, "wb", mtime=0) as out:
        for table, counts in tables.items():
            steps = defaultdict[int, list[str]](list)
            for said, count in counts.items():
                steps[round(2 * math.log(count + 1))].append(said)
            for step, group in sorted(steps.items()):
                out.write(f"{table} {step} {' '.join(sorted(group))}\n".encode())
    names.model.cache_clear()


def said_as_names() -> list[str]:
    found = Counter[str]()
    for text in texts():
        found.update({run[start:end] for run in HAN.findall(text) for start, end in names.find(run)})
    return [said for said, count in found.items() if count >= TEXTS]


def texts() -> Iterator[str]:
    yield from chinese("tune")
    for row in io.read_jsonl(Path(os.environ["MEDXIAOHE_DATA"]) / "zh/medicalgpt_sft_1k.jsonl"):
        yield " ".join(HAN.findall(str(row)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
