"""Every tool that ships: it says what it does, its example call works, and a bad call is a message to the
model."""

import importlib

import pytest

from medxiaohe import plugins
from medxiaohe.agents.answer import call_tool
from medxiaohe.errors import ConfigError
from medxiaohe.tools import tool
from medxiaohe.types import Tool, ToolCall

NAMES = plugins.available("tools")


@pytest.fixture(params=NAMES)
def found(request: pytest.FixtureRequest) -> tuple[Tool, dict[str, object]]:
    made = plugins.load("tools", request.param)
    example = importlib.import_module(f"medxiaohe.tools.{request.param}").EXAMPLE
    # a file may also hold a function that makes the tool
    return (made if isinstance(made, Tool) else made()), example


def test_its_schema_names_every_parameter(found: tuple[Tool, dict[str, object]]) -> None:
    made, example = found
    assert made.description and set(example) <= set(made.parameters["properties"])


def test_its_example_call_works(found: tuple[Tool, dict[str, object]]) -> None:
    made, example = found
    result = call_tool(ToolCall("1", made.name, example), [made])
    assert result.error == "" and result.parts and result.call_id == "1"


def test_a_bad_call_is_a_message_to_the_model(found: tuple[Tool, dict[str, object]]) -> None:
    made, example = found
    for arguments in ({}, {"nonsense": 1}, {name: [] for name in example}):
        assert call_tool(ToolCall("1", made.name, arguments), [made]).error
    assert "no tool" in call_tool(ToolCall("1", "unheard_of", {}), [made]).error


def test_a_function_without_docstring_is_no_tool() -> None:
    with pytest.raises(ConfigError, match="docstring"):
        tool(lambda x: x)


def test_body_mass_index_refuses_centimetres() -> None:
    bmi = plugins.load("tools", "bmi")
    assert call_tool(ToolCall("1", "bmi", {"weight_kg": 70, "height_m": 1.75}), [bmi]).parts == ("22.9",)
    assert "metres" in call_tool(ToolCall("1", "bmi", {"weight_kg": 70, "height_m": 175}), [bmi]).error


def test_search_finds_the_passage_and_cites_it() -> None:
    result = call_tool(ToolCall("1", "search", {"query": "insulin"}), [plugins.load("tools", "search")()])
    assert [e.id for e in result.evidence] == ["2"] and result.parts[
        0
    ] == "[2] Insulin is made in the pancreas."
