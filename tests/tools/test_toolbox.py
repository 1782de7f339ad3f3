"""The toolbox: names to tools, arguments to values, results within limits, resources given or refused."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medxiaohe import io
from medxiaohe.errors import ConfigError, RetrieverDown, ToolError
from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools import tool
from medxiaohe.tools.toolbox import (
    bind,
    call_tool,
    conversation_images,
    describe_tools,
    open_tools,
    task_tools,
)
from medxiaohe.tools.toolbox.results import MAX_ERROR, MAX_IMAGES, MAX_TEXT
from medxiaohe.types import Evidence, ImageRef, Message, Tool, ToolCall, ToolResult


def call(made: Tool, *images: ImageRef, **arguments: Any) -> ToolResult:
    return call_tool(ToolCall("1", made.name, arguments), [made], images)


# ---- parameters ------------------------------------------------------------------------------------


@tool
def order(
    text: str,
    count: int,
    dose: float = 1.0,
    urgent: bool = False,
    route: Literal["oral", "iv"] = "oral",
    days: list[int] = [],  # noqa: B006
    weights: list[float] | None = None,
    side: Optional[Literal["left", "right"]] = None,  # noqa: UP045
    note: str | None = None,
) -> str:
    """Write an order."""
    return repr((text, count, dose, urgent, route, days, weights, side, note))


def test_the_schema_says_literals_lists_and_what_may_be_null() -> None:
    assert order.parameters == {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "count": {"type": "integer"},
            "dose": {"type": "number"},
            "urgent": {"type": "boolean"},
            "route": {"type": "string", "enum": ["oral", "iv"]},
            "days": {"type": "array", "items": {"type": "integer"}},
            "weights": {"type": ["array", "null"], "items": {"type": "number"}},
            "side": {"type": ["string", "null"], "enum": ["left", "right", None]},
            "note": {"type": ["string", "null"]},
        },
        "required": ["text", "count"],
        "additionalProperties": False,
    }


def test_arguments_arrive_in_the_types_of_the_function() -> None:
    result = call(
        order, text="a", count=2.0, dose=3, route="iv", days=[1, 2.0], weights=[1, 2.5], side="left"
    )
    assert result.parts == ("('a', 2, 3.0, False, 'iv', [1, 2], [1.0, 2.5], 'left', None)",)
    empty = call(order, text="", count=0, weights=None, side=None, note=None)
    assert empty.parts == ("('', 0, 1.0, False, 'oral', [], None, None, None)",)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"count": "2"}, "order: count must be a JSON integer, not '2'"),
        ({"count": 2.5}, "order: count must be a JSON integer, not 2.5"),
        ({"count": True}, "order: count must be a JSON integer, not True"),
        ({"count": None}, "order: count must be a JSON integer, not None"),
        ({"count": float("nan")}, "order: count must be a finite number"),
        ({"dose": 10**400}, "order: dose must be a finite number"),
        ({"dose": "70 kg"}, "order: dose must be a JSON number, not '70 kg'"),
        ({"urgent": 1}, "order: urgent must be a JSON boolean, not 1"),
        ({"route": "im"}, "order: route must be one of 'oral', 'iv', not 'im'"),
        ({"route": ["oral"]}, "order: route must be a JSON string, not ['oral']"),
        ({"days": 3}, "order: days must be a JSON list, not 3"),
        ({"days": "12"}, "order: days must be a JSON list, not '12'"),
        ({"days": [1, "x"]}, "order: days[1] must be a JSON integer, not 'x'"),
        ({"days": None}, "order: days must be a JSON list, not None"),
        ({"weights": [None]}, "order: weights[0] must be a JSON number, not None"),
        ({"side": "both"}, "order: side must be one of 'left', 'right', None, not 'both'"),
        ({"notes": "x"}, "order has no parameter 'notes'; did you mean 'note'?"),
    ],
)
def test_a_wrong_argument_is_a_sentence_for_the_model(wrong: dict[str, Any], sentence: str) -> None:
    result = call(order, **{"text": "a", "count": 1, **wrong})
    assert result.error == f"ToolError: {sentence}" and result.parts == () and result.call_id == "1"


def test_missing_arguments_are_named() -> None:
    assert call(order).error == "ToolError: order needs the parameter text and count"
    no_object = call_tool(ToolCall("1", "order", ["a", 1]), [order])  # type: ignore[arg-type]
    assert no_object.error.startswith("ToolError: the arguments of order must be a JSON object")


def test_an_optional_parameter_without_default_may_be_left_out() -> None:
    @tool
    def look(view: str | None) -> str:
        """Look."""
        return repr(view)

    assert look.parameters["required"] == []
    assert call(look).parts == ("None",) and call(look, view="pa").parts == ("'pa'",)


@pytest.mark.parametrize("hint", [dict[str, int], list, list[bool], int | str, Literal["a", 1], Any, bytes])
def test_a_parameter_that_no_schema_says_is_refused_when_the_tool_is_made(hint: Any) -> None:
    def look(view: Any) -> str:
        """Look."""
        return ""

    look.__annotations__["view"] = hint
    with pytest.raises(ConfigError, match="'view' must be one of str, int"):
        tool(look)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(st.dictionaries(st.sampled_from([*order.parameters["properties"], "other"]), JSON))
def test_whatever_a_model_writes_the_function_gets_its_types_or_is_not_called(
    arguments: Mapping[str, Any],
) -> None:
    from medxiaohe.tools.toolbox.parameters import checked

    try:
        given_ = checked("order", order.parameters, arguments)
    except ToolError as error:
        assert str(error)
        return
    kinds = {
        "text": str, "count": int, "dose": float, "urgent": bool, "route": str, "days": list,
        "weights": (list, type(None)), "side": (str, type(None)), "note": (str, type(None)),
    }  # fmt: skip
    assert {"text", "count"} <= set(given_)
    assert all(isinstance(value, kinds[name]) for name, value in given_.items())


# ---- results ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    name: str
    value: float
    box: tuple[int, int]


def returning(value: Any) -> ToolResult:
    @tool
    def give() -> Any:
        """Give."""
        return value

    return call(give)


def test_a_result_is_text_evidence_an_image_or_fields() -> None:
    one, two = Evidence("a", "x", "s"), Evidence("b", "y", "s", (ImageRef("i.png"),))
    assert returning("text").parts == ("text",)
    assert returning(one).evidence == (one,) and returning(one).parts == ("[a] x",)
    assert returning((one, two)).parts == ("[a] x\n[b] y", ImageRef("i.png"))
    assert returning([one, two]).evidence == (one, two)
    assert returning(()).parts == ("nothing found",)
    assert returning(ImageRef("i.png")).parts == (ImageRef("i.png"),)
    assert returning(ToolResult("", ("own",))).parts == ("own",)
    fields = returning(Measured("heart", 0.5, (1, 2)))
    assert fields.parts == ("name: heart\nvalue: 0.5\nbox: [1, 2]",)
    assert fields.data == {"name": "heart", "value": 0.5, "box": [1, 2]}
    assert returning({"a": 1}).data == {"a": 1} and returning([1, 2]).parts == ("[1, 2]",)


def test_fields_survive_a_file(tmp_path: Path) -> None:
    from medxiaohe.types import Prompt, Trace

    result = returning(Measured("heart", 0.5, (1, 2)))
    trace = Trace(Prompt("p", ()), (Message("tool", (result,)),))
    io.write_jsonl(tmp_path / "t.jsonl", [trace])
    (row,) = io.read_jsonl(tmp_path / "t.jsonl")
    assert io.trace_from_json(row) == trace
    assert "data" not in io.to_json(returning("text"))


def test_ten_megabytes_of_text_are_cut_and_say_so() -> None:
    result = returning("x" * 10_000_000)
    assert not result.error and len(str(result.parts[0])) == MAX_TEXT
    assert result.parts[1] == "[the result was cut: this is the first 50,000 of 10,000,000 characters]"
    assert returning("x" * MAX_TEXT).parts == ("x" * MAX_TEXT,)
    image = ImageRef("i.png")
    parts = returning(ToolResult("", ("a" * MAX_TEXT, "b", image, "c"))).parts
    assert parts[:2] == ("a" * MAX_TEXT, image) and len(parts) == 3


def test_what_is_recorded_is_never_cut_but_refused() -> None:
    for large in (
        Evidence("a", "x" * 10_000_000, "s"),
        tuple(Evidence(str(i), "x" * 1000, "s") for i in range(100)),
        {"a": "x" * 10_000_000},
    ):
        result = returning(large)
        assert "ask for less" in result.error and result.parts == () == result.evidence
    assert "33 images" in returning(ToolResult("", (ImageRef("i.png"),) * (MAX_IMAGES + 1))).error
    fits = tuple(Evidence(str(i), "x" * 1000, "s") for i in range(50))
    assert returning(fits).evidence == fits and len(returning(fits).parts) == 1


# ---- calls -----------------------------------------------------------------------------------------


def test_an_unknown_tool_is_told_the_nearest_name() -> None:
    names = [replace(order, name=name) for name in ("zoom", "search")]
    assert call_tool(ToolCall("7", "zom", {}), names) == ToolResult(
        "7", (), error="ToolError: no tool 'zom'; did you mean 'zoom'?"
    )
    assert call_tool(ToolCall("7", "qqq", {}), []).error == "ToolError: no tool 'qqq'; there are none"


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_tool_that_hangs_gives_an_error_and_the_run_goes_on(seconds: float) -> None:
    @tool(seconds=seconds, effects="writes")
    def sleep() -> str:
        """Sleep."""
        time.sleep(3600)
        return ""

    @tool(seconds=seconds)
    def spin() -> str:
        """Spin."""
        ended.append("started")
        try:
            while True:
                pass
        finally:
            ended.append("stopped")

    ended: list[str] = []
    assert "no result within" in call(sleep).error and "may have been done" in call(sleep).error
    assert call(spin).error == f"ToolError: spin gave no result within {seconds:g} s"
    for _ in range(200):  # its thread does not go on spinning
        if not ended or ended[-1] == "stopped":
            break
        time.sleep(0.05)
    assert ended in ([], ["started", "stopped"])


def test_what_a_tool_raises_goes_to_the_model_but_a_dead_retriever_stops_the_run() -> None:
    def raising(error: BaseException) -> ToolResult:
        @tool
        def fail() -> str:
            """Fail."""
            raise error

        return call(fail)

    assert raising(ToolError("give metres")).error == "ToolError: give metres"
    assert raising(AttributeError("no x")).error == "AttributeError: no x"
    assert raising(OSError("gone")).error == "OSError: gone"
    assert "SystemExit" in raising(SystemExit(3)).error
    assert len(raising(ToolError("x" * 10_000_000)).error) <= MAX_ERROR + 3
    with pytest.raises(RetrieverDown):
        raising(RetrieverDown("down"))

    @tool
    def deep() -> str:
        """Recurse."""
        return deep.run().parts[0]  # type: ignore[return-value]

    assert "RecursionError" in call(deep).error and sys.getrecursionlimit() > 100


# ---- resources -------------------------------------------------------------------------------------


@tool
def count(*, images: Sequence[ImageRef], unit: str = "images") -> str:
    """Count the images."""
    return f"{len(images)} {unit}"


def test_images_are_those_of_the_conversation_in_its_order() -> None:
    a, b, c, d = (ImageRef(f"{name}.png") for name in "abcd")
    talk = [
        Message("user", ("see", a, b)),
        Message("assistant", (ToolCall("1", "zoom", {}),)),
        Message("tool", (ToolResult("1", ("part", c)), ToolResult("2", (d,)))),
    ]
    assert conversation_images(talk) == (a, b, c, d)
    assert call(count, a, b, c).parts == ("3 images",)
    assert call(count).error == "ToolError: count looks at an image of the conversation, and there is none"


def test_a_model_cannot_give_a_resource() -> None:
    assert "images" not in count.parameters["properties"] and count.needs == ("images",)
    image = ImageRef("a.png")
    assert "no parameter 'images'" in call(count, image, images=["b.png"]).error
    assert "no parameter 'unit'" in call(bind(count, unit="cats"), image, unit="dogs").error
    assert call(bind(count, unit="cats"), image).parts == ("1 cats",)


FILE = """
from medxiaohe.tools import tool

@tool
def look(what: str, *, library, depth: int = 1) -> str:
    '''Look something up.'''
    return f"{what} in {library} at {depth}"

def made():
    return look

def wrong():
    return 3

def needs(library):
    return look
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "look.py").write_text(FILE)
    return str(tmp_path / "look.py")


def test_resources_are_given_once_by_name_or_by_tool_and_name(file: str) -> None:
    opened: list[str] = []

    def library() -> str:
        opened.append("library")
        return "L"

    (look,) = open_tools([f"{file}:look"], {"library": library, "look.depth": 3, "other.depth": 4})
    assert call(look, what="a").parts == ("a in L at 3",) == call(look, what="a").parts
    assert opened == ["library"] and look.needs == () == look.options
    open_tools(["bmi"], {"library": library})
    assert opened == ["library"], "nobody needed it"
    (look,) = open_tools([f"{file}:made"], {"library": "L", "look.library": "own"})
    assert call(look, what="a").parts == ("a in own at 1",)


def test_names_that_are_no_tools_are_refused_in_a_sentence(file: str) -> None:
    for names, sentence in (
        (["zom"], "did you mean 'zoom'"),
        (["search"], "the tool search needs a library and has none: set `library` of the task or"),
        ([f"{file}:look"], "the tool look needs a library"),
        ([f"{file}:wrong"], "is no tool but a int"),
        ([f"{file}:needs"], "no function that returns one"),
        ([f"{file}:FILE"], "has no 'FILE'"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            open_tools(names)
    with pytest.raises(ConfigError, match="two tools are called 'look'"):
        open_tools([f"{file}:look", f"{file}:made"], {"library": ""})
    assert len(open_tools(["bmi", "bmi"])) == 1, "a name given twice is one tool"


def test_settings_win_over_the_task_and_rows_need_no_resources(file: str) -> None:
    from medxiaohe.tasks.bedside import bedside

    task = replace(
        bedside(), tools=("search", "bmi"), resources={"library": BM25([Evidence("t", "scurvy", "")])}
    )
    assert [one.name for one in task_tools(task)] == ["search", "bmi"]
    own = BM25([Evidence("s", "scurvy", "")])
    search, bmi, zoom = sorted(
        task_tools(task, ["zoom"], {"library": own}), key=lambda t: "sbz".index(t.name[0])
    )
    assert [e.id for e in call(search, query="scurvy").evidence] == ["s"] and bmi.needs == () != zoom.needs
    assert [one.name for one in describe_tools(task.tools)] == ["search", "bmi"]


def test_a_tool_over_a_service_is_not_pure() -> None:
    from medxiaohe.retrieval.service import Service
    from medxiaohe.tools.search import search

    local, remote = bind(search, library=BM25([])), bind(search, library=Service("http://127.0.0.1:9"))
    assert (local.pure, local.effects) == (True, "none") and (remote.pure, remote.effects) == (False, "reads")


def test_the_decorator_records_what_the_file_says() -> None:
    @tool(version="3", pure=False, effects="writes", example={"text": "a"}, seconds=5)
    def write(text: str) -> str:
        """Write."""
        return text

    assert (write.version, write.pure, write.effects, write.seconds) == ("3", False, "writes", 5)
    assert write.example == {"text": "a"} and write.description == "Write."
    for wrong in ({"effects": "deletes"}, {"seconds": -1}):
        with pytest.raises(ConfigError, match="effects are none, reads, writes"):
            tool(**wrong)(order.run.__wrapped__)  # type: ignore[attr-defined, call-overload]


def test_the_tool_in_the_documentation_works_from_a_file(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "agentic.md").read_text()
    (tmp_path / "dose.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    (dose,) = open_tools([f"{tmp_path}/dose.py:dose"])
    assert call(dose, **dose.example).parts == ("200 mg",)
    assert call(dose, weight_kg=200, drug="ibuprofen").error.startswith("ToolError: 200.0 kg is no weight")
