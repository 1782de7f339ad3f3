"""pages.corpus: one page from real stages, with an account of every stage, examples of what went, coverage
along the way, the mixture."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import engine
import pytest
import yaml

from medxiaohe import io

NAMES = ("pneumonia", "asthma", "influenza", "measles")


def prose(seed: object, length: int) -> str:
    dice = random.Random(str(seed))
    return " ".join(
        "".join(dice.choice("abcdefghij") for _ in range(dice.randint(3, 9))) for _ in range(length)
    )


def recipe(folder: Path) -> Path:
    (folder / "mine.tsv").write_text(
        "id\tname\tkind\n" + "".join(f"my:{i}\t{name}\tdisease\n" for i, name in enumerate(NAMES))
    )
    rows: list[dict[str, Any]] = []
    for n in range(40):
        asked = {
            "role": "user",
            "content": f"Mr. Quxley <b>asks</b> about {NAMES[min(3, n % 7)]}: {prose(n, 12)}?",
        }
        answer = {"role": "assistant", "content": f"Answer {prose(f'a{n}', 12)}."}
        rows.append({"id": f"q{n}", "messages": [asked, answer], "split": "test" if n < 6 else "train"})
    leak = {"role": "user", "content": rows[0]["messages"][0]["content"]}
    rows.append(
        {
            "id": "leak",
            "messages": [leak, {"role": "assistant", "content": "Something else."}],
            "split": "train",
        }
    )
    rows.append({**rows[20], "id": "again"})
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"id": "broken"\n')
    source = {
        "reader": "chat_jsonl",
        "path": str(folder / "rows.jsonl"),
        "name": "clinic",
        "license": "CC0-1.0",
    }
    source |= {"options": {"bad_rows": "skip"}}
    stages = {
        "tree": {"uses": "entity.build", "with": {"vocabularies": [{"reader": "tsv",
        "path": str(folder / "mine.tsv")}]}},
        "corpus": {"uses": "data.read", "needs": {"tree": "tree"}, "with": {"sources": [source]}},
        "linked": {"uses": "data.link", "needs": {"tree": "tree", "corpus": "corpus"},
        "with": {"rules": False}},
        "curated": {"uses": "data.curate", "needs": {"corpus": "linked"},
        "with": {"against": [{"task": "held_out"}], "filters": []}},
        "deidentified": {"uses": "data.deidentify", "needs": {"corpus": "curated"},
        "with": {"sources": ["clinic"]}},
        "mixture": {"uses": "data.mixture", "needs": {"data": "deidentified", "tree": "tree"},
        "with": {"instructions": 20}},
        "report": {
            "uses": "pages.corpus",
            "needs": {n: n for n in ("tree", "corpus", "linked", "curated", "deidentified", "mixture")},
        },
        "silent": {
            "uses": "pages.corpus",
            "needs": {n: n for n in ("tree", "corpus", "linked", "curated", "deidentified", "mixture")},
            "with": {"words": False},
        },
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return folder / "recipe.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("PIL")
    folder = tmp_path_factory.mktemp("corpus")
    done = engine.medxiaohe("run", recipe(folder), "--out", folder / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    for line in (
        "data.read: read 43 = written 42 + dropped 0 + dead 1 (json 1)",
        "data.link: read 42 = written 42 + dropped 0 + dead 0",
        (
            "data.curate: read 42 = written 34 + dropped 8 (held_out_split 6, exact_duplicate 1, test_text 1)"
            " + dead 0"
        ),
        "data.deidentify: read 34 = written 34 + dropped 0 + dead 0",
        "data.mixture: read 34 = written 20 + dropped 14 (not drawn 14) + dead 0",
    ):
        assert line in done.stderr
    return folder / "out"


def text(run: Path, stage: str = "report") -> str:
    return (run / stage / "1" / "index.html").read_text(encoding="utf-8")


def test_the_page_says_what_became_of_every_row(run: Path) -> None:
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text(run)))
    assert "read = written + dropped + unreadable" in page
    assert "held out split 6, exact duplicate 1, test text 1" in page and "not drawn 14" in page
    for title in (
        "Accounts",
        "From records to training data",
        "Coverage before and after",
        "Contamination",
        "De-identified",
    ):
        assert title in page
    assert "clinic/leak" in page and "clinic/again" in page and "the same text" in page


def test_the_page_repeats_nothing_of_a_record_where_that_is_not_wanted(run: Path) -> None:
    page = text(run, "silent")
    assert "Quxley" not in page and "Quxley" in text(run)
    assert "clinic/leak" not in page and "held out split 6" in page


def test_the_page_asks_for_nothing_and_is_the_same_each_time(run: Path, tmp_path: Path) -> None:
    page = text(run)
    assert "default-src" in page and "<b>asks" not in page and "&lt;b&gt;asks" in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    again = engine.medxiaohe("stage", "pages.corpus", "--out", tmp_path, *inputs(run))
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "pages_corpus" / "1" / "index.html").read_text(encoding="utf-8") == page


def inputs(run: Path) -> list[str]:
    roles = ("tree", "corpus", "linked", "curated", "deidentified", "mixture")
    return [word for role in roles for word in ("--input", f"{role}={run / role / '1'}")]


def test_what_rows_were_compared_with_reaches_the_mixture_through_every_stage_between(run: Path) -> None:
    curated = io.read_json(run / "curated" / "1" / "contamination.json")
    assert curated["checked"] == {"held_out": 6} and len(curated["matches"]) == 1
    assert io.read_json(run / "deidentified" / "1" / "contamination.json") == curated
    assert io.read_json(run / "mixture" / "1" / "mixture.json")["contamination"]["checked"] == {"held_out": 6}


def test_coverage_of_the_mixture_counts_what_was_drawn(run: Path) -> None:
    rows = list(io.read_samples(run / "mixture" / "1" / "instructions.jsonl"))
    coverage = io.read_json(run / "mixture" / "1" / "coverage.json")
    assert (
        coverage == {e: sum(e in row.entities for row in rows) for e in sorted(coverage)}
        and sum(coverage.values()) == 20
    )
