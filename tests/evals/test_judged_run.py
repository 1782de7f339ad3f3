"""Judged runs: every verdict stays with its item, a budget says what it left out, HealthBench's mean is
clipped (MX-35)."""

import json
import os
import re
from pathlib import Path

import pytest

from medxiaohe import io
from medxiaohe.cli import main
from medxiaohe.errors import ConfigError, JudgeFailed
from medxiaohe.evals.reporting import reproduce, results
from medxiaohe.evals.reporting.inspect_log import export
from medxiaohe.evals.reporting.table import cautions, markdown
from medxiaohe.evals.run import RunSettings, TaskRun, run
from medxiaohe.evals.running.judging import Tally
from medxiaohe.scoring import rubric
from medxiaohe.scoring.judges import belief, use
from medxiaohe.scoring.judges.agreement import Agreement

TASK = """
from medxiaohe.scoring.rubric import rubric, to_target
from medxiaohe.types import Message, Sample, Task

GOOD, BAD = [("Advises to wash the wound", 1)], [("Recommends antibiotics", -4), ("Names a drug", 1)]

def quiz():
    def samples(split):
        for i in range(6):
            asked = Message("user", (f"I stepped on nail number {i}. What now?",))
            yield Sample(f"quiz/{i}", (asked,), target=to_target(BAD if i % 3 else GOOD), license="CC0-1.0", study_id=f"s{i}", split=split)
    return Task("quiz", samples, (rubric,), next(iter(samples("test"))), "CC0-1.0", gold=lambda sample: "")
"""  # noqa: E501
BOT = (
    "def answer(messages):\n    return 'Wash it with water, and take antibiotics of your choice for a"
    " week.'\n"
)


JUDGE = """
import json, re
from medxiaohe.scoring.judges.selftest import KNOWN

def judge(messages):
    text = messages[1].text
    met = "for a week" in text or any(known.right in text for known in KNOWN)
    ids = re.search(r"Ids: (.*)[.]$", text, re.MULTILINE)[1].split(", ")
    return json.dumps({"verdicts": [{"id": id, "why": "so", "verdict": "met" if met else "not met"} for id in ids]})
"""  # noqa: E501


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, code in (("quiz", TASK), ("bot", BOT), ("judge", JUDGE)):
        (tmp_path / f"{name}.py").write_text(code)
    return tmp_path


def settings(place: Path, **judge: object) -> RunSettings:
    asked = use.JudgeSettings(f"{place}/judge.py:judge", backend="python", cache="none", batch=1, **judge)  # type: ignore[arg-type]
    return RunSettings(
        (TaskRun(f"{place}/quiz.py:quiz"),), model=f"{place}/bot.py:answer", backend="python", judge=asked
    )


def test_every_verdict_stays_with_its_item_and_the_record_with_the_run(place: Path) -> None:
    run(settings(place), place / "out")
    rows = list(io.read_jsonl(place / "out/traces.jsonl"))
    assert len(rows) == 6
    for row in rows:
        criteria = [one["text"] for one in json.loads(row["sample"]["target"])["criteria"]]
        said = row["verdicts"]["rubric"]
        assert [one["label"] for one in said] == ["met"] * len(criteria) and all(
            "judge.py:judge#" in one["judge"] for one in said
        )
        assert all('"met"' in row["judge_replies"][one["prompt"]] for one in said)
    record = io.read_json(place / "out/judges.json")["quiz"]
    assert record["calls"] == 2 + 4 * 2 and record["self_test"]["passed"] and record["self_test_calls"] >= 40
    assert record["self_test"]["rows"] and set(record["prompts"]) >= {"rubric"} and not record["spent"]
    assert "judge_budget" not in io.read_json(place / "out/results.json")["tasks"]["quiz"]


def test_what_lies_beyond_the_budget_is_unjudged_and_said(place: Path) -> None:
    summary = run(settings(place, max_calls=5), place / "out")
    whole = io.read_json(place / "out/results.json")
    assert whole["tasks"]["quiz"]["judge_budget"] == {"max_calls": 5, "max_cost": None, "unasked": 3}
    assert summary["quiz"]["n"] == 3 and summary["quiz"]["unjudged"] == 3, (
        "its self-test took nothing from the budget"
    )
    said = cautions(whole["tasks"])
    assert said[1:] == ["quiz: 3 of 6 items are unjudged because the judge's budget of 5 calls was spent."]
    assert all(words in markdown(whole) for words in said)
    assert io.read_json(place / "out/judges.json")["quiz"]["spent"] == "the budget of 5 calls is spent"


def test_a_judge_may_be_named_where_the_run_is(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(place / "cache"))
    words = [
        "eval",
        "run",
        "--model",
        f"{place}/bot.py:answer",
        "--tasks",
        f"{place}/quiz.py:quiz",
        "--out",
        str(place / "out"),
        "--no-page",
    ]
    assert main([*words, "--judge", f"{place}/judge.py:judge", "--judge-calls", "2"]) == 0
    assert (
        "4 of 6 items are unjudged because the judge's budget of 2 calls was spent."
        in capsys.readouterr().out
    )
    assert main([*words, "--judge", "http://127.0.0.1:1/v1"]) == 2 and "/v1#NAME" in capsys.readouterr().err


def test_another_judge_is_refused_by_name_and_the_same_one_gives_the_same_numbers(place: Path) -> None:
    run(settings(place), place / "out")
    file, whole = results.read(place / "out")
    reproduce.check(file, whole)
    assert list(reproduce.differences(whole, reproduce.rerun(file, whole, place / "again"))) == []
    asked = whole["settings"]["judge"]
    with pytest.raises(ConfigError, match="the judge of quiz has changed"):
        reproduce.check(
            file, {**whole, "settings": {**whole["settings"], "judge": {**asked, "model": "rules"}}}
        )
    before = whole["tasks"]["quiz"]
    other = {**before, "judge": {**before["judge"], "prompts": {"rubric": "another wording"}}}
    with pytest.raises(ConfigError, match="the judge of quiz has changed"):
        reproduce.check(file, {**whole, "tasks": {"quiz": other}})
    (place / "judge.py").write_text(JUDGE + "\n# another\n")
    with pytest.raises(ConfigError, match="the judge of quiz has changed"):
        reproduce.check(file, whole)


def test_a_judge_that_fails_its_self_test_publishes_nothing(place: Path) -> None:
    (place / "judge.py").write_text(JUDGE.replace('"met" if met else "not met"', '"met"'))
    with pytest.raises(JudgeFailed, match="master key"):
        run(settings(place), place / "out")
    assert not (place / "out/results.json").exists() and not (place / "out/traces.jsonl").exists()


@pytest.mark.skipif(not os.environ.get("MEDXIAOHE_DATA"), reason="needs the data pack: MEDXIAOHE_DATA")
def test_one_command_holds_a_judge_against_physicians(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(place / "cache"))
    assert main(["eval", "judge", "rules", "--sets", "kqa"]) == 0
    said = capsys.readouterr().out
    assert "self-test passed" in said and "physician 3 against two who agree | 114 of 114" in said
    kappa = float(re.search(r"^\| rules \| .*\| ([-\d.]+) \[", said, re.MULTILINE)[1])  # type: ignore[index]
    assert 0.1 < kappa < 0.4, "the rules are far from the physicians, and the table says so"
    (place / "judge.py").write_text(JUDGE.replace('"met" if met else "not met"', '"supported"'))
    assert main(["eval", "judge", f"{place}/judge.py:judge", "--sets", "radfact", "--limit", "4"]) == 1
    assert "self-test FAILED" in capsys.readouterr().out


def test_a_judge_that_nobody_serves_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "judge", "ruless"]) == 2
    assert "no judge 'ruless': give rules" in capsys.readouterr().err


def test_the_headline_of_healthbench_is_the_clipped_mean_with_its_interval(place: Path) -> None:
    summary = run(settings(place), place / "out")
    values = [row["scores"][0]["value"] for row in io.read_jsonl(place / "out/traces.jsonl")]
    assert sorted(values) == pytest.approx([-3, -3, -3, -3, 1, 1]), "items are not clipped"
    found = summary["quiz"]
    assert found["mean"] == rubric.clipped_mean(values) == 0.0
    assert (found["low"], found["high"]) == (0.0, pytest.approx(0.502, abs=1e-3))


def test_an_interval_of_shares_stays_within_them() -> None:
    tally = Tally()
    for value in (0.0, 0.0, 0.06):
        tally.add(value, ())
    row = tally.row()
    assert 0.0 <= row["low"] < 0.02 < row["high"] <= 1.0 and row["mean"] == pytest.approx(0.02)
    tally.add(-0.5, ())
    assert tally.row()["low"] < -0.5, "values below 0 are no shares"


def test_a_constant_answer_is_scored_where_the_first_scorer_needs_no_judge(place: Path) -> None:
    """On reports of chests "no acute disease" alone earns most of the score, and only this says so."""
    code = TASK.replace("(rubric,)", "(says_wash, rubric)").replace(
        'gold=lambda sample: ""', 'gold=lambda sample: "wash"'
    )
    (place / "both.py").write_text(
        code + "\ndef says_wash(s, t):\n    return Score('says_wash', float('wash' in t.answer))\n"
    )
    (place / "both.py").write_text(
        (place / "both.py").read_text().replace("Message, Sample, Task", "Message, Sample, Score, Task")
    )
    summary = run(
        RunSettings((TaskRun(f"{place}/both.py:quiz"),), model=f"{place}/bot.py:answer", backend="python"),
        place / "out",
    )
    assert summary["both"]["constant"] == 1.0 and summary["both"]["constant_answer"] == "wash"
    assert summary["both.rubric"]["unjudged"] == 6


def measured(low: float) -> Agreement:
    three = (0.5, low, 0.9)
    return Agreement(72, 70, 40, 0.7, three, three, three, three)


def test_scores_of_a_judge_that_is_not_believed_are_marked_and_not_handed_on(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(place / "cache"))
    run(settings(place), place / "out")
    whole = io.read_json(place / "out/results.json")
    assert "is not measured" in whole["tasks"]["quiz"]["judge_doubted"]
    assert "not to be published" in markdown(whole) and cautions(whole["tasks"])
    assert io.read_json(place / "out/summary.json")["quiz"]["judge_doubted"]
    with pytest.raises(JudgeFailed, match="quiz are not published"):
        export(place / "out", whole, place / "log.json")
    assert not (place / "log.json").exists()


@pytest.mark.parametrize(
    ("low", "believed"), [(0.2, True), (0.0, False), (-0.1, False), (float("nan"), False)]
)
def test_a_judge_is_believed_when_it_agrees_with_physicians_beyond_chance(
    place: Path, low: float, believed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDXIAOHE_CACHE", str(place / "cache"))
    judge = use.make(settings(place).judge)
    assert judge is not None
    belief.keep(judge.name, measured(low))
    run(settings(place), place / "out")
    whole = io.read_json(place / "out/results.json")
    assert ("judge_doubted" not in whole["tasks"]["quiz"]) is believed
    record = io.read_json(place / "out/judges.json")["quiz"]["agreement"]
    assert record["believed"] is believed and record["n"] == 72
    if believed:
        assert export(place / "out", whole, place / "log.json")
