"""A plan on real pixels: white cells of blood smears (BCCD), boxed by the tool `detect`, decide yes or no.

The planner and the reviewer are scripted; everything that measures and decides is what ships.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from medxiaohe.agents.parsing.plans import decide
from medxiaohe.agents.plan import plan
from medxiaohe.errors import DataError, MedError, ToolError
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.tasks import _bccd
from medxiaohe.tools import tool
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import ImageRef, Message, Prompt, Tool, ToolCall, ToolResult, Trace

pytest.importorskip("numpy")
NUMBER = 30


@pytest.fixture(scope="module")
def smears() -> list[_bccd.Smear]:
    try:
        return list(islice(_bccd.smears("", "test"), NUMBER))
    except (DataError, MedError) as error:
        pytest.skip(f"the data pack is not here: {error}")


def written(
    threshold: float = 1.0,
    image: int = 1,
    weight: float = 1.0,
    field: str = "count",
    least: float = 2,
    tool: str = "detect",
) -> str:
    step = {
        "indicator": "white cells", "weight": weight, "tool": tool, "field": field,
        "arguments": {"image": image}, "image": image, "at_least": least,
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

    asked = "Are there white cells in this smear? Answer yes or no."
    prompts = [Prompt(f"smear/{n}", (Message("user", (*shown, asked)),)) for n, shown in enumerate(pictures)]
    return list(plan(prompts, scripted(answer=reply), tools))


def noted(trace: Trace, kind: str) -> list[Any]:
    return [step.given for step in trace.steps if step.kind == "note" and step.who == kind]


(DETECT,) = open_tools(["detect"])


@tool(effects="reads", example={"image": 1})
def white_cell_area(image: int, *, images: Sequence[ImageRef]) -> ToolResult:
    """Pixels of the box of the largest white cell in a smear."""
    found = call_tool(ToolCall("1", "detect", {"image": image}), [DETECT], images)
    if found.error or not found.data["boxes"]:
        raise ToolError(found.error or "there is no white cell")
    areas = [area(one["box"]) for one in found.data["boxes"]]
    return ToolResult("", (f"areas {areas}",), found.evidence, data={"area": max(areas)})


def area(box: Sequence[int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def test_cells_of_real_smears_decide_and_every_decision_is_that_of_its_record(
    smears: list[_bccd.Smear],
) -> None:
    """Is the largest white cell larger than that of most smears? Half of them are, by the gold boxes."""
    gold = [max((area(box) for kind, box in one.boxes if kind == "WBC"), default=0) for one in smears]
    middle = statistics.median(gold)
    plan_ = written(tool="white_cell_area", field="area", least=middle)
    found = traces([(one.image,) for one in smears], plan_, [white_cell_area])
    right, decided = {True: 0, False: 0}, 0
    for trace, size in zip(found, gold, strict=True):
        for record in noted(trace, "decision"):
            assert decide(record["rows"], record["threshold"]) == (record["sum"], record["decision"])
            assert trace.answer == record["decision"] and not trace.error
            assert {one.kind for one in trace.evidence} == {"region"}
            right[size >= middle] += (record["decision"] == "yes") == (size >= middle)
            decided += 1
        assert noted(trace, "decision") or "no diagnosis" in trace.error
    assert decided >= 0.85 * NUMBER and min(right.values()) >= 0.6 * NUMBER / 2, (right, decided)
    assert sum(right.values()) >= 0.75 * decided


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
