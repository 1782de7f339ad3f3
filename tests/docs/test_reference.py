"""The generated pages of docs/reference say what the code says, and nothing in them is without a sentence."""

import argparse
import dataclasses
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import pytest
from doc_blocks import ROOT

from medxiaohe import plugins
from medxiaohe.cli.parser import parser
from medxiaohe.recipe import load
from medxiaohe.recipe.sentences import sentences


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_reference", ROOT / "docs" / "reference.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_what_the_code_says(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["reference.py", "--check"])
    monkeypatch.delenv("MEDXIAOHE_DATA", raising=False)
    assert reference.main() == 0, capsys.readouterr().out


def test_every_setting_of_every_stage_has_a_sentence() -> None:
    for name in plugins.stages():
        kind = load.settings_type(plugins.load_stage(name))
        missing = {field.name for field in dataclasses.fields(kind)} - set(sentences(kind))
        assert not missing, f"{kind.__module__}.{kind.__name__}: a comment behind {sorted(missing)}"


def options(made: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.Action]]:
    for action in made._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, below in action.choices.items():
                yield from options(below, f"{name} {word}")
        else:
            yield name, action


def test_every_argument_has_a_help_text() -> None:
    bare = [f"{name} {action.dest}" for name, action in options(parser(), "medxiaohe") if not action.help]
    assert not bare


@dataclass(frozen=True)
class Base:
    """Settings.

    Attributes:
        depth: in hops;
            more than one.
        width: of a beam.
    """

    depth: int = 2
    width: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Made(Base):
    # how many: 0 is all,
    # which takes long
    limit: int = 0
    pairs: tuple[str, ...] = (
        "a",
        "b",
    )  # names of pairs
    width: int = 8  # of a wide beam
    mute: int = 1  # type: ignore


def test_sentences_come_from_comments_attributes_and_the_common_ones() -> None:
    found = sentences(Made)
    assert found["depth"] == "in hops; more than one."
    assert found["width"] == "of a wide beam", "a subclass may say otherwise"
    assert found["limit"] == "how many: 0 is all, which takes long"
    assert found["pairs"] == "names of pairs"
    assert found["seed"].startswith("random seed") and "mute" not in found
