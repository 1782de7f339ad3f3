"""The six rules that sub-queries of a query pass before they are searched (MedAide, arXiv 2410.12532)."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST = 300  # characters
LEAST = 2  # letters or digits of a query that says something
# words by which a query belongs to a stage of care; a query of an earlier stage is asked first
STAGES = (
    r"\b(?:department|appointment|which (?:doctor|specialist)|risk|screening|prevent)|挂号|科室|预防|筛查",
    r"\b(?:diagnos|symptom|sign|cause|test|differential)|诊断|症状|病因|检查",
    r"\b(?:drug|medic|dose|dosage|treat|interaction|contraindicat|side effect)|药|剂量|治疗|副作用|禁忌",
    r"\b(?:recover|rehabilitat|follow.?up|diet|exercise|after surgery|prognos)|康复|复查|饮食|预后",
)


def refined(queries: Sequence[str], most: int) -> list[str]:
    """Filter, deduplicate, merge, grammar, priority, format; at most `most` queries are left.

    1. filter       without two letters or digits, a query asks nothing
    2. deduplicate  the same words in another case, order or with other marks are one query
    3. merge        a query whose words another one has as well is part of that one
    4. grammar      repeated words and blanks go, and marks at the ends
    5. priority     by the stage of care it asks for: before, diagnosis, treatment, after; then as written
    6. format       one line of at most 300 characters

    Args:
        queries: as the model wrote them.
        most: maximum number of queries.

    Returns:
        queries by stage of care, each at most `LONGEST` characters.
    """
    selected: list[str] = []
    for query in queries:
        text = _grammar(query)
        if len(re.findall(r"\w", text)) >= LEAST and all(_words(text) != _words(item) for item in selected):
            selected.append(text)
    maximal = [item for item in selected if not any(_words(item) < _words(larger) for larger in selected)]
    maximal.sort(key=_stage)
    return maximal[:most]


def _grammar(query: str) -> str:
    line = " ".join(query.split())
    line = re.sub(r"\b(\w+)(?:\s+\1\b)+", r"\1", line, flags=re.IGNORECASE)
    return line.strip(" \t-*•.,;:\"'`，。；：")[:LONGEST].strip()


def _words(query: str) -> frozenset[str]:
    """Words of a query as a set; of Chinese its characters, which have no spaces between them."""
    return frozenset(re.findall(r"[\u3400-\u9fff]|[^\W\u3400-\u9fff]+", query.casefold()))


def _stage(query: str) -> int:
    matches = (i for i, words in enumerate(STAGES) if re.search(words, query, re.IGNORECASE))
    return next(matches, len(STAGES))
