"""Hooks of MkDocs (mkdocs.yml): files outside docs/ that pages link to join the site, below repository/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
OUTSIDE = "repository"
NEEDS = re.compile(r"^<!-- needs: (.+?) -->$", re.MULTILINE)


def on_files(files: Any, config: Any) -> Any:
    """Add each file of the repository that a page links to; pages among them bring their own links."""
    waiting = [("docs/" + file.src_uri, Path(file.abs_src_path)) for file in files.documentation_pages()]
    while waiting:
        source, path = waiting.pop()
        for _, target, _ in LINK.findall(path.read_text(encoding="utf-8")):
            there = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
            uri = uri_of(there)
            if uri.startswith(OUTSIDE) and (ROOT / there).is_file() and files.get_file_from_path(uri) is None:
                files.append(File.generated(config, uri, abs_src_path=str(ROOT / there)))
                if there.endswith(".md"):
                    waiting.append((there, ROOT / there))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links to where their files are in the site, and show what a block of commands needs."""
    uri = page.file.src_uri
    source = uri.removeprefix(OUTSIDE + "/") if uri.startswith(OUTSIDE) else "docs/" + uri

    def moved(found: re.Match[str]) -> str:
        there = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
        to = uri_of(there)
        if (ROOT / there).is_dir():
            to += "/index.md"
            if files.get_file_from_path(to) is None:
                return f"`{there}`"  # a folder without a page
        return f"[{found[1]}]({posixpath.relpath(to, posixpath.dirname(uri) or '.')}{found[3] or ''})"

    return NEEDS.sub(r"*Needs: \1.*\n", LINK.sub(moved, markdown))


def uri_of(path: str) -> str:
    """Where a file of the repository is in the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"{OUTSIDE}/{path}"
