"""How well the classifier of data.classify tells medical from general texts, round by round, on texts of
sources that it never saw.

    MEDXIAOHE_DATA=/path/to/data python benchmarks/medical_classifier.py out/tree/tree/1

Seeds: abstracts (PubMed, asset pubmed_2020) against docstrings of Python's standard library. Unlabelled: more
of both, consumer health answers (MedQuAD) and manual pages. The judge is the density of names of the tree.
Held out, of which no source is in the corpus: doctor-patient dialogues (MTS-Dialog), chest X-ray reports
(IU), PubMedQA abstracts, case vignettes (MedQA) against descriptions of installed Python packages and Perl
documentation. General texts here are technical ones: no other are on a plain machine. Intervals: exact ones
at 95 % for shares, 1,000 bootstrap resamples for F1.
"""

import argparse
import ast
import random
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from medxiaohe import assets, io, plugins
from medxiaohe.data.classify import ClassifySettings, Label, classify
from medxiaohe.data.cleaning.linear_classifier import load
from medxiaohe.data.duplicates.overlap import words
from medxiaohe.entity.linking.finder import finder
from medxiaohe.tasks import make
from medxiaohe.types import Message, Sample

MIN_WORDS = 30


def long(texts: Iterator[str], most: int) -> list[str]:
    return list(dict.fromkeys(islice((text for text in texts if len(words(text)) >= MIN_WORDS), most)))


def shuffled(paths: Iterator[Path]) -> list[Path]:
    return random.Random(0).sample(found := sorted(paths), len(found))


def docstrings() -> Iterator[str]:
    for path in shuffled(Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (
                text := ast.get_docstring(node)
            ):
                yield text


def manuals() -> Iterator[str]:
    import gzip

    for path in shuffled(Path("/usr/share/man").glob("man[1578]/*.gz")):
        raw = gzip.decompress(path.read_bytes()).decode(errors="replace")
        text = re.sub(
            r"\\f.|\\[&|-]|\\\(..|\\",
            "",
            "\n".join(line for line in raw.splitlines() if not line.startswith((".", "'"))),
        )
        yield from (text[start : start + 1500] for start in range(0, min(len(text), 6000), 1500))


def descriptions() -> Iterator[str]:
    for path in shuffled(
        Path(p) for folder in sys.path if folder for p in Path(folder).glob("*.dist-info/METADATA")
    ):
        yield path.read_text(encoding="utf-8", errors="replace").partition("\n\n")[2][:1500]


def perl() -> Iterator[str]:
    for path in shuffled(Path("/usr/share/perl").rglob("*.p[mo]d")) + shuffled(
        Path("/usr/share/perl").rglob("*.pm")
    ):
        text = "\n".join(
            re.findall(r"^=head1.*?(?=^=cut|\Z)", path.read_text(errors="replace"), re.DOTALL | re.MULTILINE)
        )
        yield text[:1500]


def of_task(name: str) -> Iterator[str]:
    return (sample.prompt.messages[-1].text for sample in make(name).samples("test"))


def abstracts() -> Iterator[str]:
    return (
        one.text
        for one in plugins.load("readers", "pubmed_xml")(assets.folder("pubmed_2020"))
        if isinstance(one, Sample)
    )


def corpus(folder: Path, find: object, most: int) -> None:
    medquad = (sample.messages[-1].text for sample in make("medquad").samples("train"))
    sources = {"pubmed": abstracts(), "docstrings": docstrings(), "medquad": medquad, "manuals": manuals()}
    rows = []
    for source, texts in sources.items():
        for number, text in enumerate(long(texts, most)):
            entities = tuple(sorted({mention.entity for mention in find(text) if not mention.ambiguous}))  # type: ignore[operator]
            rows.append(
                Sample(
                    f"{source}/{number}", (Message("document", (text,)),), entities=entities, source=source
                )
            )
        print(f"  {source:<12} {sum(row.source == source for row in rows):>5} texts")
    io.write_jsonl(folder / "samples.jsonl", rows)


def f1(pairs: list[tuple[bool, bool]]) -> float:
    hits = sum(a and b for a, b in pairs)
    return 2 * hits / max(1, sum(a for a, _ in pairs) + sum(b for _, b in pairs))


def main(tree: Path, most: int, seeds: int) -> None:
    held_out = {
        "MTS-Dialog": (True, of_task("mts_dialog")), "IU reports": (True, of_task("iu_impression")),
        "PubMedQA": (True, of_task("pubmedqa")), "MedQA": (True, of_task("medqa")),
        "package descriptions": (False, descriptions()), "Perl documentation": (False, perl()),
    }  # fmt: skip
    test = {name: (label, long(texts, 300)) for name, (label, texts) in held_out.items()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus(folder / "corpus", finder(tree).find, most)
        for rounds in range(3):
            out = folder / str(rounds)
            out.mkdir()
            settings = ClassifySettings(("pubmed",), ("docstrings",), seeds=seeds, rounds=rounds)
            summary = classify(settings, out, corpus=folder / "corpus")
            model, pairs, parts = load(out / "classifier.npz"), list[tuple[bool, bool]](), []
            for source, (label, texts) in test.items():
                said = [model.probability(text) >= 0.5 for text in texts]
                pairs += [(answer, label) for answer in said]
                parts.append(f"{source} {sum(answer == label for answer in said)}/{len(said)}")
            dice = random.Random(0)
            drawn = sorted(f1(dice.choices(pairs, k=len(pairs))) for _ in range(1000))
            count = summary["rounds"][-1]
            print(
                f"round {rounds}: {count['labels']} labels ({count['medical']} medical); F1 {f1(pairs):.4f}"
                f" [{drawn[25]:.4f}, {drawn[974]:.4f}], n = {len(pairs)}; right: {', '.join(parts)}"
            )
        labels = [Label(**row) for row in io.read_jsonl(out / "labels.jsonl")]
        judged = [one for one in labels if one.round]
        medical = {"pubmed", "medquad"}
        right = sum(one.label == (one.id.split("/")[0] in medical) for one in judged)
        print(f"labels of the judge that agree with where the text is from: {right} of {len(judged)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tree", type=Path)
    parser.add_argument("--texts", type=int, default=1200, help="of each source of the corpus")
    parser.add_argument("--seeds", type=int, default=100, help="of each class")
    given = parser.parse_args()
    main(given.tree, given.texts, given.seeds)
