"""Every tool that ships: it says what it does, its example call works, and a bad call is a message to the
model."""

import importlib
from pathlib import Path

import pytest

from medxiaohe import plugins
from medxiaohe.errors import ConfigError
from medxiaohe.images import ref
from medxiaohe.tools import EFFECTS, tool
from medxiaohe.tools.toolbox import call_tool, describe_tools, open_tools, task_tools
from medxiaohe.types import ImageRef, Task, Tool, ToolCall

NAMES = plugins.shipped("tools")


@pytest.fixture(params=NAMES)
def found(request: pytest.FixtureRequest) -> Tool:
    """The tool with the resources that its file has for this test."""
    module = importlib.import_module(f"medxiaohe.tools.{request.param}")
    (made,) = open_tools([request.param], getattr(module, "EXAMPLE_RESOURCES", {}))
    return made


@pytest.fixture
def pictures(found: Tool, tmp_path: Path) -> tuple[ImageRef, ...]:
    """A picture that the tool takes: the one its file draws, or a gradient."""
    from PIL import Image

    draw = getattr(importlib.import_module(f"medxiaohe.tools.{found.name}"), "EXAMPLE_PICTURE", None)
    path = tmp_path / "picture.png"
    (Image.fromarray(draw()) if draw else Image.linear_gradient("L")).save(path)
    return (ref(path),)


def test_its_name_is_that_of_its_file_and_its_schema_names_every_parameter(found: Tool) -> None:
    assert found.name in NAMES and found.description and found.version and found.effects in EFFECTS
    assert found.example and set(found.example) <= set(found.parameters["properties"])
    assert found.seconds > 0 and set(found.needs) <= {"images"}, "every other resource was given"


def test_its_example_call_works_and_a_pure_one_gives_it_again(
    found: Tool, pictures: tuple[ImageRef, ...]
) -> None:
    call = ToolCall("1", found.name, found.example)
    result = call_tool(call, [found], pictures)
    assert result.error == "" and result.parts and result.call_id == "1"
    assert not found.pure or call_tool(call, [found], pictures) == result


def test_a_bad_call_is_a_message_to_the_model(found: Tool, pictures: tuple[ImageRef, ...]) -> None:
    resources = {name: None for name in ("images", "library")}
    for arguments in (
        {},
        {"nonsense": 1},
        {name: [] for name in found.example},
        {**found.example, **resources},
    ):
        assert call_tool(ToolCall("1", found.name, arguments), [found], pictures).error
    assert "no tool" in call_tool(ToolCall("1", "unheard_of", {}), [found]).error


@pytest.mark.parametrize("name", NAMES)
def test_without_its_resources_it_is_refused_and_never_gets_test_data(name: str) -> None:
    (described,) = describe_tools([name])
    if set(described.needs) - {"images"}:
        with pytest.raises(ConfigError, match=f"the tool {name} needs a {described.needs[0]}"):
            task_tools(_task(name))
        with pytest.raises(ConfigError, match=f"the tool {name} needs a {described.needs[0]}"):
            call_tool(ToolCall("1", name, described.example), [described])
    elif "images" in described.needs:
        result = call_tool(ToolCall("1", name, described.example), task_tools(_task(name)), ())
        assert "image of the conversation" in result.error and not result.parts


def _task(name: str) -> Task:
    from dataclasses import replace

    from medxiaohe.tasks.bedside import bedside

    return replace(bedside(), tools=(name,))


def test_a_function_without_docstring_is_no_tool() -> None:
    with pytest.raises(ConfigError, match="docstring"):
        tool(lambda x: x)


def test_body_mass_index_refuses_centimetres() -> None:
    (bmi,) = open_tools(["bmi"])
    assert call_tool(ToolCall("1", "bmi", {"weight_kg": 70, "height_m": 1.75}), [bmi]).parts == ("22.9",)
    assert "metres" in call_tool(ToolCall("1", "bmi", {"weight_kg": 70, "height_m": 175}), [bmi]).error


def test_search_finds_the_passage_and_cites_it() -> None:
    from medxiaohe.tools.search import EXAMPLE_RESOURCES

    result = call_tool(
        ToolCall("1", "search", {"query": "insulin"}), open_tools(["search"], EXAMPLE_RESOURCES)
    )
    assert [e.id for e in result.evidence] == ["2"]
    assert result.parts[0] == "[2] Insulin is made in the pancreas."


def test_only_the_toolbox_makes_tools_from_names() -> None:
    package = Path(plugins.__file__).parent
    files = [path for path in package.rglob("*.py") if 'load("tools"' in path.read_text()]
    assert files == [package / "tools" / "toolbox" / "__init__.py"]
