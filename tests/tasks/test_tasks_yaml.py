"""Tasks as YAML files: what they may say, the layouts they read, and that none of their text is run."""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from medxiaohe import plugins, tasks
from medxiaohe.errors import ConfigError, DataError
from medxiaohe.models.hub import OFFLINE
from medxiaohe.tasks import _definition, make
from medxiaohe.types import ImageRef, Message, Sample, Task, Trace

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted((ROOT / "medxiaohe/tasks").glob("*.yaml"))
BY_HUB = [path for path in SHIPPED if not _definition.read(path).dataset_path.startswith("pack:")]
PNG = base64.b64decode(_definition.read(ROOT / "medxiaohe/tasks/gmai_mmbench.yaml").example["image"])
ROWS = [
    {
        "question": f"Which nerve extends the wrist? ({i})",
        "choices": ["Ulnar", "Radial"],
        "answer": 1,
        "group": f"g{i // 2}",
    }
    for i in range(40)
]
MINIMAL: dict[str, Any] = {
    "dataset_path": "rows.jsonl",
    "test_split": "test",
    "doc_to_text": "question",
    "doc_to_choice": "choices",
    "doc_to_target": "answer",
    "prompt": "choice",
    "metric_list": [{"metric": "acc"}],
    "license": "CC0-1.0",
    "example": ROWS[0],
}


def written(folder: Path, rows: list[dict] = ROWS, **changes: Any) -> str:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "mine.yaml").write_text(yaml.safe_dump(MINIMAL | changes))
    return str(folder / "mine.yaml")


def values(task: Task, sample: Sample, answer: str) -> list[float | None]:
    trace = Trace(sample.prompt, (*sample.prompt.messages, Message("assistant", (answer,))))
    return [scorer(sample, trace).value for scorer in task.scorers]


def test_fifteen_lines_of_yaml_are_a_task(tmp_path: Path) -> None:
    task = make(written(tmp_path))
    found = list(task.samples("test"))
    assert len({sample.id for sample in found}) == 40 and task.splits == ("test",) and task.name == "mine"
    assert found[0].prompt.messages[0].text.endswith("\nA. Ulnar\nB. Radial\nAnswer with the letter.")
    assert (
        {sample.target for sample in found} == {"B"}
        and values(task, found[0], "B") == [1.0]
        and values(task, found[0], "A or B") == [0.0]
    )


def test_the_order_is_shuffled_and_always_the_same(tmp_path: Path) -> None:
    name = written(tmp_path)
    first, second = ([sample.id for sample in make(name).samples("test")] for _ in range(2))
    assert first == second != sorted(first, key=lambda id: int(id.rpartition("-")[2]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"doc_to_txt": "question"}, "unknown key 'doc_to_txt'; did you mean 'doc_to_text'"),
        ({"process_results": "x"}, "process_results runs code"),
        ({"num_fewshot": 5}, "num_fewshot: 5 is not done here"),
        ({"doc_to_text": "{{question | upper}}"}, "no code is run"),
        ({"doc_to_text": "{% if question %}x{% endif %}"}, "no code is run"),
        ({"doc_to_text": "{{question.__class__()}}"}, "no code is run"),
        ({"doc_to_text": "{{a + b"}, "no code is run"),
        ({"prompt": "choise"}, "no prompt 'choise'; did you mean 'choice'"),
        ({"metric_list": [{"metric": "chioce"}]}, "no scoring named 'chioce'; did you mean 'choice'"),
        ({"access": "secret"}, "access 'secret'"),
        ({"doc_to_choice": ""}, "lists options"),
        ({"answers": {"a": True}}, "quote yes, no"),
        ({"test_split": ""}, "name the split"),
        ({"hash_split": {"train": 1.5}}, "hash_split"),
        ({"license": ""}, "license is missing"),
        ({"doc_to_text": 3}, "doc_to_text must be text"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, changes: dict, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(written(tmp_path, **changes))
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_a_python_tag_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("task: !!python/object/apply:os.system ['touch owned']\n")
    with pytest.raises(ConfigError, match="not a task"):
        make(str(path))
    path.write_text("task: !function file.py\n")
    with pytest.raises(ConfigError, match="not a task"):
        make(str(path))
    assert not (tmp_path / "owned").exists() and not Path("owned").exists()


def test_a_text_of_the_data_that_looks_like_a_template_stays_as_it_is(tmp_path: Path) -> None:
    row = ROWS[0] | {"question": "What is {{answer}} and {options}?"}
    sample = next(iter(make(written(tmp_path, [row])).samples("test")))
    assert sample.prompt.messages[0].text.startswith("What is {{answer}} and {options}?\nA. Ulnar")


@pytest.mark.parametrize(
    ("row", "changes", "target"),
    [
        ({"answer": 0}, {}, "A"),
        ({"answer": 1}, {"first_choice": 1}, "A"),
        ({"answer": "2"}, {"first_choice": 1}, "B"),
        ({"answer": "B"}, {}, "B"),
        ({"answer": "Radial"}, {}, "B"),
        ({"choices": {"B": "Radial", "A": "Ulnar"}}, {}, "B"),
        ({"choices": "['Ulnar', 'Radial']"}, {}, "B"),
        ({"choices": "A Ulnar\nB. Radial"}, {}, "B"),
        ({"choices": [{"key": "A", "value": "Ulnar"}, {"key": "B", "value": "Radial"}]}, {}, "B"),
        ({"choices": ["A: Ulnar", "B: Radial"]}, {"choice_prefix": "strip"}, "B"),
        ({"choices": ["Ulnar", "Radial", "", None]}, {}, "B"),
    ],
)
def test_options_and_answers_are_read_in_every_published_form(
    tmp_path: Path, row: dict, changes: dict, target: str
) -> None:
    sample = next(iter(make(written(tmp_path, [ROWS[0] | row], **changes)).samples("test")))
    assert sample.target == target and sample.choices == ("Ulnar", "Radial")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"answer": 2}, "row test-0: the answer '2' means 0 of the options"),
        ({"answer": "Median"}, "means 0 of the options"),
        ({"answer": "A", "choices": ["B", "A"]}, "means 2 of the options"),
        ({"answer": None}, "the answer is empty"),
        ({"choices": ["one"]}, "2 to 26 options are needed"),
        ({"choices": ["Ulnar", "", "Radial"]}, "2 to 26 options are needed"),
        ({"question": ["a", "list"]}, "a text was expected"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_nothing_is_guessed(
    tmp_path: Path, row: dict, says: str
) -> None:
    with pytest.raises(DataError) as caught:
        list(make(written(tmp_path, [ROWS[0] | row])).samples("test"))
    assert says in str(caught.value)


def test_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no field 'question'; did you mean 'questions'"):
        list(
            make(written(tmp_path, [{"questions": "?", "choices": ["a", "b"], "answer": 0}])).samples("test")
        )


def test_splits_by_hash_keep_a_cluster_together(tmp_path: Path) -> None:
    task = make(written(tmp_path, hash_split={"train": 0.5, "validation": 0.2}, cluster={"study": "group"}))
    units = [{sample.study_id for sample in task.samples(split)} for split in task.splits]
    assert (
        task.splits == ("train", "validation", "test")
        and all(units)
        and len(units[0] | units[1] | units[2]) == sum(map(len, units)) == 20
    )


def test_rows_are_left_out_by_value_and_pattern_and_lists_become_items(tmp_path: Path) -> None:
    rows = [
        {"case": "1", "parts": [{"q": "Pain?", "a": "yes"}, {"q": "Fever?", "a": "no"}], "lang": "en"},
        {"case": "2", "parts": [], "lang": "zh"},
    ]
    changes = {
        "where": {"lang": "e*"},
        "each": "parts",
        "doc_to_text": "{{case}}: {{item.q}}",
        "doc_to_target": "item.a",
        "doc_to_choice": "",
    }
    task = make(written(tmp_path, rows, **changes, prompt="yes_no", metric_list=["yes_no"], example=rows[0]))
    assert {(s.prompt.messages[0].text, s.target) for s in task.samples("test")} == {
        ("1: Pain? Answer yes or no.", "yes"),
        ("1: Fever? Answer yes or no.", "no"),
    }


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_a_file_of_any_format_and_a_folder_in_hub_layout_give_the_same_items(
    tmp_path: Path, kind: str
) -> None:
    rows = [
        {"q": f"Question {i}, with a comma\tand a tab?", "a": "yes" if i % 3 else "no"} for i in range(20)
    ]
    folder = tmp_path / "copy" / "data"
    folder.mkdir(parents=True)
    file = folder / f"test-00000-of-00001.{kind}"
    if kind == "jsonl":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "json":
        file.write_text(json.dumps(rows))
    elif kind == "parquet":
        pytest.importorskip("datasets").Dataset.from_list(rows).to_parquet(str(file))
    else:
        import csv

        with open(file, "w", newline="") as opened:
            table = csv.DictWriter(opened, ["q", "a"], delimiter="\t" if kind == "tsv" else ",")
            table.writeheader()
            table.writerows(rows)
    changes = {
        "doc_to_text": "q",
        "doc_to_target": "a",
        "doc_to_choice": "",
        "prompt": "yes_no",
        "metric_list": ["yes_no"],
        "example": rows[0],
    }
    name = written(tmp_path, rows, **changes)
    expected = [(s.id, s.text, s.target) for s in make(name).samples("test")]
    for path in (file, tmp_path / "copy"):
        assert [
            (s.id, s.text, s.target) for s in make(name, options={"path": str(path)}).samples("test")
        ] == expected


def test_pictures_come_from_paths_bytes_and_data_uris(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(PNG)
    rows = [{"question": "Is it white?", "answer": "no", "image": "a.png"}]
    changes = {"doc_to_visual": "image", "doc_to_choice": "", "prompt": "yes_no", "metric_list": ["yes_no"]}
    by_path = make(written(tmp_path, rows, **changes, example=rows[0], image_folder="pictures"))
    features = datasets.Features(
        {"question": datasets.Value("string"), "answer": datasets.Value("string"), "image": datasets.Image()}
    )
    stored = [rows[0] | {"image": {"bytes": PNG, "path": None}}]
    datasets.Dataset.from_list(stored, features=features).to_parquet(str(tmp_path / "test.parquet"))
    by_bytes = make(str(tmp_path / "mine.yaml"), options={"path": str(tmp_path / "test.parquet")})
    coded = [rows[0] | {"image": base64.b64encode(PNG).decode()}]
    (tmp_path / "b").mkdir()
    by_uri = make(
        written(
            tmp_path / "b", coded, **(changes | {"doc_to_visual": "data:;base64,{{image}}"}), example=coded[0]
        )
    )
    pictures = [next(iter(task.samples("test"))).images for task in (by_path, by_bytes, by_uri)]
    assert {image.sha256 for (image,) in pictures} == {pictures[0][0].sha256} and all(
        Path(image.uri).read_bytes() == PNG for (image,) in pictures
    )
    (tmp_path / "pictures/a.png").unlink()
    with pytest.raises(DataError, match="no such image"):
        list(by_path.samples("test"))


def test_the_loader_of_the_hub_leaves_pictures_as_the_bytes_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub's own loader, on a folder as the hub lays it out: one picture, and a list of them."""
    datasets = pytest.importorskip("datasets")
    from medxiaohe.tasks import _rows

    for key in OFFLINE:
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    stored = {"bytes": PNG, "path": None}
    features = datasets.Features(
        {"q": datasets.Value("string"), "one": datasets.Image(), "many": datasets.List(datasets.Image())}
    )
    (tmp_path / "set/data").mkdir(parents=True)
    datasets.Dataset.from_list(
        [{"q": "a", "one": stored, "many": [stored, stored]}], features=features
    ).to_parquet(str(tmp_path / "set/data/test-00000-of-00001.parquet"))
    (row,) = _rows.hub(str(tmp_path / "set"), "test")
    assert row["one"]["bytes"] == PNG and [image["bytes"] for image in row["many"]] == [PNG, PNG]


# ---- the definitions that ship


@pytest.mark.parametrize("path", BY_HUB, ids=lambda path: path.stem)
def test_a_benchmark_of_the_hub_reads_a_local_copy_in_its_layout(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three rows of the made-up example in files as the data set has them, with its pictures beside."""
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    about = _definition.read(path)
    for config in about.configs:
        for split in set(about.split_names.values()):
            pattern = about.dataset_kwargs.get("data_files", {}).get(split) or str(
                Path(config) / f"{split}.jsonl"
            )
            file = tmp_path / pattern.replace("**/", "").replace("*", "ion")
            file = file if file.suffix else file.with_suffix(".jsonl")
            file.parent.mkdir(parents=True, exist_ok=True)
            write_rows(file, [dict(about.example)] * 3)
    for image in made_up_pictures(about):
        place = tmp_path / about.image_folder / image
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(PNG)
    task = make(path.stem, options={"path": str(tmp_path)})
    for split in task.splits:
        found = list(task.samples(split))
        assert len(found) == 3 * len(about.configs) and found[0].split == split
        assert (
            found[0].prompt.messages[0].text == task.example.prompt.messages[0].text or about.shuffle_choices
        )
        assert (found[0].target, len(found[0].images)) == (
            task.example.target,
            len(task.example.images),
        ) or about.shuffle_choices
        assert values(task, found[0], task.gold(found[0]))[0] == 1.0


def write_rows(file: Path, rows: list[dict]) -> None:
    if file.suffix in (".csv", ".tsv"):
        mark = "\t" if file.suffix == ".tsv" else ","
        file.write_text(
            "\n".join(mark.join(map(str, line)) for line in [rows[0], *(row.values() for row in rows)]) + "\n"
        )
    elif file.suffix == ".json":
        file.write_text(json.dumps(numbered(rows), ensure_ascii=False))
    else:
        file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in numbered(rows)))


def numbered(rows: list[dict]) -> list[dict]:
    return [{"row": i} | row for i, row in enumerate(rows)]


def made_up_pictures(about: _definition.Definition) -> list[str]:
    names = [about.example.get(column) for column in about.visuals]
    return [
        name
        for value in names
        for name in (value if isinstance(value, list) else [value])
        if isinstance(name, str)
    ]


@pytest.mark.parametrize("path", BY_HUB, ids=lambda path: path.stem)
def test_without_a_copy_and_offline_it_says_what_to_give(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match=r"`path`|no such file or folder"):
        next(iter(make(path.stem).samples("test")))


def test_at_least_forty_benchmarks_and_each_says_tier_licence_and_what_it_is() -> None:
    names = plugins.available("tasks")
    assert len(names) >= 40 and {"mmmu_med", "medqa", "agentclinic", "medcalc", "healthbench_hard"} <= set(
        names
    )
    for path in SHIPPED:
        about = _definition.read(path)
        assert (
            len(about.about) > 40
            and about.license
            and about.access in ("public", "gated", "private")
            and about.task == path.stem
        )


def test_gated_data_is_marked() -> None:
    assert {path.stem for path in SHIPPED if _definition.read(path).access == "gated"} == {
        "mimic_cxr",
        "chexpert_plus",
    }


def test_a_changed_item_changes_the_fingerprint_and_its_place_does_not(tmp_path: Path) -> None:
    image = ImageRef("a.png", sha256="1" * 64)
    one = Sample(
        "a/1", (Message("user", (image, "Is it white?")), Message("assistant", ("No",))), target="no"
    )
    moved = Sample(
        "a/1",
        (
            Message("user", (ImageRef("/other/a.png", sha256="1" * 64), "Is it white?")),
            Message("assistant", ("No",)),
        ),
        target="no",
    )
    other = Sample(
        "a/1",
        (
            Message("user", (ImageRef("a.png", sha256="2" * 64), "Is it white?")),
            Message("assistant", ("No",)),
        ),
        target="no",
    )
    assert tasks.fingerprint([one]) == tasks.fingerprint([moved]) != tasks.fingerprint([other])
    first = make(written(tmp_path))
    expected = tasks.fingerprint(first.samples("test"))
    kept = make(written(tmp_path, fingerprint={"test": expected}))
    assert tasks.changed(kept, "test", kept.samples("test")) == ""
    changed = make(written(tmp_path, [*ROWS[:-1], ROWS[-1] | {"answer": 0}], fingerprint={"test": expected}))
    assert "the data changed" in tasks.changed(changed, "test", changed.samples("test"))


def test_the_version_of_a_task_is_that_of_its_yaml(tmp_path: Path) -> None:
    from medxiaohe.evals.running.fingerprints import task_code

    name = written(tmp_path)
    first = task_code(name)
    written(tmp_path, description="Think. ")
    assert first != task_code(name)


def test_the_prompt_has_an_id_that_the_data_does_not_change(tmp_path: Path) -> None:
    asked = tasks.prompt_id(make(written(tmp_path)))
    assert (
        asked
        == tasks.prompt_id(make(written(tmp_path, ROWS[5:])))
        != tasks.prompt_id(make(written(tmp_path, prompt="choices")))
    )
    assert asked.startswith("choice@")


def test_the_example_of_the_docs_runs_end_to_end(tmp_path: Path) -> None:
    """`medxiaohe eval run` on the YAML and on the .py example, with a Python function as the model."""
    (tmp_path / "bot.py").write_text(
        "def answer(messages):\n    return 'today' if 'doctor see' in messages[-1].text else '1000 mg'\n"
    )
    shutil.copy(ROOT / "examples/custom_task.py", tmp_path / "dosing.py")
    tasks_ = f"{ROOT}/examples/custom_task.yaml,{tmp_path}/dosing.py:dosing"
    command = [
        "-m",
        "medxiaohe",
        "eval",
        "run",
        "--model",
        f"{tmp_path}/bot.py:answer",
        "--tasks",
        tasks_,
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MEDXIAOHE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, env=env, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    summary = json.loads(next(tmp_path.glob("out/**/summary.json")).read_text())
    assert summary["custom_task"]["mean"] == 3 / 8 and summary["custom_task"]["clusters"] == 7
    assert summary["dosing"]["mean"] == 1 / 4 and summary["dosing"]["n"] == 4
