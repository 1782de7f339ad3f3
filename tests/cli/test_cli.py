"""The command as users meet it: quick to start, helpful when wrong, readable and machine-readable."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import engine
import pytest

import medxiaohe
from medxiaohe import io, plugins
from medxiaohe.cli import doctor, main, summary
from medxiaohe.cli.parser import parser, stage_verbs
from medxiaohe.types import Entity

HEAVY = ("torch", "transformers", "numpy", "PIL", "pydantic", "yaml", "rich", "typer")


def said(capsys: pytest.CaptureFixture[str], *args: Any, code: int = 0) -> str:
    """What a command writes to stdout."""
    capsys.readouterr()
    assert main([str(arg) for arg in args]) == code
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "code", ["import medxiaohe", "from medxiaohe.cli.parser import parser; parser().format_help()"]
)
def test_starting_imports_nothing_heavy(code: str) -> None:
    check = f"import sys; {code}; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", check], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_help_takes_less_than_a_third_of_a_second() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = engine.medxiaohe("--help")
        times.append(time.perf_counter() - start)
        assert done.returncode == 0 and "Not for clinical use" in done.stdout
    if min(times) > 0.3:
        pytest.skip(f"the machine is busy: {min(times):.2f} s")


@pytest.mark.parametrize("verb", parser().choices())
def test_every_verb_has_help_with_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = [second for first, second in stage_verbs() if first == verb and second] or [""]
    groups = {"eval": ["run", "compare", "reproduce"], "trace": ["show", "verify", "redact", "export"]}
    groups |= {"knowledge": ["build", "search", "get"], "tools": ["serve"]}
    for word in groups.get(verb, words):
        with pytest.raises(SystemExit) as stopped:
            main([verb, *filter(None, [word]), "--help"])
        assert stopped.value.code == 0
        out = capsys.readouterr().out
        assert "example:\n  medxiaohe" in out and "--json" in out


def test_verbs_named_after_stages_name_stages_that_exist() -> None:
    missing = {uses for uses, _, _ in stage_verbs().values()} - set(plugins.stages())
    assert not missing


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["rnu"], "no verb 'rnu'; did you mean 'run'?"),
        (["data", "raed"], "no verb 'raed'; did you mean 'read'?"),
        (["run"], "the following arguments are required: recipe"),
        (["run", "x.yaml", "--unitl", "a"], "unrecognized arguments: --unitl"),
    ],
)
def test_wrong_use_is_one_sentence_and_code_2(
    typed: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(typed)
    err = capsys.readouterr().err
    assert stopped.value.code == 2 and says in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["list", "taks"], "no kind 'taks'; did you mean 'tasks'?"),
        (["show", "stages", "data.raed"], "no stage named 'data.raed'; did you mean 'data.read'?"),
        (["show", "scoring", "choise"], "no scoring named 'choise'; did you mean 'choice'?"),
        (["assets", "mondoo"], "no asset named 'mondoo'; did you mean 'mondo'?"),
        (["tree", "stats", "--tree", "."], "is not the folder of a finished stage"),
        (["stage", f"{engine.STAGES}:top", "--out", "x", "--input", "words"], "write role=folder"),
        (
            ["stage", f"{engine.STAGES}:top", "--out", "x", "--input", "words=nowhere"],
            "nowhere is not the folder of a finished stage",
        ),
    ],
)
def test_wrong_names_are_one_sentence_and_code_2(
    typed: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    err = capsys.readouterr().err
    assert says in err and err.count("\n") == 1


def test_a_run_ends_with_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, "run", engine.recipe(tmp_path))
    assert out.splitlines()[0].split() == ["stage", "time", "what", "it", "did"]
    assert "words 6, different 3" in out and "loss 2.500 -> 0.500" in out
    assert f"page   {tmp_path}/out/join/1/page.txt" in out
    again = said(capsys, "run", tmp_path / "recipe.yaml")
    assert "0:00" in again and again.count("(done before)") == 3


def test_a_run_in_json_is_json_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = json.loads(said(capsys, "run", engine.recipe(tmp_path), "--json"))
    assert [s["name"] for s in row["stages"]] == ["words", "top", "join"]
    assert row["stages"][0]["summary"] == {"words": 6, "different": 3} and row["stages"][0]["seconds"] >= 0
    assert Path(row["page"]).is_file()


def test_a_failure_in_json_is_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    row = json.loads(said(capsys, "run", "nowhere.yaml", "--json", code=2))
    assert row == {"error": "no such file: nowhere.yaml", "exit_code": 2}


def test_a_dry_run_prints_every_default_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = engine.recipe(tmp_path)
    plan, out = said(capsys, "run", path, "--dry-run"), said(capsys, "run", path, "--dry-run", "--full")
    assert "longest: 30" in out and re.search(r"words +run", out) and out.endswith(plan)
    assert len(plan.splitlines()) < 10 and "longest" not in plan
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_what_changed_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = engine.recipe(tmp_path)
    said(capsys, "run", path)
    out = said(capsys, "run", path, "--dry-run", "--set", "words.case=upper", code=1)
    assert re.search(r'words +changed: settings.case: "lower" -> "upper"', out)
    assert re.search(r"join +run", out)


def test_single_stages_pass_folders_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = engine.recipe(tmp_path)
    (tmp_path / "words.yaml").write_text(f"sources: [{{path: {path.parent / 'input.txt'}}}]\n")
    work = tmp_path / "work"
    said(
        capsys,
        "stage",
        f"{engine.STAGES}:words",
        "--out",
        work,
        "--with",
        tmp_path / "words.yaml",
        "--set",
        "case=upper",
    )
    row = json.loads(
        said(
            capsys,
            "stage",
            f"{engine.STAGES}:top",
            "--out",
            work,
            "--input",
            f"words={work / 'words'}",
            "--json",
        )
    )
    assert io.read_json(Path(row["stages"][0]["folder"]) / "top.json") == ["FEVER", "COUGH"]


def test_an_unexpected_failure_shows_its_traceback_only_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = engine.recipe(tmp_path, bad={"uses": f"{engine.STAGES}:break_"})
    assert main(["run", str(path)]) == 3
    assert "Traceback" not in capsys.readouterr().err
    assert main(["run", str(path), "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


def test_doctor_tells_what_is_here_in_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    main(["doctor"])
    text = capsys.readouterr().out
    main(["doctor", "--json"])
    rows = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["medxiaohe"]["value"].startswith(medxiaohe.__version__)
    assert "not tried" in rows["hub"]["value"] and "not tried" in text
    assert {
        "python",
        "core",
        *(f"extra {name}" for name in "train data fast imaging deid pdf ocr ray qlora knowledge mcp".split()),
        "memory",
        "disk",
        "cores",
        "threads",
        "gpu",
        "assets",
        "MEDXIAOHE_DATA",
    } <= set(rows)


def test_doctor_gives_the_command_for_a_missing_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "version", lambda name: "" if name in ("torch", "vllm") else "1.0")
    main(["doctor"])
    out = capsys.readouterr().out
    assert "torch missing" in out and "pip install 'medxiaohe[train]'" in out


def test_doctor_finds_a_data_folder_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_DATA", "/no/such/folder")
    assert "! MEDXIAOHE_DATA   /no/such/folder  ->  no such folder" in said(capsys, "doctor", code=1)


@pytest.mark.parametrize("kind", [*plugins.KINDS, "stages", "assets"])
def test_everything_listed_can_be_shown(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in json.loads(said(capsys, "list", kind, "--json")):
        assert len(said(capsys, "show", kind, name)) > 40


def test_a_scorer_is_shown_with_its_example(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(said(capsys, "show", "scoring", "yes_no", "--json"))
    assert (
        facts["example"] == ["user: Is there a pneumothorax? Answer yes or no.", "assistant: No."]
        and facts["target"] == "no"
    )


def test_a_tool_is_shown_with_what_it_needs_and_does(capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(said(capsys, "show", "tools", "search", "--json"))
    assert facts["needs"] == ["library", "top (optional)"] and facts["file"].endswith("tools/search.py")
    assert facts["about"].startswith("Search a library") and (facts["pure"], facts["effects"]) == (
        True,
        "none",
    )


def test_the_names_in_a_text_are_found_with_the_index_that_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(tmp_path / "cache"))
    with io.publish(tmp_path / "tree") as draft:
        rows = [Entity("E:0", "disease", "disease"), Entity("E:1", "fever", "disease", ("E:0",))]
        io.write_jsonl(draft / "entities.jsonl", rows)
    for _ in range(2):
        out = said(capsys, "tree", "find", "there was no fever at night", "--tree", tmp_path / "tree")
        assert "fever  [13:18]  negated" in out and "E:1" in out
    if importlib.util.find_spec("numba"):
        assert len(list((tmp_path / "cache/indexes").glob("*.index"))) == 1


def test_scores_are_shown_with_intervals_and_paired_p(tmp_path: Path) -> None:
    score = {"n": 200, "mean": 0.5, "low": 0.43, "high": 0.57}
    comparison = {
        "stages": ["base", "rl"],
        "tasks": {"chest_xray": [{"stage": "base", **score}, {"stage": "rl", **score, "mean": 0.7}]},
        "paired": [
            {
                "task": "chest_xray",
                "a": "base",
                "b": "rl",
                "difference": 0.2,
                "p": 0.0001,
                "p_holm": 0.0002,
                "n": 200,
            }
        ],
        "perplexity": {"stages": [{"stage": "base", "documents": 50, "bits_per_token": 4.5}], "paired": []},
    }
    text = summary.scores(comparison)
    assert "chest_xray: base" in text and "[0.430, 0.570]" in text
    assert text.splitlines()[3].split() == ["rl", "200", "0.700", "[0.430,", "0.570]", "+0.200", "<0.001"]
    assert text.splitlines()[4].split() == ["bits", "per", "token:", "base", "50", "4.500"]


def test_a_question_is_answered_on_stdout_with_the_warning_beside_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert (
        main(["ask", "Is it benign?", "--model", "x", "--backend", "scripted", "--set", "answer=[Probably.]"])
        == 0
    )
    said = capsys.readouterr()
    assert said.out == "Probably.\n" and "not for clinical use" in said.err


def test_a_model_of_a_training_stage_answers_about_an_image(
    tiny_vlm: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    Image.new("RGB", (32, 32), "grey").save(tmp_path / "x.png")
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "model").symlink_to(tiny_vlm)
    out = said(
        capsys, "ask", "What is it?", "--model", tmp_path / "stage", "--image", tmp_path / "x.png", "--json"
    )
    assert set(json.loads(out)) == {"model", "question", "answer", "statement"}


def test_a_model_that_is_not_there_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "What is it?", "--model", "./nowhere"]) == 2
    assert "no model './nowhere'" in capsys.readouterr().err


@pytest.mark.parametrize(("old", "new"), sorted(plugins.RENAMED_STAGES.items()))
def test_the_old_name_of_a_stage_answers_with_the_new_one(tmp_path: Path, old: str, new: str) -> None:
    assert new in plugins.stages()
    recipe = tmp_path / "old.yaml"
    recipe.write_text(f"name: old\nstages:\n  page: {{uses: {old}}}\n")
    done = engine.medxiaohe("run", recipe)
    assert done.returncode == 2 and f"is now called {new!r}" in done.stderr


def test_the_old_name_of_a_verb_answers_with_the_new_one() -> None:
    done = engine.medxiaohe("report", "--help")
    assert done.returncode == 2 and "it is now called 'page'" in done.stderr
    assert engine.medxiaohe("page", "--help").returncode == 0
