"""Docstrings of what a user imports or extends name every argument and the result; the share of documented
functions does not fall."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_blocks import ROOT

import medxiaohe

PACKAGE = ROOT / "medxiaohe"
# folders in which a file holds the function of its name: stages and plug-ins. Workflows are not among them:
# a file has at most 40 or 150 lines, and docs/workflows.md describes their settings
FOLDERS = (
    "data", "entity", "train", "evals", "pages", "data/readers", "data/filters", "entity/readers", "scoring",
    "evals/perturb", "evidence/verifiers", "models/backends",
)  # fmt: skip
SECTION = re.compile(r"^(?:Args|Returns|Raises|Yields):", re.MULTILINE)
# shares of the public functions of the package, in percent, as measured 2026-12-01 (rounded down): raise them
WITH_DOCSTRING, WITH_SECTIONS = 76, 20


def plugins() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for folder in FOLDERS:
        for path in sorted((PACKAGE / folder).glob("*.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.FunctionDef) and node.name == path.stem:
                    yield path, node


def undescribed(docstring: str, names: list[str]) -> list[str]:
    return [name for name in names if not re.search(rf"^\s+\*{{0,2}}{name}: \S", docstring, re.MULTILINE)]


@pytest.mark.parametrize("name", medxiaohe.EXPORTS)
def test_an_exported_name_says_its_arguments_and_results(name: str) -> None:
    thing = getattr(medxiaohe, name)
    docstring = inspect.getdoc(thing) or ""
    assert docstring.strip()
    if inspect.isfunction(thing):
        assert not undescribed(docstring, list(inspect.signature(thing).parameters))
        assert re.search(r"^Returns:", docstring, re.MULTILINE)


def test_a_stage_or_plug_in_says_its_arguments_and_results() -> None:
    seen, wrong = 0, []
    for path, node in plugins():
        seen += 1
        docstring, given = ast.get_docstring(node) or "", node.args
        names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        missing = undescribed(docstring, names)
        if missing or not re.search(r"^(?:Returns|Yields):", docstring, re.MULTILINE):
            wrong.append(f"{path.relative_to(ROOT)}: {missing or 'Returns'}")
    assert seen > 100 and not wrong, "\n".join(wrong)


def test_documented_functions_do_not_become_fewer() -> None:
    public = [
        ast.get_docstring(node) or ""
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_")
    ]
    documented = 100 * sum(map(bool, public)) / len(public)
    with_sections = 100 * sum(bool(SECTION.search(one)) for one in public) / len(public)
    assert documented >= WITH_DOCSTRING, (
        f"{documented:.1f} % of {len(public)} public functions have a docstring"
    )
    assert with_sections >= WITH_SECTIONS, f"{with_sections:.1f} % have Args, Returns, Raises or Yields"


def test_an_argument_without_a_word_is_noticed() -> None:
    assert undescribed("Do it.\n\nArgs:\n    a: one.\n    **rest: others.\n", ["a", "b", "rest"]) == ["b"]
