"""Data sets of a hub: the commit that is read stands in the record, whatever is pushed meanwhile."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.hub_server import Hub

from medxiaohe import io
from medxiaohe.errors import DataError
from medxiaohe.tasks import _rows

pytest.importorskip("datasets")
ROOT = Path(__file__).parent.parent.parent
ANSWERS = {"choices": ["The mitral valve.", "The septum."], "answer": 0}
TASK = {
    "dataset_path": "org/rows", "test_split": "train", "prompt": "choice", "doc_to_text": "question",
    "doc_to_choice": "choices", "doc_to_target": "answer", "metric_list": [{"metric": "acc"}],
    "license": "CC0-1.0",
    "example": {"question": "Which?", **ANSWERS},
}  # fmt: skip


def rows(folder: Path, words: str) -> Path:
    folder.mkdir()
    row = {"id": "1", "question": f"Which valve lies {words}?", **ANSWERS}
    (folder / "train.jsonl").write_text(json.dumps(row) + "\n")
    (folder / "README.md").write_text("---\nlicense: cc0-1.0\n---\nThree words.\n")
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Hub]:
    """datasets/org/rows with two revisions."""
    main, old = rows(tmp_path / "main", "on the left"), rows(tmp_path / "old", "left of the middle")
    with Hub({"datasets/org/rows": {"main": main, "v1": old}}) as server:
        yield server


def python(server: Hub, place: Path, *arguments: str, away: bool = False) -> Any:
    """Python in a process of its own, whose hub is this one, or a port where nothing listens."""
    url = "http://127.0.0.1:9" if away else server.url
    env = {
        **os.environ, "HF_ENDPOINT": url, "HF_HOME": str(place / "hf"),
        "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_XET": "1", "MEDXIAOHE_CACHE": str(place / "cache"),
        "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "MEDXIAOHE_OFFLINE": "0",
    }  # fmt: skip
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        env.pop(name, None)
    return subprocess.run(
        [sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=300, cwd=place
    )


def read(server: Hub, place: Path, out: str, away: bool = False, **options: str) -> Any:
    source = {"reader": "hub", "path": "hub:org/rows", "options": options}
    recipe = {"stages": {"read": {"uses": "data.read", "with": {"sources": [source]}}}}
    (place / "recipe.yaml").write_text(json.dumps(recipe))
    return python(server, place, "-m", "medxiaohe", "run", "recipe.yaml", "--out", out, away=away)


@pytest.mark.slow
def test_the_commit_that_is_read_is_recorded_and_decides_whether_a_stage_is_finished(
    served: Hub, tmp_path: Path
) -> None:
    name = "datasets/org/rows"
    done = read(served, tmp_path, "one")
    assert done.returncode == 0, done.stderr[-2000:]
    record = io.read_record(tmp_path / "one/read/1")
    newest = served.commit(name + "main")
    assert record["data"] == {"hub:org/rows": newest} and record["settings"]["sources"][0]["options"] == {}
    (row,) = io.read_jsonl(tmp_path / "one/read/1/samples.jsonl")
    assert "on the left" in json.dumps(row)

    older = read(served, tmp_path, "two", revision="v1")
    assert older.returncode == 0, older.stderr[-2000:]
    assert io.read_record(tmp_path / "two/read/1")["data"] == {"hub:org/rows": served.commit(name + "v1")}
    (row,) = io.read_jsonl(tmp_path / "two/read/1/samples.jsonl")
    assert "left of the middle" in json.dumps(row)

    # where the hub is away the finished stage is known again, by the commit that it gave last
    again = read(served, tmp_path, "one", away=True)
    assert again.returncode == 0, again.stderr[-2000:]
    # after a push it is another data set
    pushed = served.repositories[name]
    pushed["v2"] = rows(tmp_path / "v2", "on the right")
    served.heads = {name: "v2"}
    moved = read(served, tmp_path, "one")
    assert moved.returncode == 2 and "data.hub:org/rows" in moved.stderr, moved.stderr[-2000:]
    assert newest in moved.stderr and served.commit(name + "v2") in moved.stderr


@pytest.mark.slow
def test_a_benchmark_of_the_hub_is_read_at_the_commit_that_is_noted(served: Hub, tmp_path: Path) -> None:
    (tmp_path / "heart.yaml").write_text(json.dumps(TASK))
    program = (
        "import json; from medxiaohe import tasks\n"
        "for options in ({}, {'revision': 'v1'}):\n"
        "    noted = tasks.reads('heart.yaml', options, split='test').data\n"
        "    row = next(iter(tasks.make('heart.yaml', options=options).samples('test')))\n"
        "    print(json.dumps([noted, row.messages[0].text]))\n"
    )
    done = python(served, tmp_path, "-c", program)
    assert done.returncode == 0, done.stderr[-2000:]
    newest, older = map(json.loads, done.stdout.splitlines()[-2:])
    for (noted, text), revision, words in (
        (newest, "main", "on the left"), (older, "v1", "left of the middle"),
    ):  # fmt: skip
        assert noted["hub:org/rows"] == served.commit(f"datasets/org/rows{revision}") and words in text


def test_a_copy_in_the_cache_is_not_taken_for_another_commit() -> None:
    class Found:
        cache_files = ({"filename": f"/cache/org___rows/default/0.0.0/{'a' * 40}/rows-train.arrow"},)

    _rows._check_commit("org/rows", "a" * 40, Found())
    with pytest.raises(DataError, match=f"the copy in the cache is of {'a' * 40}"):
        _rows._check_commit("org/rows", "b" * 40, Found())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "away", "says"),
    [
        ("v9", False, "which commit of the data set org/rows v9 is cannot be found out"),
        ("", True, "which commit of the data set org/rows is the newest cannot be found out"),
        ("../../x", False, "'../../x' is no revision"),
    ],
)
def test_a_commit_that_nobody_knows_is_one_sentence(
    revision: str, away: bool, says: str, served: Hub, tmp_path: Path
) -> None:
    done = read(served, tmp_path, "one", away=away, **({"revision": revision} if revision else {}))
    assert done.returncode in (2, 3) and says in done.stderr, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
