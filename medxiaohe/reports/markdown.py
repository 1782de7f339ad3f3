"""Write a report as Markdown: sentences with a symbol and a word for their ruling, followed by the
evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from medxiaohe import STATEMENT
from medxiaohe.reports.document import Document, Sentence
from medxiaohe.types import Evidence

SIGNS = {"supported": "✓", "contradicted": "✗", "unsupported": "?", "unjudged": "?"}
WORDS = {
    "supported": "supported",
    "contradicted": "contradicted",
    "unsupported": "not verified",
    "unjudged": "not judged",
}
# what Markdown and HTML would act upon
ACTIVE = re.compile(r"([\\`*_{}\[\]<>()#+!|&])")


def markdown(document: Document) -> str:
    """Write a report as a Markdown document; all text of models and documents is escaped.

    Args:
        document: the report, read by `of_trace`.

    Returns:
        text in Markdown
    """
    numbers = {item.id: n for n, item in enumerate(_cited(document), 1)}
    rows = ["# Report", "", f"**{STATEMENT}**", ""]
    for name, text in document.given.items():
        rows += [f"## {name}", "", escaped(text), ""]
    for name, sentences in (("Findings", document.findings), ("Impression", document.impression)):
        rows += [f"## {name}", ""]
        rows += [_line(sentence, numbers) for sentence in sentences] or ["Nothing could be verified."]
        rows.append("")
    rows += ["## Limits", "", escaped(document.limits), ""]
    if numbers:
        rows += ["## Evidence", ""]
        rows += [f"{n}. {_shown(item)}" for n, item in enumerate(_cited(document), 1)] + [""]
    if document.cut:
        rows += ["## Removed from the draft", ""]
        rows += [
            f"- ~~{escaped(sentence.text)}~~ {WORDS[sentence.label]}: {escaped(sentence.why)}"
            for sentence in document.cut
        ] + [""]
    return "\n".join(rows)


def escaped(text: str) -> str:
    """Escape a text so that Markdown shows it literally on one line.

    Returns:
        line breaks and repeated blanks become one blank.
    """
    return ACTIVE.sub(r"\\\1", " ".join(text.split()))


def _line(sentence: Sentence, numbers: dict[str, int]) -> str:
    cited = ", ".join(str(numbers[id]) for id in sentence.evidence if id in numbers)
    cited = f", evidence {cited}" if cited else ""
    return f"- {SIGNS[sentence.label]} {escaped(sentence.text)} *({WORDS[sentence.label]}{cited})*"


def _cited(document: Document) -> Sequence[Evidence]:
    ids = {id for sentence in (*document.findings, *document.impression) for id in sentence.evidence}
    return [item for item in document.evidence if item.id in ids]


def _shown(item: Evidence) -> str:
    locator = ""
    if item.at is not None and item.at.span is not None:
        locator = f", letters {item.at.span[0]} to {item.at.span[1]}"
    if item.at is not None and item.at.box is not None:
        locator = f", box {', '.join(map(str, item.at.box))}"
    return f"{escaped(item.text)} ({escaped(item.source or item.by or item.kind)}{locator})"
