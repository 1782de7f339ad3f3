"""Links between Markdown files lead to a file and, behind #, to a heading."""

import re
from pathlib import Path
from urllib.parse import unquote

import doc_blocks
import pytest

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")


def without_code(text: str) -> str:
    text = re.sub(r"^( *)(`{3,}|~{3,}).*?^\1\2\s*$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+)[^`]+\1", lambda code: "x" if "](" in code[0] else code[0], text)


def anchors(path: Path) -> set[str]:
    """What headings of a page are called in links, as GitHub and MkDocs do it."""
    found: set[str] = set()
    text = re.sub(
        r"^( *)(`{3,}|~{3,}).*?^\1\2\s*$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for heading in re.findall(r"^#{1,6}\s+(.+?)\s*#*$", text, re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", words))
        found.add(next(one for n in range(1000) if (one := name if not n else f"{name}-{n}") not in found))
    return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


@pytest.mark.parametrize("path", doc_blocks.pages(), ids=lambda p: str(p.relative_to(doc_blocks.ROOT)))
def test_links_lead_to_a_file_and_a_heading(path: Path) -> None:
    broken = []
    for target in LINK.findall(without_code(path.read_text("utf-8"))):
        file, _, anchor = unquote(target).partition("#")
        if re.match(r"[a-z]+:", file):
            continue  # another host: not looked up, for tests have no network
        there = path.parent / file if file else path
        if not there.exists():
            broken.append(f"{target}: no such file")
        elif anchor and there.suffix == ".md" and anchor not in anchors(there):
            broken.append(f"{target}: no such heading")
        elif doc_blocks.ROOT not in [there.resolve(), *there.resolve().parents]:
            broken.append(f"{target}: outside the repository")
    assert not broken, f"{path.name}: {broken}"


def test_a_heading_that_is_not_there_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# One thing\n\n## One thing\n\n## `code` & more\n")
    assert anchors(tmp_path / "a.md") == {"one-thing", "one-thing-1", "code--more"}


def test_every_page_can_be_reached_from_the_index() -> None:
    """By links, from README.md and docs/index.md; a link to a folder reaches its pages."""
    waiting = [doc_blocks.ROOT / "README.md", doc_blocks.ROOT / "docs" / "index.md"]
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop().resolve()
        if path in seen:
            continue
        seen.add(path)
        for target in LINK.findall(path.read_text("utf-8")):
            there = path.parent / unquote(target).partition("#")[0]
            if there.is_dir():
                waiting += there.glob("*.md")
            elif there.suffix == ".md" and there.exists():
                waiting.append(there)
    lost = [
        str(p.relative_to(doc_blocks.ROOT))
        for p in doc_blocks.pages()
        if p.resolve() not in seen and "docs" in p.parts
    ]
    assert not lost, f"no page links to {lost}"
