"""data.link: the same bytes from one worker or several, after any kill, and nothing lost or done twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import engine
import pytest
from test_crash import assert_all_like, kills

from medxiaohe import io
from medxiaohe.data.link import LinkSettings, link
from medxiaohe.entity.build import BuildSettings, Vocabulary, build
from medxiaohe.errors import ConfigError, DataError

NAMES = ("pneumonia", "asthma", "influenza", "breast cancer", "type 2 diabetes")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    table = folder / "mine.tsv"
    table.write_text(
        "id\tname\tkind\n" + "".join(f"my:{i}\t{name}\tdisease\n" for i, name in enumerate(NAMES))
    )
    with io.publish(folder / "tree", record=lambda: {}) as draft:
        build(BuildSettings(vocabularies=(Vocabulary(reader="tsv", path=str(table)),)), draft)
    return folder / "tree"


def texts(folder: Path, num: int = 30) -> Path:
    rows = (
        {"id": f"t{i}", "text": f"Patient {i} has {NAMES[i % 5]}, no {NAMES[(i + 1) % 5]}. π 肺"}
        for i in range(num)
    )
    path = folder / "texts.jsonl"
    io.write_jsonl(path, rows)
    return path


def linked(folder: Path, tree: Path, path: Path, **settings: Any) -> dict[str, Any]:
    with io.publish(folder) as draft:
        return link(LinkSettings(path=str(path), **settings), draft, tree=tree)


@pytest.mark.parametrize("rules", [True, False])
def test_one_worker_and_two_leave_the_same_bytes(tmp_path: Path, tree: Path, rules: bool) -> None:
    path = texts(tmp_path)
    summary = linked(tmp_path / "one", tree, path, rules=rules)
    assert linked(tmp_path / "two", tree, path, rules=rules, workers=2, shard_mb=0.0005) == summary
    assert summary["samples"] == 30 and summary["mentions"] == 60 and summary["entities_covered"] == 5
    for name in ("samples.jsonl", "mentions.jsonl", "coverage.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    rows = {row["id"]: row["mentions"] for row in io.read_jsonl(tmp_path / "one" / "mentions.jsonl")}
    assert len(rows) == 30
    for sample in io.read_samples(tmp_path / "one" / "samples.jsonl"):
        found = rows[sample.id]
        assert [sample.text[m["start"] : m["end"]] for m in found] == [m["surface"] for m in found]
        assert set(sample.entities) == {m["entity"] for m in found}
        if rules:
            assert [bool(m.get("negated")) for m in found] == [False, True]


def test_a_stage_of_samples_keeps_the_entities_it_had(tmp_path: Path, tree: Path) -> None:
    message = {"role": "document", "parts": ["asthma"]}
    io.write_jsonl(
        tmp_path / "corpus" / "samples.jsonl",
        [{"id": "a", "messages": [message], "entities": ["my:0"], "source": "s"}],
    )
    link(LinkSettings(), tmp_path / "out", tree=tree, corpus=tmp_path / "corpus")
    (sample,) = io.read_samples(tmp_path / "out" / "samples.jsonl")
    assert len(sample.entities) == 2 and sample.entities[0] == "my:0" and sample.source == "s"


@pytest.mark.long
def test_a_run_killed_at_any_write_goes_on_to_the_same_bytes(tmp_path: Path, tree: Path) -> None:
    path = texts(tmp_path, 16)
    command = (
        "data",
        "link",
        "--input",
        f"tree={tree}",
        "--set",
        f"path={path}",
        "--set",
        "shard_mb=0.0006",
        "--set",
        "rules=false",
    )
    done = engine.medxiaohe(*command, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    num = kills(
        tmp_path / "killed",
        *command,
        "--out",
        "@",
        preload="numba,medxiaohe.entity.linking._kernels,medxiaohe.entity.linking.annotate",
    )
    assert num > 15
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)


def test_wrong_use_is_one_sentence(tmp_path: Path, tree: Path) -> None:
    with pytest.raises(ConfigError, match="give the texts once"):
        link(LinkSettings(), tmp_path / "out", tree=tree)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no \.jsonl file in it"):
        link(LinkSettings(path=str(tmp_path / "empty")), tmp_path / "out", tree=tree)
    (tmp_path / "bad.jsonl").write_text(json.dumps({"id": 1}) + "\n")
    with pytest.raises(DataError, match="neither `messages` nor `text`"):
        link(LinkSettings(path=str(tmp_path / "bad.jsonl"), rules=False), tmp_path / "out", tree=tree)
