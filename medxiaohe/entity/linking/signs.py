"""Signs beside a finding in clinical notes: nausea +, vomiting -, rales (±), edema 2+, 压痛（＋）.

    sign("Nausea +, vomiting -", 10, 18)     -> Sign("negated", 19, 20)
    sign("+fever, -chills", 9, 15)           -> Sign("negated", 8, 9)

A sign in brackets, or one that a mark or the end of the line follows, belongs to the finding before it; on a
line that begins with a sign, each belongs to the finding behind it. A dash is punctuation more often than a
negation: without brackets it counts before a comma, or on a line that has another sign. Rules of our own.
"""

from __future__ import annotations

import re
from typing import NamedTuple

PLUS, MINUS, EITHER = "+＋﹢➕", "\\-–—−－﹣➖", "±"
ANY = f"{PLUS}{MINUS}{EITHER}"
ONE = rf"(?:(?P<either>[{EITHER}]|\+[ \t]?/[ \t]?[{MINUS}])|(?P<yes>[1-4]?[{PLUS}]{{1,4}})|(?P<no>[{MINUS}]))"
IN_BRACKETS = re.compile(rf"[ \t]?(?P<sign>[(（\[][ \t]*{ONE}[ \t]*[)）\]])")
BARE = re.compile(rf"[ \t]?(?P<colon>[:：=])?[ \t]?(?P<sign>{ONE})(?=[ \t]*(?:[.,;:，。；、：)）\]\n]|$))")
GLUED = re.compile(rf"(?P<sign>{ONE})(?=[ \t])")  # F- C- N+
BEFORE = re.compile(
    rf"(?:^|(?<=[\s,;:，；、：|/]))(?P<sign>[(（\[][ \t]*{ONE}[ \t]*[)）\]])[ \t]?$"
    rf"|(?:^|(?<=[\s,;:，；、：|/]))(?P<sign2>{ONE.replace('?P<', '?P<bare_')})[ \t]?$"
)
OR_NOT = re.compile(rf"(?:[{EITHER}]|\+/[{MINUS}])(?=[ \t]?$)")  # nausea +/- vomiting
HEAD = r"(?:[^:：\n]{0,30}[:：])?[ \t]*"  # "ROS: (+) fever"
LEADS = re.compile(rf"{HEAD}(?:[(（\[][{ANY}]{{1,3}}[)）\]]|[{PLUS}{EITHER}]+)[ \t]?[^\W\d_]")
MINUS_LEADS = re.compile(rf"{HEAD}[{MINUS}](?=[^\W\d_])")
PLUS_BEFORE = re.compile(rf"(?:^|[\s,;:，；、：])[{PLUS}](?=[^\W\d_])")
BEHIND_A_WORD = re.compile(
    rf"[^\W_][)）]?[ \t]?(?:[(（\[][{ANY}]{{1,4}}[)）\]]|[{ANY}]{{1,4}}(?=[ \t]*(?:[,;，；、。.\n]|$)))"
)
BEHIND_A_LETTER = re.compile(rf"[^\W\d_]([{PLUS}{MINUS}])(?=[ \t,;]|$)")
MARKS = re.compile(
    rf"[{PLUS}{EITHER}]|[{MINUS}](?=[ \t]*(?:[.,;，。；、)）\]\n]|$))|(?<!\S)[{MINUS}](?=[^\W\d_])"
)
BEHIND = re.compile(r"[ \t]*[,，、]")
LETTERS_BEFORE = 8


class Sign(NamedTuple):
    says: str  # negated, uncertain, or "" where the finding is there
    start: int  # letters of the sign in the text, its brackets included
    end: int


def sign(text: str, start: int, end: int) -> Sign | None:
    """What a sign beside a finding says of it.

    Args:
        text: the whole text; a line of it decides on which side its signs stand.
        start: of the finding.
        end: of the finding; text[start:end] is its name.

    Returns:
        The sign and what it says, or None where there is none.
    """
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end)
    line = text[begin : stop if stop >= 0 else len(text)]
    if not MARKS.search(line):
        return None
    near = max(begin, start - LETTERS_BEFORE)
    if _leads(line):
        mark = BEFORE.search(text[near:start])
        return _sign(mark, near) if mark else None
    if mark := OR_NOT.search(text[near:start]):
        return Sign("uncertain", near + mark.start(), near + mark.end())
    if mark := IN_BRACKETS.match(text, end):
        return _sign(mark)
    if mark := BARE.match(text, end):
        alone = not BEHIND.match(text, mark.end()) and len(BEHIND_A_WORD.findall(line)) < 2
        return None if mark["no"] and alone and not mark["colon"] else _sign(mark)
    if mark := GLUED.match(text, end):
        glued = BEHIND_A_LETTER.findall(line)
        return _sign(mark) if len(glued) > 1 and "+" in glued else None
    return None


def _leads(line: str) -> bool:
    """Whether the signs of a line stand before the findings that they belong to."""
    return bool(LEADS.match(line) or (MINUS_LEADS.match(line) and PLUS_BEFORE.search(line)))


def _sign(mark: re.Match[str], offset: int = 0) -> Sign:
    groups = mark.groupdict()
    says = (
        "negated" if groups["no"] or groups.get("bare_no")
        else "uncertain" if groups["either"] or groups.get("bare_either")
        else ""
    )  # fmt: skip
    name = "sign" if groups["sign"] else "sign2"
    return Sign(says, offset + mark.start(name), offset + mark.end(name))
