"""The public Python API: a short list of names that take texts, paths and OpenAI messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import engine
import pytest
import yaml

import medxiaohe as mx
from medxiaohe import api
from medxiaohe.data.formats.embedded_images import png
from medxiaohe.errors import DataError

MODEL = "tests/api/model_for_tests.py:model"


def test_the_export_list_is_this_one() -> None:
    assert set(mx.EXPORTS) == set(api.__all__) == {
        "Annotation", "Evidence", "ImageRef", "Message", "Prompt", "Results", "Sample", "Score", "Task",
        "Tool", "ToolCall", "ToolResult", "Trace", "ask", "evaluate", "link", "load_task", "load_tree",
        "messages", "run", "score",
    }  # fmt: skip
    assert set(mx.EXPORTS) <= set(dir(mx))
    for name in mx.EXPORTS:
        thing = getattr(mx, name)
        assert thing.__doc__, f"{name} has no docstring"


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evalute'"):
        mx.evalute  # noqa: B018


def test_the_import_loads_nothing_heavy_and_types_are_shipped() -> None:
    heavy = "('torch', 'numpy', 'PIL', 'transformers')"
    check = f"import sys, medxiaohe; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", check], text=True).strip() == "[]"
    assert Path(mx.__file__).with_name("py.typed").is_file()


def test_messages_are_texts_or_what_openai_writes(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(8, 6))
    assert mx.messages("Why?") == (mx.Message("user", ("Why?",)),)
    assert mx.messages({"role": "user", "content": "Why?"}) == mx.messages("Why?")
    parts = [{"type": "image_url", "image_url": {"url": "x.png"}}, {"type": "text", "text": "Why?"}]
    talk = mx.messages(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}], tmp_path
    )
    assert [one.role for one in talk] == ["system", "user"] and len(talk[1].images) == 1
    with pytest.raises(DataError, match="unknown role 'doctor'"):
        mx.messages({"role": "doctor", "content": "Why?"})
    with pytest.raises(DataError):
        mx.messages(
            [{"role": "user", "content": [{"type": "image", "image": "../x.png"}]}], tmp_path / "below"
        )


def test_a_recipe_runs_by_its_path_with_settings(tmp_path: Path) -> None:
    said: list[str] = []
    path = engine.recipe(tmp_path)
    done = mx.run(
        str(path), settings={"most": 1, "words.case": "upper"}, out=tmp_path / "out", say=said.append
    )
    assert [one.name for one in done] == list(yaml.safe_load(path.read_text())["stages"]) and said
    assert done[0].folder == tmp_path / "out" / done[0].name / "1"


def test_a_reply_is_scored_by_the_scorers_of_the_task() -> None:
    task = mx.load_task("examples/custom_task.yaml")
    sample = next(iter(task.samples("test")))
    right, *_ = mx.score(task, sample, task.gold(sample))
    wrong, *_ = mx.score(task, sample, "I cannot say.")
    assert right.value == 1 and wrong.value == 0


def test_a_model_is_asked_and_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = mx.ask(MODEL, "How soon?")
    assert trace.answer == "today" and not trace.error
    results = mx.evaluate(
        MODEL, ["examples/custom_task.yaml"], limit=4, out=tmp_path / "out", say=lambda line: None
    )
    (name,) = results
    assert results[name]["n"] == 4 and 0 <= results[name]["mean"] <= 1
    assert f"{name} {results[name]['mean']:.3f} [" in repr(results)
    pandas = pytest.importorskip("pandas")
    table = results.to_pandas()
    assert isinstance(table, pandas.DataFrame) and list(table["task"]) == [name]
    assert {"model", "mean", "low", "high", "n", "unparsed", "majority_baseline"} <= set(table.columns)
    with pytest.raises(KeyError, match="no task 'nosuch' was evaluated"):
        results["nosuch"]
