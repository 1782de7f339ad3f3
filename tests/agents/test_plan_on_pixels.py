"""A plan on real pixels: white cells of blood smears (BCCD), found by the tool `detect`, decide yes or no.

The planner and the reviewer are scripted; everything that measures and decides is what ships.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from medxiaohe.agents.parsing.plans import decide
from medxiaohe.agents.plan import plan
from medxiaohe.errors import DataError, MedError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tasks import _bccd
from medxiaohe.tools.toolbox import open_tools
from medxiaohe.types import ImageRef, Message, Prompt, Tool, Trace

pytest.importorskip("numpy")
NUMBER = 30


@pytest.fixture(scope="module")
def smears() -> list[_bccd.Smear]:
    try:
        return list(islice(_bccd.smears("", "test"), NUMBER))
    except (DataError, MedError) as error:
        pytest.skip(f"the data pack is not here: {error}")


def written(threshold: float = 1.0, image: int = 1, weight: float = 1.0, field: str = "count") -> str:
    step = {
        "indicator": "two white cells or more", "weight": weight, "tool": "detect", "field": field,
        "arguments": {"image": image}, "image": image, "at_least": 2,
    }  # fmt: skip
    return json.dumps({"threshold": threshold, "steps": [step]})


def traces(pictures: Sequence[tuple[ImageRef, ...]], plan_: str, tools: Sequence[Tool]) -> list[Trace]:
    def reply(talk: Sequence[Message]) -> str:
        last = talk[-1].text
        if "You are the planner" in last or "cannot be used" in last:
            return plan_
        if "You are the reviewer" in last:
            return '{"state": "Continue"}'
        return "yes" if "The decision of the plan is yes" in last else "no"

    asked = "Are there two white cells or more in this smear? Answer yes or no."
    prompts = [Prompt(f"smear/{n}", (Message("user", (*shown, asked)),)) for n, shown in enumerate(pictures)]
    return list(plan(prompts, scripted(answer=reply), tools))


def noted(trace: Trace, kind: str) -> list[Any]:
    return [step.given for step in trace.steps if step.kind == "note" and step.who == kind]


def test_counts_of_real_smears_decide_and_every_decision_is_that_of_its_record(
    smears: list[_bccd.Smear],
) -> None:
    found = traces([(one.image,) for one in smears], written(), open_tools(["detect"]))
    right = 0
    for trace, smear in zip(found, smears, strict=True):
        (record,) = noted(trace, "decision")
        assert decide(record["rows"], record["threshold"]) == (record["sum"], record["decision"])
        assert trace.answer == record["decision"] and not trace.error
        assert {one.kind for one in trace.evidence} <= {"region"}
        gold = sum(kind == "WBC" for kind, _ in smear.boxes) >= 2
        right += (record["decision"] == "yes") == gold
    assert right >= 0.9 * len(smears), f"{right} of {len(smears)}"


def test_a_smear_that_is_missing_is_pruned_and_said_and_there_is_no_diagnosis(
    smears: list[_bccd.Smear],
) -> None:
    (trace,) = traces([(smears[0].image,)], written(image=2), open_tools(["detect"]))
    assert noted(trace, "dropped")[0]["why"] == "there is no image 2"
    assert "no diagnosis" in trace.error and not trace.answer


def test_a_tool_that_fails_on_its_pixels_ends_without_a_diagnosis(smears: list[_bccd.Smear]) -> None:
    gone = replace(smears[0].image, uri="/nowhere/smear.jpg")
    (trace,) = traces([(gone,)], written(), open_tools(["detect"]))
    assert "no diagnosis" in trace.error and not noted(trace, "decision")
    (other,) = traces([(smears[0].image,)], written(field="cells"), open_tools(["detect"]))
    assert "it gives no number 'cells': its fields are count" in other.error


def test_weights_that_cannot_reach_their_threshold_are_refused(smears: list[_bccd.Smear]) -> None:
    (trace,) = traces([(smears[0].image,)], written(0.4, weight=0.2), open_tools(["detect"]))
    assert trace.error.startswith("the plan is refused") and "cannot reach" in trace.error
