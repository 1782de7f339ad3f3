"""The stages that fill the long tail, one after the other: what they leave, kills, the report they hand on,
and the mixture."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import engine
import pytest
import synth_for_tests as small
import yaml
from test_crash import assert_all_like, kills

from medxiaohe import io
from medxiaohe.data.gather import GatherSettings, gather
from medxiaohe.data.synth.chains import split
from medxiaohe.data.synth.walk import verify, walk_from_json
from medxiaohe.data.synthesise import SynthesiseSettings, synthesise
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.tasks.synth_path import split_of, synth_path
from medxiaohe.types import Message, Trace

TEXTS = {
    "a": (
        "Brun myopathy\nIn Brun myopathy the deltoid muscle wastes over some years, and a tremor is seen at"
        " rest as well as later on."
    ),
    "b": (
        "Weather\nIt rained on most of the days of that week, and nobody had thought of an umbrella, nor of"
        " boots or a hat to wear."
    ),
    "c": (
        "Cole neuropathy of the left lung\nA man of forty had Cole neuropathy with ataxia, seen first by his"
        " wife on a walk in May."
    ),
}


def _corpus(folder: Path, **rows: Any) -> Path:
    samples = [
        {"id": id, "messages": [{"role": "document", "parts": [text]}], "source": "mine",
        "license": "CC BY 4.0",
         "study_id": id, "entities": ["D:12"] if id == "c" else [], **rows.get(id, {})}
        for id, text in TEXTS.items()
    ]  # fmt: skip
    with io.publish(folder) as draft:
        io.write_jsonl(draft / "samples.jsonl", samples)
        io.write_json(draft / "coverage.json", {"D:12": 1})
        io.write_json(draft / "contamination.json", {"checked": {"medqa": 1273, "kqa": 91}, "matches": []})
    return folder


Whole = tuple[dict[str, Any], dict[str, Any], Path, Path]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """What gather and synthesise say of one run, and their folders."""
    tmp_path = tmp_path_factory.mktemp("whole")
    tree, corpus = small.folder(tmp_path / "tree"), _corpus(tmp_path / "corpus")
    found, made = tmp_path / "found", tmp_path / "made"
    found.mkdir()
    made.mkdir()
    gathered = gather(GatherSettings(nodes=40, at_most=0), found, tree=tree, corpus=corpus)
    return (
        gathered,
        synthesise(SynthesiseSettings(), made, tree=tree, corpus=corpus, items=found),
        found,
        made,
    )


def test_items_are_gathered_node_by_node_with_evidence(whole: Whole) -> None:
    gathered, _, found, _ = whole
    nodes = {row["id"]: row for row in io.read_jsonl(found / "nodes.jsonl")}
    assert "D:12" not in nodes and nodes["D:01"]["found"] == 1 and gathered["nodes"] == len(nodes)
    items = list(io.read_jsonl(found / "items.jsonl"))
    assert {"node": "D:01", "sample": "a", "how": "named"}.items() <= next(
        i for i in items if i["node"] == "D:01"
    ).items()
    assert "b" not in {row["sample"] for row in items}
    assert io.read_json(found / "contamination.json")["checked"] == {"medqa": 1273, "kqa": 91}


def test_nodes_a_model_failed_at_come_first_and_rows_are_written_for_them(tmp_path: Path) -> None:
    """MX-16: `eval run --weak-nodes` feeds the synthesis; D:12 is in the corpus, so that it is not thin."""
    tree, corpus = small.folder(tmp_path / "tree"), _corpus(tmp_path / "corpus")
    rows = [
        {"node": "D:12", "mean": 0.1, "n": 20},
        {"node": "D:01", "mean": 0.9, "n": 20},
        {"node": "OTHER:1", "mean": 0.0, "n": 9},
    ]
    io.write_json(tmp_path / "weak.json", {"nodes": rows})
    (tmp_path / "found").mkdir()
    (tmp_path / "made").mkdir()
    settings = GatherSettings(nodes=3, at_most=0, weak=str(tmp_path / "weak.json"))
    gather(settings, tmp_path / "found", tree=tree, corpus=corpus)
    nodes = list(io.read_jsonl(tmp_path / "found/nodes.jsonl"))
    assert (
        nodes[0]["id"] == "D:12"
        and nodes[0]["why"] == "scored 0.100 on 20 items of an evaluation"
        and len(nodes) == 3
    )
    synthesise(SynthesiseSettings(), tmp_path / "made", tree=tree, corpus=corpus, items=tmp_path / "found")
    assert any(
        "D:12" in s.annotations.nodes
        for s in io.read_samples(tmp_path / "made/samples.jsonl")
        if s.source.startswith("synth_")
    )
    io.write_json(tmp_path / "weak.json", {"nodes": rows[1:]})
    with pytest.raises(DataError, match=r"none of its nodes below 0\.5 is a disease"):
        gather(settings, tmp_path / "found", tree=tree, corpus=corpus)
    io.write_json(tmp_path / "weak.json", [1])
    with pytest.raises(
        DataError, match="lists no nodes: give the file that `medxiaohe eval run --weak-nodes FILE` wrote"
    ):
        gather(settings, tmp_path / "found", tree=tree, corpus=corpus)


def test_rows_of_held_out_splits_are_not_gathered(tmp_path: Path) -> None:
    tree, corpus = (
        small.folder(tmp_path / "tree"),
        _corpus(tmp_path / "corpus", a={"split": "test"}, c={"split": "validation"}),
    )
    (out := tmp_path / "out").mkdir()
    assert gather(GatherSettings(nodes=40, at_most=0), out, tree=tree, corpus=corpus)["samples"] == 0


def test_every_new_row_has_source_licence_nodes_and_writer_and_no_prompt_has_them(whole: Whole) -> None:
    _, summary, _, made = whole
    rows = list(io.read_samples(made / "samples.jsonl"))
    new = [row for row in rows if row.source.startswith("synth_")]
    assert Counter(row.source for row in new) == summary["made"]
    enriched = {row.provenance.made_of for row in new if row.source == "synth_caption"}
    assert enriched and {row.id for row in rows if row.source == "mine"} == set("abc") - enriched, (
        "no text stands twice"
    )
    assert summary["enriched"] == len(enriched) and summary["corpus"] == 3 - len(enriched)
    assert set(summary["made"]) == {"synth_caption", "synth_card", "synth_choice", "synth_path"}
    assert len({row.id for row in rows}) == len(rows)
    for row in new:
        assert (
            row.license
            and row.entities
            and row.annotations.nodes
            and row.provenance.by == {"writer": "template"}
        )
        assert not hasattr(row.prompt, "meta")


def test_stored_paths_verify_and_their_answers_are_not_in_the_prompt(whole: Whole) -> None:
    _, _, _, made = whole
    graph = small.graph()
    walks = [row for row in io.read_samples(made / "samples.jsonl") if row.source == "synth_path"]
    assert walks and all(verify(walk_from_json(row.provenance.path), graph) == "" for row in walks)
    assert all(split(row.messages[-1].text)[0] is not None for row in walks if row.provenance.chain == "long")


def test_paths_are_a_task_whose_splits_share_no_answer_and_no_training_path_passes_a_held_one(
    whole: Whole,
) -> None:
    _, _, _, made = whole
    task = synth_path(made)
    rows = {}
    for name in ("train", "validation", "test"):
        with contextlib.suppress(DataError):  # a small tree has few paths
            rows[name] = list(task.samples(name))
    every = [row for row in io.read_samples(made / "samples.jsonl") if row.source == "synth_path"]
    held = {row.provenance.answer for row in every if split_of(row) != "train"}
    train = rows.get("train", [])
    assert rows and not {row.provenance.answer for row in train} & held
    assert not any((set(row.entities) - {row.provenance.answer}) & held for row in train)
    for row in (one for own in rows.values() for one in own):
        assert len(row.provenance.path["steps"]) > 5, "more facts than one call tells"
        right = Message("assistant", (row.target.splitlines()[0],))
        trace = Trace(row.prompt, (*row.prompt.messages, right))
        assert task.scorers[0](row, trace).value == 1.0
    with pytest.raises(ConfigError, match=r"name a data\.synthesise stage"):
        list(synth_path().samples("train"))


def test_the_right_option_stands_everywhere_equally_often(whole: Whole) -> None:
    _, _, _, made = whole
    places = Counter(
        row.target for row in io.read_samples(made / "samples.jsonl") if row.source == "synth_choice"
    )
    assert set(places) == set("ABCD") and max(places.values()) - min(places.values()) <= 1


def test_what_is_refused_has_a_reason_and_a_count(whole: Whole) -> None:
    _, summary, _, made = whole
    refused = list(io.read_jsonl(made / "refused.jsonl"))
    counted = Counter((row["kind"], row["reason"]) for row in refused)
    assert (
        counted == {(kind, why): n for kind, some in summary["refused"].items() for why, n in some.items()}
        and counted
    )


def test_a_report_is_handed_on_for_what_new_rows_were_compared_with_too(whole: Whole) -> None:
    _, _, _, made = whole
    assert io.read_json(made / "contamination.json")["checked"] == {}, (
        "the new rows were compared with no test split"
    )


def test_without_a_corpus_rows_are_written_from_the_tree_alone(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    summary = synthesise(
        SynthesiseSettings(nodes=10, kinds=("disease",)), out, tree=small.folder(tmp_path / "tree")
    )
    assert summary["corpus"] == 0 and summary["nodes"] == 10 and not (out / "contamination.json").exists()
    account = summary["account"]
    assert account["read"] == account["written"] == sum(summary["made"].values()), (
        "rows made anew count as read"
    )


def test_chains_can_be_left_out_and_paths_can_be_longer(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    settings = SynthesiseSettings(nodes=20, kinds=("disease",), chains=False, cards=False, choices=(), hops=7)
    synthesise(settings, out, tree=small.folder(tmp_path / "tree"))
    rows = list(io.read_samples(out / "samples.jsonl"))
    assert {len(row.provenance.path["steps"]) for row in rows} == {7} and not any(
        "<think>" in row.messages[-1].text for row in rows
    )


def test_wrong_settings_and_folders_are_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="more than 5"):
        SynthesiseSettings(hops=5)
    with pytest.raises(ConfigError, match="no kind 'riddle'"):
        SynthesiseSettings(choices=("riddle",))
    tree = small.folder(tmp_path / "tree")
    (out := tmp_path / "out").mkdir()
    with pytest.raises(ConfigError, match="the tree has no 'plant'"):
        gather(GatherSettings(kinds=("plant",)), out, tree=tree, corpus=_corpus(tmp_path / "corpus"))
    with pytest.raises(DataError, match=r"no coverage\.json"):
        gather(GatherSettings(), out, tree=tree, corpus=tree)


# ---- kills ---------------------------------------------------------------------------------------------


def _recipe(folder: Path) -> str:
    small.folder(folder / "tree")
    _corpus(folder / "corpus")
    (folder / "given.py").write_text(
        "import shutil\nfrom dataclasses import dataclass\nfrom pathlib import"
        " Path\n\n\n@dataclass(frozen=True)\nclass GivenSettings:\n    path: str\n\n\ndef given(settings:"
        " GivenSettings, out: Path) -> dict:\n    for file in Path(settings.path).glob('*.json*'):\n       "
        " if file.name not in ('MANIFEST.json', 'stage.json'):\n            shutil.copyfile(file, out /"
        " file.name)\n    return {}\n"
    )
    stages = {
        "tree": {"uses": f"{folder}/given.py:given", "with": {"path": str(folder / "tree")}},
        "corpus": {"uses": f"{folder}/given.py:given", "with": {"path": str(folder / "corpus")}},
        "found": {
            "uses": "data.gather",
            "needs": {"tree": "tree", "corpus": "corpus"},
            "with": {"nodes": 30, "at_most": 0},
        },
        "fitting": {"uses": "data.align", "needs": {"tree": "tree", "corpus": "found"}},
        "made": {
            "uses": "data.synthesise",
            "needs": {"tree": "tree", "corpus": "corpus", "items": "fitting"},
        },
        "mixture": {
            "uses": "data.mixture",
            "needs": {"data": "made", "tree": "tree"},
            "with": {"documents": 10, "instructions": 6},
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return str(folder / "recipe.yaml")


def test_the_stages_run_in_a_recipe_and_the_mixture_takes_their_rows(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    recipe = _recipe(tmp_path)
    for name in ("one", "two"):
        done = engine.medxiaohe("run", recipe, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
    mixed = Counter(
        row.source for row in io.read_samples(tmp_path / "one" / "mixture" / "1" / "instructions.jsonl")
    )
    assert set(mixed) <= {"synth_choice", "synth_path"} and sum(mixed.values()) == 6
    assert engine.files(tmp_path / "one") == engine.files(tmp_path / "two"), "two runs leave the same bytes"


@pytest.mark.long
def test_the_stages_killed_at_any_write_resume_to_identical_bytes(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    recipe = _recipe(tmp_path)
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "before", "--until", "corpus")
    assert done.returncode == 0, done.stderr
    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "whole", "--until", "made")
    assert done.returncode == 0, done.stderr
    num = kills(
        tmp_path / "killed",
        "run",
        recipe,
        "--until",
        "made",
        "--out",
        "@",
        start=str(tmp_path / "before"),
        preload="numba",
    )
    assert num > 40
    assert_all_like(tmp_path / "killed", tmp_path / "whole", num)
