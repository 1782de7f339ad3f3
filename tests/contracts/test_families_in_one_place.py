"""What is particular to a family of models is in its file of models/families: no other code asks which one it
has."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent / "medxiaohe"
FAMILIES = re.compile(
    r"qwen|gemma|intern.?vl|smolvlm|idefics|onevision|llava|paligemma|glm|mllama", re.IGNORECASE
)
OTHERS = {"data/formats/guess.py"}  # LLaVA is a layout of rows there


def decisions(text: str) -> list[int]:
    """Lines that compare something with a word that has the name of a family."""
    found = []
    for node in ast.walk(ast.parse(text)):
        asks = isinstance(node, (ast.Compare, ast.MatchValue)) or (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("startswith", "endswith", "removeprefix", "search", "match")
        )  # fmt: skip
        if asks:
            words = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant)]
            if any(isinstance(word, str) and FAMILIES.search(word) for word in words):
                found.append(node.lineno)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            named = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
            named += [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)]
            if any(FAMILIES.search(word) for word in named):
                found.append(node.lineno)
    return found


def test_no_code_outside_of_the_families_asks_which_one_it_has() -> None:
    files = [path for path in ROOT.rglob("*.py") if "families" not in path.parts]
    found = {path.relative_to(ROOT).as_posix(): decisions(path.read_text(encoding="utf-8")) for path in files}
    assert len(found) > 300
    assert {name: lines for name, lines in found.items() if lines and name not in OTHERS} == {}


@pytest.mark.parametrize(
    "line",
    ['"qwen" in name', 'kind == "gemma3"', 'kind.startswith("Qwen")', "isinstance(own, LlavaProcessor)"],
)
def test_a_question_for_a_family_is_seen(line: str) -> None:
    assert decisions(f"if {line}:\n    pass\n") == [1]
