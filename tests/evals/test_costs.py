"""What answers take, and which run had as much to spend."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from test_eval_run import TASK

from medxiaohe import io
from medxiaohe.agents.engine import Answer, Ask, Case, Use, run
from medxiaohe.cli import main
from medxiaohe.evals.statistics.costs import Cost, cost, equal_budget, mean, pareto
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import Message, Prompt, Trace

MODEL = """
def right(messages):
    "Right where the number of the chain is even, and where there is none."
    text = " ".join(message.text for message in messages)
    return "Answer: A" if "attempt 1 " in text or "attempt 3 " in text else "Answer: B"
"""


@tool(example={"word": "x"})
def look(word: str) -> str:
    """Look."""
    return word


def flow(case: Case):  # type: ignore[no-untyped-def]
    first = yield Ask("", case.prompt.messages)
    yield Use("look", {"word": "a"})
    second = yield Ask("", (*case.prompt.messages, first, Message("user", ("and?",))))
    return Answer(second.text)


def test_a_trace_says_what_it_took() -> None:
    model = scripted(answer=lambda _: "12345678")
    (trace,) = run(flow, [Prompt("p", (Message("user", ("abcd" * 5,)),))], model, [look])
    found = cost(trace)
    assert found == Cost(calls=2, tools=1, tokens_in=5 + (20 + 8 + 4) / 4, tokens_out=4, estimated=2)

    class Counting(type(model)):  # type: ignore[misc]
        def count(self, messages):  # type: ignore[no-untyped-def]
            return sum(len(message.text) for message in messages)

    counting = Counting("counts", lambda _: "12345678")
    (counted,) = run(flow, [Prompt("p", (Message("user", ("abcd" * 5,)),))], counting, [look])
    assert cost(counted) == Cost(2, 1, 20 + 20 + 8 + 4, 16, 0)
    assert mean([found, cost(counted)]).estimated == 0.5
    outer = Trace(Prompt("p", ()), (Message("assistant", ("12345678",)),))
    assert cost(outer) == Cost(1, 0, 0, 2, 1)


def test_self_consistency_of_equal_budget_is_the_smallest_that_has_as_many_calls() -> None:
    runs = {
        "plain": {"workflow": "answer", "calls": 1.0},
        "sc3": {"workflow": "self_consistency", "calls": 3.0},
        "sc9": {"workflow": "self_consistency", "calls": 9.0},
        "cot": {"workflow": "cot", "calls": 1.0},
        "aide": {"workflow": "aide", "calls": 7.4},
        "panel": {"workflow": "panel", "calls": 20.0},
    }
    pairs = equal_budget(runs)
    assert {(b, a) for b, what, a in pairs if what == "self_consistency"} == {
        ("cot", "sc3"), ("aide", "sc9"), ("panel", "sc9"),
    }  # fmt: skip
    assert {b for b, what, a in pairs if a == "plain"} == set(runs) - {"plain"}


@pytest.mark.parametrize(
    ("points", "frontier"),
    [
        ([(1, 0.5), (2, 0.5), (3, 0.9), (3, 0.8)], [True, False, True, False]),
        ([(1, 0.5)], [True]),
        ([(1, 0.5), (1, 0.5)], [True, True]),
    ],
)
def test_the_frontier_has_what_nothing_cheaper_beats(
    points: list[tuple[float, float]], frontier: list[bool]
) -> None:
    assert pareto(points) == frontier


def test_compare_prints_costs_and_every_workflow_at_equal_budget_losses_included(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quiz.py").write_text(TASK)
    (tmp_path / "mine.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    asked = [
        "eval",
        "run",
        "--model",
        "mine.py:right",
        "--tasks",
        "quiz.py:quiz",
        "--limit",
        "8",
        "--no-page",
    ]
    assert main([*asked, "--out", "plain"]) == 0
    assert main([*asked, "--out", "cot", "--workflow", "cot"]) == 0
    for n in (1, 4):
        flow = ["--workflow", "self_consistency", "--set", f"workflow.samples={n}"]
        assert main([*asked, "--out", f"sc{n}", *flow]) == 0
    capsys.readouterr()
    assert main(["eval", "compare", "plain", "cot", "sc1", "sc4", "--out", "both"]) == 0
    told = capsys.readouterr().out
    assert "tokens in" in told and "seconds of the run" in told and "95% interval" in told
    found = io.read_json(tmp_path / "both/comparison.json")
    calls = {row["stage"]: row["calls"] for row in found["costs"]["quiz"]}
    assert [calls[name] for name in calls] == [1, 1, 1, 4]
    assert all(row["seconds"] is not None for row in found["costs"]["quiz"])
    against = {(Path(row["b"]).name, row["against"]) for row in found["equal_budget"]}
    assert len(against) == 4 and all(math.isfinite(row["difference"]) for row in found["equal_budget"])
    sc1 = next(row for row in found["equal_budget"] if "sc1" in row["b"])
    base, chains = (
        {row["stage"]: row["mean"] for row in found["tasks"]["quiz"]}[name] for name in (sc1["a"], sc1["b"])
    )
    assert sc1["difference"] == pytest.approx(chains - base) and chains != base
