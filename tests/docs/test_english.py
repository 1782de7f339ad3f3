"""Banned idioms, requirement ids and names of pages that do not ship stay out of what users read: help texts,
messages, words of HTML pages, README and docs; ids stay out of comments and docstrings too."""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import doc_blocks
import pytest
from doc_blocks import ROOT

from medxiaohe.cli.parser import parser

PACKAGE = ROOT / "medxiaohe"
# requirement ids and design pages that are not in the repository
IDS = re.compile(
    r"\b(?:MX|MET|RWR|HR|MEK|LS|RV|MAM|MAP|MC)-\d+\b"
    r"|\b(?:systems|peers|house|stack|stack-core|traces_reports_serving)\.md\b"
)
# phrase -> what to write
IDIOMS = {
    r"dead letters?": "rejected rows",
    r"held against": "compared with",
    r"it is told that": "what is set, by whom",
    r"on offer": "of the options",
    r"(?:goes?|went) on": "continues, resumes",
    r"runs? as it is": "runs unchanged",
    r"looked for": "searched for, checked",
    r"(?:is|are) none of": "is not one of",
    r"stands? beside": "is beside, is next to",
    r"without whom": "de-identify",
    r"(?:is|are) there (?:twice|already)": "appears twice, already exists",
    r"made otherwise": "made with other settings",
    r"asked another way": "perturbations",
    r"would find": "minimum detectable difference",
    r"mentions of head": "frequent entities",
    r"drawn evenly": "with uniform sampling",
    r"files without their patients": "de-identify",
    r"thoughts that teachers write": "chains of thought of teacher models",
    r"kept where two gates open": "kept if they pass both checks",
    r"go,? in two stages": "are dropped in two steps",
}
BANNED = re.compile("|".join(rf"\b(?:{idiom})\b" for idiom in IDIOMS), re.IGNORECASE)
# not checked: prompts (replies are cached by their words) and examples and patterns of medical text
LATER = (
    "scoring/parsers/asked.py",
    "data/synth/",
    "data/readers/",
    "evidence/verifiers/",
    "train/rollouts/hints.py",
)
# a glossary may name a former word; a changelog says what was
PAGES = [path for path in doc_blocks.pages() if path.name not in ("CHANGELOG.md", "glossary.md")]


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Words that a program can print: string constants, without docstrings."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def found(text: str, *patterns: re.Pattern[str]) -> list[str]:
    words = re.sub(r"\s+", " ", text)
    return [match[0] for pattern in patterns for match in pattern.finditer(words)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_uses_the_fields_words(path: Path) -> None:
    record = "results" in path.parts  # quotes what a command printed on its day
    assert not found(path.read_text("utf-8"), *([] if record else [BANNED]), IDS)


def test_help_texts_use_the_fields_words() -> None:
    def helps(made: argparse.ArgumentParser) -> Iterator[str]:
        yield f"{made.description or ''} {made.epilog or ''}"
        for action in made._actions:
            yield action.help or ""
            if isinstance(action, argparse._SubParsersAction):
                for below in action.choices.values():
                    yield from helps(below)

    assert not [words for text in helps(parser()) for words in found(text, BANNED, IDS)]


def test_messages_and_pages_use_the_fields_words() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if not str(path.relative_to(PACKAGE)).startswith(LATER)
        for line, text in texts(ast.parse(path.read_text("utf-8")))
        for words in found(text, BANNED, IDS)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_code_names_papers_and_no_requirement_ids() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {words}"
        for folder in ("medxiaohe", "recipes", "examples")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".yaml", ".txt", ".html", ".js")
        for words in found(path.read_text("utf-8"), IDS)
    ]
    assert not wrong, "\n".join(wrong)


def test_an_idiom_and_an_id_are_noticed() -> None:
    seen = found("12 dead\nletters (MX-12), see peers.md", BANNED, IDS)
    assert seen == ["dead letters", "MX-12", "peers.md"]
    assert not found("IL-6, rejected rows, MXN-1, mypeers.mdx", BANNED, IDS)
