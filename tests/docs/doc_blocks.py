"""Fenced blocks and links of the Markdown files, and how a block is tested.

A block of commands or Python is run, unless the line above its fence is a comment with what a test lacks:

    <!-- needs: data pack -->         not run; its commands must be accepted by the parser of the command line
    <!-- runs in: finished run -->    run in a folder where out/quickstart is a finished run of a tiny model
    <!-- runs in: long -->            run, in the tests that take longer

YAML, JSON and TOML are parsed, and stages in them are checked against their settings. A block of language
`text`, or of none and without a command, is output or a diagram. The pages of docs/results are records: their
commands were run when they were written, and are parsed here.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NEEDS = (
    "data pack", "GPU", "network", "a server", "package files", "hours", "your own files", "installation",
    "several processes", "other packages",
)  # fmt: skip
RUNS_IN = ("finished run", "long")
PROGRAMS = (
    "medxiaohe", "python", "python3", "pip", "pytest", "make", "torchrun", "accelerate", "vllm", "cp", "sed",
    "git", "cat", "jupyter", "docker", "export", "cd", "curl", "ruff", "mypy",
)  # fmt: skip
OPENS = re.compile(r"^( *)(`{3,}|~{3,})\s*(\w*)\s*$")
COMMENT = re.compile(r"<!--\s*(needs|runs in):\s*(.+?)\s*-->")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the Markdown file, relative to the repository.
        line: of the fence, from 1.
        language: of the fence, lower case; "sh" where there is none and a line begins with a program.
        text: between the fences.
        needs: what a test lacks.
        runs_in: where a test runs it; "" is an empty folder.
    """

    page: str
    line: int
    language: str
    text: str
    needs: tuple[str, ...] = ()
    runs_in: str = ""

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every Markdown file that ships."""
    return [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *sorted((ROOT / "examples").rglob("*.md")),
    ]


def is_record(block: Block) -> bool:
    """Whether the block is of a page of results, whose commands ran when it was written."""
    return block.page.startswith("docs/results/")


@cache
def blocks() -> tuple[Block, ...]:
    return tuple(
        block for path in pages() for block in blocks_of(str(path.relative_to(ROOT)), path.read_text("utf-8"))
    )


def blocks_of(page: str, text: str) -> list[Block]:
    """The fenced blocks of a page."""
    found: list[Block] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        opens = OPENS.match(lines[at])
        if not opens:
            at += 1
            continue
        closes = at + 1
        while closes < len(lines) and lines[closes].strip() != opens[2]:
            closes += 1
        assert closes < len(lines), f"{page}:{at + 1}: the fence is not closed"
        inside = [line.removeprefix(opens[1]) for line in lines[at + 1 : closes]]
        above = COMMENT.search(lines[at - 1]) if at else None
        marks = {above[1]: above[2]} if above else {}
        needs = tuple(marks["needs"].split(", ")) if "needs" in marks else ()
        language = opens[3].lower() or ("sh" if any(map(is_command, inside)) else "text")
        found.append(Block(page, at + 1, language, "\n".join(inside) + "\n", needs, marks.get("runs in", "")))
        at = closes + 1
    return found


def is_command(line: str) -> bool:
    words = line.split()
    while words and re.fullmatch(r"[A-Z_][A-Z0-9_]*=\S*", words[0]):
        words.pop(0)
    return bool(words) and words[0] in PROGRAMS


def statements(text: str) -> list[tuple[str, str]]:
    """(one line of shell, the comment behind it); a line that ends in a backslash goes on in the next."""
    found = []
    for line in text.replace("\\\n", " ").split("\n"):
        code, _, comment = re.sub(r"(^|\s)#", "\x00", line, count=1).partition("\x00")
        if code.strip():
            found.append((" ".join(code.split(" ")).strip(), comment.strip()))
    return found


def commands(line: str) -> list[list[str]]:
    """The simple commands of a line of shell as words, without variables set before them.

    Raises:
        ValueError: a quotation mark is not closed.
    """
    words = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in words:
        if word and set(word) <= set(";&|"):
            found.append([])
        elif word and set(word) <= set("<>"):
            found.append(["\x00"])  # a file of a redirection is no command
        elif not found[-1] and re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", word, re.DOTALL):
            continue
        else:
            found[-1].append(word)
    return [one for one in found if one and one[0] != "\x00"]


def typed(words: list[str]) -> list[str] | None:
    """The arguments of medxiaohe in a command: also behind torchrun, accelerate, time and python -m."""
    if words[0] == "medxiaohe":
        return words[1:]
    if "-m" in words and "medxiaohe" in words[words.index("-m") + 1 : words.index("-m") + 2]:
        return words[words.index("-m") + 2 :]
    return None
