"""The published systems and the prompting techniques: roles, votes, rounds, and what each refuses."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from medxiaohe import plugins
from medxiaohe.agents.adaptive import adaptive
from medxiaohe.agents.best_of_n import best_of_n
from medxiaohe.agents.chain_of_diagnosis import chain_of_diagnosis
from medxiaohe.agents.cot import cot
from medxiaohe.agents.engine import Budget, asked
from medxiaohe.agents.ensemble import ensemble
from medxiaohe.agents.least_to_most import least_to_most
from medxiaohe.agents.medcot import medcot
from medxiaohe.agents.panel import panel
from medxiaohe.agents.parsing.plans import decide
from medxiaohe.agents.parsing.prompts import SHIPPED, prompt
from medxiaohe.agents.plan import plan
from medxiaohe.agents.self_consistency import self_consistency
from medxiaohe.errors import ConfigError
from medxiaohe.io import encoded
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tools import tool
from medxiaohe.types import ImageRef, Message, Prompt, ToolResult, Trace

CHOICES = ("Scurvy", "Rickets", "Pellagra")
QUESTION = Prompt(
    "q", (Message("user", ("Why do the gums bleed?\nA. Scurvy\nB. Rickets\nC. Pellagra",)),), CHOICES
)
PROMPTING = (
    "adapter_ranker", "adaptive", "best_of_n", "chain_of_diagnosis", "clinical_cot", "cot", "diagnostic_cot",
    "ensemble", "least_to_most", "self_consistency",
)  # fmt: skip
OURS = (*PROMPTING, "aide", "hetero", "medcot", "observe", "panel", "pathway", "plan", "research", "rwr")
Reply = Callable[[Sequence[Message]], str]


def notes(trace: Trace, kind: str) -> list[Any]:
    return [step.given for step in trace.steps if step.kind == "note" and step.who == kind]


def by_length(talk: Sequence[Message], answer: str) -> float:
    return float(len(answer))


def by_prompt(**said: str | Reply) -> Reply:
    """Replies by what the last message asks: the word of each keyword, `_` for a blank."""

    def reply(talk: Sequence[Message]) -> str:
        for cue, answer in said.items():
            if cue.replace("_", " ") in talk[-1].text:
                return answer if isinstance(answer, str) else answer(talk)
        return "yes"

    return reply


@tool(example={"query": "x"})
def search(query: str) -> str:
    """Passages about the query."""
    return f"passage about {query}"


# ---- what all of them keep ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", OURS)
def test_a_workflow_is_one_short_file_with_its_source(name: str) -> None:
    text = (Path(str(import_module("medxiaohe.agents").__path__[0])) / f"{name}.py").read_text("utf-8")
    assert len(text.splitlines()) <= (40 if name in PROMPTING else 150)
    assert "arXiv" in text and "paper says" in text and "we do" in text and "why" in text


@pytest.mark.parametrize("name", [name for name in OURS if name != "cot"])
def test_no_two_requests_of_a_case_are_equal_so_no_two_roles_are(name: str) -> None:
    """Replies that are equal everywhere are the worst case: only the prompts differ."""
    for reply in (import_module(f"medxiaohe.agents.{name}").EXAMPLE.ends, "no", '{"complexity": "high"}'):
        (trace,) = plugins.load("workflows", name)(
            [QUESTION], scripted(answer=lambda _, r=reply: r, nats=by_length), [search]
        )
        seen: dict[bytes, str] = {}
        for step in trace.steps:
            if step.kind == "ask":
                assert seen.setdefault(encoded(asked(trace, step.n)), step.who) is step.who, step.n
        roles = {step.who for step in trace.steps if step.kind == "ask"}
        assert len(seen) >= len(roles)


@pytest.mark.parametrize("file", sorted(SHIPPED.glob("*.txt")), ids=lambda file: file.stem)
def test_a_prompt_can_be_replaced_and_wrong_fields_are_refused(file: Path, tmp_path: Path) -> None:
    text = file.read_text("utf-8")
    fields = {field: "x" for _, field, _, _ in string.Formatter().parse(text) if field is not None}
    assert prompt(file.stem, **fields)
    (tmp_path / file.name).write_text("mine " + " ".join(f"{{{field}}}" for field in fields))
    assert prompt(file.stem, str(tmp_path), **fields).startswith("mine")
    (tmp_path / file.name).write_text("mine {gold}")
    with pytest.raises(ConfigError, match=r"fields"):
        prompt(file.stem, str(tmp_path), **fields)
    with pytest.raises(ConfigError, match=r"no folder"):
        prompt(file.stem, str(tmp_path / "none"), **fields)
    used = [p for p in SHIPPED.parent.glob("*.py") if file.stem in p.read_text("utf-8")]
    assert used or file.stem.startswith("diagnostic_cot_"), f"{file.name} is read by no workflow"


def test_a_replaced_prompt_reaches_the_model(tmp_path: Path) -> None:
    (tmp_path / "cot.txt").write_text("Denken Sie nach.")
    model = scripted(answer=lambda _: "A")
    cot([QUESTION], model, prompts=str(tmp_path))
    assert model.conversations[0][0] == Message("system", ("Denken Sie nach.",))


# ---- prompting techniques -----------------------------------------------------------------------------


def test_a_prompt_with_a_system_message_keeps_it_and_has_one() -> None:
    model = scripted(answer=lambda _: "A")
    own = Prompt("q", (Message("system", ("Be short.",)), *QUESTION.messages))
    cot([own], model)
    talk = model.conversations[0]
    assert talk[0].text.startswith("Be short.") and [m.role for m in talk] == ["system", "user"]


def test_self_consistency_gives_the_plurality_and_leaves_abstentions_out() -> None:
    replies = ["Answer: B", "no idea", "Answer: A", "so\nAnswer: A", "A or B"]
    (trace,) = self_consistency([QUESTION], scripted(answer=replies), samples=5)
    assert trace.answer == "Answer: A" and notes(trace, "votes")[0]["votes"] == {"B": 1, "A": 2}
    (none,) = self_consistency([QUESTION], scripted(answer=lambda _: "no idea"), samples=3)
    assert "none of 3" in none.error and none.stop == "failed"


def test_ensemble_shows_every_chain_to_every_refinement() -> None:
    replies = ["chain one", "chain two", "Answer: C", "Answer: C", "Answer: A"]
    model = scripted(answer=replies)
    (trace,) = ensemble([QUESTION], model, chains=2, refinements=3)
    assert trace.answer == "Answer: C" and all(
        t[-1].text.index("chain one") < t[-1].text.index("chain two") for t in model.conversations[2:]
    )


def test_best_of_n_never_chooses_a_solution_without_a_score() -> None:
    cast = {
        "": scripted(answer=["A", "B", "C"]),
        "verifier": scripted(answer=["great!", "best!", '{"score": 2}', '{"score": 3}']),
    }
    (trace,) = best_of_n([QUESTION], cast, samples=3)
    assert trace.answer == "C" and notes(trace, "scores") == [[None, 2.0, 3.0]]


def test_least_to_most_answers_the_questions_in_order() -> None:
    model = scripted(
        answer=["1. What are gums?\n2) What is vitamin C?\nrest", "tissue", "an acid", "Answer: A"]
    )
    (trace,) = least_to_most([QUESTION], model)
    assert (
        notes(trace, "questions") == [["What are gums?", "What is vitamin C?"]]
        and trace.answer == "Answer: A"
    )
    assert "tissue" in [m.text for m in model.conversations[2]]


def test_chain_of_diagnosis_reasons_again_below_its_threshold() -> None:
    replies = ['{"flu": 0.5, "cold": 0.5}', '{"flu": 0.9, "cold": 0.1}\nAnswer: A']
    (trace,) = chain_of_diagnosis([QUESTION], scripted(answer=replies))
    assert trace.answer.endswith("A") and len(notes(trace, "confidence")) == 2
    (once,) = chain_of_diagnosis([QUESTION], scripted(answer=replies), threshold=0.4)
    assert len(notes(once, "confidence")) == 1


@pytest.mark.parametrize(("said", "asks"), [("low", 2), ("moderate", 6), ("high", 0), ("both", 7)])
def test_adaptive_runs_the_workflow_of_the_complexity(said: str, asks: int) -> None:
    replies = by_prompt(
        complex=json.dumps({"complexity": said}),
        Answer_again=json.dumps({"complexity": said}),
        bleed="Answer: A",
    )
    (trace,) = adaptive([QUESTION], scripted(answer=replies))
    number = sum(step.kind == "ask" for step in trace.steps)
    assert notes(trace, "complexity") == ["moderate" if said == "both" else said] and not trace.error
    assert number == asks if asks else number > 7 and notes(trace, "votes")[0]["votes"] == ["yes"] * 3


# ---- the panel ----------------------------------------------------------------------------------------


def votes_of(script: Sequence[str]) -> Reply:
    rest = iter(script)
    return by_prompt(Do_you_agree=lambda _: next(rest), final_answer="Answer: A")


@pytest.mark.parametrize(
    ("script", "rounds", "agrees"),
    [
        (["yes"] * 3, 1, True),
        (["yes", "no", "yes", *["yes"] * 3], 2, True),
        (["yes", "abnormal", "yes", *["yes", "no", "no"] * 2], 3, False),
        (["no"] * 9, 3, False),
        (["yes", "unknown", "是的，但…"] * 3, 3, True),
    ],
)
def test_a_panel_stops_when_all_agree_or_after_three_rounds(
    script: list[str], rounds: int, agrees: bool
) -> None:
    (trace,) = panel([QUESTION], scripted(answer=votes_of(script)))
    assert len(notes(trace, "votes")) == rounds and notes(trace, "outcome")[0]["agrees"] is agrees
    assert trace.answer == "Answer: A" and not trace.error


def test_votes_that_nobody_can_read_are_no_consent() -> None:
    (trace,) = panel([QUESTION], scripted(answer=votes_of(["abnormal"] * 9)))
    assert "no vote" in trace.error and len(notes(trace, "votes")) == 3 and not trace.answer


def test_a_panel_takes_the_roles_that_are_proposed_and_says_each_in_its_prompt() -> None:
    team = {"roles": [{"role": "dentist", "task": "teeth"}, {"role": "dietitian", "task": "diet"}]}
    model = scripted(answer=by_prompt(Which_specialists=json.dumps(team), which_kind="x"))
    (trace,) = panel([QUESTION], model, check=False)
    assert notes(trace, "team") == [[["dentist", "teeth"], ["dietitian", "diet"]]]
    systems = {talk[0].text for talk in model.conversations if talk[0].role == "system"}
    assert len(systems) == 2 and any("dentist" in text and "teeth" in text for text in systems)
    twins = {"roles": [{"role": "dentist", "task": "a"}, {"role": "Dentist", "task": "b"}]}
    (fixed,) = panel([QUESTION], scripted(answer=by_prompt(Which_specialists=json.dumps(twins))))
    assert [row[0] for row in notes(fixed, "team")[0]] == ["internist", "radiologist", "pharmacologist"]


def test_an_objection_of_the_director_costs_one_more_assessment() -> None:
    again = by_prompt(free_of_errors="No, the dose is wrong.", write_your_assessment_again="better")
    model = scripted(answer=again)
    (trace,) = panel([QUESTION], model)
    redone = [talk for talk in model.conversations if "write your assessment again" in talk[-1].text]
    assert len(redone) == 3 and all("the dose is wrong" in talk[-1].text for talk in redone)
    summaries = [talk[-1].text for talk in model.conversations if "Write a summary" in talk[-1].text]
    assert summaries[0].count("better") == 3 and not trace.error


def test_the_query_of_a_panel_is_deidentified_before_it_is_searched() -> None:
    seen: list[str] = []

    @tool(example={"query": "x"})
    def search(query: str) -> str:
        """Passages."""
        seen.append(query)
        return "passage"

    query = "bleeding gums in jane.doe@example.org, phone 555-867-5309"
    (trace,) = panel([QUESTION], scripted(answer=by_prompt(search_query=query)), [search])
    assert not trace.error and len(seen) == 1
    assert "jane.doe" not in seen[0] and "867-5309" not in seen[0] and "bleeding gums" in seen[0]


# ---- the plan -----------------------------------------------------------------------------------------


@tool(example={})
def cup_disc_ratio() -> str:
    """The ratio of cup to disc."""
    return "0.71"


@tool(example={})
def broken() -> str:
    """Always fails."""
    raise RuntimeError("no disc")


def measured(threshold: float = 0.5, **more: Any) -> str:
    steps = [
        {"indicator": "ratio", "weight": 0.5, "tool": "cup_disc_ratio", "arguments": {}, "at_least": 0.6},
        {"indicator": "rim", "weight": 0.5, **more},
    ]
    return json.dumps({"threshold": threshold, "steps": steps})


def planned(written: str, **more: str | Reply) -> Trace:
    replies = by_prompt(
        **{
            "You_are_the_planner": written,
            "cannot_be_used": written,
            **more,
            "You_are_the_reviewer": '{"state": "Continue"}',
        }
    )
    (trace,) = plan([QUESTION], scripted(answer=replies), [cup_disc_ratio, broken])
    return trace


@pytest.mark.parametrize(
    ("seen", "threshold"), [("yes", 0.5), ("no", 0.5), ("yes", 1.0), ("no", 1.0), ("abnormal", 0.5)]
)
def test_the_decision_is_recomputed_from_the_recorded_numbers(seen: str, threshold: float) -> None:
    wanted = "yes" if seen == "yes" or threshold == 0.5 else "no"
    trace = planned(
        measured(threshold), Is_this_indicator=seen, The_decision_of_the_plan=f"{wanted}\nSee the record."
    )
    (decision,) = notes(trace, "decision")
    assert decide(decision["rows"], decision["threshold"]) == (decision["sum"], decision["decision"])
    assert decision["decision"] == wanted and trace.answer.startswith(wanted) and not trace.error


def test_what_is_missing_is_dropped_and_said_and_decides_nothing() -> None:
    trace = planned(measured(1.0, image=1))
    assert notes(trace, "dropped")[0]["why"] == "there is no image 1"
    assert "what is missing could change the decision: rim" in trace.error and not trace.answer
    assert planned(measured(0.5, image=1)).answer == "yes"
    (seen,) = plan(
        [Prompt("i", (Message("user", ("Glaucoma?", ImageRef("eye.png"))),))],
        scripted(answer=by_prompt(planner=measured(1.0, image=1), reviewer='{"state": "Continue"}')),
        [cup_disc_ratio],
    )
    assert not notes(seen, "dropped") and seen.answer == "yes"


def test_a_tool_that_fails_and_a_reviewer_who_terminates_end_without_a_diagnosis() -> None:
    failed = planned(measured(0.5, tool="broken", arguments={}, at_least=1))
    assert "no diagnosis" in failed.error and not failed.answer and not notes(failed, "decision")
    replies = by_prompt(planner=measured(), reviewer='{"state": "Terminate"}')
    (ended,) = plan([QUESTION], scripted(answer=replies), [cup_disc_ratio])
    assert "the reviewer ended the plan" in ended.error


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("count", "yes"),
        ("shape", "it gives no number 'shape': its fields are count, shape"),
        ("", "one number"),
    ],
)
def test_a_tool_of_several_fields_gives_the_one_that_the_step_names(field: str, said: str) -> None:
    @tool(example={})
    def cells() -> ToolResult:
        """Cells of a smear."""
        return ToolResult("", ("3 cells in 640 x 480 pixels",), data={"count": 3, "shape": "round"})

    step = {"indicator": "cells", "weight": 1, "tool": "cells", "arguments": {}, "at_least": 2}
    written = json.dumps({"threshold": 1, "steps": [{**step, **({"field": field} if field else {})}]})
    replies = by_prompt(planner=written, reviewer='{"state": "Continue"}', The_decision="yes")
    (trace,) = plan([QUESTION], scripted(answer=replies), [cells])
    assert said in (trace.answer or trace.error)


def test_complete_counts_only_where_nothing_can_change_the_decision() -> None:
    for threshold, looks in ((0.5, 0), (1.0, 1)):
        replies = by_prompt(planner=measured(threshold), reviewer='{"state": "Complete"}')
        (trace,) = plan([QUESTION], scripted(answer=replies), [cup_disc_ratio])
        assert sum(step.who == "observer" for step in trace.steps) == looks and trace.answer == "yes"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (measured(0.5, tool="cup_disk_ratio", arguments={}, at_least=1), "did you mean 'cup_disc_ratio'"),
        (json.dumps({"threshold": 0.4, "steps": [{"indicator": "ppa", "weight": 0.2}]}), "cannot reach"),
        (measured(0.5, tool="broken", arguments={}), "at_least"),
        (json.dumps({"threshold": 0.4, "steps": []}), "steps"),
        ('{"threshold": 0.4, "steps": [{"indic', "cut off"),
        ("I cannot write plans.", "no JSON"),
    ],
)
def test_a_plan_that_cannot_be_carried_out_is_refused_after_one_repair(written: str, why: str) -> None:
    trace = planned(written)
    assert why in trace.error and trace.error.startswith("the plan is refused") and trace.stop == "failed"
    assert sum(step.who == "planner" for step in trace.steps) == 2


def test_a_reply_that_contradicts_the_decision_is_no_answer() -> None:
    assert "does not say the decision" in planned(measured(), The_decision_of_the_plan="no").error


# ---- MedCoT, budgets ----------------------------------------------------------------------------------


def test_medcot_writes_an_ineffective_rationale_again_and_counts_the_experts() -> None:
    said = iter(["Answer: A", "none of them", "Answer: B", "Answer: B"])
    replies = by_prompt(
        right_and_useful="unknown", Write_a_better="better", diagnostic_expert=lambda _: next(said)
    )
    model = scripted(answer=replies)
    (trace,) = medcot([QUESTION], model, experts=4)
    assert trace.answer == "Answer: B" and notes(trace, "votes")[0]["answers"] == ["A", "", "B", "B"]
    assert all("better" in talk[-1].text for talk in model.conversations[-4:])
    with pytest.raises(ConfigError, match="from 1 to 6"):
        medcot([QUESTION], scripted(), experts=7)


@pytest.mark.parametrize("name", OURS)
def test_a_budget_of_one_request_ends_in_one_sentence(name: str) -> None:
    (trace,) = plugins.load("workflows", name)(
        [QUESTION], scripted(answer=lambda _: "1. hm?", nats=by_length), budget=Budget(asks=1)
    )
    assert trace.stop in ("budget", "answered") and sum(step.kind == "ask" for step in trace.steps) <= 1
