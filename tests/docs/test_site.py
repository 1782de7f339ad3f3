"""The site is built without a warning, and nothing in it is loaded from another host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_blocks import ROOT

# what a browser fetches by itself; a link that a person chooses is none
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\bsrc=\"?(https?:)?//[^\s\">]+"
    r"|<link[^>]*\brel=\"?(?:stylesheet|preload|preconnect|icon)[^>]*\bhref=\"?(https?:)?//[^\s\">]+"
    r"|(?:@import|url\()[\s\"']*(https?:)?//[^\s\"')]+"
)


@pytest.mark.long
def test_the_site_builds_strictly_and_loads_nothing_from_another_host(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="pip install 'medxiaohe[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = sorted((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 50 and (tmp_path / "site" / "index.html") in pages
    for path in [*pages, *(tmp_path / "site").rglob("*.css")]:
        found = FETCHED.search(path.read_text("utf-8"))
        assert not found, f"{path.relative_to(tmp_path)}: {found and found[0]}"


def test_what_a_browser_would_fetch_is_noticed() -> None:
    assert FETCHED.search('<script src="https://unpkg.com/shim"></script>')
    assert FETCHED.search('<link rel="stylesheet" href="//fonts.example/a.css">')
    assert FETCHED.search("@import url(https://fonts.example/a.css)")
    assert not FETCHED.search('<a href="https://example.org">read</a><script src="assets/a.js"></script>')
