"""data.attach: the skeleton is frozen, what is dropped has a reason, conflicts are ruled on or stay open, a
kill changes nothing."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import literature_for_tests as made
import pytest

pytest.importorskip("numpy")

from medxiaohe import io
from medxiaohe.data.attach import AttachSettings, attach
from medxiaohe.data.growing.rulings import rule
from medxiaohe.entity.literature.conflicts import Conflict, Option
from medxiaohe.entity.tree.tree import Tree
from medxiaohe.errors import ConfigError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.models.reply_store import ReplyStore
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools.search import search
from medxiaohe.tools.toolbox import bind
from medxiaohe.types import Evidence, Message

NEW = [
    "lung cancer type 7",
    "liver cyst type 9",
    "kidney abscess type 4",
    "brain atrophy type 5",
    "heart fibrosis type 6",
    "skin infection type 8",
]
MODEL = """
import json
from medxiaohe.models.backends.scripted import scripted
NAMES = {names!r}
def answer(messages):
    text = messages[0].text
    if "Decide" in text:
        return {ruling!r}
    rows = []
    for i, passage in enumerate(text.split("Passage ")[1:], 1):
        rows.append({{"passage": i, "entities": [{{"text": n, "type": "disease"}} for n in NAMES if n in passage]}})
    return json.dumps({{"passages": rows}})
def model(model):
    return scripted(model, answer)
"""  # noqa: E501


def settings(folder: Path, texts: Sequence[str], ruling: str = "no idea", **more: Any) -> AttachSettings:
    """Passages, and a model in a file that copies out the names of NEW."""
    made.passages(folder / "passages.jsonl", list(texts))
    (folder / "mine.py").write_text(MODEL.format(names=[*NEW, "rare thing"], ruling=ruling))
    given: dict[str, Any] = {
        "passages": str(folder / "passages.jsonl"), "extractors": ("model",), "model": "copies",
        "backend": f"{folder / 'mine.py'}:model",
        "embedder": "ngrams", "kinds": ("disease",), "min_mentions": 3, "min_entities": 2, "min_score": 0.3,
    }  # fmt: skip
    return AttachSettings(**(given | more))


def texts(times: int = 3, names: Sequence[str] = NEW) -> list[str]:
    return [
        f"We saw {name} in patient {i}, and lung cancer in another." for name in names for i in range(times)
    ]


def run(tmp_path: Path, **more: Any) -> tuple[dict[str, Any], Path, Path]:
    tree = made.tree_folder(tmp_path / "tree") if not (tmp_path / "tree").exists() else tmp_path / "tree"
    out = tmp_path / "out" / ".1.draft"
    out.mkdir(parents=True)
    given = settings(tmp_path, more.pop("texts", texts()), **more)
    return attach(given, out, tree=tree), tree, out


def rows(out: Path, name: str) -> list[dict[str, Any]]:
    return list(io.read_jsonl(out / f"{name}.jsonl"))


def test_mx12_no_row_of_the_skeleton_changes_and_new_entities_hang_where_their_names_say(
    tmp_path: Path,
) -> None:
    summary, folder, out = run(tmp_path)
    before, after = (folder / "entities.jsonl").read_bytes(), (out / "entities.jsonl").read_bytes()
    assert after.startswith(before) and len(after) > len(before)
    old, new = Tree.load(folder), Tree.load(out)
    assert all(new.entities[id] == entity for id, entity in old.entities.items())
    assert [id for id in new.entities if id not in old] == sorted(row["id"] for row in rows(out, "attached"))
    attached = {row["name"]: row for row in rows(out, "attached")}
    assert summary["attached"] == len(attached) >= 4
    right = [
        name
        for name, row in attached.items()
        if [p["name"] for p in row["parents"]] == [name.rpartition(" type")[0]]
    ]
    assert len(right) >= len(attached) - 1
    one = next(iter(attached.values()))
    assert (
        one["id"].startswith("MET:lit-") and one["parents"][0]["why"] and 0 < one["parents"][0]["score"] <= 1
    )
    assert one["evidence"][0]["source"] == "made up" and one["evidence"][0]["license"] == "CC0-1.0"
    for name in ("terms", "merges", "relations", "problems"):
        assert (out / f"{name}.jsonl").read_bytes().startswith((folder / f"{name}.jsonl").read_bytes())


def test_a_second_run_gives_the_same_bytes_and_ids_do_not_depend_on_the_passages(tmp_path: Path) -> None:
    _, _, first = run(tmp_path / "a") if (tmp_path / "a").mkdir() is None else (None, None, None)
    (tmp_path / "b").mkdir()
    _, _, second = run(tmp_path / "b")
    (tmp_path / "c").mkdir()
    _, _, more = run(tmp_path / "c", texts=[*texts(5), "Nothing."])
    for name in ("entities", "attached", "dropped", "extracted", "conflicts"):
        assert (first / f"{name}.jsonl").read_bytes() == (second / f"{name}.jsonl").read_bytes()
    assert {r["id"] for r in rows(first, "attached")} == {r["id"] for r in rows(more, "attached")}


def test_mx11_entities_with_few_mentions_are_dropped_with_the_reason(tmp_path: Path) -> None:
    _, _, out = run(tmp_path, texts=[*texts(), *texts(2, ["rare thing"])])
    dropped = {row["name"]: row["reason"] for row in rows(out, "dropped")}
    assert dropped["rare thing"] == "fewer than 3 mentions"
    assert "rare thing" not in {row["name"] for row in rows(out, "attached")}


def test_mx11_types_with_few_entities_are_dropped_with_the_reason(tmp_path: Path) -> None:
    tree = made.tree_folder(tmp_path / "tree")
    assert tree
    summary, _, out = run(tmp_path, texts=texts(3, NEW[:2]), min_entities=5)
    assert summary["attached"] == 0
    assert {row["reason"] for row in rows(out, "dropped")} == {"a type of fewer than 5 entities"}
    assert (out / "entities.jsonl").read_bytes() == (tree / "entities.jsonl").read_bytes()


def test_the_defaults_are_those_of_the_paper() -> None:
    assert (AttachSettings().min_mentions, AttachSettings().min_entities) == (10, 5)
    with pytest.raises(ConfigError, match="needs the setting `model`"):
        AttachSettings(extractors=("model",))


def test_the_test_split_is_not_read(tmp_path: Path) -> None:
    tree = made.tree_folder(tmp_path / "tree")
    given = settings(tmp_path, texts())
    made.passages(tmp_path / "passages.jsonl", texts())
    lines = [json.loads(line) for line in (tmp_path / "passages.jsonl").read_text().splitlines()]
    hidden = [{**line, "id": line["id"] + "t", "split": "test"} for line in lines]
    io.write_jsonl(tmp_path / "passages.jsonl", [*lines[:1], *hidden])
    out = tmp_path / "out" / ".1.draft"
    out.mkdir(parents=True)
    assert attach(given, out, tree=tree)["passages"] == 1


def test_a_run_that_was_killed_asks_the_model_nothing_again_and_leaves_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole").mkdir()
    _, _, whole = run(tmp_path / "whole")
    (tmp_path / "cut").mkdir()
    real = ReplyStore.put

    def dies(self: ReplyStore, scope: str, replies: Any) -> None:
        real(self, scope, replies)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ReplyStore, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "cut")
    out = tmp_path / "cut" / "out" / ".1.draft"
    asked: list[int] = []
    monkeypatch.setattr(ReplyStore, "put", lambda self, scope, replies: asked.append(len(list(replies))))
    attach(settings(tmp_path / "cut", texts()), out, tree=tmp_path / "cut" / "tree")
    assert not sum(asked)  # 18 passages are five calls, which one window holds: all were kept
    for name in ("entities", "attached", "dropped", "extracted"):
        assert (out / f"{name}.jsonl").read_bytes() == (whole / f"{name}.jsonl").read_bytes()


# ---- rulings -------------------------------------------------------------------------------------

CONFLICT = Conflict(
    "MET:lit-1",
    "x",
    "two parents",
    "Where does 'x' belong?",
    (Option("child", "D:1", "below a"), Option("child", "D:2", "below b")),
)
PASSAGES = [Evidence("p/1", "x is a form of b", "made up"), Evidence("p/2", "nothing here", "made up")]
LIBRARY = bind(search, library=BM25(PASSAGES))


def ruled(*replies: str) -> dict[str, Any]:
    return next(iter(rule([CONFLICT], scripted(answer=list(replies)), LIBRARY)))


def test_a_ruling_keeps_thoughts_searches_and_what_was_found() -> None:
    row = ruled("Thought: what is x\nSearch: x form", "Thought: it is a form of b\nDecide: 2")
    assert (row["status"], row["decision"]) == ("decided", {"do": "child", "id": "D:2"})
    assert row["reasoning"] == ["what is x", "it is a form of b"]
    assert row["searches"][0]["query"] == "x form" and "x is a form of b" in row["searches"][0]["found"]


@pytest.mark.parametrize(
    "last",
    ["", "2", "Decide: 2", "I think 2", "Thought: yes\nDecide: two", "Thought: yes\nDecide: 3",
    "Thought: yes\nDecide: 0",
     "Thought: yes\nDecide: 1\nDecide: 2", "Thought: \nDecide: 1", "Thought: yes\nDecide: 1 or 2",
     "Sure!\nThought: yes\nDecide: 1"],
)  # fmt: skip
def test_what_does_not_fit_the_grammar_decides_nothing(last: str) -> None:
    row = ruled(last)
    assert (row["status"], row["decision"]) == ("undecided", None) and row["why"]


def test_an_agent_that_only_searches_is_stopped_and_decides_nothing() -> None:
    row = next(iter(rule([CONFLICT], scripted(answer=lambda _: "Thought: more\nSearch: x"), LIBRARY)))
    assert row["status"] == "undecided" and "6 steps" in row["why"] and len(row["searches"]) == 6


def ask_twice(messages: Sequence[Message]) -> str:
    return "Thought: look\nSearch: x" if len(messages) == 1 else "Thought: so\nDecide: 1"


def test_an_undecided_conflict_is_not_attached_and_a_decided_one_is_where_the_ruling_says(
    tmp_path: Path,
) -> None:
    alike = ["thyroid hemorrhaging", *NEW]  # nearly a name of the tree: a synonym, or a child?
    for name, ruling, expected in (
        ("open", "I do not know", False),
        ("closed", "Thought: it is a form\nDecide: 2", True),
    ):
        (tmp_path / name).mkdir()
        given = settings(tmp_path / name, texts(3, alike), ruling)
        (tmp_path / name / "mine.py").write_text(MODEL.format(names=alike, ruling=ruling))
        out = tmp_path / name / "out" / ".1.draft"
        out.mkdir(parents=True)
        summary = attach(given, out, tree=made.tree_folder(tmp_path / name / "tree"))
        conflicts = rows(out, "conflicts")
        assert conflicts, "the made-up name must be a conflict"
        ids = {row["entity"] for row in conflicts}
        attached = {row["id"]: row for row in rows(out, "attached")}
        assert bool(ids & set(attached)) is expected
        assert summary["rulings"] == {"decided" if expected else "undecided": len(conflicts)}
        if expected:
            assert all(attached[id]["decided by"] == "ruling" for id in ids & set(attached))
        else:
            assert all(
                r["reason"] == "an undecided conflict" for r in rows(out, "dropped") if r.get("id") in ids
            )


@pytest.mark.long
def test_the_stage_killed_at_writes_resumes_to_identical_bytes(tmp_path: Path) -> None:
    import engine

    entities = made.ontology()
    lines = [
        "\t".join((e.id, e.name, "|".join(p for p in e.parents if p != "MET:disease"), "disease", "CC0-1.0"))
        for e in entities[1:]
    ]
    (tmp_path / "mine.tsv").write_text("\n".join(["id\tname\tparents\tkind\tlicense", *lines]) + "\n")
    given = settings(tmp_path, texts())
    named = {
        key: list(value) if isinstance(value, tuple) else value for key, value in io.to_json(given).items()
    }
    stages = {
        "tree": {
            "uses": "entity.build",
            "with": {"vocabularies": [{"reader": "tsv", "path": str(tmp_path / "mine.tsv")}]},
        },
        "more": {"uses": "data.attach", "needs": {"tree": "tree"}, "with": named},
    }
    recipe = str(engine.recipe(tmp_path, **stages))
    done = engine.medxiaohe("run", recipe, "--out", tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    assert len(list(io.read_jsonl(tmp_path / "whole" / "more" / "1" / "attached.jsonl"))) >= 4
    assert engine.medxiaohe("run", recipe, "--out", tmp_path / "half", "--until", "tree").returncode == 0
    expected, num = engine.files(tmp_path / "whole"), 0
    for step in range(1, 200, 4):  # every fourth: each costs seconds
        out = tmp_path / "killed" / str(step)
        shutil.copytree(tmp_path / "half", out)
        killed = engine.medxiaohe("run", recipe, "--out", out, CRASH_AT=str(step)).returncode
        assert engine.medxiaohe("run", recipe, "--out", out).returncode == 0
        assert engine.files(out) == expected and not engine.drafts(out), f"killed at step {step}"
        if killed == 0:
            break
        num += 1
    assert num > 6
