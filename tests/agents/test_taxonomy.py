"""The registry of ways to reason: every entry is there, and runs."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from medxiaohe import cli, plugins
from medxiaohe.agents.parsing.taxonomy import Leaf, leaves
from medxiaohe.models.backends.scripted import scripted
from medxiaohe.recipe.load import load
from medxiaohe.tools.toolbox import call_tool, describe_tools
from medxiaohe.types import Message, Prompt, ToolCall, Trace

ROOT = Path(__file__).parent.parent.parent
RUN = [leaf for leaf in leaves() if leaf.kind]
KINDS = {"workflows", "stages", "recipes", "tasks", "tools", "scoring"}


def test_at_least_25_branches_run_and_the_others_say_what_is_missing() -> None:
    assert len(RUN) >= 25 and {leaf.kind for leaf in RUN} <= KINDS
    assert all(bool(leaf.kind) != bool(leaf.missing) for leaf in leaves())
    names = [leaf.name for leaf in leaves()]
    assert len(set(names)) == len(names)
    assert len({(leaf.kind, leaf.runs) for leaf in RUN}) == len(RUN), "one thing stands for two branches"


@pytest.mark.parametrize("leaf", RUN, ids=lambda leaf: leaf.name)
def test_an_entry_runs(leaf: Leaf) -> None:
    """Its tiny example here; of a stage or a recipe that it loads, and that its tests name it."""
    test = (ROOT / leaf.test).read_text("utf-8")
    if leaf.kind == "workflows":
        found, example = (
            plugins.load("workflows", leaf.runs),
            import_module(f"medxiaohe.agents.{leaf.runs}").EXAMPLE,
        )
        prompt = Prompt("p", (Message("user", ("Which?",)),), facts=example.facts)
        (trace,) = found(
            [prompt], scripted(answer=lambda _: example.ends, nats=lambda _, one: float(len(one)))
        )
        assert trace.stop == "answered" and (leaf.runs in test or "plugins.shipped" in test)
    elif leaf.kind == "stages":
        assert callable(plugins.load_stage(leaf.runs)) and leaf.runs in test
    elif leaf.kind == "recipes":
        assert load(ROOT / "recipes" / f"{leaf.runs}.yaml").stages and leaf.runs in test
    elif leaf.kind == "tasks":
        assert plugins.load("tasks", leaf.runs)().example is not None
        assert leaf.runs in test or 'shipped("tasks")' in test
    elif leaf.kind == "tools":
        (described,) = describe_tools([leaf.runs])
        assert described.example and (leaf.runs in test or 'shipped("tools")' in test)
        if not described.needs:
            assert not call_tool(ToolCall("1", leaf.runs, described.example), [described]).error
    else:
        sample = import_module(f"medxiaohe.scoring.{leaf.runs}").EXAMPLE
        score = plugins.load("scoring", leaf.runs)(sample, Trace(sample.prompt, sample.messages))
        assert score.value == 1.0 and 'shipped("scoring")' in test


def test_the_command_prints_every_branch(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "reasoning"]) == 0
    printed = capsys.readouterr().out
    assert all(leaf.name in printed for leaf in leaves()) and f"{len(RUN)} run" in printed
    assert cli.main(["list", "reasoning", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(leaves())
