"""Reading on in a document, and papers by years."""

from typing import Any

import pytest

from medxiaohe.retrieval.bm25 import BM25
from medxiaohe.tools.toolbox import call_tool, open_tools
from medxiaohe.types import Evidence, ToolCall, ToolResult

TEXT = "".join(f"Sentence {n} of the paper. " for n in range(300))
LIBRARY = BM25(
    [
        Evidence("a", TEXT, "journal", date="2019-03-01"),
        Evidence("b", "A later paper about a sentence.", "journal", date="2021"),
        Evidence("c", "A sentence without a date.", "web"),
    ]
)


def used(name: str, **arguments: Any) -> ToolResult:
    return call_tool(ToolCall("1", name, arguments), open_tools([name], {"library": LIBRARY}))


def test_windows_of_a_document_put_together_are_the_document() -> None:
    read, start = "", 0
    while start < len(TEXT):
        result = used("visit", id="a", start=start, size=1000)
        (window,) = result.evidence
        assert window.at and window.at.span == (start, start + len(window.text)) and len(window.text) <= 1000
        read += window.text
        start += len(window.text)
    assert read == TEXT and "this is its end" in str(result.parts[0])
    assert "next window starts at 2000" in str(used("visit", id="a").parts[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"id": "z"}, "no passage"),
        ({"id": "a", "start": 10**6}, "start is below that"),
        ({"id": "a", "start": -1}, "at least 0"),
        ({"id": "a", "size": 0}, "1 to 8000"),
        ({"id": ""}, "what search returned"),
        ({"id": "https://example.org/paper"}, "no passage"),
    ],
)
def test_a_window_that_is_none_is_one_sentence(arguments: dict[str, Any], words: str) -> None:
    assert words in used("visit", **arguments).error


def test_papers_are_those_of_the_years_and_what_has_no_date_is_none() -> None:
    assert {one.id for one in used("scholar", query="sentence paper").evidence} == {"a", "b"}
    assert [one.id for one in used("scholar", query="sentence", from_year=2020).evidence] == ["b"]
    assert [one.id for one in used("scholar", query="sentence", to_year=2020).evidence] == ["a"]
    assert "(2019)" in str(used("scholar", query="sentence", to_year=2020).parts[0])
    assert "no paper of these years" in str(used("scholar", query="sentence", to_year=1990).parts[0])
    assert "not after" in used("scholar", query="sentence", from_year=2021, to_year=2020).error
    assert "empty" in used("scholar", query=" ").error
