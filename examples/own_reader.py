"""Read a format of your own into linked samples.

    python examples/own_reader.py

A reader is a function from a path to Samples. Named as `file.py:function` it works in any recipe:

    read: {uses: data.read, needs: {tree: tree}, with: {sources: [{reader: "examples/own_reader.py:cards",
    path: my_cards.csv}]}}
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from medxiaohe import io
from medxiaohe.data.readers import DeadLetter
from medxiaohe.recipe import load, run
from medxiaohe.types import Message, Sample

CARDS = (
    "question,answer\nWhat causes lobar pneumonia?,Most often Streptococcus pneumoniae.\nWhat is asthma?,\n"
)
VOCABULARY = "id\tname\tkind\nmy:1\tpneumonia\tdisease\nmy:2\tasthma\tdisease\n"


def cards(path: Path) -> Iterator[Sample | DeadLetter]:
    """Flash cards: a CSV file with the columns question and answer."""
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            if not row["answer"]:
                yield DeadLetter(f"{path.name}:{number}", "no answer")
                continue
            messages = (Message("user", (row["question"],)), Message("assistant", (row["answer"],)))
            yield Sample(f"{path.stem}-{number}", messages, source="cards", license="CC0-1.0")


def main() -> None:
    with TemporaryDirectory() as folder:
        for name, text in {"cards.csv": CARDS, "mine.tsv": VOCABULARY}.items():
            Path(folder, name).write_text(text, encoding="utf-8")
        sources = [{"reader": f"{__file__}:cards", "path": f"{folder}/cards.csv"}]
        tree = load.stage(
            "tree", "entity.build", {"vocabularies": [{"reader": "tsv", "path": f"{folder}/mine.tsv"}]}
        )
        read = load.stage("read", "data.read", {"sources": sources}, {"tree": "tree"})
        done = run.run(load.Recipe("example", Path(folder, "out"), (tree, read)))
        for sample in io.read_samples(done[-1].folder / "samples.jsonl"):
            print(sample.id, sample.entities, sample.messages[-1].text)
        print("dead:", *(json.dumps(row) for row in io.read_jsonl(done[-1].folder / "dead.jsonl")))


if __name__ == "__main__":
    main()
